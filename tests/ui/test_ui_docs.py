"""What the docs say of the page is so."""

from __future__ import annotations

import re
from pathlib import Path

from provisioning_http.ui import PAGES

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "page.md").read_text()


def test_its_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"!\[[^]]+\]\((img/page-[a-z-]+\.png)\)", TEXT)

    assert len(pictures) == 4
    for name in pictures:
        data = (DOCS / name).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n"), name
        assert len(data) < 150_000, name


def test_its_table_has_every_page_with_the_action_that_it_asks_for() -> None:
    table = {
        path.replace("…", "/provisioning").removeprefix("/provisioning").partition("?")[0]: action
        for row in re.findall(r"^\| (`[^|]+) \|[^|]+\| `(\w+)`", TEXT, re.MULTILINE)
        for path, action in [(each, row[1]) for each in re.findall(r"`([^`]+)`", row[0])]
    }

    assert table == {page.path: page.action for page in PAGES if page.method == "GET"}
