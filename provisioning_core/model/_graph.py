"""A plan as data: its steps, their policies and their edges, without any function.

The graph is what a run keeps, what the machine works on and what the pictures are drawn from. Analysis is networkx's; the
machine's hot path uses the integer indices ``needs_of`` and ``dependents_of`` instead. Running plans does without networkx, and
importing it would be a third of what importing this library costs; so it is imported where something is analysed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from provisioning_core.model._retry import ONCE, Retry

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step of a plan, as data. Times are seconds."""

    name: str
    kind: str = "step"
    """``step`` or ``gate``."""
    needs: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = ()
    """Those of ``needs`` that may deliver nothing: edges of pure order, and parameters that accept None."""
    retry: Retry = ONCE
    timeout: float | None = None
    delay: float | None = None
    """A gate's: opens by itself after so many seconds."""
    optional: bool = False
    conditional: bool = False
    in_doubt: str = "rerun"
    compensate_on: str = "started"
    has_compensation: bool = False
    compensation_retry: Retry = ONCE
    compensation_timeout: float | None = None
    has_probe: bool = False
    irreversible: bool = False
    transactional: bool = False
    limit: str | None = None
    weight: float | None = None
    description: str = ""
    user_message: str = ""
    output_schema: str = ""
    """A digest of the output's JSON schema; two equal digests read each other's outputs. Different ones may."""
    retired: bool = False
    """Removed from the code, kept in this run because it left an effect."""

    @property
    def is_gate(self) -> bool:
        return self.kind == "gate"


@dataclass(frozen=True, kw_only=True)
class PlanGraph:
    """A validated DAG of nodes in topological order (every step stands behind all it needs)."""

    plan: str
    version: str
    on_failure: str = "finish"
    nodes: tuple[Node, ...] = field(default=())

    @cached_property
    def index(self) -> dict[str, int]:
        return {node.name: position for position, node in enumerate(self.nodes)}

    @cached_property
    def needs_of(self) -> tuple[tuple[int, ...], ...]:
        """For each step, the indices of the steps it needs."""
        return tuple(tuple(self.index[need] for need in node.needs) for node in self.nodes)

    @cached_property
    def dependents_of(self) -> tuple[tuple[int, ...], ...]:
        """For each step, the indices of the steps that need it."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for position, needs in enumerate(self.needs_of):
            for need in needs:
                found[need].append(position)
        return tuple(tuple(dependents) for dependents in found)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything above: equal fingerprints are equal plans."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @cached_property
    def code_fingerprint(self) -> str:
        """The fingerprint of the code's part: steps that a run keeps although the code lost them are left out."""
        if not any(node.retired for node in self.nodes):
            return self.fingerprint
        return self.with_nodes(node for node in self.nodes if not node.retired).fingerprint

    def to_json(self) -> str:
        """As canonical JSON, for the store."""
        nodes = [_node_to_dict(node) for node in self.nodes]
        document = {"plan": self.plan, "version": self.version, "on_failure": self.on_failure, "nodes": nodes}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> PlanGraph:
        """The reverse of :meth:`to_json`."""
        document = json.loads(text)
        nodes = tuple(_node_from_dict(node) for node in document["nodes"])
        return cls(plan=document["plan"], version=document["version"], on_failure=document["on_failure"], nodes=nodes)

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """All that the named steps need, directly or not, and they themselves."""
        return self._reach(names, self.needs_of)

    def descendants(self, names: Iterable[str]) -> set[str]:
        """All that need the named steps, directly or not, and they themselves."""
        return self._reach(names, self.dependents_of)

    def _reach(self, names: Iterable[str], edges: tuple[tuple[int, ...], ...]) -> set[str]:
        todo = [self.index[name] for name in names]
        seen = set(todo)
        while todo:
            for neighbour in edges[todo.pop()]:
                if neighbour not in seen:
                    seen.add(neighbour)
                    todo.append(neighbour)
        return {self.nodes[position].name for position in seen}

    def as_networkx(self) -> nx.DiGraph[str]:
        """The same graph for networkx; an edge points from a step to one that needs it."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(node.name for node in self.nodes)
        graph.add_edges_from((need, node.name) for node in self.nodes for need in node.needs)
        return graph

    def layers(self) -> list[list[str]]:
        """Steps by the earliest moment they could start, if each took the same time."""
        import networkx as nx

        return [list(layer) for layer in nx.topological_generations(self.as_networkx())]

    def critical_path(self, durations: Mapping[str, float] | None = None) -> list[str]:
        """The chain of steps that takes longest; each counts its weight, or 1, where no duration (seconds) is known."""
        known = durations or {}
        cost = {node.name: known.get(node.name, 1.0 if node.weight is None else node.weight) for node in self.nodes}
        return _longest_chain(self, cost)

    def with_nodes(self, nodes: Iterable[Node]) -> PlanGraph:
        """The same plan with other nodes."""
        return replace(self, nodes=tuple(nodes))


def _longest_chain(graph: PlanGraph, cost: Mapping[str, float]) -> list[str]:
    if not graph.nodes:
        return []
    length: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for node in graph.nodes:
        longest = max(node.needs, key=lambda need: length[need], default=None)
        before[node.name] = longest
        length[node.name] = cost[node.name] + (length[longest] if longest is not None else 0.0)
    step: str | None = max(length, key=lambda name: length[name])
    chain = []
    while step is not None:
        chain.append(step)
        step = before[step]
    return chain[::-1]


_DEFAULTS = asdict(Node(name=""))


def _retry_to_dict(retry: Retry) -> dict[str, Any]:
    return {
        "attempts": retry.attempts,
        "initial": retry.initial,
        "factor": retry.factor,
        "maximum": retry.maximum,
        "jitter": retry.jitter,
    }


def _node_to_dict(node: Node) -> dict[str, Any]:
    values = {name: getattr(node, name) for name in _DEFAULTS}
    kept = {name: value for name, value in values.items() if name == "name" or value != getattr(_BLANK, name)}
    return {name: _retry_to_dict(value) if isinstance(value, Retry) else value for name, value in kept.items()}


def _node_from_dict(values: Mapping[str, Any]) -> Node:
    fields = dict(values)
    for name in ("retry", "compensation_retry"):
        if name in fields:
            fields[name] = Retry(**fields[name])
    for name in ("needs", "tolerates"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return Node(**fields)


_BLANK = Node(name="")
