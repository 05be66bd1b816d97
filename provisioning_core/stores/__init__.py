"""Where runs are kept. :class:`SqlStore` is the one for production; :class:`MemoryStore` forgets everything with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioning_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from provisioning_core.stores.sql import SqlStore

__all__ = ["MemoryStore", "SqlStore"]


def __getattr__(name: str) -> Any:
    # SQLAlchemy is imported by those only who want a SQL store.
    if name == "SqlStore":
        from provisioning_core.stores.sql import SqlStore

        return SqlStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
