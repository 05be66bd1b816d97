"""What an engine does with a run, step by step as its loop does it."""

from __future__ import annotations

from explorer import store
from explorer.deciding import Decided
from explorer.model import DEAD, DUE, Attempt, Order, Process, Row, State, Wish, process_of, with_process
from explorer.protocol import ENDED, Protocol, Transition, event_of
from provisioning_core import machine as m
from provisioning_core.model import MOVING


def absorbed(process: Process, decided: Decided) -> Process:
    """The engine takes note of a decision; nothing of it is committed yet."""
    begun = {order.step for order in decided.orders}
    engines = tuple(
        None if step.live is None else process.id if i in begun else engine
        for i, (step, engine) in enumerate(zip(decided.records.steps, process.engines, strict=True))
    )
    return process._replace(
        records=decided.records,
        engines=engines,
        is_dirty=process.is_dirty or decided.is_changed,
        moves=process.moves + decided.moves,
        orders=process.orders + decided.orders,
    )


def heard(state: State, process: Process, event: m.MachineEvent, protocol: Protocol) -> State:
    """The engine's machine is told of something."""
    assert process.records is not None
    return with_process(state, absorbed(process, protocol.decider.decide(process.records, event)))


def prepared(process: Process, protocol: Protocol) -> Process:
    """The engine offers its workers, before it commits."""
    assert process.records is not None
    return absorbed(process, protocol.decider.turn(process.records))


def carried_out(process: Process, wish: Wish, protocol: Protocol) -> Process:
    """A recorded request is carried out, or refused; either is to be committed."""
    assert process.records is not None
    decided = protocol.decider.decide(process.records, event_of(wish, protocol))
    return absorbed(process, decided)._replace(is_dirty=True, done=(*process.done, wish))


def carry_out(state: State, process: Process, wish: Wish, protocol: Protocol) -> Transition:
    after = with_process(state, carried_out(process, wish, protocol))
    if not protocol.rules.strikes_off_late:
        after = after._replace(row=store.without_wishes(after.row, (wish,)))
    return Transition(("hear", process.id, wish), after)


# committing and launching


def decide(state: State, process: Process, protocol: Protocol) -> Transition:
    """A turn's decision alone, where that is an action of its own."""
    label = ("decide", process.id, *(() if protocol.rules.commits_before_launch else process.orders))
    if protocol.rules.commits_before_launch:
        return Transition(label, with_process(state, process))
    after, launched = _launched(with_process(state, process._replace(orders=())), process.id, process.orders)
    return Transition(label, after, launched=launched)


def commit(state: State, process: Process, protocol: Protocol) -> Transition:
    """All that is decided is written, and then carried out; or the engine learns that it lost the run."""
    if not owns(state, process) and protocol.rules.checks_epoch:
        return Transition(("refused", process.id), _dropped(state, process, protocol))
    stays = _stays(process)
    row, broken = store.written(state.row, process, protocol, release=not stays)
    owed = tuple(wish for wish in state.owed if wish not in process.done)
    kept = store.after_commit(process, protocol) if stays else Process(process.id)
    after = with_process(state._replace(row=row, owed=owed), kept)
    label = ("commit", process.id, *process.orders)
    if protocol.is_fine:
        after = with_process(after, kept._replace(outbox=process.orders))
        return Transition(label, after, writer=process, broken=broken)
    after, launched = _launched(after, process.id, process.orders)
    return Transition(label, after, launched=launched, writer=process, broken=broken)


def commit_unknown(state: State, process: Process, protocol: Protocol) -> Transition:
    """It is written, but the answer is lost: the engine keeps what it has, and offers it again."""
    row, broken = store.written(state.row, process, protocol, release=not _stays(process))
    owed = tuple(wish for wish in state.owed if wish not in process.done)
    after = with_process(state._replace(row=row, owed=owed), process._replace(known=len(process.moves)))
    return Transition(("unknown", process.id), after, "unknown", writer=process, broken=broken)


def launch(state: State, process: Process) -> Transition:
    """The first of what is committed begins, where that is an action of its own."""
    order, *rest = process.outbox
    after, launched = _launched(with_process(state, process._replace(outbox=tuple(rest))), process.id, (order,))
    return Transition(("launch", process.id, order), after, launched=launched)


def _launched(state: State, process: int, orders: tuple[Order, ...]) -> tuple[State, tuple[Attempt, ...]]:
    attempts = tuple(Attempt(process, order.step, order.direction, order.token) for order in orders)
    newest = list(state.newest)
    for order in orders:
        newest[order.step] = max(newest[order.step], order.token)
    return state._replace(attempts=state.attempts + attempts, newest=tuple(newest)), attempts


def owns(state: State, process: Process) -> bool:
    """Whether the store takes what this engine commits."""
    return process.is_current and state.row.owner == process.id


def _stays(process: Process) -> bool:
    """Whether the engine must keep the run: it moves, or something of it is alive."""
    assert process.records is not None
    run, steps = process.records
    return run.status in MOVING or any(step.live is not None for step in steps)


# runs come and go


def claim(state: State, process: Process, protocol: Protocol) -> State:
    """The engine becomes the run's owner, under a new epoch, and takes it up."""
    row = state.row._replace(owner=process.id)
    others = tuple(each._replace(is_current=False) for each in state.processes)
    if process not in state.processes:
        others = (*others, process)
    state = state._replace(row=row, processes=others)
    if process.records is not None and not protocol.rules.opens_what_it_claims:
        return state
    zombies = (
        frozenset(protocol.name(i) for i in _may_be_alive(state, row, process.id)) if protocol.rules.quarantines else frozenset()
    )
    fresh = Process(process.id, is_current=True, records=row.records, engines=row.engines)
    taken = absorbed(fresh, protocol.decider.decide(row.records, m.TakenUp(at=DUE, zombies=zombies)))
    for wish in row.wishes:
        taken = carried_out(taken, wish, protocol)
    return with_process(state, taken)


def _may_be_alive(state: State, row: Row, taker: int) -> list[int]:
    """Steps whose recorded attempt runs here, or was begun by an engine that may be alive."""
    found = []
    for i, (step, engine) in enumerate(zip(row.records.steps, row.engines, strict=True)):
        if step.live is not None and engine != DEAD and (engine != taker or is_under_way(state, taker, i, step.token)):
            found.append(i)
    return found


def is_under_way(state: State, process: int, step: int, token: int) -> bool:
    return any((each.process, each.step, each.token) == (process, step, token) for each in state.attempts)


def _dropped(state: State, process: Process, protocol: Protocol) -> State:
    """The engine forgets a run that it lost."""
    state = with_process(state, Process(process.id))
    rules = protocol.rules
    if not rules.says_farewell:
        return state
    return farewells(state, process.id, but=() if rules.tells_what_never_began else _counted_on(process))


def _counted_on(process: Process) -> tuple[tuple[int, int], ...]:
    """Attempts (step, token) that are alive, as far as this engine knows."""
    assert process.records is not None
    return tuple((i, step.token) for i, step in enumerate(process.records.steps) if step.live is not None)


def farewells(state: State, process: int, *, but: tuple[tuple[int, int], ...] = ()) -> State:
    """An engine tells the run's owner which of its attempts, waited for by the store, are over."""
    row = state.row
    if row.owner == process:
        return state
    told = [
        Wish(ENDED, i, step.token)
        for i, (step, engine) in enumerate(zip(row.records.steps, row.engines, strict=True))
        if step.live is not None and engine == process and not is_under_way(state, process, i, step.token)
    ]
    new = tuple(wish for wish in told if wish not in row.wishes and (wish.step, wish.token) not in but)
    return state._replace(row=row._replace(wishes=row.wishes + new)) if new else state


def holds(state: State, attempt: Attempt) -> bool:
    """Whether an attempt's own engine still counts on it."""
    process = process_of(state, attempt.process)
    if process.records is None or not process.is_current:
        return False
    step = process.records.steps[attempt.step]
    return step.live is not None and step.token == attempt.token


def without(state: State, process: Process) -> State:
    """A process is gone, and all its attempts with it."""
    return state._replace(
        processes=tuple(each for each in state.processes if each.id != process.id),
        attempts=tuple(each for each in state.attempts if each.process != process.id),
    )
