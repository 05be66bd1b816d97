"""Starting a tenant from the page: its plan's input becomes a form."""

from __future__ import annotations

import pytest
from provisioning_http.ui._input_form import Field, fields_of, value_of
from starlette.testclient import TestClient

from provisioning_core import InvalidInput, RunStatus
from tests.ui.ui_product import CANARY, Product
from tests.ui.ui_reading import UI, filled, look, send, words

START = f"{UI}/tenants/acme/start?plan=workspace"


def test_choosing_a_tenant_and_a_plan_leads_to_the_plans_form(root: TestClient) -> None:
    form = look(root, f"{UI}/start").find("form")
    answer = root.get(form["action"], params={"tenant": "acme corp/1", "plan": "workspace"}, follow_redirects=False)

    assert answer.headers["location"] == f"{UI}/tenants/acme%20corp%2F1/start?plan=workspace"
    assert words(look(root, f"{UI}/start", 422, tenant="a\x07", plan="workspace").select_one("[role=alert]")).startswith(
        "A tenant's name"
    )


def test_the_form_has_a_field_for_each_part_of_the_input(olaf: TestClient) -> None:
    form = look(olaf, START).find("form", method="post")
    fields = [(each["name"], each.name, each.get("type"), "required" in each.attrs) for each in form.select("[name^='input.']")]

    assert fields == [
        ("input.slug", "input", "text", True),
        ("input.seats", "input", "text", False),
        ("input.tier", "select", None, False),
        ("input.password", "input", "password", False),
    ]
    assert [option.get("value", option.get_text()) for option in form.select("select option")] == ["", "free", "pro"]
    assert "Small letters." in form.get_text()


def test_a_start_is_recorded_with_who_and_why_and_leads_to_its_page(product: Product, olaf: TestClient) -> None:
    product.mended.set()
    given = {"input.slug": "acme", "input.seats": "5", "input.tier": "pro", "input.password": CANARY, "reason": "signed up"}
    action, fields = filled(olaf, START, **given)
    answer = olaf.post(action, data=fields, follow_redirects=False)
    view = product.engine.wait("acme", timeout=10)

    assert (answer.status_code, answer.headers["location"]) == (303, f"{UI}/runs/{view.id}")
    assert view.status is RunStatus.SUCCEEDED
    assert view.input == {"slug": "acme", "seats": 5, "tier": "pro", "password": "**********"}
    created = next(product.engine.events("acme"))
    assert (created.actor, created.data["why"]) == ("olaf", "signed up")


def test_what_does_not_fit_is_said_and_what_was_filled_in_stays_but_for_secrets(product: Product, olaf: TestClient) -> None:
    page = send(olaf, START, 422, **{"input.slug": "acme", "input.seats": "many", "input.password": CANARY, "reason": "because"})

    assert "seats" in words(page.select_one("[role=alert]"))
    assert page.find(attrs={"name": "input.slug"})["value"] == "acme"
    assert page.find(attrs={"name": "reason"}).get_text() == "because"
    assert CANARY not in str(page)
    assert len(product.engine.runs().items) == 0


def test_what_the_plan_itself_refuses_is_said_without_the_value(product: Product, olaf: TestClient) -> None:
    page = send(olaf, START, 422, **{"input.slug": CANARY * 5, "input.password": CANARY})

    assert "slug" in words(page.select_one("[role=alert]"))
    assert CANARY not in words(page.select_one("[role=alert]"))


def test_a_tenant_that_is_busy_is_not_started_twice(product: Product, olaf: TestClient) -> None:
    product.start("gated")
    page = send(olaf, START, 409, **{"input.slug": "acme"})

    assert words(page.select_one("[role=alert]"))
    assert len(product.engine.runs().items) == 1


def test_a_provisioned_tenant_is_provisioned_anew_only_when_that_is_asked_for(product: Product, olaf: TestClient) -> None:
    product.mended.set()
    product.start("workspace")
    send(olaf, START, 409, **{"input.slug": "acme", "input.seats": "7"})
    send(olaf, START, **{"input.slug": "acme", "input.seats": "7", "again": "yes"})

    assert product.engine.wait("acme", timeout=10).input["seats"] == 7


def test_an_unknown_plan_is_not_here(olaf: TestClient) -> None:
    look(olaf, f"{UI}/tenants/acme/start?plan=none", 404)


# the form, by itself

SCHEMA = {
    "required": ["name", "size"],
    "$defs": {"Region": {"type": "string", "enum": ["eu", "us"], "title": "Region"}},
    "properties": {
        "name": {"type": "string", "title": "Name", "pattern": "^[a-z]+$", "maxLength": 9},
        "size": {"type": "integer"},
        "share": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None, "title": "Share"},
        "region": {"$ref": "#/$defs/Region", "default": "eu"},
        "is_trial": {"type": "boolean", "default": True},
        "tags": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
        "key": {"type": "string", "format": "password", "writeOnly": True, "default": "canary"},
    },
}


def test_each_kind_of_value_has_its_field() -> None:
    assert fields_of(SCHEMA) == [
        Field(name="name", label="Name", kind="text", is_needed=True, pattern="^[a-z]+$", longest=9),
        Field(name="size", label="size", kind="integer", is_needed=True),
        Field(name="share", label="Share", kind="number"),
        Field(name="region", label="Region", kind="choice", given="eu", choices=("eu", "us")),
        Field(name="is_trial", label="is_trial", kind="boolean", given="true"),
        Field(name="tags", label="tags", kind="json", given='["a"]'),
        Field(name="key", label="key", kind="secret"),
    ]


def test_the_fields_make_the_value_and_what_is_empty_is_left_out() -> None:
    sent = {"input.name": "acme", "input.size": "3", "input.share": " ", "input.tags": '["x", "y"]', "input.key": " s "}

    assert value_of(SCHEMA, sent) == {"name": "acme", "size": 3, "is_trial": False, "tags": ["x", "y"], "key": " s "}
    assert value_of(None, sent) is None


@pytest.mark.parametrize("sent", [{"input.size": "three"}, {"input.size": "true"}, {"input.share": "NaN"}, {"input.tags": "[canary"}])
def test_what_can_not_be_read_is_refused_by_its_field_and_without_its_text(sent: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        value_of(SCHEMA, sent)

    assert [each["loc"] for each in refused.value.errors] == [("input", next(iter(sent)).removeprefix("input."))]
    assert "canary" not in str(refused.value.errors)
