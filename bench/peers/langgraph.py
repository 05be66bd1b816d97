"""LangGraph with its SQLite checkpointer."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from bench.driver import Peer, main
from bench.workloads import WORKERS, Workload


class State(TypedDict):
    """What the nodes share."""

    slug: str
    done: Annotated[int, operator.add]


class LangGraph(Peer):
    """A node for each step, and ``durability="sync"``: the checkpoint of a layer is written before the next begins."""

    def build(self, work: Workload) -> Any:
        def node(_state: State) -> dict[str, int]:
            return {"done": self.work()}

        graph = StateGraph(State)
        behind = {need for needs in work.needs for need in needs}
        for index, needs in enumerate(work.needs):
            graph.add_node(f"s{index}", node)
            if not needs:
                graph.add_edge(START, f"s{index}")
            elif len(needs) == 1:
                graph.add_edge(f"s{needs[0]}", f"s{index}")
            else:
                graph.add_edge([f"s{need}" for need in needs], f"s{index}")
            if index not in behind:
                graph.add_edge(f"s{index}", END)
        return graph

    def open(self, plans: list[Any]) -> None:
        connection = sqlite3.connect(self.place.file, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        saver = SqliteSaver(connection)
        saver.setup()
        self.compiled = {id(plan): plan.compile(checkpointer=saver) for plan in plans}

    def run(self, plan: Any, work: Workload) -> None:
        with ThreadPoolExecutor(WORKERS) as threads:
            runs = [threads.submit(self._one, plan, f"{uuid4().hex}", len(work.layers)) for _ in range(work.runs)]
            for run in runs:
                self.last = run.result()

    def _one(self, plan: Any, thread: str, layers: int) -> Any:
        config = self._config(thread, layers)
        self.compiled[id(plan)].invoke({"slug": thread, "done": 0}, config, durability="sync")
        return config

    def _config(self, thread: str, layers: int) -> dict[str, Any]:
        return {"configurable": {"thread_id": thread}, "recursion_limit": layers + 10, "max_concurrency": WORKERS}

    def status(self, plan: Any) -> Callable[[], Any]:
        return lambda: self.compiled[id(plan)].get_state(self.last)

    def resume(self, plan: Any, work: Workload) -> None:
        self.open([plan])
        with closing(sqlite3.connect(self.place.file)) as connection:
            newest = "SELECT thread_id FROM checkpoints ORDER BY rowid DESC LIMIT 1"
            (thread,) = connection.execute(newest).fetchone()
        self.compiled[id(plan)].invoke(None, self._config(thread, len(work.layers)), durability="sync")


if __name__ == "__main__":
    main(LangGraph)
