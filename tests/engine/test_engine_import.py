"""What importing the library brings along, counted and not timed. Each of these costs those who do without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_NOT_FOR_ALL = ("alembic", "celery", "cryptography", "fastapi", "networkx", "numpy", "opentelemetry", "psycopg", "rich", "sqlalchemy")
"""What only a part of the library uses, and brings along itself when it is used."""
_MOST = 380
"""Modules, the standard library's included; some are met by other ways in other versions of Python."""

_RUN = """
from provisioning_core import Engine, Plan, step
from provisioning_core.stores import MemoryStore
work = step(name="work")(lambda: 1)
with Engine(store=MemoryStore(), plans=[Plan("plain", steps=[work, step(name="more", needs=[work])(lambda: 2)])]) as engine:
    view = engine.start("plain", subject="acme").wait(30)
assert view.status == "SUCCEEDED", view
"""


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after this code and had not before."""
    text = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import provisioning_core", _RUN], ids=["import", "a run in memory"])
def test_what_only_a_part_uses_is_not_brought_along(code: str) -> None:
    packages = {name.partition(".")[0] for name in loaded_by(code)}
    assert sorted(packages.intersection(_NOT_FOR_ALL)) == []


def test_an_import_brings_no_more_modules_along_than_it_did() -> None:
    loaded = loaded_by("import provisioning_core")
    assert "provisioning_core.engine._engine" in loaded
    assert len(loaded) < _MOST


def test_what_is_not_brought_along_comes_with_its_use() -> None:
    """So that the names above are the real ones."""
    code = f"{_RUN}\nfrom provisioning_core.stores import SqlStore\nengine.preview('plain')"
    assert {"networkx", "sqlalchemy"} <= {name.partition(".")[0] for name in loaded_by(code)}
