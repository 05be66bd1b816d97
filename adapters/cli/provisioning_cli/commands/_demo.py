"""``demo``: one tenant that stumbles and is provisioned, one that fails and is undone; in memory, without an app. Or on a page."""

from __future__ import annotations

import click

from provisioning_cli._face import FaceCommand, json_option
from provisioning_cli._output import print_json, print_lines, tell
from provisioning_cli._render import error_lines, status_head
from provisioning_cli._watch import watch, watcher
from provisioning_cli.commands._demo_page import serve_demo
from provisioning_cli.commands._demo_plan import FAILS, STUMBLES, Tenant, demo_plan
from provisioning_core import Engine, RunView
from provisioning_core.stores import MemoryStore

_PAUSE = 0.35
_PAUSE_ON_PAGE = 1.6
_FAST = 0.02

_STORIES = {
    STUMBLES: f"First {STUMBLES}: its certificate fails once and is tried again.",
    FAILS: f"Then {FAILS}: its card is declined for good, so everything done for it is undone, in reverse order.",
}


@click.command(cls=FaceCommand)
@click.option("--fast", is_flag=True, help="Hurry: a second in all.")
@click.option("--web", is_flag=True, help="On the status page, in a browser, with more tenants and with buttons; until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), help="With --web: the port on 127.0.0.1; else 8000, or a free one.")
@click.option("--no-browser", is_flag=True, help="With --web: only print the page's address.")
@json_option
def demo(*, fast: bool, web: bool, port: int | None, no_browser: bool, as_json: bool) -> None:
    """See two tenants provisioned; needs nothing."""
    if web:
        serve_demo(_FAST if fast else _PAUSE_ON_PAGE, port=port, opens_browser=not no_browser, as_json=as_json)
    else:
        _tell_stories(_FAST if fast else _PAUSE, as_json=as_json)


def _tell_stories(pause: float, *, as_json: bool) -> None:
    views = []
    with Engine(store=MemoryStore(), plans=[demo_plan(pause)], poll=0.05) as engine:
        for subject, story in _STORIES.items():
            if not as_json:
                tell(["", story, ""])
            views.append(_shown(engine, subject, as_json=as_json))
    if as_json:
        print_json({"runs": [view.to_dict() for view in views]})
    else:
        tell(["", "All of this was in memory. Your own plans: provision --app MODULE:ATTRIBUTE plans"])


def _shown(engine: Engine, subject: str, *, as_json: bool) -> RunView:
    run = engine.start("tenant", subject=subject, input=Tenant(name=subject), actor="demo")
    with watcher(silent=as_json) as shown_by:
        view = watch(engine, run, shown_by)
    if not as_json:
        print_lines([*status_head(view), *error_lines(view)])
    return view
