"""Random plans, and random things that happen to a run of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from machine_world import Attempt, World, state_of

from provisioning_core import machine as m
from provisioning_core.errors import Conflict
from provisioning_core.model import Direction, Node, PlanGraph, Retry, StepStatus

S = StepStatus
RETRIES = (Retry(attempts=1), Retry(attempts=2, initial=10.0, jitter=0.0), Retry(attempts=3, initial=1.0, factor=3.0, jitter=0.5))
Act = Callable[[], object]


@st.composite
def nodes(draw: st.DrawFn, name: str, before: list[str]) -> Node:
    needs = tuple(need for need in before if draw(st.integers(0, 2)) == 0)
    tolerates = tuple(need for need in needs if draw(st.booleans()))
    if draw(st.integers(0, 5)) == 0:
        return Node(
            name=name,
            kind="gate",
            needs=needs,
            tolerates=tolerates,
            delay=draw(st.sampled_from([None, None, 30.0])),
            timeout=draw(st.sampled_from([None, 50.0])),
            optional=draw(st.integers(0, 3)) == 0,
        )
    has_probe = draw(st.booleans())
    irreversible = draw(st.integers(0, 9)) == 0
    return Node(
        name=name,
        needs=needs,
        tolerates=tolerates,
        retry=draw(st.sampled_from(RETRIES)),
        timeout=draw(st.sampled_from([None, 5.0, 20.0])),
        optional=draw(st.integers(0, 3)) == 0,
        in_doubt=draw(st.sampled_from(["rerun", "hold", *(["probe", "probe"] if has_probe else [])])),
        compensate_on=draw(st.sampled_from(["started", "succeeded", *(["probe"] if has_probe else [])])),
        has_compensation=not irreversible and draw(st.integers(0, 4)) > 0,
        compensation_retry=draw(st.sampled_from(RETRIES)),
        compensation_timeout=draw(st.sampled_from([None, 20.0])),
        has_probe=has_probe,
        irreversible=irreversible,
        transactional=draw(st.integers(0, 5)) == 0,
        limit=draw(st.sampled_from([None, None, "api"])),
        weight=draw(st.sampled_from([None, 0.0, 2.5])),
    )


@st.composite
def plans(draw: st.DrawFn, max_size: int = 8) -> PlanGraph:
    names = "abcdefgh"[: draw(st.integers(1, max_size))]
    found: list[Node] = []
    for name in names:
        found.append(draw(nodes(name, [each.name for each in found])))
    on_failure = draw(st.sampled_from(["finish", "halt", "rollback"]))
    return PlanGraph(plan="p", version="1", on_failure=on_failure, nodes=tuple(found))


def described(graph: PlanGraph) -> str:
    """In short: what a reader of a failing example needs."""
    blank = Node(name="")
    lines = [f"on_failure={graph.on_failure}"]
    for node in graph.nodes:
        options = {name: getattr(node, name) for name in Node.__slots__ if getattr(node, name) != getattr(blank, name)}
        lines.append(" ".join(f"{name}={value.attempts if isinstance(value, Retry) else value}" for name, value in options.items()))
    return "\n".join(lines)


def skippable(graph: PlanGraph) -> st.SearchStrategy[list[str]]:
    """Steps whose condition is false; mostly none."""
    return st.lists(st.sampled_from([node.name for node in graph.nodes]), max_size=2, unique=True) | st.just([])


def endings(world: World, attempt: Attempt) -> list[Act]:
    """All the ways in which an attempt may end, as a truthful world has it."""
    node = world.graph.nodes[world.graph.index[attempt.step]]
    match attempt.direction:
        case Direction.FORWARD:
            return _forward_endings(world, attempt, node)
        case Direction.COMPENSATE:
            fails = [_end(world, m.AttemptFailed, attempt, retryable=flag) for flag in (True, False)]
            waits = _end(world, m.AttemptNotReady, attempt, after=5.0)
            lost = _end(world, m.AttemptLost, attempt)
            return [_end(world, m.AttemptSucceeded, attempt, effect=False), *fails, waits, lost]
        case _:
            answer = m.ProbeFound if attempt.step in world.effects else m.ProbeMissed
            fails = [_end(world, m.AttemptFailed, attempt, retryable=flag) for flag in (True, False)]
            return [_end(world, answer, attempt), _end(world, answer, attempt), *fails, _end(world, m.AttemptLost, attempt)]


def _forward_endings(world: World, attempt: Attempt, node: Node) -> list[Act]:
    leaves = None if node.compensate_on == "succeeded" else True
    return [
        _end(world, m.AttemptSucceeded, attempt, effect=True),
        _end(world, m.AttemptSucceeded, attempt, effect=True),
        _end(world, m.AttemptFailed, attempt, effect=leaves, retryable=True),
        _end(world, m.AttemptFailed, attempt, retryable=True, retry_after=40.0),
        _end(world, m.AttemptFailed, attempt, effect=leaves, retryable=False),
        _end(world, m.AttemptNotReady, attempt, effect=True, after=5.0),
        _end(world, m.AttemptLost, attempt, effect=True),
    ]


def _end(world: World, kind: type[Any], attempt: Attempt, *, effect: bool | None = None, **options: Any) -> Act:
    return lambda: world.report(kind, attempt, effect=effect, **options)


def happenings(world: World) -> list[Act]:
    """All that may happen next, but for what people do."""
    found: list[Act] = [lambda: world.offer(1, api=1), lambda: world.offer(8, api=1), lambda: world.offer(8)]
    for attempt in world.alive.values():
        found.extend(endings(world, attempt))
    soon = world.machine.next_timer_at
    found.append(lambda: world.wait(7.0))
    if soon is not None:
        found.extend([lambda: world.wait(max(soon - world.now, 0.0))] * 2)
    return found


def crashes(world: World) -> list[Act]:
    everything = {attempt.step for attempt in world.alive.values()}
    done = {attempt.step for attempt in world.alive.values() if _commits(world, attempt)}
    return [
        world.crash,
        world.take_over,
        lambda: world.crash(left=everything, completed=done),
        lambda: crash_before_commit(world, left=everything),
    ]


def _commits(world: World, attempt: Attempt) -> bool:
    node = world.graph.nodes[world.graph.index[attempt.step]]
    return node.transactional and attempt.direction is Direction.FORWARD and not world.machine.cell(attempt.step).zombie


def crash_before_commit(world: World, left: set[str]) -> None:
    """Something was decided, but the engine died before it was recorded: nothing of it was carried out."""
    twin = world.twin()
    twin.handle(m.CapacityOffered(at=world.now, slots=8))
    world.crash(left=left)


def verbs(world: World) -> list[m.Verb]:
    """One of each verb that makes sense for a person to try now, allowed or not."""
    at, names = world.now, [node.name for node in world.graph.nodes]
    found: list[m.Verb] = [
        m.RetryRequested(at=at),
        m.ContinueRequested(at=at),
        m.RollbackRequested(at=at),
        m.RollbackRequested(at=at, force=True),
        m.DeprovisionRequested(at=at),
        m.CancelRequested(at=at),
        m.CancelRequested(at=at, rollback=True),
        m.PauseRequested(at=at),
    ]
    for name in names:
        found.append(m.RetryRequested(at=at, steps=(name,)))
        found.append(m.RollbackRequested(at=at, to=name, force=True))
        found.append(m.SkipRequested(at=at, step=name))
        found.extend(m.ResolveRequested(at=at, step=name, as_=as_) for as_ in ("succeeded", "failed", "compensated"))
        if world.graph.nodes[world.graph.index[name]].is_gate:
            found.append(m.SignalReceived(at=at, step=name))
    return found


NAMES: dict[type[Any], str] = {
    m.RetryRequested: "retry",
    m.ContinueRequested: "continue",
    m.SkipRequested: "skip",
    m.ResolveRequested: "resolve",
    m.RollbackRequested: "rollback",
    m.DeprovisionRequested: "deprovision",
    m.CancelRequested: "cancel",
    m.PauseRequested: "pause",
    m.SignalReceived: "signal",
}


def apply(world: World, verb: m.Verb) -> None:
    """Carry a verb out, and what the person did outside before asking for it."""
    match verb:
        case m.SkipRequested():
            world.skip(verb.step)
        case m.ResolveRequested():
            world.resolve(verb.step, verb.as_)
        case _:
            world.handle(verb)


def accepted(world: World) -> list[m.Verb]:
    return [verb for verb in verbs(world) if world.refuses(verb) is None]


def live_on(world: World, choices: list[int]) -> None:
    """Let one thing after the other happen; each number picks one of all that can."""
    try:
        _live_on(world, choices)
    except Exception:
        note(described(world.graph))
        for event, decision in world.history:
            note(f"{event}\n     {[str(getattr(move, 'step', '')) + '>' + move.new for move in decision.moves]}")
        raise


def _live_on(world: World, choices: list[int]) -> None:
    for choice in choices:
        kind, pick = divmod(choice, 1000)
        if kind < 14:
            _pick(happenings(world), pick)()
        elif kind < 16:
            _pick(crashes(world), pick)()
        else:
            _try(world, _pick(verbs(world), pick))


def _try(world: World, verb: m.Verb) -> None:
    """Somebody asks for something; when it is refused, nothing may have changed."""
    before = state_of(world.machine)
    try:
        apply(world, verb)
    except Conflict:
        assert state_of(world.machine) == before, f"{verb} was refused but changed something"
        world.history.pop()


def _pick(things: list[Any], number: int) -> Any:
    return things[number % len(things)]


CHOICES = st.lists(st.integers(0, 18_999), min_size=5, max_size=45)
