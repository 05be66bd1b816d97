"""How much is taken at the door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from http_people import authorize
from provisioning_http import Limits, create_router
from provisioning_http._problems import Refused
from provisioning_http._rate import Rate
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def taken(rate: Rate, principal: str, calls: int) -> int:
    """How many of these calls are taken."""
    count = 0
    for _ in range(calls):
        try:
            rate.count(principal)
        except Refused:
            continue
        count += 1
    return count


def test_a_principal_has_a_burst_and_then_a_rate() -> None:
    clock = Hand()
    rate = Rate(2.0, 5, clock=clock)
    assert taken(rate, "anna", 10) == 5
    assert taken(rate, "olaf", 10) == 5
    clock.at += 1.0
    assert taken(rate, "anna", 10) == 2
    clock.at += 3600
    assert taken(rate, "anna", 10) == 5


def test_a_refusal_says_when_the_next_call_is_taken() -> None:
    rate = Rate(0.1, 1, clock=Hand())
    rate.count("anna")
    with pytest.raises(Refused) as caught:
        rate.count("anna")

    assert (caught.value.problem.status, caught.value.problem.headers) == (429, {"Retry-After": "10"})


def test_no_rate_is_no_limit() -> None:
    assert taken(Rate(None, 1), "anna", 100) == 100


def test_principals_are_not_remembered_without_end() -> None:
    rate = Rate(1.0, 1, clock=Hand())
    for number in range(10_100):
        rate.count(f"principal-{number}")

    assert len(rate._buckets) == 10_000


@pytest.fixture
def app(world) -> FastAPI:
    made = FastAPI()
    made.include_router(create_router(world.engine, authorize=authorize, limits=Limits(calls_per_second=0.001, burst=3)))
    return made


def test_each_person_is_counted_alone_and_strangers_use_nothing_up(world, client_of, anna: TestClient, olaf: TestClient) -> None:
    world.start("gated")
    for _ in range(5):
        assert client_of("").get(f"{ACME}/status").status_code == 401
        assert client_of("fremd").get(f"{ACME}/status").status_code == 404
    answers = [anna.get(f"{ACME}/status") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert int(answers[-1].headers["retry-after"]) > 900
    assert olaf.get(f"{ACME}/status").status_code == 200


def test_a_call_too_many_is_not_carried_out(world, olaf: TestClient) -> None:
    world.start("gated")
    before = world.engine.status("acme").version
    for _ in range(3):
        olaf.get(f"{ACME}/status")

    assert olaf.post(f"{ACME}/pause").status_code == 429
    assert world.engine.status("acme").version == before


@pytest.mark.parametrize(
    "given",
    [
        {"streams": -1},
        {"polls": -1},
        {"streams_per_principal": -1},
        {"stream_seconds": 0},
        {"calls_per_second": 0},
        {"burst": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Limits(**given)


def chunks(size: int) -> Iterator[bytes]:
    """A body of this many bytes, whose length nobody is told of."""
    yield b'{"reason": "'
    for _ in range(size // 1024):
        yield b"x" * 1024
    yield b'"}'


@pytest.mark.parametrize(("kilobytes", "status"), [(255, 422), (300, 413), (3000, 413)])
def test_a_bodys_bytes_are_counted_whatever_is_said_of_its_length(world, root: TestClient, kilobytes: int, status: int) -> None:
    headers = {"Content-Type": "application/json"}

    assert root.post(f"{ACME}/pause", content=chunks(kilobytes * 1024), headers=headers).status_code == status
