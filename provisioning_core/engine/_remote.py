"""An attempt that crosses into a worker process and back: the step by reference, its arguments by value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

from provisioning_core.engine._attempts import Attempt, Sink
from provisioning_core.engine._outcomes import Outcome, perform
from provisioning_core.executors.processes import Tell
from provisioning_core.model import Direction, Resource, Retry, Step, StepContext, is_async_function


class ContextHere:
    """Stands in the arguments where the context goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWork:
    """Called in the worker process."""

    step: Step[Any]
    direction: Direction
    arguments: Mapping[str, Any]
    context: Mapping[str, Any]
    retry: Retry
    around: Callable[[], AbstractContextManager[Any]] | None = None
    """What stands around the function while it runs."""

    def __call__(self, tell: Tell) -> Outcome:
        context = StepContext(**self.context, sink=_RemoteSink(tell))
        arguments = {name: context if isinstance(value, ContextHere) else value for name, value in self.arguments.items()}
        with nullcontext() if self.around is None else self.around():
            return perform(_called(self.step, self.direction), arguments, self.retry)


def remote_work(
    attempt: Attempt, arguments: Mapping[str, Any], *, around: Callable[[], AbstractContextManager[Any]] | None = None
) -> RemoteWork:
    """The attempt, ready to be pickled."""
    return RemoteWork(
        step=attempt.plan.steps[attempt.key.step],
        direction=attempt.direction,
        arguments=arguments,
        context=attempt.context_values(),
        retry=attempt.retry,
        around=around,
    )


def work_without_words(work: RemoteWork) -> Outcome:
    """Run it in a process pool that has no way back but the result."""
    return work(_no_way_back)


def _no_way_back(message: tuple[str, Any]) -> Any:
    if message[0] == "stopped":
        return False
    if message[0] == "progress":
        return None
    raise RuntimeError(
        f"ctx.{message[0]} can't be used on this process pool: nothing but a result comes back from it. "
        "Use provisioning_core.executors.ProcessExecutor."
    )


def answer_for(sink: Sink) -> Tell:
    """Answers in the parent what the child's context asks."""

    def answer(message: tuple[str, Any]) -> Any:
        kind, values = message
        match kind:
            case "stopped":
                return sink.is_stopped()
            case "progress":
                return sink.progress(*values)
            case "record":
                return sink.record(*values)
            case _:
                return sink.checkpoint(*values)

    return answer


class _RemoteSink:
    """What stands behind a :class:`StepContext` in a worker process."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def is_stopped(self) -> bool:
        return bool(self._tell(("stopped", ())))

    def progress(self, fraction: float, message: str) -> None:
        self._tell(("progress", (fraction, message)))

    def record(self, kind: str, id: str, details: Mapping[str, Any]) -> Resource:  # noqa: A002  the field's own word
        return cast("Resource", self._tell(("record", (kind, id, dict(details)))))

    def checkpoint(self, data: Any) -> None:
        self._tell(("checkpoint", (data,)))


def _called(step: Step[Any], direction: Direction) -> Callable[..., Any]:
    match direction:
        case Direction.FORWARD:
            fn, is_async = step.fn, step.is_async
        case Direction.COMPENSATE:
            compensation = step.compensation
            if compensation is None:
                raise LookupError(f"step {step.name!r} has no compensation in this process's code")
            fn, is_async = compensation.fn, compensation.is_async
        case _:
            if step.probe_fn is None:
                raise LookupError(f"step {step.name!r} has no probe in this process's code")
            fn, is_async = step.probe_fn, is_async_function(step.probe_fn)
    return _awaited(fn) if is_async else fn


def _awaited(fn: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    async def call(arguments: Mapping[str, Any]) -> Any:
        return await fn(**arguments)

    return lambda **arguments: asyncio.run(call(arguments))
