"""Large graphs, folded: steps that stand alike, or one behind the other, become one group, so that a picture stays a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from provisioning_core.model import Node, PlanGraph

LARGEST = 100
"""Steps that are drawn each by itself."""
_WANTED = 60
"""Groups that are few enough."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A graph of groups."""

    graph: PlanGraph
    groups: Mapping[str, tuple[str, ...]]
    """Members, by the name of the first; a step that stands alone is a group of one."""

    def group_of(self, name: str) -> tuple[str, ...]:
        """The group that begins with this step; empty when there is none."""
        return self.groups.get(name, ())


def fold(graph: PlanGraph) -> Folded:
    """The graph with groups in place of steps if it is large, else as it is."""
    if len(graph.nodes) <= LARGEST:
        return Folded(graph, {node.name: (node.name,) for node in graph.nodes})
    group = list(range(len(graph.nodes)))
    while True:
        count = len(set(group))
        group = _merged(graph, _twins(graph, group))
        if len(set(group)) > _WANTED:
            group = _merged(graph, _chained(graph, group))
        if len(set(group)) <= _WANTED or len(set(group)) == count:
            break
    if len(set(group)) > _WANTED:
        group = _layered(graph)
    return _as_graph(graph, group)


def part_of(graph: PlanGraph, members: Sequence[str]) -> PlanGraph:
    """The same graph with these steps alone."""
    inside = set(members)
    kept = [node for node in graph.nodes if node.name in inside]
    return graph.with_nodes([_with_needs(node, [need for need in node.needs if need in inside]) for node in kept])


def _with_needs(node: Node, needs: Sequence[str]) -> Node:
    return Node(name=node.name, kind=node.kind, needs=tuple(needs), optional=node.optional, irreversible=node.irreversible)


def _edges(graph: PlanGraph, group: Sequence[int]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """For each group, the groups it needs, and those that need it."""
    needs: dict[int, set[int]] = {each: set() for each in group}
    needed: dict[int, set[int]] = {each: set() for each in group}
    for position, sources in enumerate(graph.needs_of):
        for source in sources:
            one, other = group[source], group[position]
            if one != other:
                needs[other].add(one)
                needed[one].add(other)
    return needs, needed


def _twins(graph: PlanGraph, group: Sequence[int]) -> list[Hashable]:
    """Groups that need the same and are needed by the same; none of them can stand between two others of them."""
    needs, needed = _edges(graph, group)
    return [(frozenset(needs[each]), frozenset(needed[each])) for each in group]


def _chained(graph: PlanGraph, group: Sequence[int]) -> list[Hashable]:
    """Groups of which each has one neighbour before it that has no other behind it."""
    needs, needed = _edges(graph, group)
    head: dict[int, int] = {}
    for each in dict.fromkeys(group):
        before = next(iter(needs[each]), -1)
        is_link = len(needs[each]) == 1 and len(needed[before]) == 1
        head[each] = head.get(before, before) if is_link else each
    return [_head(head, each) for each in group]


def _head(head: Mapping[int, int], each: int) -> int:
    while head[each] != each:
        each = head[each]
    return each


def _layered(graph: PlanGraph) -> list[int]:
    """Layers, several of them in one group where there are many: always few enough, and never a circle."""
    layer: list[int] = []
    for needs in graph.needs_of:
        layer.append(max((layer[need] + 1 for need in needs), default=0))
    thickness = -(-(max(layer) + 1) // _WANTED)
    return [each // thickness for each in layer]


def _merged(graph: PlanGraph, keys: Sequence[Hashable]) -> list[int]:
    """Each step's group by the position of the group's first step."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(keys[position], position) for position in range(len(graph.nodes))]


def _as_graph(graph: PlanGraph, group: Sequence[int]) -> Folded:
    members: dict[int, list[str]] = defaultdict(list)
    for position, node in enumerate(graph.nodes):
        members[group[position]].append(node.name)
    needs, _ = _edges(graph, group)
    name = {each: names[0] for each, names in members.items()}
    nodes = {each: Node(name=name[each], needs=tuple(name[need] for need in sorted(needs[each]))) for each in members}
    return Folded(graph.with_nodes(_in_order(nodes)), {name[each]: tuple(names) for each, names in members.items()})


def _in_order(nodes: Mapping[int, Node]) -> list[Node]:
    """Topological order: a group may hold late steps although its first one is early."""
    by_name = {node.name: node for node in nodes.values()}
    left = {name: len(node.needs) for name, node in by_name.items()}
    behind: dict[str, list[str]] = defaultdict(list)
    for name, node in by_name.items():
        for need in node.needs:
            behind[need].append(name)
    ready = [name for name, count in left.items() if count == 0]
    order = []
    while ready:
        name = ready.pop(0)
        order.append(by_name[name])
        for each in behind[name]:
            left[each] -= 1
            if left[each] == 0:
                ready.append(each)
    return order
