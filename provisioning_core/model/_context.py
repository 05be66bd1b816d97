"""What a step may ask and tell while it runs."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, Self

from provisioning_core.model._views import Resource

_log = logging.getLogger("provisioning_core.step")


class AttemptSink(Protocol):
    """Where a context's questions and notes go."""

    def is_stopped(self) -> bool: ...

    def progress(self, fraction: float, message: str) -> None: ...

    def record(self, kind: str, id: str, details: Mapping[str, Any]) -> Resource: ...  # noqa: A002  the contract's word

    def checkpoint(self, data: Any) -> None: ...


class StepContext:
    """One attempt, as its function sees it.

    ``run_id subject plan step`` say what for; ``attempt`` counts from 1; ``token`` grows with every attempt of the run;
    ``idempotency_key`` is equal for all attempts of one step and direction (hand it to the provider); ``deadline`` is an aware UTC
    datetime, or None without a timeout.
    """

    def __init__(
        self,
        *,
        run_id: str,
        subject: str,
        plan: str,
        step: str,
        attempt: int,
        token: int,
        idempotency_key: str,
        deadline: datetime | None,
        resources: tuple[Resource, ...],
        restored: Any,
        sink: AttemptSink,
    ) -> None:
        self.run_id = run_id
        self.subject = subject
        self.plan = plan
        self.step = step
        self.attempt = attempt
        self.token = token
        self.idempotency_key = idempotency_key
        self.deadline = deadline
        self.restored = restored
        """What :meth:`checkpoint` stored last; None when nothing was."""
        self._resources = list(resources)
        self._sink = sink
        self._lock = threading.Lock()
        names = {"run_id": run_id, "subject": subject, "plan": plan, "step": step, "attempt": attempt}
        self.log: logging.LoggerAdapter[logging.Logger] = logging.LoggerAdapter(_log, names)
        """A logger that knows the run and the step (``extra``)."""

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What all attempts of this step recorded, oldest first."""
        with self._lock:
            return tuple(self._resources)

    def cancelled(self) -> bool:
        """Whether the step is asked to end: its run was cancelled or is rolled back, its time is up, or its engine lost the run."""
        return self._sink.is_stopped()

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how far the step is, 0.0 to 1.0, and in words, in which secrets that the step was given are masked."""
        if not math.isfinite(fraction):
            raise ValueError(f"progress {fraction} must be a number between 0 and 1")
        self._sink.progress(min(max(float(fraction), 0.0), 1.0), message)

    def record(self, kind: str, id: str, **details: Any) -> Resource:  # noqa: A002  the contract's word
        """Enter something that was allocated outside into the run's ledger.

        Durable when it returns, so that the compensation knows of it even if the process dies on the next line. In a transactional
        step it is written with the step's own transaction, and if that is taken back, with the attempt's end. Details must be JSON
        values, and are shown to operators as they are: no secrets. Raises LeaseLost when the run has another owner now.
        """
        resource = self._sink.record(str(kind), str(id), details)
        with self._lock:
            self._resources = [each for each in self._resources if (each.kind, each.id) != (resource.kind, resource.id)]
            self._resources.append(resource)
        return resource

    def checkpoint(self, data: Any) -> None:
        """Leave a note (JSON values) for the next attempt, which finds it as ``restored``. Durable when it returns."""
        self._sink.checkpoint(data)

    @classmethod
    def for_test(cls, **overrides: Any) -> Self:
        """A context for unit tests of a step; it keeps what it is told in memory."""
        values: dict[str, Any] = {
            "run_id": "test-run",
            "subject": "test-subject",
            "plan": "test-plan",
            "step": "test-step",
            "attempt": 1,
            "token": 1,
            "idempotency_key": "test-run/test-step/forward",
            "deadline": None,
            "resources": (),
            "restored": None,
            "sink": MemorySink(),
        }
        return cls(**values | overrides)


class MemorySink:
    """Keeps what a context is told."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self.told: list[tuple[float, str]] = []
        self.recorded: list[Resource] = []
        self.checkpoints: list[Any] = []

    def is_stopped(self) -> bool:
        return self.is_cancelled

    def progress(self, fraction: float, message: str) -> None:
        self.told.append((fraction, message))

    def record(self, kind: str, id: str, details: Mapping[str, Any]) -> Resource:  # noqa: A002  the contract's word
        resource = Resource(kind=kind, id=id, details=dict(details))
        self.recorded.append(resource)
        return resource

    def checkpoint(self, data: Any) -> None:
        self.checkpoints.append(data)
