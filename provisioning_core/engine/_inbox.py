"""What happened, on its way to the scheduler loop: a queue that one thread drains whole."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from provisioning_core.engine._attempts import AttemptMessage, Checkpointed, Recorded
from provisioning_core.errors import LeaseLost, ProvisioningError
from provisioning_core.model import RequestRecord, RunSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGiven:
    """A run was created for this engine."""

    snapshot: RunSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbPosted:
    """A verb; the future tells whether it was carried out here (False: the run has another owner), or why it was refused."""

    request: RequestRecord
    done: Future[bool] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudged:
    """Look at the store now; ``is_unsure``: runs may have become ours, or another's, without our being told."""

    is_unsure: bool = False


Message: TypeAlias = AttemptMessage | RunGiven | VerbPosted | Nudged


class Inbox:
    """Many put in, one takes all."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._arrived = threading.Condition()
        self._closed = False
        self._is_woken = False

    def put(self, message: Message, *, wake: bool = True) -> bool:
        """False, and whoever waits for an answer is told, when nothing is taken any more. ``wake`` whoever waits for messages."""
        with self._arrived:
            if not self._closed:
                self._messages.append(message)
                if wake:
                    self._arrived.notify()
                return True
        refuse(message)
        return False

    def wake(self) -> None:
        """Let the one that waits look, though nothing has arrived."""
        with self._arrived:
            self._is_woken = True
            self._arrived.notify()

    def wait(self, timeout: float) -> None:
        """Until something has arrived, or it is woken, or ``timeout`` seconds have passed."""
        with self._arrived:
            if not self._messages and not self._is_woken and timeout > 0:
                self._arrived.wait(timeout)
            self._is_woken = False

    def take(self) -> list[Message]:
        """Everything that has arrived."""
        with self._arrived:
            found = list(self._messages)
            self._messages.clear()
        return found

    def __len__(self) -> int:
        return len(self._messages)

    def close(self) -> list[Message]:
        """Take nothing more, and refuse what is there; gives it back."""
        with self._arrived:
            self._closed = True
            left = list(self._messages)
            self._messages.clear()
        for message in left:
            refuse(message)
        return left


def refuse(message: Message) -> None:
    """Tell whoever waits for an answer that none will come."""
    match message:
        case Recorded() | Checkpointed():
            if not message.durable.done():
                message.durable.set_exception(LeaseLost("The engine was closed, or lost this run; it could not be recorded."))
        case VerbPosted():
            if not message.done.done():
                message.done.set_exception(ProvisioningError("The engine is closed.", code="engine_closed", hint="Open it again."))
