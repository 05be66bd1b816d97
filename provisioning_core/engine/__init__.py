"""The shell: one scheduler loop per process, leases, workers, verbs."""

from provisioning_core.engine._engine import Engine
from provisioning_core.engine._handle import Run

__all__ = ["Engine", "Run"]
