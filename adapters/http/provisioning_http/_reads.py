"""What can be read of one tenant and of one run."""

from __future__ import annotations

from typing import Literal

from fastapi import Response

from provisioning_core import RunView
from provisioning_http._accepting import wants_json, wants_stream, wants_svg
from provisioning_http._answers import TicketAnswer
from provisioning_http._call import Allowed, Call, answer, text
from provisioning_http._headers import SAFE
from provisioning_http._matching import etag, is_known
from provisioning_http._problems import Refused, not_here
from provisioning_http._rendering import events_body, graph_body, timeline_body
from provisioning_http._requests import (
    After,
    AfterEvent,
    AskedFormat,
    AskedTicket,
    AskedTimelineFormat,
    EventLimit,
    LastEventId,
    QueryRunId,
    Wait,
    is_name,
)
from provisioning_http._streams import open_stream
from provisioning_http._tickets import SECONDS

MEDIA_TYPES = {"mermaid": "text/plain", "dot": "text/vnd.graphviz", "svg": "image/svg+xml", "text": "text/plain"}
NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""Pictures are opened in browsers, and names in them are other people's."""
BY_ACCEPT = {"Vary": "Accept"}


async def status(call: Allowed, wait: Wait = 0.0, after: After = None) -> Response:
    """Where the tenant's provisioning stands.

    With `If-None-Match`, 304 while nothing has changed. With `wait`, the answer comes when the version is another than
    `after`, or when the time is up.
    """
    view = await call.asks(lambda: call.engine.status(call.tenant_id))
    is_operator = await call.is_operator()
    is_first = "if-none-match" not in call.request.headers
    if wait > 0 and (is_first or is_known(call.request, etag(view, is_operator=is_operator))):
        view = await _changed(call, view, after, wait)
    return _unless_known(call, view, is_operator=is_operator)


async def _changed(call: Call, view: RunView, after: int | None, wait: float) -> RunView:
    known = view.version if after is None else after
    if view.version != known:  # less is another run's
        return view
    return await call.face.polls.wait_change(view, after=known, seconds=wait)


def _unless_known(call: Call, view: RunView, *, is_operator: bool) -> Response:
    tag = etag(view, is_operator=is_operator)
    if is_known(call.request, tag):
        return Response(status_code=304, headers={**SAFE, "ETag": tag})
    return call.shows(view, is_operator=is_operator)


async def run_status(call: Allowed) -> Response:
    """Where one run stands, be it the tenant's latest or not."""
    if call.view is None:
        raise not_here()
    return _unless_known(call, call.view, is_operator=await call.is_operator())


async def events(
    call: Allowed,
    after: AfterEvent = 0,
    limit: EventLimit = 100,
    run_id: QueryRunId = None,
    last_event_id: LastEventId = None,
) -> Response:
    """The run's history: a page at a time, or, with `Accept: text/event-stream`, live.

    Pages: ask again with `after=next_after`. The stream follows the tenant's latest run, or `run_id`. It begins with an event
    `snapshot`, whose data is the run's status, or, with `Last-Event-ID`, where that left off; if that can't be, with an event
    `reset`, whose data is the status. History comes as unnamed events, each with an id `<run_id>:<seq>` and the data that it has in
    pages. While steps tell of their progress and nothing else happens, events `progress` come without an id; their data is
    `{version, progress, steps: {name: {progress, message}}}`, of the run and of its current steps. When the run has ended or failed,
    an event `end` brings the last status, and the stream is closed. A comment is sent after 15 seconds of silence.
    Without an `end` the stream goes on at the next connection.
    """
    if wants_stream(call.request):
        last_id = call.request.headers.get("last-event-id", last_event_id)
        return await open_stream(call, await _run_of(call, run_id if call.ticket is None else call.ticket.run_id), last_id)
    if not wants_json(call.request):
        hint = "Ask with `Accept: application/json` or `text/event-stream`."
        raise Refused(406, "not_acceptable", "The history can be had as JSON, and as an event stream.", hint=hint)
    if call.ticket is not None:
        raise Refused(406, "not_acceptable", "A ticket is for a stream.", hint="Ask with `Accept: text/event-stream`.")
    run = await _run_of(call, run_id)
    page = await call.asks(lambda: call.engine.events_page(run_id=run.id, after=after, limit=limit))
    return answer(events_body(page, after, is_operator=await call.is_operator()), headers={"Vary": "Accept"})


async def _run_of(call: Call, run_id: str | None) -> RunView:
    """This tenant's run. Raises NotFound for another's as for one that does not exist."""
    if run_id is None:
        return await call.asks(lambda: call.engine.status(call.tenant_id))
    if not is_name(run_id):
        raise not_here()
    view = await call.asks(lambda: call.engine.status(run_id=run_id))
    if view.subject != call.tenant_id:
        raise not_here()
    return view


async def ticket(call: Allowed, body: AskedTicket) -> Response:
    """A ticket for a stream, for browsers: `new EventSource(url)` can't send credentials in a header.

    It is good once, for 30 seconds, for this run and with the rights of whoever asked for it. Of several processes, only the one
    that gave it knows it.
    """
    run = await _run_of(call, body.run_id)
    text_ = call.face.tickets.give(
        tenant_id=call.tenant_id,
        run_id=run.id,
        principal=call.principal,
        actor=call.actor,
        is_operator=await call.is_operator(),
    )
    url = f"{call.links.events(call.tenant_id)}?ticket={text_}"
    return answer(TicketAnswer(ticket=text_, run_id=run.id, expires_in=SECONDS, url=url), status=201)


async def graph(call: Allowed, form: AskedFormat = None) -> Response:
    """The run's graph with the steps' statuses."""
    wanted = form or form_by_accept(call)
    if wanted == "json":
        body = graph_body(await call.asks(lambda: call.engine.status(call.tenant_id)))
        return answer(body, headers=BY_ACCEPT)
    return picture(await call.asks(lambda: call.engine.drawing(call.tenant_id, format=wanted)), wanted)


async def timeline(call: Allowed, form: AskedTimelineFormat = None, run_id: QueryRunId = None) -> Response:
    """When what happened in the run: a bar for each attempt, each wait and each compensation."""
    run = await _run_of(call, run_id)
    found = await call.asks(lambda: call.engine.timeline(run_id=run.id))
    match form or form_by_accept(call):
        case "json":
            return answer(timeline_body(found), headers=BY_ACCEPT)
        case "svg":
            return picture(await call.asks(found.to_svg), "svg")
        case _:
            return picture(found.to_text(), "text")


def form_by_accept(call: Call) -> Literal["json", "svg"]:
    """What to send to who named no format."""
    return "svg" if wants_svg(call.request) else "json"


def picture(drawing: str, form: str) -> Response:
    """A drawing, which a browser shows without running anything in it."""
    return text(drawing, MEDIA_TYPES[form], headers=NO_SCRIPTS | BY_ACCEPT)
