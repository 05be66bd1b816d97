"""The page in a real browser: started from it, watched live, mended and undone; without scripts; by keyboard; on a small screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from provisioning_core import RunStatus
from tests.ui.browsers import ARGUMENTS, browser_path, serving
from tests.ui.ui_browsing import Keyboard, Window
from tests.ui.ui_product import HOSTILE_NAME, Product, app_of

Opens = Callable[..., Window]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)


@pytest.fixture
def opens(product: Product, browser: Browser) -> Iterator[Opens]:
    """``opens("olaf", java_script_enabled=False)``: a window of this person. At the end none of them may have complained."""
    windows: list[Window] = []
    with serving(app_of(product)) as address:

        def make(person: str = "root", **options: Any) -> Window:
            windows.append(Window(browser.new_context(**options), address, person))
            return windows[-1]

        yield make
        for window in windows:
            window.context.close()
        product.open.set()
    assert [complaint for window in windows for complaint in window.complaints] == []


def test_a_tenant_is_started_watched_mended_and_undone_from_the_page(product: Product, opens: Opens) -> None:
    window = opens()
    page = window.open()
    page.get_by_role("link", name="Start a tenant").click()
    page.get_by_role("textbox", name="Tenant").fill("acme")
    page.get_by_label("Plan").select_option("workspace")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Slug").fill("acme")
    page.get_by_role("button", name="Start").click()

    window.sees("It stopped: billing failed: The card was declined.")
    window.waits_for_box("mail", "blocked")
    window.box("billing").click()
    page.locator("#panel").get_by_text("402", exact=True).wait_for()
    assert page.url.endswith("?step=billing#step")

    window.answers("Retry", "new card")
    product.engine.wait("acme", timeout=10)
    window.sees("It stopped: billing failed")
    product.mended.set()
    window.answers("Retry", "a better card")
    window.sees("All of it is done (5 steps)")

    page.locator("#actions").get_by_role("link", name="Roll back").click()
    page.locator(".waves").wait_for()
    assert page.locator(".waves .name").all_inner_texts() == ["billing", "bucket", "database"]
    page.get_by_text("Undo the rest although").click()
    page.get_by_label("Type acme to confirm").fill("acme")
    page.get_by_label("Reason").fill("they left")
    page.get_by_role("button", name="Roll back").click()
    window.sees("Everything that was done has been undone")


def test_a_page_follows_its_run_without_being_loaded_again(product: Product, opens: Opens) -> None:
    product.start("slow")
    window = opens()
    page = window.open("/tenants/acme")
    window.sees("Working on first: creating tables.")
    never = "document.querySelector('main').dataset.every = 1e9"
    page.evaluate(f"document.mark = 1; {never}")
    product.finish.clear()
    product.open.set()
    window.waits_for_box("second", "running")
    assert page.locator('tr[data-key="second"]').is_visible()
    page.evaluate(never)
    product.finish.set()
    window.waits_for_box("second", "succeeded")
    window.sees("All of it is done (2 steps)")

    assert page.evaluate("document.mark") == 1
    page.locator("#said", has_text="acme is provisioned.").wait_for(state="attached")
    assert page.title() == "acme: succeeded · Provisioning"


def test_where_the_stream_is_refused_the_page_asks_again_and_again(product: Product, opens: Opens) -> None:
    product.start("slow")
    window = opens()
    window.page.route(re.compile(r"/events\b"), lambda route: route.fulfill(status=404, body=""))
    window.open("/tenants/acme")
    window.waits_for_box("first", "running")
    product.open.set()
    window.waits_for_box("second", "succeeded")

    assert all("404" in complaint for complaint in window.complaints)
    window.complaints.clear()


def test_a_run_that_was_at_rest_is_followed_when_it_moves_again(product: Product, opens: Opens) -> None:
    product.start("gated")
    window = opens()
    page = window.open("/tenants/acme")
    window.waits_for_box("approval", "waiting")
    page.evaluate("document.querySelector('main').dataset.every = 300")
    product.engine.signal("acme", "approval")
    window.waits_for_box("after", "succeeded")

    assert product.engine.status("acme").status is RunStatus.SUCCEEDED


def test_an_update_takes_neither_focus_nor_what_was_opened_away(product: Product, opens: Opens) -> None:
    product.start("slow")
    window = opens()
    page = window.open("/tenants/acme")
    page.get_by_text("The timeline as a table").click()
    window.box("second").focus()
    page.evaluate("document.focused = document.activeElement")
    product.open.set()
    window.waits_for_box("second", "succeeded")

    assert page.evaluate("document.focused === document.activeElement && document.focused.isConnected")
    assert page.locator("details").first.get_attribute("open") is not None


def test_a_button_in_focus_stays_although_it_is_not_allowed_any_more(product: Product, opens: Opens) -> None:
    product.start("slow")
    window = opens()
    page = window.open("/tenants/acme")
    page.locator("#actions").get_by_role("link", name="Pause").focus()
    product.open.set()
    window.sees("All of it is done (2 steps)")

    assert Keyboard(page).focused() == "Pause"
    page.keyboard.press("Enter")
    window.sees("This can't be done now: the run is succeeded.")
    assert window.complaints == ["Failed to load resource: the server responded with a status of 409 (Conflict)"]
    window.complaints.clear()


def test_all_of_it_works_without_scripts(product: Product, opens: Opens) -> None:
    window = opens(java_script_enabled=False)
    page = window.open("/start")
    page.get_by_role("textbox", name="Tenant").fill("acme")
    page.get_by_label("Plan").select_option("slow")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Start").click()
    assert window.sentence() in (
        "Working on first: creating tables.",
        "It begins as soon as an engine takes it up.",
        "Working on first.",
    )
    product.open.set()
    window.sees("All of it is done (2 steps)")

    window.box("first").click()
    assert page.locator("#panel pre").inner_text() == '"one"'
    window.answers("Deprovision", "they left", name="acme")
    product.engine.wait("acme", timeout=10)
    page.reload()
    assert window.sentence().startswith("Everything that was done has been undone")


def test_all_of_it_works_by_keyboard_alone(product: Product, opens: Opens) -> None:
    product.start("workspace")
    window = opens()
    page = window.open()
    keys = Keyboard(page)
    page.keyboard.press("Tab")
    assert keys.focused() == "Skip to the content"
    keys.tab_to(lambda name: name == "acme")
    keys.enters()
    window.sees("It stopped: billing failed")

    keys.tab_to(lambda name: name == "database: succeeded")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert keys.focused() == "billing: failed"
    assert keys.is_focus_visible()
    keys.enters()
    page.locator("#panel").wait_for()
    assert keys.focused().endswith("billing")

    window.open("/tenants/acme")
    keys.tab_to(lambda name: name == "Roll back")
    keys.enters()
    window.sees("This undoes 3 steps")
    keys.tab_to(lambda name: name.startswith("Reason"))
    keys.types("no card")
    keys.tab_to(lambda name: name == "Roll back")
    keys.enters()
    window.sees("Everything that was done has been undone")


def test_a_screen_of_320_pixels_is_wide_enough(product: Product, opens: Opens) -> None:
    run = product.start("workspace")
    product.start("hostile", HOSTILE_NAME)
    window = opens(viewport={"width": 320, "height": 640})
    paths = ["", "/plans", "/plans/workspace", "/start", "/tenants/x/start?plan=workspace", f"/runs/{run.id}?step=database"]
    paths += [f"/runs/{run.id}/rollback", f"/runs/{product.engine.status(HOSTILE_NAME).id}?step=first"]
    widths = {}
    for path in paths:
        page = window.open(path)
        widths[path] = page.evaluate("document.documentElement.scrollWidth")

    assert widths == dict.fromkeys(paths, 320)


def test_whatever_is_pressed_is_24_pixels_or_more(product: Product, opens: Opens) -> None:
    run = product.start("workspace")
    window = opens()
    found = []
    for path in ("", f"/runs/{run.id}?step=database", f"/runs/{run.id}/rollback", "/plans", "/start"):
        found += window.open(path).evaluate(_SMALL)

    assert found == []


_SMALL = """
[...document.querySelectorAll(
  '.button, button, .chip, nav a, .close, select, input:not([type=hidden]), textarea, a.box, .list th a, .rows a, summary'
)]
  .filter((each) => { const at = each.getBoundingClientRect(); return Math.min(at.width, at.height) < 23.9; })
  .map((each) => each.outerHTML.slice(0, 120))
"""


def test_names_full_of_markup_run_nothing(product: Product, opens: Opens) -> None:
    run = product.start("hostile", HOSTILE_NAME)
    window = opens()
    for path in ("", f"/runs/{run.id}?step=first", f"/runs/{run.id}/rollback", "/plans/hostile"):
        page = window.open(path)
        page.evaluate("new Promise((done) => setTimeout(done, 50))")

    assert page.locator("img").count() == 0


def test_a_run_of_1000_steps_stays_usable(product: Product, opens: Opens) -> None:
    run = product.start("large", "huge")
    window = opens()
    page = window.open(f"/runs/{run.id}")
    assert page.locator("a.box").count() == 20
    page.locator("a.box").nth(3).click()
    page.get_by_text("A group of 50 steps.").wait_for()

    assert page.evaluate("document.querySelectorAll('*').length") < 3500
