"""Set up, look after and take down a tenant: steps declared once as a graph, run in parallel, recorded, retried, rolled back."""

from provisioning_core.engine import Engine, Run
from provisioning_core.errors import (
    Conflict,
    InvalidInput,
    LeaseLost,
    MissingExtra,
    NotFound,
    NotReady,
    PlanChanged,
    PlanError,
    ProvisioningError,
    SchemaMismatch,
    StepError,
    StoreUnavailable,
)
from provisioning_core.model import (
    Bar,
    ErrorView,
    Event,
    From,
    Plan,
    Preview,
    Resource,
    Retry,
    RunStatus,
    RunView,
    StatusChange,
    Step,
    StepContext,
    StepStatus,
    StepView,
    Timeline,
    gate,
    step,
)

__all__ = [
    # declaring
    "From",
    "Plan",
    "Retry",
    "Step",
    "StepContext",
    "gate",
    "step",
    # running
    "Engine",
    "Run",
    # what callers see
    "Bar",
    "ErrorView",
    "Event",
    "Preview",
    "Resource",
    "RunStatus",
    "RunView",
    "StatusChange",
    "StepStatus",
    "StepView",
    "Timeline",
    # what a step raises
    "NotReady",
    "StepError",
    # what a caller catches
    "Conflict",
    "InvalidInput",
    "LeaseLost",
    "MissingExtra",
    "NotFound",
    "PlanChanged",
    "PlanError",
    "ProvisioningError",
    "SchemaMismatch",
    "StoreUnavailable",
]
