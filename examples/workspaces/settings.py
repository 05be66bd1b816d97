"""Where the backend keeps its things and whom it talks to: from the environment, as a deployed service has it.

``WORKSPACES_DIR``           folder of everything the backend writes (default ``.work/workspaces``)
``WORKSPACES_DATABASE_URL``  a PostgreSQL URL: the backend's own tables, and a schema and a role per tenant (default: SQLite files)
``WORKSPACES_S3_ENDPOINT``   an S3 endpoint: a bucket per tenant (default: folders)
``WORKSPACES_SLOW``          seconds each step lingers after its work, so that one can watch, or kill, it (default 0)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from examples.workspaces.files import make_once

DOMAIN = "workspaces.localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One backend's surroundings."""

    root: Path
    postgres: str = ""
    s3_endpoint: str = ""
    slow: float = 0.0

    @classmethod
    def from_environment(cls) -> Settings:
        """Read anew at every call: the command line sets these variables for its own process."""
        return cls(
            root=Path(os.environ.get("WORKSPACES_DIR", ".work/workspaces")).resolve(),
            postgres=os.environ.get("WORKSPACES_DATABASE_URL", ""),
            s3_endpoint=os.environ.get("WORKSPACES_S3_ENDPOINT", ""),
            slow=float(os.environ.get("WORKSPACES_SLOW") or 0),
        )

    @property
    def backend_url(self) -> str:
        """The backend's own database: the app's tables, and the provisioning tables beside them."""
        return for_sqlalchemy(self.postgres) if self.postgres else f"sqlite:///{self.root / 'backend.db'}"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.jsonl"

    @property
    def faults(self) -> Path:
        return self.root / "faults.json"

    def database_file(self, slug: str) -> Path:
        return self.root / "databases" / f"{slug}.db"

    def storage_folder(self, slug: str) -> Path:
        return self.root / "storage" / slug

    def tls_folder(self, slug: str) -> Path:
        return self.root / "tls" / slug

    def public_folder(self, slug: str) -> Path:
        return self.root / "public" / slug

    def vhost_file(self, host: str, *, enabled: bool = False) -> Path:
        return self.root / "vhosts" / ("enabled" if enabled else "available") / f"{host}.toml"

    def secrets_key(self) -> bytes:
        """The key that secrets at rest are encrypted with; made at first use, readable by the owner alone."""
        return make_once(self.root / "secrets.key", lambda: os.urandom(32))


def for_sqlalchemy(url: str) -> str:
    """A PostgreSQL URL that names the driver we install, psycopg 3."""
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def for_psycopg(url: str) -> str:
    """The same URL as libpq reads it."""
    return "postgresql://" + url.split("://", 1)[1]
