"""The big example, with its real services in a folder, under the faults that find most: nothing is made twice, nothing is left."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.workspaces import services, tenants
from examples.workspaces.backend import workspace_for
from examples.workspaces.files import remove
from examples.workspaces.plan import workspace, workspace_or_nothing
from examples.workspaces.settings import DOMAIN, Settings
from provisioning_core import Plan
from provisioning_core.stores import SqlStore
from provisioning_core.testing import FaultMatrix, fault_matrix

SLUG = "acme"
FIND_MOST = ["fails late", "killed during", "runs twice", "undo twice", "undone"]
THOROUGH = bool(os.environ.get("PROVISIONING_THOROUGH"))
FOLDERS = ("databases", "storage", "tls", "public", "vhosts", "billing", "mail")


class Outside:
    """All that a tenant of the example has outside the library's own tables."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fresh(self) -> None:
        """As on the first day."""
        for folder in FOLDERS:
            remove(self._settings.root / folder)
        for file in self._settings.root.glob("backend.db*"):
            file.unlink()
        tenants.prepare(self._settings)

    def world(self) -> Counter[str]:
        """Names of what is there; mails that say hello are there until one says goodbye."""
        found = Counter({name: 1 for folder in FOLDERS[:-1] for name in self._entries(folder)})
        found["welcome mail"] = self._mails(b"Your workspace is ready") - self._mails(b"Your workspace is closed")
        with tenants.connected(self._settings) as connection:
            found["documents"] = len(tenants.documents_of(connection, SLUG))
            row = tenants.row_of(connection, SLUG)
        found["host name"] = int(row is not None and row["host"] is not None)
        return found

    def _entries(self, folder: str) -> Iterator[str]:
        """Customers are named after the run; all else is the tenant's, and has its name."""
        for path in sorted(self._top(folder)):
            yield folder if folder == "billing" else str(path.relative_to(self._settings.root))

    def _top(self, folder: str) -> Iterator[Path]:
        root = self._settings.root / folder
        depth = root.glob("*/*.toml") if folder == "vhosts" else root.glob("*.db") if folder == "databases" else root.glob("*")
        return (path for path in depth if SLUG in path.name or f"{SLUG}.{DOMAIN}" in path.name or folder == "billing")

    def _mails(self, subject: bytes) -> int:
        return sum(subject in path.read_bytes() for path in self._settings.root.glob("mail/*/*.eml"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a thousand commits wait for no disk then."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="workspaces-") as made:
        yield Path(made)


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in ("WORKSPACES_DATABASE_URL", "WORKSPACES_S3_ENDPOINT", "WORKSPACES_SLOW"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKSPACES_DIR", str(folder))
    found = Settings.from_environment()
    services.find(found)
    yield found
    services.close(found)


def prove(settings: Settings, plan: Plan, **options) -> FaultMatrix:
    outside = Outside(settings)
    return fault_matrix(
        plan,
        workspace_for(SLUG),
        fresh=outside.fresh,
        store=lambda: SqlStore(settings.backend_url),
        on_status=tenants.follow,
        secrets_key=settings.secrets_key(),
        **{"world": outside.world} | options,
    )


def test_every_step_under_the_faults_that_find_most(settings: Settings):
    prove(settings, workspace_or_nothing, faults=None if THOROUGH else FIND_MOST).assert_clean()


def test_all_that_a_tenant_has_is_seen(settings: Settings):
    outside = Outside(settings)
    fullest: Counter[str] = Counter()

    def world() -> Counter[str]:
        nonlocal fullest
        fullest = max(fullest, +outside.world(), key=Counter.total)
        return outside.world()

    prove(settings, workspace, faults=["undone"], world=world)
    host = f"{SLUG}.{DOMAIN}.toml"
    assert fullest == {
        "databases/acme.db": 1,
        "storage/acme": 1,
        "tls/acme": 1,
        "public/acme": 1,
        f"vhosts/available/{host}": 1,
        f"vhosts/enabled/{host}": 1,
        "billing": 1,
        "welcome mail": 1,
        "documents": 4,
        "host name": 1,
    }
