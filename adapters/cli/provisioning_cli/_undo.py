"""What a rollback would do, as lines for a terminal."""

from __future__ import annotations

from provisioning_cli._text import listed, several
from provisioning_core.model import Undoing


def undo_lines(found: Undoing) -> list[str]:
    """In words, one line per wave."""
    if not found.waves:
        return ["No step left anything to undo."]
    waves = [f"  {number}. {_together(wave)}" for number, wave in enumerate(found.waves, 1)]
    return [f"This undoes {several(found.count, 'step')}, in this order:", *waves, *_remarks(found)]


def _together(wave: tuple[str, ...]) -> str:
    names = listed(wave)
    return names if len(wave) == 1 else f"{names} (at the same time)"


_CROSSING = "Without --force a rollback that crosses them is refused; deprovision goes past them and leaves what they did."


def _remarks(found: Undoing) -> list[str]:
    remarks = []
    if found.without_compensation:
        remarks.append(f"  Nothing to undo: {listed(found.without_compensation)}.")
    if found.irreversible:
        remarks.append(f"  Can't be undone: {listed(found.irreversible)}. {_CROSSING}")
    return remarks
