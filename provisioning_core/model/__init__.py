"""What a user declares and what a run is: pure data, no I/O."""

from provisioning_core.model._binding import Binding
from provisioning_core.model._codec import MAX_BYTES, Codec, masked
from provisioning_core.model._context import AttemptSink, MemorySink, StepContext
from provisioning_core.model._facts import FileFacts, Finding, Level, StoreFacts
from provisioning_core.model._graph import Node, PlanGraph
from provisioning_core.model._json_tree import MAX_DEPTH, EncodingFault
from provisioning_core.model._layout import BOX_HEIGHT, BOX_WIDTH, Layout, lay_out
from provisioning_core.model._making import maker
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
from provisioning_core.model._sentence import sentence
from provisioning_core.model._stats import CommitStats, Distribution, EngineStats, Standing
from provisioning_core.model._status import DONE, MOVING, OCCUPYING, Direction, Phase, RunStatus, StepStatus
from provisioning_core.model._step import Compensation, From, Step, gate, step
from provisioning_core.model._symbols import SYMBOLS
from provisioning_core.model._time_scale import TimeScale
from provisioning_core.model._timeline import Bar, Timeline, timeline_of
from provisioning_core.model._types import is_async_function
from provisioning_core.model._undoing import Undoing, undoing
from provisioning_core.model._views import (
    IRREVERSIBLE,
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
from provisioning_core.model._words import count, headline, listed, moment, says, several, span, stands, troubles, waits

__all__ = [
    "BOX_HEIGHT",
    "BOX_WIDTH",
    "DONE",
    "IRREVERSIBLE",
    "MASK",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MOVING",
    "OCCUPYING",
    "ONCE",
    "SYMBOLS",
    "AttemptSink",
    "Bar",
    "Binding",
    "Codec",
    "CommitStats",
    "Compensation",
    "Completion",
    "Direction",
    "Distribution",
    "EncodingFault",
    "EngineRecord",
    "EngineStats",
    "ErrorInfo",
    "ErrorView",
    "Event",
    "EventRecord",
    "FileFacts",
    "Finding",
    "From",
    "Layout",
    "Level",
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
    "Standing",
    "StatusChange",
    "Step",
    "StepContext",
    "StepPreview",
    "StepRecord",
    "StepStatus",
    "StepView",
    "StoreFacts",
    "TimeScale",
    "Timeline",
    "Undoing",
    "UnreadableRun",
    "Vault",
    "as_datetime",
    "count",
    "gate",
    "headline",
    "is_async_function",
    "lay_out",
    "listed",
    "maker",
    "mask_in",
    "masked",
    "moment",
    "says",
    "secrets_in",
    "sentence",
    "several",
    "span",
    "stands",
    "step",
    "timeline_of",
    "troubles",
    "undoing",
    "waits",
]
