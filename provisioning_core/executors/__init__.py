"""Where step functions run. Any :class:`concurrent.futures.Executor` can be handed to the engine; these are made for it."""

from provisioning_core.executors.inline import InlineExecutor
from provisioning_core.executors.processes import ProcessExecutor, WorkerKilled
from provisioning_core.executors.threads import ThreadExecutor

__all__ = ["InlineExecutor", "ProcessExecutor", "ThreadExecutor", "WorkerKilled"]
