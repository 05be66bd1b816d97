"""No page breaks a rule of WCAG 2.2 AA that a program can find, light or dark, wide or narrow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from tests.ui.browsers import ARGUMENTS, browser_path, serving
from tests.ui.ui_browsing import Window
from tests.ui.ui_product import Product, app_of

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1240, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1240, "height": 800}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 320, "height": 640}},
}


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """Runs in every state that looks different."""
    made = Product()
    made.start("workspace", "failed")
    made.start("gated", "waiting")
    made.start("held", "doubtful")
    made.start("slow", "running")
    made.start("workspace", "back")
    made.engine.rollback("back").wait(timeout=10)
    made.undo_mended.clear()
    made.start("workspace", "stuck")
    made.engine.rollback("stuck").wait(timeout=10)
    made.start("large", "large")
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)


@pytest.fixture(scope="module")
def address(product: Product) -> Iterator[str]:
    with serving(app_of(product)) as found:
        yield found


def paths(product: Product, look: str) -> list[str]:
    """Every kind of page once; in the other looks those that have everything in them."""
    run = {each.subject: f"/runs/{each.id}" for each in product.engine.runs()}
    if look != "light":
        return ["", "/plans/workspace", "/tenants/x/start?plan=workspace", f"{run['failed']}?step=database", f"{run['back']}/retry"]
    pages = ["", "/plans/workspace", "/start", "/tenants/none", "/tenants/x/start?plan=workspace", "/runs/none", run["large"]]
    pages += [f"{run['failed']}?step=database&history=all", run["waiting"], run["running"], f"{run['stuck']}?step=database"]
    return [*pages, f"{run['failed']}/rollback", f"{run['doubtful']}/resolve", f"{run['running']}/cancel", f"{run['waiting']}/skip"]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(product: Product, browser: Browser, address: str, look: str) -> None:
    context = browser.new_context(bypass_csp=True, reduced_motion="reduce", **LOOKS[look])
    window = Window(context, address, "root")
    axe = Axe()
    found = {}
    for path in paths(product, look):
        page = window.open(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        results = axe.run(page, options={"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]})
        for each in results.response["violations"]:
            found[path, each["id"]] = [node["html"][:160] for node in each["nodes"][:3]]
    context.close()

    assert found == {}
