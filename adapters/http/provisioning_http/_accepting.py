"""What a caller's ``Accept`` header takes, and how gladly."""

from __future__ import annotations

from fastapi import Request

JSON = "application/json"
STREAM = "text/event-stream"
SVG = "image/svg+xml"


def wants_json(request: Request) -> bool:
    """Whether JSON is taken; it is when there is no such header."""
    return quality(request, JSON) > 0


def wants_stream(request: Request) -> bool:
    """Whether an event stream is taken more gladly than JSON; a browser's ``EventSource`` asks for nothing else."""
    return quality(request, STREAM) > quality(request, JSON)


def wants_svg(request: Request) -> bool:
    """Whether a picture is taken more gladly than JSON; a browser's ``<img>`` asks so."""
    return quality(request, SVG) > quality(request, JSON)


def quality(request: Request, kind: str) -> float:
    """How gladly this kind is taken, 0.0 (not at all) to 1.0, by the most specific part of the header that speaks of it."""
    parts = [part for line in request.headers.getlist("accept") for part in line.split(",") if part.strip()]
    if not parts:
        return 1.0
    given = dict(map(_weighed, parts))
    family = kind.partition("/")[0]
    return next((given[name] for name in (kind, f"{family}/*", "*/*") if name in given), 0.0)


def _weighed(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    named = dict(parameter.replace(" ", "").split("=", 1) for parameter in parameters if "=" in parameter)
    return kind, _number(named.get("q", "1"))


def _number(text: str) -> float:
    """What is no number from 0 to 1 counts as 1: a caller who wrote it wanted that kind."""
    try:
        number = float(text)
    except ValueError:
        return 1.0
    return number if 0 <= number <= 1 else 1.0
