"""Buttons in two steps: a page that says what the verb will do and asks why, and the form that it sends, which does it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from provisioning_core import Conflict, Engine, InvalidInput, PlanChanged, Run, RunView
from provisioning_http._call import Allowed, Call, Signature
from provisioning_http._csrf import posted_form
from provisioning_http._masking import sent_texts, without
from provisioning_http._problems import Refused, not_here
from provisioning_http._reading import parse_json
from provisioning_http.ui._effects import VERBS, Effect, effect_of
from provisioning_http.ui._pages import page, redirect
from provisioning_http.ui._paths import Paths
from provisioning_http.ui._run_page import Shown

_LONGEST_REASON = 1000
_AS = ("succeeded", "failed", "compensated")
Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the page shows: the effect as it is now, what was filled in, and what was wrong with it."""

    view: RunView
    effect: Effect
    fields: Fields
    fault: str = ""
    hint: str = ""


async def act_page(call: Allowed, verb: str, step: Shown = None) -> Response:
    """What this verb would do now."""
    ask = await call.asks(lambda: _ask(call, verb, {"step": step or ""}))
    return await _page(call, ask)


async def act(call: Allowed, verb: str) -> Response:
    """Do it, if it still is what was shown; then back to the run."""
    fields = await posted_form(call.request)
    call.request.state.provisioning_sent = [fields.get("value")]
    ask = await call.asks(lambda: _ask(call, verb, fields))
    if fields.get("seen") != seen(ask):
        return await _page(call, ask, fault="It has changed meanwhile. This is what would be done now.", status=409)
    fault = _fault(ask, fields)
    if fault:
        return await _page(call, ask, fault=fault, status=422)
    try:
        await call.asks(lambda: _do(call, verb, fields))
    except (Conflict, PlanChanged) as error:
        return await _page(call, ask, fault=error.message, hint=error.hint, status=409)
    except (InvalidInput, Refused) as error:
        return await _page(call, ask, fault=_told(error, fields), status=422)
    return redirect(Paths(call.links.root).run(ask.view.id))


def _ask(call: Call, verb: str, fields: Fields) -> Ask:
    if call.view is None or verb not in VERBS:
        raise not_here()
    graph = call.engine.graph(run_id=call.view.id)
    return Ask(view=call.view, effect=effect_of(verb, call.view, graph, fields.get("step") or None), fields=fields)


def seen(ask: Ask) -> str:
    """Stands for what is shown: a form is taken only while it would do the same. While a run moves, where its steps stand does not
    count: nobody could ever say yes.
    """
    steps = None if ask.view.status.moves else (ask.effect.undoing, ask.effect.touches)
    shown = (ask.view.status, ask.effect.verb in ask.view.allowed_actions, steps)
    return hashlib.sha256(repr(shown).encode("utf-8", "surrogatepass")).hexdigest()[:24]


async def _page(call: Call, ask: Ask, *, fault: str = "", hint: str = "", status: int = 200) -> Response:
    is_allowed = ask.effect.verb in ask.view.allowed_actions
    may_list = await call.face.doorkeeper.would_admit(call.request, None, "admin")
    return page(
        call,
        "act.html",
        status=status if is_allowed else 409,
        is_fleet=may_list,
        run=ask.view,
        effect=ask.effect,
        fields=ask.fields,
        seen=seen(ask),
        fault=fault,
        hint=hint,
        is_allowed=is_allowed,
        longest_reason=_LONGEST_REASON,
    )


def _fault(ask: Ask, fields: Fields) -> str:
    """What is to be filled in better; empty when all is well."""
    if ask.effect.verb not in ask.view.allowed_actions:
        return "This can't be done now."
    if not fields.get("reason", "").strip():
        return "Say why: the reason is kept in the history."
    if len(fields["reason"]) > _LONGEST_REASON:
        return f"The reason is longer than {_LONGEST_REASON} signs."
    if ask.effect.asks_for_name and fields.get("name", "").strip() != ask.view.subject:
        return "Type the tenant's name exactly as it is written, to say that you mean this one."
    if ask.effect.steps and fields.get("step") not in ask.effect.steps:
        return "Choose a step."
    return ""


def _told(error: InvalidInput | Refused, fields: Fields) -> str:
    """The fault, without a word of the value that was sent."""
    if isinstance(error, Refused):
        return f"{error.problem.detail} {error.problem.hint}".strip()
    faults = "; ".join(f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg', '')}" for each in error.errors)
    told = f"{error.message} {faults}".strip()
    return without(sent_texts(_value_or_text(fields.get("value", ""))), told)


def _value_or_text(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except Refused:
        return text


def _do(call: Call, verb: str, fields: Fields) -> Run:
    reason = fields.get("reason", "").strip()
    return _DO[verb](call.engine, call.view.id if call.view else "", fields, {"actor": call.actor, "reason": reason})


def _value(fields: Fields) -> Any:
    """The JSON value in the form; None when nothing was filled in."""
    text = fields.get("value", "").strip()
    return parse_json(text.encode()) if text else None


def _resolve(engine: Engine, run_id: str, fields: Fields, by: Signature) -> Run:
    as_ = fields.get("as", "")
    if as_ not in _AS:
        raise InvalidInput("Choose how it stands with the step.", code="invalid_request", errors=[])
    return engine.resolve(None, fields["step"], as_=as_, output=_value(fields), run_id=run_id, **by)


_DO: Mapping[str, Callable[[Engine, str, Fields, Signature], Run]] = {
    "retry": lambda engine, run_id, fields, by: engine.retry(run_id=run_id, input=_value(fields), **by),
    "continue": lambda engine, run_id, _, by: engine.continue_(run_id=run_id, **by),
    "pause": lambda engine, run_id, _, by: engine.pause(run_id=run_id, **by),
    "cancel": lambda engine, run_id, fields, by: engine.cancel(rollback=fields.get("then") == "rollback", run_id=run_id, **by),
    "rollback": lambda engine, run_id, fields, by: engine.rollback(force=fields.get("force") == "yes", run_id=run_id, **by),
    "deprovision": lambda engine, run_id, _, by: engine.deprovision(run_id=run_id, **by),
    "adopt_plan": lambda engine, run_id, _, by: engine.adopt_plan(run_id=run_id, **by),
    "signal": lambda engine, run_id, fields, by: engine.signal(None, fields["step"], _value(fields), run_id=run_id, **by),
    "skip": lambda engine, run_id, fields, by: engine.skip(None, fields["step"], output=_value(fields), run_id=run_id, **by),
    "resolve": _resolve,
}
