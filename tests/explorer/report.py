"""docs/explorer.md: how it is searched, what was searched, and what each broken rule leads to."""

from __future__ import annotations

from collections.abc import Iterator

from explorer.families import Family
from explorer.mutations import Mutation
from explorer.search import Found
from explorer.shapes import NAMES, Needs, Policy, describe
from explorer.story import told

Searched = list[tuple[Family, Needs, Found]]
Broken = list[tuple[Mutation, Found]]


def page(searched: Searched, broken: Broken) -> str:
    """All of it."""
    return "\n".join([_HEAD, *_families(searched), "", _MUTATIONS, *_table(broken), "", *_stories(broken)])


def faults_of(faults: dict[str, int]) -> str:
    """In words."""
    return ", ".join(f"{count} × {_FAULTS[kind]}" for kind, count in faults.items()) or "none"


def _families(searched: Searched) -> Iterator[str]:
    yield "| what may happen, at any moment | policy | shapes | states | transitions | seconds | found |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    families = list(dict.fromkeys(family.name for family, _, _ in searched))
    for name in families:
        found = [(family, needs, each) for family, needs, each in searched if family.name == name]
        for steps in sorted({len(needs) for _, needs, _ in found}):
            yield _family_line(found[0][0], steps, [each for _, needs, each in found if len(needs) == steps])


def _family_line(family: Family, steps: int, found: list[Found]) -> str:
    broken = [each.broken for each in found if each.broken]
    verdict = "; ".join(broken) or ("nothing" if all(each.is_complete for each in found) else "nothing, but not all was searched")
    states, transitions, seconds = (sum(getattr(each, name) for each in found) for name in ("states", "transitions", "seconds"))
    shapes = f"{len(found)} of {steps} step{'s' * (steps > 1)}"
    what = f"**{family.name}**: {faults_of(family.faults)}"
    return f"| {what} | {_policy(family.policy)} | {shapes} | {states:,} | {transitions:,} | {seconds:.1f} | {verdict} |"


def _policy(policy: Policy) -> str:
    told = {name: getattr(policy, name) for name in ("on_failure", "in_doubt", "compensate_on", "attempts", "undo_attempts")}
    usual = Policy()
    other = [f"`{name}={value}`" for name, value in told.items() if value != getattr(usual, name) or name == "on_failure"]
    return ", ".join([*other, *(["a timeout"] if policy.timeout else [])])


def _table(broken: Broken) -> Iterator[str]:
    yield "| the broken rule | shape | faults | what breaks | actions |"
    yield "| --- | --- | --- | --- | --- |"
    for mutation, found in broken:
        row = (mutation.name, f"`{describe(mutation.shape)}`", faults_of(mutation.faults), found.broken, len(found.actions))
        yield f"| {' | '.join(str(each) for each in row)} |"


def _stories(broken: Broken) -> Iterator[str]:
    yield "## The shortest ways"
    yield ""
    for mutation, found in broken:
        yield f"### {mutation.name}"
        yield ""
        *actions, end = told(found)
        yield from actions
        yield ""
        yield end
        yield ""


_FAULTS = {
    "crash": "an engine dies",
    "lease": "an engine loses its lease and goes on",
    "unknown": "the answer to a commit is lost",
    "failure": "a step fails",
    "undo_failure": "a compensation fails",
    "break_off": "an engine breaks an attempt off",
    "timeout": "an attempt is too slow",
    "verb": "a person asks for something",
}
_HEAD = f"""# The explorer

Written by `make explore` (`tools/explore.py`). `tests/explorer` holds the code, and searches a part of it in every test run.

The explorer visits every state that a run can get into, breadth first, and checks the promises after every single action.
What an engine *decides* is asked of the real machine (`provisioning_core.machine`), the same code that runs in production.
Around it stands a model:

- **the store**: the run's row, its owner, the requests recorded for it, its history. A commit is one transaction, and is
  refused when the engine's epoch is old;
- **engines**: up to three processes. Each holds what it decided and has not committed, and launches only after the commit. One
  that lost its lease goes on until a commit is refused (a *zombie*), and its attempts go on until they end;
- **attempts** and **the world**: an attempt has its effect, and then ends, in two actions; anything can happen before, between
  and after. A step can fail before its effect or after it;
- **the clock**: what is due later becomes due at some moment; an attempt may be too slow;
- **people**: any verb, at any moment at which it is allowed.

After every action: nothing is there of a run that is ROLLED_BACK, then or later; no attempt of a step begins while an older one
is alive, nor a compensation while what depends on it is; steps begin, and are undone, in order; success is final; only the
owner writes; tokens grow; status and steps agree; status and history agree, with no line missing or written twice; a verb that
was acknowledged is not lost. And at the end, backwards over the whole graph: from every state that was reached, the run can
come to rest without another fault.

What makes it fast enough: each question to the machine is asked once; states that differ only in what makes no difference are
one (numbers of processes and tokens, dead processes, names of interchangeable steps); and a turn of an engine (decide, commit,
launch) is one action, because between commit and launch nothing can happen that could not happen right after the launch. One
family below takes the turn apart all the same.

What the model takes for granted: a process that is known to be dead has no living attempt, and an attempt whose end was told
has ended. How engines come by that knowledge, and the assumption it rests on with threads on several hosts, is told in
`engine/_neighbours.py`. It leaves out gates, transactional steps, conditions, optional steps, `skip` and `resolve`, limits and
changed plans; a machine is made anew from the records for every question (`tests/properties` compares it with one that lived on).

Steps are called {", ".join(NAMES)}; `c(a,b)` needs a and b.

## What was searched

Each line: all shapes of plans with so many steps. Seconds of one core.
"""
_MUTATIONS = """## Rules, broken on purpose

Each of these was broken alone, in the model or in the machine, and searched on the smallest shape that shows it. With the rule
kept, the same search finds nothing. The last column is the length of the shortest way to where a promise breaks, or to where
the run is stuck for ever.
"""
