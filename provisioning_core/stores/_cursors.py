"""Cursors of run pages: opaque to callers, the number of the last run they have seen."""

from __future__ import annotations

import base64
import binascii
import re

from provisioning_core.errors import InvalidInput

_FORM = re.compile(r"r([0-9]{1,18})")


def cursor_after(number: int) -> str:
    """The cursor of the page that follows the run with this number."""
    return base64.urlsafe_b64encode(f"r{number}".encode()).decode().rstrip("=")


def number_in(cursor: str) -> int:
    """The reverse of :func:`cursor_after`. Raises InvalidInput for anything else."""
    try:
        text = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        text = ""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidInput("This cursor is not one.", code="bad_cursor", hint="Pass `next_cursor` of the page before, unchanged.")
    return int(found[1])
