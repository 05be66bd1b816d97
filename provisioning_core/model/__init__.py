"""What a user declares and what a run is: pure data, no I/O."""

from provisioning_core.model._binding import Binding
from provisioning_core.model._codec import MAX_BYTES, MAX_DEPTH, Codec, EncodingFault, masked
from provisioning_core.model._context import AttemptSink, MemorySink, StepContext
from provisioning_core.model._graph import Node, PlanGraph
from provisioning_core.model._plan import Plan
from provisioning_core.model._retry import ONCE, Retry
from provisioning_core.model._run import (
    Completion,
    EngineRecord,
    ErrorInfo,
    EventRecord,
    RequestRecord,
    ResourceRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    StatusChange,
    StepRecord,
    UnreadableRun,
)
from provisioning_core.model._secrets import Vault, mask_in, secrets_in
from provisioning_core.model._status import DONE, MOVING, OCCUPYING, Direction, Phase, RunStatus, StepStatus
from provisioning_core.model._step import Compensation, From, Step, gate, step
from provisioning_core.model._views import (
    MASK,
    ErrorView,
    Event,
    Preview,
    Resource,
    RunPage,
    RunSummary,
    RunView,
    StepPreview,
    StepView,
    as_datetime,
)

__all__ = [
    "DONE",
    "MASK",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MOVING",
    "OCCUPYING",
    "ONCE",
    "AttemptSink",
    "Binding",
    "Codec",
    "Compensation",
    "Completion",
    "Direction",
    "EncodingFault",
    "EngineRecord",
    "ErrorInfo",
    "ErrorView",
    "Event",
    "EventRecord",
    "From",
    "MemorySink",
    "Node",
    "Phase",
    "Plan",
    "PlanGraph",
    "Preview",
    "RequestRecord",
    "Resource",
    "ResourceRecord",
    "Retry",
    "RunFilter",
    "RunPage",
    "RunRecord",
    "RunSnapshot",
    "RunStatus",
    "RunSummary",
    "RunView",
    "StatusChange",
    "Step",
    "StepContext",
    "StepPreview",
    "StepRecord",
    "StepStatus",
    "StepView",
    "UnreadableRun",
    "Vault",
    "as_datetime",
    "gate",
    "mask_in",
    "masked",
    "secrets_in",
    "step",
]
