from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fault_plans import MakeStore
from sqlalchemy import text

from provisioning_core.stores import MemoryStore, SqlStore


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """New stores by name, each with a product's table beside where there can be one."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path  # durability is not what is tested here
    with tempfile.TemporaryDirectory(dir=place) as folder:
        if request.param == "memory":
            yield lambda _: MemoryStore()
        else:
            template = _prepared(Path(folder, "template.db"))
            yield lambda name: SqlStore(f"sqlite:///{shutil.copy(template, Path(folder, name))}")


def _prepared(path: Path) -> Path:
    with closing(SqlStore(f"sqlite:///{path}")) as store:
        store.prepare()
        with store.begin() as connection:
            connection.execute(text("CREATE TABLE product (subject TEXT)"))
    return path
