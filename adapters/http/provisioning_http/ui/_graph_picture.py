"""The graph as a picture: where each box and each edge goes, and what stands in the box. The template writes the SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from provisioning_core import StepStatus
from provisioning_core.model import BOX_HEIGHT, BOX_WIDTH, Layout, Node, PlanGraph, lay_out
from provisioning_http.ui._marks import STEP_MARKS, Mark
from provisioning_http.ui._safe import plain

_SCALE_X, _SCALE_Y = 0.78, 0.84
"""The layout's boxes are those of the picture that stands alone; here they stand closer."""
WIDTH, HEIGHT = round(BOX_WIDTH * _SCALE_X), round(BOX_HEIGHT * _SCALE_Y)
_LONGEST = 16
_IN_A_ROW = 6
_GAP = 26.0
_SHRINKS_TO_FIT = 1300
"""A picture no wider than this is made smaller where a screen is a little too narrow; a wider one is scrolled."""
_GRAVEST = (
    StepStatus.COMPENSATION_FAILED,
    StepStatus.FAILED,
    StepStatus.IN_DOUBT,
    StepStatus.COMPENSATING,
    StepStatus.RUNNING,
    StepStatus.RETRYING,
    StepStatus.WAITING,
    StepStatus.PENDING,
    StepStatus.BLOCKED,
    StepStatus.CANCELLED,
    StepStatus.SUCCEEDED,
    StepStatus.COMPENSATED,
    StepStatus.SKIPPED,
)
"""What a group shows when its members stand differently: the first of these that one of them has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One step, or a group of them. Left upper corner in user units."""

    key: str
    x: int
    y: int
    label: str
    told: str
    """For those who don't see it: the name in full, and how it stands."""
    word: str
    icon: str
    family: str
    shape: str
    """Further classes: ``gate optional pivot group current``."""
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A whole graph."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    """Paths, as SVG's ``d``."""
    box_width: int = WIDTH

    @property
    def fits(self) -> bool:
        """Whether it may be made smaller to fit."""
        return self.width <= _SHRINKS_TO_FIT


@dataclass(frozen=True, slots=True)
class Looks:
    """How the boxes of a picture look."""

    statuses: Mapping[str, StepStatus] | None
    """None for a plan, of which nothing ran."""
    href: Callable[[str, int], str]
    """The address behind a box: the (first) step's name, and how many there are."""
    current: str = ""


def draw(graph: PlanGraph, groups: Mapping[str, Sequence[str]], looks: Looks) -> Picture:
    """The picture of this graph; ``groups`` has the members behind each of its nodes."""
    layout = _laid_out(graph.to_json())
    return Picture(
        width=round(layout.width * _SCALE_X),
        height=round(layout.height * _SCALE_Y),
        boxes=tuple(_box(node, groups[node.name], layout, looks) for node in graph.nodes),
        edges=tuple(_edge(points) for points in layout.edges.values()),
    )


@lru_cache(maxsize=32)
def _laid_out(graph: str) -> Layout:
    """By what the graph says: a run's layout stays the same while its page is looked at."""
    found = PlanGraph.from_json(graph)
    has_edges = any(node.needs for node in found.nodes)
    return lay_out(found) if has_edges or len(found.nodes) <= _IN_A_ROW else _in_rows([node.name for node in found.nodes])


def _in_rows(names: Sequence[str]) -> Layout:
    """Steps that have nothing to do with each other, as members of a group often have: side by side."""
    across, down = BOX_WIDTH + _GAP, BOX_HEIGHT + _GAP
    boxes = {name: ((number % _IN_A_ROW + 0.5) * across, (number // _IN_A_ROW + 0.5) * down) for number, name in enumerate(names)}
    return Layout(width=_IN_A_ROW * across, height=-(-len(names) // _IN_A_ROW) * down, boxes=boxes, edges={})


def _edge(points: Sequence[tuple[float, float]]) -> str:
    """Curves in the gaps between columns; straight across a column, so that no box is crossed."""
    half = WIDTH / 2
    scaled = [(x * _SCALE_X, y * _SCALE_Y) for x, y in points]
    parts = [f"M{scaled[0][0] + half:.0f} {scaled[0][1]:.0f}"]
    for (x1, y1), (x2, y2) in pairwise(scaled):
        middle = (x1 + x2) / 2
        parts.append(f"C{middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2 - half:.0f} {y2:.0f}H{x2 + half:.0f}")
    parts[-1] = parts[-1].partition("H")[0]
    return "".join(parts)


def _box(node: Node, members: Sequence[str], layout: Layout, looks: Looks) -> Box:
    x, y = layout.boxes[node.name]
    mark = _mark(node, members, looks.statuses)
    name = plain(node.name) if len(members) == 1 else f"{plain(node.name)} +{len(members) - 1}"
    return Box(
        key=node.name,
        x=round(x * _SCALE_X - WIDTH / 2),
        y=round(y * _SCALE_Y - HEIGHT / 2),
        label=_short(name),
        told=f"{name}: {mark.word}",
        word=mark.word,
        icon=mark.icon,
        family=mark.family,
        shape=_shape(node, members, is_current=looks.current in members),
        href=looks.href(node.name, len(members)),
    )


def _mark(node: Node, members: Sequence[str], statuses: Mapping[str, StepStatus] | None) -> Mark:
    if statuses is None:
        return _mark_of_plan(node, len(members))
    found = Counter(statuses.get(name, StepStatus.PENDING) for name in members)
    gravest = next(status for status in _GRAVEST if status in found)
    mark = STEP_MARKS[gravest]
    if len(members) == 1:
        return mark
    return replace(mark, word=f"{found[gravest]} of {len(members)} {mark.word}")


def _mark_of_plan(node: Node, count: int) -> Mark:
    if count > 1:
        return Mark("idle", "idle", f"{count} steps")
    known = (
        (node.is_gate, "gate"),
        (node.irreversible, "irreversible"),
        (node.optional, "optional"),
        (node.conditional, "conditional"),
    )
    word = ", ".join(word for holds, word in known if holds)
    return Mark("wait" if node.is_gate else "step", "idle", word or "step")


def _shape(node: Node, members: Sequence[str], *, is_current: bool) -> str:
    known = (
        (node.is_gate, "gate"),
        (node.optional, "optional"),
        (node.irreversible, "pivot"),
        (len(members) > 1, "group"),
        (is_current, "current"),
    )
    return " ".join(word for holds, word in known if holds)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
