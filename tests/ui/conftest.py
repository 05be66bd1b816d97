"""A product and people who look at its pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.ui.browsers import VARIABLE, browser_path
from tests.ui.ui_product import Product, app_of

collect_ignore = [] if browser_path() else ["test_ui_browser.py", "test_ui_axe.py"]
"""Without a browser the tests of the HTML carry the promises; that it was so is said at the end, loudly."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if collect_ignore:
        terminalreporter.section("THE PAGE WAS NOT LOOKED AT IN A BROWSER", red=True)
        terminalreporter.line(f"There is no Chromium: {', '.join(collect_ignore)} did not run. Install chromium and playwright,")
        terminalreporter.line(f"or name a browser in {VARIABLE}. The page's HTML was tested all the same.")


@pytest.fixture
def product() -> Iterator[Product]:
    made = Product()
    yield made
    made.close()


@pytest.fixture
def client_of(product: Product) -> Iterator[Callable[[str], TestClient]]:
    """``client_of("olaf")``: a browser, without scripts, of this person; ``client_of("")`` of a stranger."""
    app = app_of(product)
    with TestClient(app) as shared:

        def make(person: str) -> TestClient:
            client = TestClient(app, cookies={"person": person} if person else {}, headers={"Sec-Fetch-Site": "same-origin"})
            client.portal = shared.portal
            return client

        yield make


@pytest.fixture
def olaf(client_of: Callable[[str], TestClient]) -> TestClient:
    """An operator of the tenant acme."""
    return client_of("olaf")


@pytest.fixture
def anna(client_of: Callable[[str], TestClient]) -> TestClient:
    """May read and start at acme, no more."""
    return client_of("anna")


@pytest.fixture
def root(client_of: Callable[[str], TestClient]) -> TestClient:
    """May do everything, everywhere."""
    return client_of("root")
