"""Takes the pictures of the status page that the docs show: docs/img/page-*.png.

Needs a Chromium, on the PATH or named in PROVISIONING_TEST_BROWSER.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Page, sync_playwright
from provisioning_http import create_router
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[1]))

from provisioning_core import Engine, Plan, Retry, StepContext, StepError, gate, step
from provisioning_core.stores import MemoryStore
from tests.ui.browsers import ARGUMENTS, VARIABLE, browser_path, serving

_IMAGES = Path(__file__).parents[1] / "docs" / "img"
_PACE = 0.6
"""Seconds that a step takes, times its own weight."""


class Workspace(BaseModel):
    slug: str
    company: str = ""


class Story:
    """A small product whose steps take a while; the one that charges money declines until it is told otherwise."""

    def __init__(self) -> None:
        self.has_money = threading.Event()
        self.goes_on = threading.Event()
        self.engine = Engine(store=MemoryStore(), plans=[self._plan()], poll=0.05)

    def _plan(self) -> Plan:
        name = self._step("name", weight=0.5, told="Keep the name for the tenant")
        database = self._step("database", name, weight=2.5, told="A database and a role of its own", goes=_records("database"))
        bucket = self._step("bucket", name, weight=1.5, told="A bucket for its files", goes=_records("bucket"))
        dns = self._step("dns_record", name, weight=1.0, told="Point its host name at us", goes=_records("record"))
        certificate = self._step("certificate", dns, weight=1.5, told="Order its certificate", goes=_stumbles)
        seed = self._step("seed_data", database, weight=1.5, told="What everybody starts with")
        analytics = self._step("analytics", bucket, weight=0.8, told="Count visits", optional=True)
        approval = gate("approval", needs=[seed, certificate], description="Somebody looks at it and says yes")
        billing = self._step("billing", approval, bucket, weight=1.2, told="Open its account", goes=self._charges)
        mail = self._step("welcome_mail", billing, weight=0.6, told="Say welcome", undoable=False)
        steps = [name, database, bucket, dns, certificate, seed, analytics, approval, billing, mail]
        return Plan("workspace", version="3", input=Workspace, steps=steps, description="Bring a tenant on board")

    def _step(self, name: str, *needs: Any, weight: float, told: str, goes: Any = None, undoable: bool = True, **more: Any) -> Any:
        def work(ctx: StepContext) -> None:
            self._works(ctx, weight)
            if goes is not None:
                goes(ctx)

        made = step(name=name, needs=needs, retry=Retry(attempts=4, initial=1.5, jitter=0.0), description=told, **more)(work)

        def undo(ctx: StepContext) -> None:
            self._works(ctx, weight / 2)

        if undoable:
            made.compensate(undo)
        return made

    def _works(self, ctx: StepContext, weight: float) -> None:
        if ctx.subject == "umbrella" and ctx.step == "seed_data":
            ctx.progress(0.4, "reading templates")
            self.goes_on.wait()
        self.goes_on.wait(_PACE * weight)

    def _charges(self, ctx: StepContext) -> None:
        if ctx.subject == "globex" and not self.has_money.is_set():
            raise StepError("402 from the provider", code="card_declined", user_message="The card was declined.", retryable=False)


def _records(kind: str) -> Callable[[StepContext], None]:
    def record(ctx: StepContext) -> None:
        ctx.record(kind, f"{ctx.subject}-{kind}", region="eu-central-1")

    return record


def _stumbles(ctx: StepContext) -> None:
    if ctx.attempt == 1:
        raise StepError("NXDOMAIN", code="dns_not_ready", user_message="The name server does not know the record yet.")


def _start(story: Story, subject: str) -> None:
    story.engine.start("workspace", subject=subject, input=Workspace(slug=subject, company=subject.title()), actor="signup")


def _finished(story: Story, subject: str) -> None:
    """One that has been there for long."""
    _start(story, subject)
    story.engine.signal(subject, "approval", actor="olaf", reason="known customer")


class Camera:
    """Takes a picture when the page shows what it is to show."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self._address = f"{address}/provisioning/ui"

    def open(self, path: str, wait_for: str) -> Page:
        self.page.goto(self._address + path)
        self.page.locator(wait_for).first.wait_for(timeout=60_000)
        return self.page

    def take(self, name: str, *, height: int | None = None) -> None:
        """The whole page, or as much as ``height`` pixels of it."""
        size = self.page.viewport_size or {"width": 1160, "height": 800}
        if height is not None:
            self.page.set_viewport_size({"width": size["width"], "height": height})
        path = _IMAGES / f"page-{name}.png"
        self.page.screenshot(path=path, full_page=height is None, animations="disabled")
        self.page.set_viewport_size(size)
        sys.stdout.write(f"{path.relative_to(_IMAGES.parents[1])} {path.stat().st_size // 1024} kB\n")


def main() -> int:
    browser = browser_path()
    if browser is None:
        sys.stderr.write(f"There is no Chromium and playwright to take pictures with; name one in {VARIABLE}.\n")
        return 1
    _IMAGES.mkdir(parents=True, exist_ok=True)
    story = Story()
    app = FastAPI()
    app.include_router(create_router(story.engine, authorize=lambda *_: "olaf"))
    with story.engine, serving(app) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        context = chromium.new_context(viewport={"width": 1160, "height": 860}, reduced_motion="reduce")
        _shoot(story, Camera(context, address))
        context.close()
        story.goes_on.set()
    return 0


def _shoot(story: Story, camera: Camera) -> None:
    for subject in ("initech", "hooli", "globex"):
        _finished(story, subject)
    for subject in ("umbrella", "acme"):
        _start(story, subject)
    page = camera.open("/tenants/acme", '.box[aria-label="certificate: retrying"]')
    page.locator('.box[aria-label="bucket: succeeded"]').wait_for()
    camera.take("run", height=900)
    page.emulate_media(color_scheme="dark")
    camera.take("run-dark", height=900)
    page.emulate_media(color_scheme="light")
    camera.open("/tenants/acme", '.box[aria-label="approval: waiting"]')
    camera.open("/tenants/globex", '.box[aria-label="billing: failed"]')
    camera.open("/tenants/globex?step=billing", "#panel")
    camera.take("failed", height=1010)
    camera.open("", ".pill.bad")
    camera.take("list", height=500)
    page.goto(page.url)
    camera.open("/tenants/globex", "#actions")
    page.locator("#actions").get_by_role("link", name="Roll back").click()
    page.get_by_label("Reason").fill("They will come back with another card.")
    camera.take("rollback", height=640)
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text("Everything that was done has been undone").wait_for(timeout=60_000)
    camera.page.locator("#timeline").scroll_into_view_if_needed()
    section = page.locator("section", has=page.locator("#timeline"))
    section.screenshot(path=_IMAGES / "page-timeline.png", animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
