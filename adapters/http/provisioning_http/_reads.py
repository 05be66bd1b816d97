"""What can be read of one tenant and of one run."""

from __future__ import annotations

from fastapi import Response

from provisioning_core import RunView
from provisioning_http._call import Allowed, Call, answer, etag, text
from provisioning_http._problems import Refused, not_here
from provisioning_http._rendering import events_body, graph_body
from provisioning_http._requests import After, AfterEvent, AskedFormat, EventLimit, Wait, wants_json

MEDIA_TYPES = {"mermaid": "text/plain", "dot": "text/vnd.graphviz", "svg": "image/svg+xml", "text": "text/plain"}
NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""Pictures are opened in browsers, and names in them are other people's."""


async def status(call: Allowed, wait: Wait = 0.0, after: After = None) -> Response:
    """Where the tenant's provisioning stands.

    With `If-None-Match`, 304 while nothing has changed. With `wait`, the answer comes when the version is more than `after`, or
    when the time is up.
    """
    view = await call.asks(lambda: call.engine.status(call.tenant_id))
    is_operator = await call.is_operator()
    known = call.request.headers.get("if-none-match", "")
    if wait > 0 and (not known or _matches(known, etag(view, is_operator=is_operator))):
        view = await _changed(call, view, after, wait)
    return _unless_known(call, view, is_operator=is_operator)


async def _changed(call: Call, view: RunView, after: int | None, wait: float) -> RunView:
    known = view.version if after is None else after
    if view.version > known:
        return view
    changed = await call.face.polls.wait_change(call.tenant_id, after=known, seconds=wait)
    return view if changed is None else changed


def _unless_known(call: Call, view: RunView, *, is_operator: bool) -> Response:
    tag = etag(view, is_operator=is_operator)
    if _matches(call.request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-store"})
    return call.shows(view, is_operator=is_operator)


def _matches(known: str, tag: str) -> bool:
    """Weak comparison, as If-None-Match has it."""
    given = {each.strip().removeprefix("W/") for each in known.split(",")}
    return "*" in given or tag.removeprefix("W/") in given


async def run_status(call: Allowed) -> Response:
    """Where one run stands, be it the tenant's latest or not."""
    if call.view is None:
        raise not_here()
    return _unless_known(call, call.view, is_operator=await call.is_operator())


async def events(call: Allowed, after: AfterEvent = 0, limit: EventLimit = 100) -> Response:
    """The run's history, a page at a time; ask again with `after=next_after`."""
    if not wants_json(call.request):
        raise Refused(406, "not_acceptable", "Only application/json can be had here.", hint="Ask with `Accept: application/json`.")
    page = await call.asks(lambda: call.engine.events_page(call.tenant_id, after=after, limit=limit))
    return answer(events_body(page, after, is_operator=await call.is_operator()))


async def graph(call: Allowed, form: AskedFormat = "json") -> Response:
    """The run's graph with the steps' statuses."""
    if form == "json":
        return answer(graph_body(await call.asks(lambda: call.engine.status(call.tenant_id))))
    drawing = await call.asks(lambda: call.engine.drawing(call.tenant_id, format=form))
    return text(drawing, MEDIA_TYPES[form], headers=NO_SCRIPTS)
