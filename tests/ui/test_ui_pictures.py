"""The pictures by themselves: where time is folded, how large graphs are folded, what a group shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import networkx as nx
import pytest
from provisioning_http.ui._folding import fold, part_of
from provisioning_http.ui._graph_picture import Looks, draw
from provisioning_http.ui._safe import isolated, plain, pretty
from provisioning_http.ui._time_picture import chart

from provisioning_core import StepStatus
from provisioning_core.model import Bar, Node, PlanGraph, Timeline

BEGAN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def bar(step: str, kind: str, begin: float, end: float | None, outcome: StepStatus | None = StepStatus.SUCCEEDED) -> Bar:
    return Bar(step=step, kind=kind, attempt=1, started_at=at(begin), finished_at=None if end is None else at(end), outcome=outcome)


def chart_of(*bars: Bar, now: float, is_over: bool = True):
    steps = list(dict.fromkeys(each.step for each in bars))
    found = chart(Timeline(started_at=BEGAN, finished_at=at(now) if is_over else None, bars=bars), steps, at(now))
    assert found is not None
    return found


def places(found) -> list[tuple[str, list[tuple[float, float]]]]:
    return [(row.step, [(stripe.x, stripe.width) for stripe in row.stripes]) for row in (*found.forward, *found.back)]


# time


def test_bars_stand_where_their_time_was() -> None:
    found = chart_of(bar("a", "attempt", 0, 1), bar("b", "attempt", 1, 4), now=4)

    assert places(found) == [("a", [(0.0, 25.0)]), ("b", [(25.0, 75.0)])]
    assert found.ticks == ((0.0, "0 s"), (25.0, "1 s"), (50.0, "2 s"), (75.0, "3 s"), (100.0, "4 s"))
    assert found.folds == ()


def test_a_long_time_in_which_nobody_works_is_folded_whoever_waits() -> None:
    found = chart_of(bar("a", "attempt", 0, 10), bar("ok", "gate", 10, 7210), bar("b", "attempt", 7210, 7220), now=7220)
    (fold_,) = found.folds

    assert (round(fold_[0], 1), round(fold_[1], 1), fold_[2]) == (47.2, 5.7, "2 h 00 min")
    assert [round(width, 1) for _, row in places(found) for _, width in row] == [47.2, 5.7, 47.2]


def test_while_it_runs_the_last_bar_reaches_to_now() -> None:
    found = chart_of(bar("a", "attempt", 0, None, None), now=3, is_over=False)

    assert places(found) == [("a", [(0.0, 100.0)])]
    assert found.forward[0].stripes[0].look == "attempt busy open"
    assert found.forward[0].stripes[0].told == "a, attempt 1: under way, 3.0 s"


@pytest.mark.parametrize(
    ("kind", "outcome", "look"),
    [
        ("attempt", StepStatus.SUCCEEDED, "attempt done"),
        ("attempt", StepStatus.RETRYING, "attempt bad"),
        ("attempt", StepStatus.FAILED, "attempt bad"),
        ("attempt", StepStatus.CANCELLED, "attempt idle"),
        ("wait", StepStatus.RUNNING, "wait wait"),
        ("gate", StepStatus.SUCCEEDED, "gate wait"),
        ("doubt", StepStatus.RUNNING, "doubt wait"),
        ("undo", StepStatus.COMPENSATED, "undo undone"),
        ("undo", StepStatus.COMPENSATION_FAILED, "undo bad"),
    ],
)
def test_every_kind_of_bar_has_its_look(kind: str, outcome: StepStatus, look: str) -> None:
    found = chart_of(bar("a", kind, 0, 1, outcome), now=1)

    assert (*found.forward, *found.back)[0].stripes[0].look == look


def test_compensations_stand_below_in_the_order_in_which_they_began() -> None:
    bars = [bar("a", "attempt", 0, 1), bar("b", "attempt", 1, 2), bar("b", "undo", 3, 4), bar("a", "undo", 4, 5)]
    found = chart_of(*bars, now=5)

    assert ([row.step for row in found.forward], [row.step for row in found.back]) == (["a", "b"], ["b", "a"])


def test_without_anything_begun_there_is_no_timeline() -> None:
    assert chart(Timeline(started_at=BEGAN), ["a"], at(1)) is None


# large graphs


def graph_of(needs: dict[str, list[str]]) -> PlanGraph:
    return PlanGraph(plan="p", version="1", nodes=tuple(Node(name=name, needs=tuple(found)) for name, found in needs.items()))


def chain(count: int) -> PlanGraph:
    return graph_of({f"s{number}": [f"s{number - 1}"] if number else [] for number in range(count)})


def ladders(count: int, length: int) -> PlanGraph:
    needs: dict[str, list[str]] = {}
    for ladder in range(count):
        for rung in range(length):
            needs[f"l{ladder}_{rung}"] = [f"l{ladder}_{rung - 1}"] if rung else []
    return graph_of(needs)


def tangle(count: int) -> PlanGraph:
    """Of no shape: each step needs some of the last few."""
    return graph_of({f"s{n}": [f"s{m}" for m in {n - 1 - n % 3, n - 2 - (n * 7) % 11} if m >= 0] for n in range(count)})


@pytest.mark.parametrize(
    ("graph", "most"),
    [
        (graph_of({f"s{number}": [] for number in range(300)}), 1),
        (graph_of({"a": [], **{f"s{n}": ["a"] for n in range(300)}, "z": [f"s{n}" for n in range(300)]}), 3),
        (chain(1000), 1),
        (ladders(25, 40), 25),
        (tangle(500), 60),
    ],
    ids=["independent", "fan", "chain", "ladders", "tangle"],
)
def test_a_large_graph_becomes_few_groups_that_hold_every_step_once_and_no_circle(graph: PlanGraph, most: int) -> None:
    folded = fold(graph)
    members = [name for group in folded.groups.values() for name in group]

    assert len(folded.graph.nodes) <= most
    assert sorted(members) == sorted(node.name for node in graph.nodes)
    assert nx.is_directed_acyclic_graph(folded.graph.as_networkx())
    group = {name: key for key, names in folded.groups.items() for name in names}
    crossing = {(group[need], group[node.name]) for node in graph.nodes for need in node.needs if group[need] != group[node.name]}
    assert {(need, node.name) for node in folded.graph.nodes for need in node.needs} == crossing


def test_a_small_graph_stays_as_it_is_and_a_part_keeps_its_own_edges() -> None:
    graph = chain(5)

    assert fold(graph).graph is graph
    assert [(node.name, node.needs) for node in part_of(graph, ["s1", "s2", "s4"]).nodes] == [("s1", ()), ("s2", ("s1",)), ("s4", ())]


def test_steps_that_have_nothing_to_do_with_each_other_stand_side_by_side() -> None:
    graph = graph_of({f"s{number}": [] for number in range(14)})
    boxes = draw(graph, {f"s{number}": (f"s{number}",) for number in range(14)}, Looks(None, lambda name, _: name)).boxes

    assert [len({box.y for box in boxes}), len({box.x for box in boxes})] == [3, 6]
    assert len({(box.x, box.y) for box in boxes}) == 14


def test_a_group_shows_the_gravest_of_its_steps_and_how_many_stand_so() -> None:
    graph = chain(3)
    statuses = {"s0": StepStatus.SUCCEEDED, "s1": StepStatus.FAILED, "s2": StepStatus.BLOCKED}
    one = PlanGraph(plan="p", version="1", nodes=(Node(name="s0"),))
    (box,) = draw(one, {"s0": ("s0", "s1", "s2")}, Looks(statuses, lambda name, count: f"{name}/{count}")).boxes

    assert (box.label, box.word, box.icon, box.family, box.shape, box.href) == (
        "s0 +2",
        "1 of 3 failed",
        "bad",
        "bad",
        "group",
        "s0/3",
    )
    assert len(draw(graph, {name: (name,) for name in statuses}, Looks(None, lambda name, _: name)).edges) == 2


# other people's texts


def test_texts_can_not_turn_or_hide_what_stands_around_them() -> None:
    assert plain("a\x1b[2Jb\u202ec\ud800") == "a�[2Jb�c�"
    assert isolated("acme") == "acme"
    assert isolated("שלב\u2069x") == "\u2068שלב�x\u2069"
    assert pretty({"a": "\u202e"}) == '{\n  "a": "�"\n}'
    assert len(pretty("x" * 50_000)) < 21_000
