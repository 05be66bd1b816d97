"""A SQL store that is told all that the store in memory took, and must hold the same after it.

Engines decide by what the store in memory says; leases, and who may claim what, are not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from sim_trace import Trace
from sqlalchemy import delete, update

from provisioning_core.model import RunSnapshot, RunStatus, StatusChange
from provisioning_core.stores import SqlStore
from provisioning_core.stores.memory import MemoryStore
from provisioning_core.stores.sql._tables import runs

_by_id = attrgetter("id")


class Shadow:
    """``follow`` is called when the store in memory has done something, whether or not its caller hears of it."""

    def __init__(self, memory: MemoryStore, trace: Trace, url: str) -> None:
        self._memory = memory
        self._trace = trace
        self._sql = SqlStore(url)
        self._commits = 0

    def __enter__(self) -> None:
        self._sql.prepare()
        with self._sql._database.write() as connection:
            connection.execute(delete(runs))  # and with them all that is theirs

    def __exit__(self, *_: object) -> None:
        self._sql.close()

    def follow(self, name: str, arguments: tuple[Any, ...], result: Any, told: Mapping[str, RunStatus]) -> None:
        """``told``: of which runs the product's hook heard, and what."""
        heard: dict[str, RunStatus] = {}

        def hear(change: StatusChange, _connection: Any) -> None:
            heard[change.run_id] = change.new

        match name:
            case "create" if result:
                self._same(self._sql.create(arguments[0], hook=hear), result, "a new run")
                self._same(heard, told, "what the hook heard")
                self._compare(arguments[0].run.id)
            case "commit":
                self._commits += 1
                has_hook = self._commits % 2 == 0  # with nobody to tell, the store may take a shorter way
                self._same(self._sql.commit(arguments[0], hook=hear if has_hook else None), result, "refused")
                self._same(heard, told if has_hook else {}, "what the hook heard")
                for change in arguments[0]:
                    self._compare(change.run.id)
            case "request":
                self._sql.request(arguments[0])
                self._compare(arguments[0].run_id)
            case "shelve":
                self._sql.shelve(*arguments)
                self._compare(arguments[0])
            case "claim":
                self._claim(result)
            case "claim_run" if result is not None:
                self._claim([result])
            case "retire":
                self._write({"owner": None}, runs.c.owner == arguments[0])

    def _claim(self, claimed: list[RunSnapshot]) -> None:
        for each in claimed:
            run = each.run
            self._write({"owner": run.owner, "epoch": run.epoch, "takeovers": run.takeovers}, runs.c.id == run.id)
            self._compare(run.id)

    def _write(self, values: dict[str, Any], where: Any) -> None:
        with self._sql._database.write() as connection:
            connection.execute(update(runs).where(where).values(**values))

    def _compare(self, run_id: str) -> None:
        short = self._trace.short(run_id)
        kept, shadow = self._memory.load(run_id), self._sql.load(run_id)
        self._same(shadow.run, kept.run, f"the record of {short}")
        self._same(dict(shadow.steps), dict(kept.steps), f"the steps of {short}")
        self._same(sorted(shadow.requests, key=_by_id), sorted(kept.requests, key=_by_id), f"the verbs for {short}")
        self._same(shadow.resources, kept.resources, f"the ledger of {short}")
        self._same(self._sql.events(run_id), self._memory.events(run_id), f"the history of {short}")

    def _same(self, shadow: object, kept: object, what: str) -> None:
        self._trace.expect(shadow == kept, f"SQL: {what} is {shadow}, in memory it is {kept}")
