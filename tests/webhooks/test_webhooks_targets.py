"""Where messages may go: a corpus of addresses that lead inside, and names that change their mind."""

from __future__ import annotations

import pytest
from webhook_receiver import receiving

from provisioning_core.observers.webhooks import TargetRefused, Webhooks
from provisioning_core.observers.webhooks._networks import is_public
from provisioning_core.observers.webhooks._targets import (
    LONGEST_URL,
    Target,
    TargetRules,
    parse_target,
    resolve_by_system,
    vetted_addresses,
)
from provisioning_core.observers.webhooks._transport import Transport

STRICT, FREE = TargetRules(), TargetRules(allow_private=True)

REFUSED_AS_WRITTEN = [
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com:70/_",
    "//hooks.example.com/",
    "hooks.example.com",
    "https:///path",
    "https://",
    "",
    "javascript:alert(1)",
    "https://hooks.example.com:8443/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:port/",
    "https://user@hooks.example.com/",
    "https://user:pass@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://@hooks.example.com/",
    "https://hooks.example.com/#x",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\r\nHost: inside",
    "https://hooks.example.com/\x00",
    "https://hooks.exämple.com/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.0x1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://169.254.169.254/latest/meta-data/",
    "https://8.8.8.8/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1111]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://anything.localhost/",
    "https://printer.local/",
    "https://vault.internal/",
    "https://metadata.google.internal/",
    "https://router.lan/",
    "https://wiki.intranet/",
    "https://host.docker.internal/",
    "https://1.0.0.127.in-addr.arpa/",
    "https://hidden.onion/",
    "https://kubernetes/",
    "https://kubernetes.default.svc.cluster.local/",
    "https://-bad-.example.com/",
    "https://under_score.example.com/",
    "https://a..example.com/",
    f"https://{'a' * 64}.example.com/",
    f"https://{'a.' * 127}example.com/",
    "https://hooks.example.com/" + "a" * LONGEST_URL,
]

REFUSED_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "224.0.1.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:53aa:64c:0:7eff:80ff:fffe",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::",
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:127.0.0.1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "not an address",
    "",
]

PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


def test_the_corpus_is_large() -> None:
    assert len(set(REFUSED_AS_WRITTEN)) >= 60
    assert len(set(REFUSED_ADDRESSES)) >= 55


@pytest.mark.parametrize("url", REFUSED_AS_WRITTEN)
def test_an_address_that_may_lead_inside_is_refused_as_it_is_written(url: str) -> None:
    with pytest.raises(TargetRefused) as caught:
        parse_target(url, STRICT)
    assert caught.value.code == "webhook_target_refused"
    if len(url) > 12:
        assert url not in str(caught.value), "it may hold a token"


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    target = parse_target("https://hooks.example.com/", STRICT)
    assert not is_public(address)
    with pytest.raises(TargetRefused, match="private network"):
        vetted_addresses(target, STRICT, lambda host, port: [address])


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_one_address_inside_spoils_all() -> None:
    target = parse_target("https://hooks.example.com/", STRICT)
    with pytest.raises(TargetRefused):
        vetted_addresses(target, STRICT, lambda host, port: ["8.8.8.8", "2606:4700::1", "10.0.0.1"])
    with pytest.raises(OSError, match="no address"):
        vetted_addresses(target, STRICT, lambda host, port: [])


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.com", Target(scheme="https", host="hooks.example.com", port=443, path="/")),
        ("https://Hooks.Example.COM:443/a?b=c", Target(scheme="https", host="hooks.example.com", port=443, path="/a?b=c")),
        ("https://xn--hoks-5qa.example.com/%F0", Target(scheme="https", host="xn--hoks-5qa.example.com", port=443, path="/%F0")),
        ("https://a-1.b.co/in", Target(scheme="https", host="a-1.b.co", port=443, path="/in")),
    ],
)
def test_a_public_address_is_taken(url: str, target: Target) -> None:
    assert parse_target(url, STRICT) == target


def test_other_ports_can_be_allowed() -> None:
    rules = TargetRules(ports=frozenset({443, 8443}))
    assert parse_target("https://hooks.example.com:8443/", rules).port == 8443
    with pytest.raises(TargetRefused, match="443, 8443"):
        parse_target("https://hooks.example.com:9443/", rules)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/in", "https://[::1]:9/", "http://localhost/", "http://billing:80/x", "https://vault.internal/"]
)
def test_private_targets_can_be_allowed(url: str) -> None:
    target = parse_target(url, FREE)
    assert vetted_addresses(target, FREE, lambda host, port: ["10.0.0.1"]) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "url", ["ftp://billing/", "http://user@billing/", "http://billing/#a", "http://billing:0/", "http://bil ling/"]
)
def test_some_addresses_are_never_taken(url: str) -> None:
    with pytest.raises(TargetRefused):
        parse_target(url, FREE)


def test_a_name_that_changes_its_mind_gets_nothing() -> None:
    """Public when it is looked at first, inside when it is sent to: the address that is checked is the one connected to."""
    with receiving() as inside:
        answers = iter([["8.8.8.8"], ["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]])
        rebinding = Transport(TargetRules(ports=frozenset({443, inside.port})), lambda host, port: next(answers))
        url = f"https://hooks.example.com:{inside.port}/in"
        rebinding.check(url)
        for _ in range(2):
            answer = rebinding.post(url, {}, b"{}")
            assert answer.is_refused
            assert "private network" in answer.error
        assert inside.connections == 0


def test_a_name_is_resolved_once_for_each_try() -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    with receiving() as receiver:
        Transport(FREE, resolve).post(f"http://hooks.example.com:{receiver.port}/in", {}, b"{}")
        assert asked == [("hooks.example.com", receiver.port)]


def test_the_systems_resolver_is_the_usual_one() -> None:
    assert set(resolve_by_system("localhost", 443)) <= {"127.0.0.1", "::1"}
    with pytest.raises(TargetRefused):
        Transport(STRICT, lambda host, port: ["::1"]).check("https://hooks.example.com/")
    assert not Webhooks().allows_private_targets
