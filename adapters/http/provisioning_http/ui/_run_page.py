"""A run's page: where it stands in a sentence, its graph, its time, its steps, its history, and what can be done now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import Query, Response

from provisioning_core import Event, RunView, StepStatus
from provisioning_core.model import PlanGraph, Timeline, sentence, stands, timeline_of
from provisioning_http._answers import EventBody, StatusBody, StepBody
from provisioning_http._call import Allowed, Call
from provisioning_http._problems import not_here
from provisioning_http._rendering import events_body, status_body
from provisioning_http.ui._effects import buttons
from provisioning_http.ui._folding import LARGEST, Folded, fold, part_of
from provisioning_http.ui._graph_picture import Looks, Picture, draw
from provisioning_http.ui._history import line_of
from provisioning_http.ui._marks import STEP_MARKS
from provisioning_http.ui._pages import page, sentence_safe
from provisioning_http.ui._paths import Paths
from provisioning_http.ui._step import step_detail, worked
from provisioning_http.ui._time_picture import chart

_MOST_EVENTS = 20_000
"""Of a longer history the page shows the beginning, and says so."""
_ROWS, _ROWS_OF_LARGE = 100, 40
_LINES, _ALL_LINES = 25, 1000
_REFRESH = 5
"""Seconds after which a page without scripts looks again."""

Shown = Annotated[str | None, Query(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of the run is looked at."""

    step: str | None = None
    group: str | None = None
    state: str | None = None
    rows_from: int = 0
    history: str | None = None
    refresh: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is recorded of a run."""

    view: RunView
    graph: PlanGraph
    events: tuple[Event, ...]


async def run_page(
    call: Allowed,
    step: Shown = None,
    group: Shown = None,
    state: Shown = None,
    rows_from: Annotated[int, Query(alias="from", ge=0, le=2**31)] = 0,
    history: Shown = None,
    refresh: Shown = None,
) -> Response:
    """Where one run stands."""
    if call.view is None:
        raise not_here()
    asked = Asked(step=step, group=group, state=state, rows_from=rows_from, history=history, refresh=refresh)
    is_operator = await call.is_operator()
    may_list = await call.face.doorkeeper.would_admit(call.request, None, "admin")
    view = call.view
    shown = await call.asks(lambda: _shown(call, view, asked, is_operator=is_operator))
    return page(call, "run.html", is_fleet=may_list, **shown)


def facts_of(call: Call, view: RunView) -> Facts:
    """All that is recorded of the run, as far as a page can show it."""
    events = tuple(islice(call.engine.events(run_id=view.id), _MOST_EVENTS))
    return Facts(view=view, graph=call.engine.graph(run_id=view.id), events=events)


def _shown(call: Call, view: RunView, asked: Asked, *, is_operator: bool) -> dict[str, Any]:
    facts = facts_of(call, view)
    now, paths = datetime.now(UTC), Paths(call.links.root)
    body = status_body(view, call.links, is_operator=is_operator)
    events = events_body(facts.events, 0, is_operator=is_operator).items
    timeline = timeline_of(facts.events)
    folded = fold(facts.graph)
    members = folded.group_of(asked.group or "")
    rows = _rows(body, asked, members)
    end = asked.rows_from + (_ROWS_OF_LARGE if len(rows) > _ROWS else _ROWS)
    steps = rows[asked.rows_from : end]
    return {
        "run": body,
        "input": view.input if is_operator else None,
        "labels": view.labels,
        "is_operator": is_operator,
        "sentence": sentence(view, now=now, graph=facts.graph, safe=sentence_safe),
        "said": f"{sentence_safe(view.subject)} {stands(view, safe=sentence_safe)}.",
        "buttons": buttons(view) if is_operator else [],
        "picture": _picture(facts, folded, members, asked, paths),
        "groups": len(folded.groups) if len(facts.graph.nodes) > LARGEST else 0,
        "group": members,
        "chips": _chips(view, asked, paths),
        "asked": asked,
        "steps": steps,
        "worked": worked(timeline),
        "more_rows": _more(view, asked, end, len(rows), paths),
        "chart": chart(timeline, [row.name for row in steps], now),
        "detail": _detail(facts, timeline, body, asked.step),
        "history": _history(events, asked),
        "is_cut": len(events) == _MOST_EVENTS,
        "history_left": max(len(events) - _LINES, 0) if asked.history != "all" else 0,
        "stream": paths.stream(view.subject, view.id),
        "live": True,
        "moves": not view.is_resting,
        "refresh": _REFRESH if not view.is_resting and asked.refresh != "off" else None,
    }


def _picture(facts: Facts, folded: Folded, members: Sequence[str], asked: Asked, paths: Paths) -> Picture:
    statuses = {step.name: step.status for step in facts.view.steps.values()}
    run_id = facts.view.id

    def href(name: str, count: int) -> str:
        if count > 1:
            return paths.run(run_id, group=name) + "#graph"
        return paths.run(run_id, step=name, group=asked.group) + "#step"

    looks = Looks(statuses, href, asked.step or "")
    if len(members) <= 1:
        return draw(folded.graph, folded.groups, looks)
    inner = fold(part_of(facts.graph, members))
    return draw(inner.graph, inner.groups, looks)


def _rows(body: StatusBody, asked: Asked, members: Sequence[str]) -> list[StepBody]:
    names: Sequence[str] = members if len(members) > 1 else list(body.steps)
    rows = [body.steps[name] for name in names if name in body.steps]
    return [row for row in rows if asked.state in (None, "", row.status)]


def _more(view: RunView, asked: Asked, end: int, count: int, paths: Paths) -> dict[str, Any]:
    """Links to the rows before and behind those shown."""

    def link(begin: int) -> str:
        return paths.run(view.id, state=asked.state, group=asked.group, **{"from": str(begin)}) + "#steps"

    begin = asked.rows_from
    return {
        "begin": min(begin + 1, count),
        "end": min(end, count),
        "count": count,
        "before": link(max(2 * begin - end, 0)) if begin > 0 else "",
        "behind": link(end) if end < count else "",
    }


def _chips(view: RunView, asked: Asked, paths: Paths) -> list[dict[str, Any]]:
    """How many steps stand where, as filters."""
    found = Counter(step.status for step in view.steps.values())
    return [
        {
            "mark": STEP_MARKS[status],
            "count": found[status],
            "href": paths.run(view.id, state=None if asked.state == status else str(status), group=asked.group) + "#steps",
            "is_chosen": asked.state == status,
        }
        for status in StepStatus
        if found[status]
    ]


def _detail(facts: Facts, timeline: Timeline, body: StatusBody, name: str | None) -> dict[str, Any] | None:
    if name is None or name not in body.steps or name not in facts.graph.index:
        return None
    return step_detail(facts.graph, timeline, body, name, now=datetime.now(UTC))


def _history(events: Sequence[EventBody], asked: Asked) -> list[Any]:
    """Newest first."""
    most = _ALL_LINES if asked.history == "all" else _LINES
    return [line_of(event) for event in reversed(events[-most:])]
