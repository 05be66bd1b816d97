"""Tickets: a browser opens one stream without sending credentials."""

from __future__ import annotations

from typing import Any

import pytest
from provisioning_http._problems import Refused
from provisioning_http._tickets import SECONDS, Tickets
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"
STREAM = {"Accept": "text/event-stream"}


def ticket_of(client: TestClient, body: Any = None) -> dict[str, Any]:
    answer = client.post(f"{ACME}/events/ticket", json=body or {})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def test_a_ticket_opens_one_stream_without_credentials(world, client_of, anna: TestClient) -> None:
    run = world.start("broken")
    ticket = ticket_of(anna)
    nobody = client_of("")
    first, second = (nobody.get(ticket["url"], headers=STREAM) for _ in range(2))

    assert (ticket["run_id"], ticket["expires_in"], ticket["url"]) == (run.id, 30.0, f"{ACME}/events?ticket={ticket['ticket']}")
    assert first.text == anna.get(f"{ACME}/events", headers=STREAM).text
    assert (second.status_code, second.json()["code"]) == (401, "invalid_ticket")
    assert second.headers["www-authenticate"].startswith("Ticket")


def test_a_ticket_sees_what_its_owner_sees(world, client_of, anna: TestClient, olaf: TestClient) -> None:
    world.start("broken")
    nobody = client_of("")
    for client in (anna, olaf):
        told = nobody.get(ticket_of(client)["url"], headers=STREAM).text
        assert ("db.internal" in told) == (client is olaf)


def test_a_ticket_stays_with_its_run_whatever_else_is_asked_for(world, client_of, olaf: TestClient) -> None:
    old = world.start("quick")
    ticket = ticket_of(olaf)
    new = world.engine.start("quick", subject="acme", input={"slug": "acme"}, again=True)
    new.wait(timeout=10)
    told = client_of("").get(f"{ticket['url']}&run_id={new.id}", headers=STREAM).text

    assert (old.id in told, new.id in told) == (True, False)


def test_a_ticket_for_an_older_run_or_for_somebody_elses(world, client_of, olaf: TestClient) -> None:
    old = world.start("quick")
    world.engine.start("quick", subject="acme", input={"slug": "acme"}, again=True).wait(timeout=10)
    foreign = world.start("gated", "other")

    assert old.id in client_of("").get(ticket_of(olaf, {"run_id": old.id})["url"], headers=STREAM).text
    refused = olaf.post(f"{ACME}/events/ticket", json={"run_id": foreign.id})
    assert (refused.status_code, refused.json()["code"]) == (404, "run_not_found")


@pytest.mark.parametrize("path", ["other/events", "acme/status", "acme/graph"])
def test_a_ticket_is_good_for_nothing_else(world, client_of, olaf: TestClient, path: str) -> None:
    world.start("quick")
    world.start("gated", "other")
    ticket = ticket_of(olaf)["ticket"]
    answer = client_of("").get(f"/provisioning/tenants/{path}", headers=STREAM, params={"ticket": ticket})

    assert answer.status_code == 401


def test_a_ticket_is_for_a_stream_not_for_pages(world, client_of, olaf: TestClient) -> None:
    world.start("quick")

    assert client_of("").get(ticket_of(olaf)["url"], headers={"Accept": "application/json"}).status_code == 406


def test_a_made_up_ticket_is_refused_although_the_caller_may_read(world, olaf: TestClient) -> None:
    world.start("quick")
    answer = olaf.get(f"{ACME}/events", headers=STREAM, params={"ticket": "made-up-ticket"})

    assert answer.status_code == 401
    assert "made-up-ticket" not in answer.text


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def given(tickets: Tickets) -> str:
    return tickets.give(tenant_id="acme", run_id="run", principal="name anna", actor="anna", is_operator=False)


def test_a_ticket_is_good_for_thirty_seconds() -> None:
    clock = Hand()
    tickets = Tickets(clock=clock)
    early, late = given(tickets), given(tickets)
    clock.at += SECONDS - 0.1
    assert tickets.take(early, "acme").actor == "anna"
    clock.at += 0.1
    with pytest.raises(Refused):
        tickets.take(late, "acme")


def test_tickets_that_nobody_uses_are_forgotten() -> None:
    clock = Hand()
    tickets = Tickets(clock=clock)
    for _ in range(100):
        given(tickets)
    clock.at += SECONDS
    given(tickets)
    assert len(tickets._open) == 1
    for _ in range(10_100):
        given(tickets)
    assert len(tickets._open) == 10_000
