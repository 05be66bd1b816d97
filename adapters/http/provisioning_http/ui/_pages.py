"""From a template to an answer. Every page carries the headers that keep it from running, loading or sending anything foreign."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from provisioning_core.model import moment, span
from provisioning_http._call import Call
from provisioning_http._csrf import FIELD, Forms
from provisioning_http._problems import MethodRoute, Problem, problem_of
from provisioning_http.ui._marks import run_mark, step_mark
from provisioning_http.ui._paths import Paths
from provisioning_http.ui._safe import isolated, plain, pretty

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
ASSETS = ("page.css", "page.js", "icon.svg")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("provisioning_http.ui"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(plain=plain, pretty=pretty, moment=moment, clock=_clock, ago=_ago, took=_took, iso=_iso)
    made.globals.update(step_mark=step_mark, run_mark=run_mark, csrf_field=FIELD)
    return made


def page(call: Call, name: str, *, status: int = 200, **shown: Any) -> Response:
    """The template as an answer. A form's token, and the cookie that it belongs to, come with it."""
    forms = Forms.of(call.request)
    paths = Paths(call.links.root)
    response = _answer(name, status, paths=paths, now=datetime.now(UTC), csrf_token=forms.token, actor=call.actor, **shown)
    forms.remember(response)
    return response


def sentence_safe(text: object) -> str:
    """For names within sentences."""
    return isolated(text)


def redirect(address: str) -> Response:
    """After a form was taken: the browser gets the page, and a reload does not send the form again."""
    return Response(status_code=303, headers={**HEADERS, "Location": address})


def _answer(name: str, status: int, **shown: Any) -> Response:
    # StrictUndefined stands against forgotten values, so what every page may have is named here.
    known: dict[str, Any] = {"asset_version": _version(), "actor": None, "is_fleet": False, "live": False, "refresh": None}
    text = _environment().get_template(name).render({**known, **shown})
    return Response(text, status_code=status, media_type="text/html; charset=utf-8", headers=dict(HEADERS))


def problem_page(root: str, problem: Problem) -> Response:
    """An error as a page."""
    response = _answer("problem.html", problem.status, paths=Paths(root), now=datetime.now(UTC), problem=problem)
    response.headers.update(problem.headers)
    return response


async def asset(name: str) -> Response:
    """A stylesheet, a script or an icon: nothing of anybody's, so nobody is asked, and browsers may keep it."""
    if name not in ASSETS:
        return Response(status_code=404, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    kept = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(_asset(name), media_type=_KINDS[name.rpartition(".")[2]], headers=kept)


@cache
def _asset(name: str) -> bytes:
    return files("provisioning_http.ui").joinpath("assets", name).read_bytes()


@cache
def _version() -> str:
    """Of all assets: a browser keeps them until one changes."""
    return hashlib.sha256(b"".join(map(_asset, ASSETS))).hexdigest()[:12]


class PageRoute(MethodRoute):
    """A route whose every error is a page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, with its errors turned into pages."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:  # noqa: BLE001 - the border: whatever it is, the person gets a page that leaks nothing
                root = getattr(request.state, "provisioning_root", "")
                return problem_page(root, problem_of(error, getattr(request.state, "provisioning_sent", None)))

        return handle


# filters


def _clock(at: datetime | None) -> str:
    """The time of day, UTC; the day with it unless it is today."""
    if at is None:
        return ""
    told = at.astimezone(UTC)
    return told.strftime("%H:%M:%S" if told.date() == datetime.now(UTC).date() else "%Y-%m-%d %H:%M:%S")


def _ago(at: datetime | None) -> str:
    """How long it is since then, roughly."""
    if at is None:
        return ""
    seconds = (datetime.now(UTC) - at).total_seconds()
    return "just now" if seconds < 5 else f"{_roughly(seconds)} ago"


def _roughly(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _took(began: datetime | None, ended: datetime | None = None) -> str:
    """How long it took, or takes until now."""
    if began is None:
        return ""
    return span(((ended or datetime.now(UTC)) - began).total_seconds())


def _iso(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
