"""The main job before your eyes: one tenant is provisioned, another one fails and is rolled back, and all of it is checked."""

from __future__ import annotations

import re
import time

from examples.workspaces import faults, services
from examples.workspaces.backend import workspace_for
from examples.workspaces.leftovers import leftovers, tenant_state
from examples.workspaces.plan import workspace_or_nothing
from examples.workspaces.settings import DOMAIN, Settings
from examples.workspaces.systems import vhosts
from examples.workspaces.systems.certificates import trust_file
from examples.workspaces.watch import follow, say
from provisioning_core import Engine, NotFound, RunStatus, RunView

UNDO_WITH_ROLLBACK = {RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.WAITING, RunStatus.PAUSED}


def demo(engine: Engine, settings: Settings) -> bool:
    """Whether everything came out as it should."""
    began = time.monotonic()
    ports = services.find(settings)
    say(f"Everything is kept in {settings.root}")
    say(f"Services on 127.0.0.1: billing {ports.billing}, mail {ports.smtp}, web {ports.https}\n")
    checks = {**_acme(engine, settings), **_globex(engine, settings)}
    say("\nSummary")
    for what, is_true in checks.items():
        say(f"  {'✓' if is_true else '✗'} {what}")
    is_good = all(checks.values())
    say(f"\n{'All of it is true' if is_good else 'Something is wrong'}; it took {time.monotonic() - began:.1f} s.")
    return is_good


def _acme(engine: Engine, settings: Settings) -> dict[str, bool]:
    say("1. acme signs up. Billing fails once, so a retry can be seen.")
    view = provision(engine, settings, "acme", {"billing": 1})
    page = _show_site(settings, "acme") if view.status is RunStatus.SUCCEEDED else ""
    return {
        "acme is provisioned": view.status is RunStatus.SUCCEEDED,
        "acme is ACTIVE in the backend's own table": tenant_state(settings, "acme") == "ACTIVE",
        "acme's site answers over HTTPS, its certificate checked": "Acme is ready" in page,
    }


def _globex(engine: Engine, settings: Settings) -> dict[str, bool]:
    say("\n2. globex signs up. Its last step fails for good, so everything before it is undone.")
    view = provision(engine, settings, "globex", {"mail": faults.FOR_EVER})
    for error in view.errors:
        say(f"  why: {error.step}: {error.detail or error.message}")
    left = leftovers(settings, "globex")
    say(f"  left of globex: {', '.join(left) or 'nothing'}")
    return {
        "globex is rolled back": view.status is RunStatus.ROLLED_BACK,
        "globex is FAILED in the backend's own table": tenant_state(settings, "globex") == "FAILED",
        "nothing is left of globex": not left,
        "acme is untouched": tenant_state(settings, "acme") == "ACTIVE",
    }


def provision(engine: Engine, settings: Settings, slug: str, injected: dict[str, int]) -> RunView:
    """Provision the tenant from nothing, with these faults, and print what happens."""
    faults.inject(settings, {})
    _clear(engine, slug)
    faults.inject(settings, injected)
    try:
        return follow(engine, engine.start(workspace_or_nothing.name, subject=slug, input=workspace_for(slug), actor="demo"))
    finally:
        faults.inject(settings, {})


def _clear(engine: Engine, slug: str) -> None:
    """Undo what an earlier demo made of this tenant."""
    try:
        view = engine.run(slug).wait(timeout=60)
    except NotFound:
        return
    if view.status is RunStatus.SUCCEEDED:
        say(f"  {slug} is there from an earlier demo: it is deprovisioned first")
        engine.deprovision(slug, actor="demo").wait(timeout=60)
    elif view.status in UNDO_WITH_ROLLBACK:
        say(f"  {slug} is half there from an earlier run: it is rolled back first")
        engine.rollback(slug, actor="demo").wait(timeout=60)


def _show_site(settings: Settings, slug: str) -> str:
    host, port = f"{slug}.{DOMAIN}", services.find(settings).https
    page = vhosts.visit(settings, host)
    say(f"\n  https://{host}:{port}/ says:")
    for line in re.sub(r"<title>.*?</title>|<[^>]+>", "", page).split("\n"):
        say(f"    {line}" if line.strip() else "")
    say(
        f"  see it yourself while this runs: curl --cacert {trust_file(settings)} --resolve {host}:{port}:127.0.0.1 https://{host}:{port}/"
    )
    return page
