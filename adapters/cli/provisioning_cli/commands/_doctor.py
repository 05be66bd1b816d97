"""The command that looks at a set-up before it has to be debugged."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import click

from provisioning_cli._exit import ExitCode, code_of_error
from provisioning_cli._face import Face, FaceCommand, json_option, pass_face
from provisioning_cli._output import print_json, print_lines
from provisioning_cli._text import clean, several
from provisioning_core import Engine, ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provisioning_core.model import Finding

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}
_OF_THE_STORE = ("store", "schema", "file")


@click.command(cls=FaceCommand)
@click.option(
    "--db",
    "url",
    envvar="PROVISIONING_DB",
    show_envvar=True,
    metavar="URL",
    help="Look at this database instead of the app's. Keep passwords in the environment.",
)
@click.option("--strict", is_flag=True, help="Warnings count as failures.")
@json_option
@pass_face
def doctor(face: Face, *, url: str | None, strict: bool, as_json: bool) -> NoReturn:
    """Check store, schema, clocks, keys, connections, files, lease and webhooks; say what to do.

    Changes nothing, and can be run while engines work. Exit code 0 when nothing failed, 75 when the store can't be reached or
    written to or its schema does not fit, 2 when the app can't make its engine, else 1.
    """
    findings, code = _look(face, url)
    levels = [finding.level for finding in findings]
    if strict and code is ExitCode.DONE and "warn" in levels:
        code = ExitCode.UNEXPECTED
    if as_json:
        print_json({"ok": code is ExitCode.DONE, "checks": [asdict(finding) for finding in findings]})
    else:
        print_lines(_lines(findings))
    raise click.exceptions.Exit(code)


def _look(face: Face, url: str | None) -> tuple[Sequence[Finding], ExitCode]:
    try:
        engine = face.opener(False) if url is None else _engine_at(url)  # noqa: FBT003 - the opener's one argument
    except ProvisioningError as error:
        return [_of_the_app(error)], ExitCode.USAGE if (code := code_of_error(error)) is ExitCode.UNEXPECTED else code
    try:
        findings = engine.diagnose()
    finally:
        engine.close()
    return findings, _code(findings)


def _engine_at(url: str) -> Engine:
    from provisioning_core.stores import SqlStore  # SQLAlchemy takes a while to load; other commands do without

    return Engine(store=SqlStore(url), plans=[], work=False)


def _of_the_app(error: ProvisioningError) -> Finding:
    from provisioning_core.model import Finding

    return Finding(check="app", level="fail", said=f"The engine can't be made: {error.message}", hint=error.hint)


def _code(findings: Iterable[Finding]) -> ExitCode:
    failed = [finding.check for finding in findings if finding.level == "fail"]
    if not failed:
        return ExitCode.DONE
    return ExitCode.STORE_UNAVAILABLE if any(check in _OF_THE_STORE for check in failed) else ExitCode.UNEXPECTED


def _lines(findings: Sequence[Finding]) -> list[str]:
    width = max(len(finding.check) for finding in findings) if findings else 0
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.level]} {finding.level:<4}  {finding.check:<{width}}  {clean(finding.said)}")
        if finding.hint:
            lines.append(f"{'':<{width + 10}}{clean(finding.hint)}")
    failed, warned = (sum(finding.level == level for finding in findings) for level in ("fail", "warn"))
    return [*lines, "", _summary(len(findings), failed, warned)]


def _summary(checks: int, failed: int, warned: int) -> str:
    if failed == warned == 0:
        return f"✓ {several(checks, 'check')}: all is well."
    return f"{'✗' if failed else '!'} {several(checks, 'check')}: {failed} failed, {several(warned, 'warning')}."
