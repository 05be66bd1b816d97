"""Conditions that a caller puts on a call: only if nothing changed, only if something did."""

from __future__ import annotations

from zlib import crc32

from fastapi import Request

from provisioning_core import RunView
from provisioning_http._problems import Refused


def etag(view: RunView, *, is_operator: bool) -> str:
    """Weak: two answers of equal tag mean the same. Operators see more, so they have their own.

    A verb that is recorded for an engine elsewhere leaves the version as it is until that engine takes it up, and changes whether
    the run rests, or what is allowed: that is told, too.
    """
    outlook = crc32(",".join((*view.allowed_actions, str(view.is_resting))).encode())
    return f'W/"{view.id}.{view.version}.{outlook:08x}{".o" if is_operator else ""}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether ``If-None-Match`` names the tag, by weak comparison."""
    given = _listed(request, "if-none-match")
    return "*" in given or tag.removeprefix("W/") in given


def require_match(request: Request, view: RunView | None) -> None:
    """Raise Refused (412) unless the run is the one that ``If-Match`` names; without that header all is well.

    It may name the version (``"7"``) or an ETag that was given with the run; ``*`` means whatever run is there.
    """
    given = _listed(request, "if-match")
    if not given or (view is not None and given & {"*", f'"{view.version}"', *_tags(view)}):
        return
    hint = "Look at the run again, and decide anew."
    known = {} if view is None else {"run_id": view.id, "version": view.version, "state": str(view.status)}
    actions = [] if view is None else list(view.allowed_actions)
    headers = {} if view is None else {"ETag": f'"{view.version}"'}
    raise Refused(
        412,
        "version_mismatch",
        "The run has changed since the caller looked at it." if view is not None else "There is no run.",
        hint=hint,
        headers=headers,
        members={**known, "allowed_actions": actions},
    )


def has_condition(request: Request) -> bool:
    """Whether the call is to be carried out only if the run is as the caller saw it."""
    return "if-match" in request.headers


def _tags(view: RunView) -> set[str]:
    return {etag(view, is_operator=each).removeprefix("W/") for each in (False, True)}


def _listed(request: Request, header: str) -> set[str]:
    """The tags, without their marks of weakness."""
    lines = request.headers.getlist(header)
    return {each.strip().removeprefix("W/") for line in lines for each in line.split(",") if each.strip()}
