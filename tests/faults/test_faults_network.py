"""A real engine on PostgreSQL, behind a network that loses one commit, or its answer; and nothing is lost or doubled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from databases import new_database
from fault_plans import scenario
from proxies import Proxy
from sqlalchemy import make_url

from provisioning_core.stores import SqlStore
from provisioning_core.testing import FaultyStore

_AT_ONCE = 6
_COMMITS = range(0, 36, 1 if os.environ.get("PROVISIONING_THOROUGH") else 3)
"""Which of those that the scenario makes, heartbeats left out; it makes about 36."""


@contextmanager
def database(postgres_url: str) -> Iterator[str]:
    """One for each engine: it must do all itself, and engines at one database take over what another was not sure of."""
    with new_database(postgres_url) as url:
        with closing(SqlStore(url)) as store:
            store.prepare()
            with store.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE product (subject text)")
        yield url


class Behind(FaultyStore):
    """The store behind a proxy, healed together."""

    def __init__(self, proxy: Proxy, url: str) -> None:
        address = make_url(url).set(port=proxy.port, query={"sslmode": "disable"})
        super().__init__(SqlStore(address.render_as_string(hide_password=False)))
        self._proxy = proxy

    def heal(self) -> None:
        super().heal()
        self._proxy.lose_answers(0)


def try_one(postgres_url: str, number: int, *, are_sent: bool) -> tuple[str | None, int]:
    """What went wrong if anything, and how many commits were lost."""
    with database(postgres_url) as url, Proxy(make_url(url).port or 5432) as proxy:
        store = Behind(proxy, url)
        try:
            scenario(store, f"t{number}", lambda _: proxy.lose_answers(after=number, are_sent=are_sent))
        except BaseException as error:
            return f"commit {number}: {type(error).__name__}: {error}", proxy.met
        return None, proxy.met


@pytest.mark.parametrize("are_sent", [True, False], ids=["its-answer", "itself"])
def test_any_commit_may_be_lost(postgres_url: str, are_sent: bool) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(lambda number: try_one(postgres_url, number, are_sent=are_sent), _COMMITS))
    assert [problem for problem, _ in results if problem is not None] == []
    assert sum(met for _, met in results) > len(_COMMITS) / 2
