"""Where to draw each step: layers from left to right, few crossings, no boxes that overlap.

The method is Sugiyama's (K. Sugiyama, S. Tagawa, M. Toda: Methods for visual understanding of hierarchical system structures,
1981): layers by the longest path, points in the way for edges that cross layers, and a few sweeps that order each layer
by the mean position of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from provisioning_core.model._graph import PlanGraph

BOX_WIDTH, BOX_HEIGHT = 190.0, 54.0
_GAP_X, _GAP_Y = 70.0, 22.0
_BEND_HEIGHT = 8.0
_SWEEPS = 4
_LARGEST_REDUCED = 1500
"""The transitive reduction is not linear; larger graphs are drawn with all their edges."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Centres of the boxes, and the bends of each edge from left to right, in user units."""

    width: float
    height: float
    boxes: Mapping[str, Point]
    edges: Mapping[tuple[str, str], tuple[Point, ...]]


@dataclass(frozen=True, slots=True)
class _Bend:
    """A point in the way of an edge that crosses a layer."""

    source: str
    target: str
    layer: int


_Item = str | _Bend


def drawn_edges(graph: PlanGraph) -> list[tuple[str, str]]:
    """The edges worth drawing: those that say what no path says already."""
    edges = [(need, node.name) for node in graph.nodes for need in node.needs]
    if len(graph.nodes) > _LARGEST_REDUCED or len(edges) < 3:
        return edges
    import networkx as nx

    reduced = nx.transitive_reduction(graph.as_networkx())
    return [edge for edge in edges if reduced.has_edge(*edge)]


def lay_out(graph: PlanGraph) -> Layout:
    """The whole picture."""
    edges = drawn_edges(graph)
    layer_of = _layers(graph)
    columns, paths = _columns(graph, edges, layer_of)
    _untangle(columns, paths)
    heights = [sum(_height(item) + _GAP_Y for item in column) for column in columns]
    tallest = max(heights, default=0.0)
    place: dict[_Item, Point] = {}
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        x = _GAP_X / 2 + BOX_WIDTH / 2 + number * (BOX_WIDTH + _GAP_X)
        y = (tallest - height) / 2 + _GAP_Y
        for item in column:
            place[item] = (x, y + _height(item) / 2)
            y += _height(item) + _GAP_Y
    return Layout(
        width=len(columns) * (BOX_WIDTH + _GAP_X),
        height=tallest + _GAP_Y,
        boxes={node.name: place[node.name] for node in graph.nodes},
        edges={edge: tuple(place[item] for item in path) for edge, path in paths.items()},
    )


def _height(item: _Item) -> float:
    return BOX_HEIGHT if isinstance(item, str) else _BEND_HEIGHT


def _layers(graph: PlanGraph) -> dict[str, int]:
    """Nodes stand in topological order."""
    layer: dict[str, int] = {}
    for node in graph.nodes:
        layer[node.name] = max((layer[need] + 1 for need in node.needs), default=0)
    return layer


def _columns(
    graph: PlanGraph, edges: Iterable[tuple[str, str]], layer_of: Mapping[str, int]
) -> tuple[list[list[_Item]], dict[tuple[str, str], list[_Item]]]:
    columns: list[list[_Item]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for node in graph.nodes:
        columns[layer_of[node.name]].append(node.name)
    paths: dict[tuple[str, str], list[_Item]] = {}
    for source, target in edges:
        bends = [_Bend(source, target, layer) for layer in range(layer_of[source] + 1, layer_of[target])]
        for bend in bends:
            columns[bend.layer].append(bend)
        paths[source, target] = [source, *bends, target]
    return columns, paths


def _untangle(columns: list[list[_Item]], paths: Mapping[tuple[str, str], list[_Item]]) -> None:
    """Order each column by the mean position of its neighbours, a few times to the right and back."""
    left: dict[_Item, list[_Item]] = {}
    right: dict[_Item, list[_Item]] = {}
    for path in paths.values():
        for one, other in pairwise(path):
            right.setdefault(one, []).append(other)
            left.setdefault(other, []).append(one)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = left if forward else right
        pairs = list(pairwise(columns))
        for before, column in pairs if forward else [(after, column) for column, after in reversed(pairs)]:
            _sort(column, before, neighbours)


def _sort(column: list[_Item], before: list[_Item], neighbours: Mapping[_Item, list[_Item]]) -> None:
    rank = {item: number / max(1, len(before) - 1) for number, item in enumerate(before)}
    own = {item: number / max(1, len(column) - 1) for number, item in enumerate(column)}

    def wish(item: _Item) -> float:
        ranks = [rank[each] for each in neighbours.get(item, ()) if each in rank]
        return sum(ranks) / len(ranks) if ranks else own[item]

    column.sort(key=wish)
