"""Pages as a parser sees them."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup, Tag
from starlette.testclient import TestClient

UI = "/provisioning/ui"


def look(client: TestClient, path: str, status: int = 200, **query: str) -> BeautifulSoup:
    """The page, which must have this status."""
    answer = client.get(path, params=query or None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return BeautifulSoup(answer.text, "html.parser")


def run_path(run: Any) -> str:
    return f"{UI}/runs/{run.id}"


def words(tag: Tag | None) -> str:
    """Its text, in one line."""
    assert tag is not None
    return " ".join(tag.get_text(" ").split())


def rows(page: BeautifulSoup, heading: str) -> list[list[str]]:
    """The cells of the table in the section of this heading."""
    section = page.find(id=heading).find_parent("section")
    return [[words(cell) for cell in row.find_all(["th", "td"])] for row in section.select("tbody tr")]


def filled(client: TestClient, path: str, **fields: str) -> tuple[str, dict[str, str]]:
    """The page's form as a browser would send it: where to, and its fields with these filled in."""
    form = look(client, path).find("form", method="post")
    found = {each["name"]: each.get("value", "") for each in form.select("input[type=hidden]")}
    found |= {each["name"]: each.select("option")[0].get("value", "") for each in form.select("select")}
    return form["action"], found | fields


def send(client: TestClient, path: str, status: int = 303, **fields: str) -> BeautifulSoup:
    """Open the page, fill in its form and send it; the answer must have this status."""
    action, found = filled(client, path, **fields)
    answer = client.post(action, data=found, follow_redirects=False)
    assert answer.status_code == status, answer.text
    return BeautifulSoup(answer.text, "html.parser")
