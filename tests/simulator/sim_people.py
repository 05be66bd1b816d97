"""People and programs that ask for things: clients that ask again when they got no answer, and operators who look first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim_dice import Dice
from sim_plans import Wish
from sim_process import Later
from sim_store import Crashed
from sim_trace import Trace
from sim_weather import Weather

from provisioning_core import Engine, Plan, RunView
from provisioning_core.errors import Conflict, InvalidInput, LeaseLost, NotFound, PlanChanged, ProvisioningError, StoreUnavailable

_REFUSALS = (Conflict, InvalidInput, NotFound, PlanChanged)
_MOST_TRIES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asks for."""

    verb: str
    subject: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.verb} {self.subject}" + (f" ({told})" if told else "")

    def carry_out(self, engine: Engine, actor: str) -> str:
        """Ask this engine; gives the run's id."""
        if self.verb == "start":
            return engine.start("tenant", subject=self.subject, actor=actor, **self.arguments).id
        return getattr(engine, self.verb)(self.subject, actor=actor, **self.arguments).id


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked and answered."""

    actor: str
    wanted: Wanted
    answer: str
    """``ok``, ``refused``, ``no`` (nothing was recorded) or ``unknown``."""
    run_id: str = ""


class People:
    """Everybody. ``doors`` gives the engines that can be asked now."""

    def __init__(self, plan: Plan, doors: Callable[[], Sequence[tuple[str, Engine]]], later: Later, trace: Trace, dice: Dice) -> None:
        self._plan = plan
        self._doors = doors
        self._later = later
        self._trace = trace
        self._dice = dice
        self.asked: list[Asked] = []
        self.is_open = True
        """Whether clients still try again."""

    # asking

    def ask(self, wanted: Wanted, tries: int = _MOST_TRIES) -> Asked | None:
        """Ask any engine; when there is no answer, ask again a little later."""
        doors = self._doors()
        asked = self._ask_at(wanted, *self._dice.one_of(doors)) if doors else None
        if (asked is None or asked.answer in ("no", "unknown")) and tries > 1 and self.is_open:
            self._later(self._dice.between(0.5, 8.0), lambda: self._ask_again(wanted, tries - 1))
        return asked

    def _ask_again(self, wanted: Wanted, tries: int) -> None:
        if self.is_open:
            self.ask(wanted, tries)

    def _ask_at(self, wanted: Wanted, door: str, engine: Engine) -> Asked:
        actor = f"p{len(self.asked) + 1}"
        asked = Asked(actor=actor, wanted=wanted, answer="unknown")
        self._trace.add(actor, f"asks {door}: {wanted}")
        try:
            asked = replace(asked, run_id=wanted.carry_out(engine, actor), answer="ok")
        except _REFUSALS as error:
            asked = replace(asked, answer="refused")
            self._trace.add(actor, f"is refused: {error.code}")
        except StoreUnavailable as error:
            asked = replace(asked, answer="unknown" if error.is_unknown else "no")
            self._trace.add(actor, f"gets no answer ({asked.answer})")
        except (LeaseLost, ProvisioningError) as error:
            asked = replace(asked, answer="no")
            self._trace.add(actor, f"is not served: {error.code}")
        except RuntimeError as error:  # of the on_status hook: a verb's commit is tried again, that of a new run is not
            asked = replace(asked, answer="no" if wanted.verb == "start" else "unknown")
            self._trace.add(actor, f"is not served: {error}")
        except Crashed:
            self._trace.add(actor, "gets no answer: the process died")
        else:
            self._trace.add(actor, f"ok: {self._trace.short(asked.run_id)}")
        self.asked.append(asked)
        return asked

    # clients

    def start(self, subject: str, number: int) -> None:
        arguments: dict[str, Any] = {"input": Wish(number=number)}
        if self._dice.chance(0.5):
            arguments["idempotency_key"] = f"key-{subject}"
        if self._dice.chance(0.2):
            arguments["again"] = True
        self.ask(Wanted(verb="start", subject=subject, arguments=arguments))

    def meddle_on(self, subjects: Sequence[str], weather: Weather) -> None:
        """Now and then somebody wants something."""

        def meddle() -> None:
            if self.is_open:
                self.meddle(subjects, weather.rude)
                self.meddle_on(subjects, weather)

        self._later(self._dice.wait(weather.verb_every), meddle)

    def meddle(self, subjects: Sequence[str], rude: float) -> None:
        """What is allowed, as they see it; or anything."""
        subject = self._dice.one_of(subjects)
        view = self.view(subject)
        if view is None:
            return
        verbs = _ALL_VERBS if self._dice.chance(rude) else view.allowed_actions
        if verbs:
            self.ask(self.a_wish(view, self._dice.one_of(verbs)))

    def view(self, subject: str) -> RunView | None:
        """As anybody sees it; None while nobody can see anything."""
        doors = self._doors()
        if not doors:
            return None
        try:
            return self._dice.one_of(doors)[1].status(subject)
        except (StoreUnavailable, NotFound, Crashed):
            return None

    def a_wish(self, view: RunView, verb: str) -> Wanted:
        """This verb with arguments that could make sense."""
        dice, steps = self._dice, view.steps
        arguments: dict[str, Any] = {}
        match verb:
            case "retry" if dice.chance(0.3):
                arguments["steps"] = [dice.one_of(list(steps))]
            case "retry" if dice.chance(0.2):
                arguments["input"] = Wish(number=dice.whole(0, 255))
            case "cancel":
                arguments["rollback"] = dice.chance(0.5)
            case "rollback":
                arguments["force"] = dice.chance(0.5)
                if dice.chance(0.2):
                    arguments["to"] = dice.one_of(list(steps))
            case "signal":
                arguments["step"] = self._one(view, ("WAITING", "PENDING", "BLOCKED"), gates=True)
            case "skip":
                arguments |= {"step": self._one(view, ("FAILED",)), "output": dice.one_of((None, 7))}
            case "resolve":
                as_ = dice.one_of(("succeeded", "failed", "compensated"))
                arguments |= {"step": self._one(view, ("IN_DOUBT", "COMPENSATION_FAILED")), "as_": as_}
                if as_ == "succeeded":
                    arguments["output"] = 7
        return Wanted(verb="continue_" if verb == "continue" else verb, subject=view.subject, arguments=arguments)

    def _one(self, view: RunView, statuses: tuple[str, ...], *, gates: bool = False) -> str:
        """A step of one of these statuses, if there is one."""
        fitting = [name for name, step in view.steps.items() if step.status in statuses and self._plan.steps[name].is_gate >= gates]
        return self._dice.one_of(fitting or list(view.steps))

    # operators

    def put_right(self, view: RunView) -> None:
        """Do something sensible about a run that rests and is not at a good end."""
        wanted = self._sensible(view)
        if wanted is not None:
            self.ask(wanted, tries=1)

    def _sensible(self, view: RunView) -> Wanted | None:
        allowed = view.allowed_actions
        by_hand = self._by_hand(view)
        if by_hand is not None and (view.status == "WAITING" or self._dice.chance(0.3)):
            return by_hand
        for verb in ("retry", "continue", "rollback") if self._dice.chance(0.6) else ("rollback", "continue", "retry"):
            if verb in allowed:
                arguments = {"force": True} if verb == "rollback" else {}
                return Wanted(verb="continue_" if verb == "continue" else verb, subject=view.subject, arguments=arguments)
        return by_hand

    def _by_hand(self, view: RunView) -> Wanted | None:
        found = {name: step.status.value for name, step in view.steps.items()}
        for name, status in found.items():
            if status == "WAITING" and "signal" in view.allowed_actions:
                return Wanted(verb="signal", subject=view.subject, arguments={"step": name})
            if status == "COMPENSATION_FAILED" and "resolve" in view.allowed_actions:
                return Wanted(verb="resolve", subject=view.subject, arguments={"step": name, "as_": "compensated"})
            if status == "IN_DOUBT" and "resolve" in view.allowed_actions:
                as_ = self._dice.one_of(("succeeded", "failed", "compensated"))
                more = {"output": 7} if as_ == "succeeded" else {}
                return Wanted(verb="resolve", subject=view.subject, arguments={"step": name, "as_": as_, **more})
        return None


_ALL_VERBS = ("retry", "continue", "skip", "resolve", "rollback", "cancel", "pause", "signal", "deprovision", "start")
