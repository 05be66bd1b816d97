"""The shell: one scheduler loop per process, leases, workers, verbs."""

from provisioning_core.engine._diagnosis import is_anybody_at_work
from provisioning_core.engine._engine import Engine
from provisioning_core.engine._handle import Run
from provisioning_core.engine._verifying import Verified
from provisioning_core.engine._watch import RunNews, Watch

__all__ = ["Engine", "Run", "RunNews", "Verified", "Watch", "is_anybody_at_work"]
