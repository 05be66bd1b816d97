"""The commands about webhooks: who is told what, what was sent, and sending again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import click

from provisioning_cli._face import Face, FaceCommand, FaceGroup, json_option, pass_face
from provisioning_cli._output import can_ask, print_grid, print_json, print_lines, tell
from provisioning_cli._text import several
from provisioning_cli._webhook_lines import (
    delivery_grid,
    delivery_lines,
    delivery_values,
    secret_lines,
    webhook_grid,
    webhook_lines,
)
from provisioning_cli._when import moment_of

if TYPE_CHECKING:
    from provisioning_core.observers.webhooks import EndpointView, Webhooks

_EVENTS = "Events to tell of: run.succeeded, run.* or *. Repeat it."


@click.group(cls=FaceGroup)
def webhooks() -> None:
    """Tell other systems what happens to runs."""


@webhooks.command("list", cls=FaceCommand)
@json_option
@pass_face
def list_(face: Face, *, as_json: bool) -> None:
    """All webhooks, oldest first."""
    with _hooks(face) as hooks:
        found = hooks.endpoints()
    if as_json:
        print_json({"items": [view.to_dict() for view in found]})
    elif found:
        print_grid(webhook_grid(found))
    else:
        tell("There are no webhooks. `webhooks add URL` makes one.")


@webhooks.command(cls=FaceCommand)
@click.argument("url")
@click.option("--event", "events", multiple=True, default=("run.*",), show_default=True, help=_EVENTS)
@click.option("--plan", "plans", multiple=True, help="Only runs of this plan. Repeat it.")
@click.option("--description", default="", help="What it is for.")
@json_option
@pass_face
def add(face: Face, url: str, *, events: tuple[str, ...], plans: tuple[str, ...], description: str, as_json: bool) -> None:
    """Send events to URL from now on. Shows the secret, this once."""
    with _hooks(face) as hooks:
        view, secret = hooks.add(url, events=events, plans=plans, description=description)
    _show_with_secret(view, secret, as_json=as_json)


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@json_option
@pass_face
def show(face: Face, webhook: str, *, as_json: bool) -> None:
    """One WEBHOOK, without its secret."""
    with _hooks(face) as hooks:
        view = hooks.endpoint(webhook)
    _show(view, as_json=as_json)


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@click.option("--url", help="Send to this address.")
@click.option("--event", "events", multiple=True, help=_EVENTS)
@click.option("--plan", "plans", multiple=True, help="Only runs of this plan. Repeat it.")
@click.option("--all-plans", is_flag=True, help="Runs of all plans.")
@click.option("--description", help="What it is for.")
@click.option("--enable/--disable", "enabled", default=None, help="Send, or don't. One that is enabled goes on where it stopped.")
@json_option
@pass_face
def update(face: Face, webhook: str, *, as_json: bool, all_plans: bool, **given: Any) -> None:
    """Change what is given of WEBHOOK."""
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    if all_plans and "plans" in changes:
        raise click.UsageError("--all-plans and --plan contradict each other. Give one of them.")
    if all_plans:
        changes["plans"] = ()
    if not changes:
        raise click.UsageError("Nothing is to be changed. Give --url, --event, --plan, --description, --enable or --disable.")
    with _hooks(face) as hooks:
        view = hooks.update(webhook, **changes)
    _show(view, as_json=as_json)


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@click.option("--yes", is_flag=True, help="Don't ask; in a script nobody is asked.")
@json_option
@pass_face
def remove(face: Face, webhook: str, *, yes: bool, as_json: bool) -> None:
    """Send nothing to WEBHOOK any more, and forget what was sent."""
    with _hooks(face) as hooks:
        view = hooks.endpoint(webhook)
        if not (yes or as_json) and can_ask() and not click.confirm(f"Remove {webhook} ({view.url}) with its log?", err=True):
            tell("Nothing was done.")
            raise click.exceptions.Exit(1)
        hooks.remove(webhook)
    if as_json:
        print_json({"removed": webhook})
    else:
        print_lines([f"Removed {webhook}."])


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@click.option(
    "--overlap", type=click.FloatRange(0, 168), default=24.0, show_default=True, metavar="HOURS", help="The old one signs along."
)
@json_option
@pass_face
def rotate(face: Face, webhook: str, *, overlap: float, as_json: bool) -> None:
    """A new secret for WEBHOOK. Shows it, this once."""
    with _hooks(face) as hooks:
        view, secret = hooks.rotate_secret(webhook, overlap=overlap * 3600)
    _show_with_secret(view, secret, as_json=as_json)


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@json_option
@pass_face
def test(face: Face, webhook: str, *, as_json: bool) -> None:
    """Send WEBHOOK a test message now. Exits with 1 when it was not taken."""
    with _hooks(face) as hooks:
        delivery = hooks.test(webhook)
    if as_json:
        print_json(delivery_values(delivery))
    else:
        print_lines(delivery_lines(delivery))
    if delivery.outcome != "delivered":
        raise click.exceptions.Exit(1)


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(["delivered", "failed", "given_up", "gone", "refused"]),
    help="Only what ended like this. Repeat it.",
)
@click.option("--run-id", metavar="ID", help="Only of this run.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Deliveries per page.")
@click.option("--cursor", help="The next page, as the last one told.")
@json_option
@pass_face
def deliveries(face: Face, webhook: str, *, as_json: bool, **where: Any) -> None:
    """What was sent to WEBHOOK, newest first."""
    with _hooks(face) as hooks:
        page = hooks.deliveries(webhook, **where)
    if as_json:
        print_json({"items": [delivery_values(each) for each in page.items], "next_cursor": page.next_cursor})
        return
    if not page.items:
        tell("There are no such deliveries.")
        return
    print_grid(delivery_grid(page.items))
    if page.next_cursor:
        tell(f"There are more: add --cursor {page.next_cursor}")


@webhooks.command(cls=FaceCommand)
@click.argument("webhook")
@click.argument("delivery", type=click.IntRange(1), required=False)
@click.option("--since", metavar="WHEN", help="What was recorded since then: 2d or 12h ago, or a date such as 2026-01-31T08:00.")
@click.option("--until", metavar="WHEN", help="Only what was recorded before.")
@click.option("--run-id", metavar="ID", help="What was recorded of this run.")
@click.option("--all", "everything", is_flag=True, help="What was delivered, too.")
@json_option
@pass_face
def redeliver(
    face: Face,
    webhook: str,
    delivery: int | None,
    *,
    since: str | None,
    until: str | None,
    run_id: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Send WEBHOOK events again, under the ids that they had.

    One DELIVERY by its number; or, with --since or --run-id, all that was not delivered. A worker sends it.
    """
    if delivery is None and since is None and run_id is None:
        raise click.UsageError("Name a DELIVERY by its number, or say --since or --run-id.")
    now = datetime.now(UTC)
    began = None if since is None else moment_of(since, now, "--since").timestamp()
    ended = None if until is None else moment_of(until, now, "--until").timestamp()
    with _hooks(face) as hooks:
        if delivery is not None:
            count = hooks.redeliver(webhook, delivery)
        else:
            count = hooks.redeliver_range(webhook, since=began, until=ended, run_id=run_id, missing_only=not everything)
    if as_json:
        print_json({"runs": count})
    else:
        print_lines([f"Events of {several(count, 'run')} are sent again." if count else "There is nothing to send again."])


@contextmanager
def _hooks(face: Face) -> Iterator[Webhooks]:
    with face.engine() as engine:
        if engine.webhooks is None:
            raise click.UsageError("The app's engine has no webhooks. Give it some: Engine(webhooks=Webhooks()).")
        engine.check()
        yield cast("Webhooks", engine.webhooks)


def _show(view: EndpointView, *, as_json: bool) -> None:
    if as_json:
        print_json(view.to_dict())
    else:
        print_lines(webhook_lines(view))


def _show_with_secret(view: EndpointView, secret: str, *, as_json: bool) -> None:
    if as_json:
        print_json(view.to_dict() | {"secret": secret})
    else:
        print_lines([*webhook_lines(view), *secret_lines(secret)])
