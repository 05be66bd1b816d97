"""Where the app stands alone, a browser is asked for a name and a password; the password is the token."""

from __future__ import annotations

import base64

import pytest
from provisioning_http import bearer_token, create_app
from starlette.testclient import TestClient

from tests.ui.ui_product import Product
from tests.ui.ui_reading import UI, run_path, send

PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def client(product: Product) -> TestClient:
    return TestClient(create_app(product.engine, authorize=bearer_token("s3cret-token")))


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_a_browser_is_asked_for_a_password_and_a_program_for_a_token(client: TestClient) -> None:
    page, api = client.get(UI, headers=PAGE), client.get("/provisioning/runs")

    assert (page.status_code, page.headers["www-authenticate"]) == (401, 'Basic realm="provisioning", charset="UTF-8"')
    assert (api.status_code, api.headers["www-authenticate"]) == (401, 'Bearer realm="provisioning"')


def test_the_token_as_password_lets_in_and_the_name_is_kept_in_the_history(product: Product, client: TestClient) -> None:
    run = product.start("gated")
    client.headers.update(PAGE | basic("olaf:s3cret-token"))
    send(client, f"{run_path(run)}/signal", reason="looked at it")

    assert next(event for event in product.engine.events("acme") if event.type == "signal.requested").actor == "olaf"


@pytest.mark.parametrize(
    "headers",
    [basic("olaf:wrong"), basic("s3cret-token"), basic(""), {"Authorization": "Basic ~~"}, {"Authorization": "Digest s3cret-token"}],
)
def test_nothing_else_lets_in(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get(UI, headers=PAGE | headers).status_code == 401


def test_a_form_of_another_site_is_refused_though_the_browser_sends_the_password(product: Product, client: TestClient) -> None:
    run = product.start("gated")
    client.headers.update(basic("olaf:s3cret-token") | {"Sec-Fetch-Site": "cross-site"})
    answers = [
        client.post(f"{run_path(run)}/signal", data={"step": "approval", "reason": "x"}),
        client.post("/provisioning/tenants/acme/signals/approval"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert product.engine.status("acme").status == "WAITING"
