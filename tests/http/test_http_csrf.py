"""Forms that another site's page posts with a person's cookies are refused; those of our own pages are taken."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from provisioning_http import create_router
from provisioning_http._csrf import FIELD, Forms, posted_form
from provisioning_http._problems import ProblemRoute
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"
HERE = {"Origin": "http://testserver"}


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI()
    made.router.route_class = ProblemRoute

    @made.get("/page")
    async def page(request: Request) -> Response:
        forms = Forms.of(request)
        response = JSONResponse({"token": forms.token()})
        forms.remember(response)
        return response

    @made.post("/form")
    async def form(request: Request) -> Response:
        return JSONResponse(await posted_form(request))

    return made


@pytest.fixture
def browser(app: FastAPI) -> TestClient:
    return TestClient(app)


def post(browser: TestClient, token: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
    return browser.post("/form", data={FIELD: token, **fields}, headers=HERE if headers is None else headers)


def test_a_form_that_our_page_showed_is_taken_without_its_token(browser: TestClient) -> None:
    token = browser.get("/page").json()["token"]
    answer = post(browser, token, reason="sign-up", step="")

    assert (answer.status_code, answer.json()) == (200, {"reason": "sign-up", "step": ""})


def test_tokens_differ_and_stay_good_while_the_browser_keeps_its_cookie(browser: TestClient) -> None:
    tokens = [browser.get("/page").json()["token"] for _ in range(3)]

    assert len(set(tokens)) == 3
    assert [post(browser, token).status_code for token in tokens] == [200, 200, 200]


def test_a_token_of_another_browser_or_none_is_refused(app: FastAPI, browser: TestClient) -> None:
    theirs = TestClient(app).get("/page").json()["token"]
    ours = browser.get("/page").json()["token"]
    answers = [post(browser, token) for token in (theirs, "", ".", ours[:-1], f"x{ours}", "\u00e4.\u00e4")]

    assert [answer.status_code for answer in answers] == [403] * 6
    assert {answer.json()["code"] for answer in answers} == {"foreign_form"}


def test_a_browser_without_its_cookie_is_refused(app: FastAPI) -> None:
    token = TestClient(app).get("/page").json()["token"]

    assert post(TestClient(app), token).status_code == 403
    assert post(TestClient(app, cookies={"provisioning_forms": ""}), token).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "http://testserver:8080"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
def test_where_a_form_comes_from_is_looked_at_even_with_a_good_token(
    browser: TestClient, headers: dict[str, str], status: int
) -> None:
    token = browser.get("/page").json()["token"]

    assert post(browser, token, headers).status_code == status


def test_the_cookie_is_out_of_reach_of_scripts_and_of_sibling_domains(app: FastAPI, browser: TestClient) -> None:
    plain = browser.get("/page").headers["set-cookie"]
    secure = TestClient(app, base_url="https://testserver").get("/page").headers["set-cookie"]

    assert plain.startswith("provisioning_forms=")
    assert secure.startswith("__Host-provisioning_forms=")
    assert all(each in plain for each in ("HttpOnly", "Path=/", "SameSite=lax"))
    assert all(each in secure for each in ("HttpOnly", "Path=/", "SameSite=lax", "Secure"))
    assert "set-cookie" not in browser.get("/page").headers


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"a=1", "text/plain", 415),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(200)), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 300_000, "application/x-www-form-urlencoded", 413),
    ],
)
def test_what_is_no_form_is_refused(browser: TestClient, content: bytes, kind: str, status: int) -> None:
    assert browser.post("/form", content=content, headers={"Content-Type": kind}).status_code == status


class Cookies:
    """A product whose people are known by a cookie."""

    def __call__(self, request: Request, _tenant_id: str | None, _action: str) -> str | None:
        return request.cookies.get("person") or request.headers.get("authorization")


@pytest.mark.parametrize(
    ("headers", "json", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, None, 403),
        ({"Sec-Fetch-Site": "same-site"}, None, 403),
        ({"Origin": "http://evil.example"}, None, 403),
        ({"Origin": "http://evil.example", "Authorization": "Basic b2xhZjp4"}, None, 403),
        ({"Origin": "http://evil.example", "Content-Type": "text/plain"}, None, 403),
        ({"Sec-Fetch-Site": "cross-site"}, {}, 202),
        ({"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer olaf"}, None, 202),
        ({"Sec-Fetch-Site": "same-origin"}, None, 202),
        ({}, None, 202),
    ],
)
def test_a_verb_that_a_foreign_page_can_send_by_itself_is_refused(world, headers: dict[str, str], json: Any, status: int) -> None:
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=Cookies()))
    world.start("gated")
    before = world.engine.status("acme")
    answer = TestClient(app, cookies={"person": "olaf"}).post(f"{ACME}/pause", headers=headers, json=json)

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "foreign_form"
        assert world.engine.status("acme") == before
