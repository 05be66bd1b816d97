from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import chaos_checks
import pytest
from chaos_app import TABLE
from chaos_fleet import Fleet
from databases import new_database

from provisioning_core.stores import SqlStore


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where steps write. In memory if that can be had: a killed process loses nothing by it."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as made:
        yield Path(made)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A prepared store's address."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{folder / 'store.db'}"
        else:
            url = stack.enter_context(new_database(request.getfixturevalue("postgres_url")))
        with closing(SqlStore(url)) as store:
            chaos_checks.prepare(store, TABLE)
        yield url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(url)) as store:
        yield store


@pytest.fixture
def fleet(folder: Path, url: str) -> Iterator[Fleet]:
    with Fleet(folder, url) as fleet:
        yield fleet


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Say how it went, where the person who waits for it sees it."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", flush=True)

    return say
