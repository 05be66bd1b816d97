"""A way through the states, told as a numbered list. Engines keep their letters, however the states number them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from explorer.canonical import canonical
from explorer.model import Order, Wish
from explorer.protocol import Transition
from explorer.search import Found
from explorer.shapes import NAMES

LETTERS = "ABCDEFGH"
_DOES = {"forward": "{} takes effect", "compensate": "{} is undone outside", "probe": "the probe of {} looks"}
_WHAT = {"forward": "{}", "compensate": "the compensation of {}", "probe": "the probe of {}"}


def told(found: Found) -> list[str]:
    """The actions of a counterexample, and what is wrong at the end."""
    lines = [*_actions(found), f"→ {found.broken}"]
    return [f"{number}. {line}" for number, line in enumerate(lines[:-1], start=1)] + lines[-1:]


def _actions(found: Found) -> Iterator[str]:
    names: dict[int | None, str] = {}
    letters = iter(LETTERS)
    for action in found.actions:
        for process in action.after.processes:
            if process.id not in names:
                names[process.id] = next(letters)
        yield _sentence(action, names)
        _, numbers = canonical(action.after)
        names = {numbers[old]: name for old, name in names.items() if old in numbers}


def _sentence(action: Transition, names: dict[int | None, str]) -> str:
    kind, *details = action.label
    engine, *rest = [names[details[0]], *details[1:]] if details and isinstance(details[0], int) else ["", *details]
    if kind == "steal":
        rest = [names[rest[0]]]
    return _SENTENCES[str(kind)](engine, *rest)


def _what(step: int, direction: str) -> str:
    return _WHAT[direction].format(NAMES[step])


def _begun(orders: tuple[Order, ...]) -> str:
    if not orders:
        return ""
    begun = ", ".join(_what(order.step, order.direction) for order in orders)
    return f", and launches {begun}"


def _wish(wish: Wish) -> str:
    return wish.verb if wish.step is None else f"{wish.verb}: {NAMES[wish.step]}"


_SENTENCES: dict[str, Callable[..., str]] = {
    "crash": lambda engine: f"engine {engine} dies",
    "commit": lambda engine, *orders: f"engine {engine} commits what it decided{_begun(orders)}",
    "decide": lambda engine, *orders: f"engine {engine} decides{_begun(orders)}",
    "refused": lambda engine: f"engine {engine} offers a commit; it is refused, and the run dropped",
    "unknown": lambda engine: f"engine {engine} commits, and does not get the answer",
    "launch": lambda engine, order: f"engine {engine} launches {_what(order.step, order.direction)}",
    "hear": lambda engine, wish: f"engine {engine} reads a request ({_wish(wish)})",
    "gone": lambda engine, step: f"engine {engine} learns that the attempt of {NAMES[step]} died with its engine",
    "act": lambda engine, step, direction: f"{_DOES[direction].format(NAMES[step])} (at engine {engine})",
    "end": lambda engine, step, direction, how: f"{_what(step, direction)} {how} (at engine {engine})",
    "claim": lambda engine: f"engine {engine} takes the run up",
    "steal": lambda engine, other: f"the lease of engine {other} runs out; engine {engine} takes the run over",
    "tick": lambda engine: "time passes",
    "timeout": lambda engine, step: f"{NAMES[step]} takes too long; engine {engine} gives the attempt up",
    "ask": lambda engine, wish: f"a person asks: {_wish(wish)}",
}
