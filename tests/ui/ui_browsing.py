"""What a person does in a browser, and what they see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page

PATIENCE = 15_000
"""Milliseconds in which what must come, comes."""


class Window:
    """One person's window; what the browser complains of is kept."""

    def __init__(self, context: BrowserContext, address: str, person: str) -> None:
        self.context = context
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{"name": "person", "value": person, "url": address}])
        self.address = f"{address}/provisioning/ui"
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, path: str = "") -> Page:
        self.page.goto(self.address + path)
        return self.page

    def sentence(self) -> str:
        return self.page.locator("#sentence").inner_text()

    def sees(self, text: str) -> None:
        """Wait until it stands there."""
        self.page.get_by_text(text).first.wait_for()

    def box(self, step: str) -> Any:
        """The step's box in the graph."""
        return self.page.locator(f'a.box[data-key="{step}"]')

    def waits_for_box(self, step: str, status: str) -> None:
        self.page.locator(f'a.box[aria-label="{step}: {status}"]').wait_for()

    def answers(self, button: str, reason: str, **fields: str) -> None:
        """Press a button, fill in what it asks, send it."""
        self.page.locator("#actions").get_by_role("link", name=button).click()
        for name, value in fields.items():
            self.page.locator(f'[name="{name}"]').fill(value)
        self.page.get_by_label("Reason").fill(reason)
        self.page.locator(".send button").click()
        self.page.wait_for_selector("#sentence")


_SHOWS_FOCUS = """(() => {
  const element = document.activeElement;
  const box = element.matches("a.box") ? getComputedStyle(element.querySelector("rect")) : null;
  const isDrawn = box ? parseFloat(box.strokeWidth) > 3 : parseFloat(getComputedStyle(element).outlineWidth) > 1;
  return element.matches(":focus-visible") && isDrawn;
})()"""


class Keyboard:
    """A person who has no mouse."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def focused(self) -> str:
        """The name of what has the focus."""
        return str(
            self.page.evaluate(
                "(() => { const e = document.activeElement;"
                " return e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? e.innerText ?? e.textContent ?? '' })()"
            )
        ).strip()

    def is_focus_visible(self) -> bool:
        """Whether what has the focus shows it."""
        return bool(self.page.evaluate(_SHOWS_FOCUS))

    def tab_to(self, wanted: Callable[[str], bool], most: int = 80) -> None:
        """Press Tab until something of such a name has the focus; each stop on the way must show it."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            name = self.focused()
            assert self.is_focus_visible(), f"no focus is seen at {name!r}"
            if wanted(name):
                return
        raise AssertionError("nothing of that name can be reached with Tab")

    def types(self, text: str) -> None:
        self.page.keyboard.type(text)

    def enters(self) -> None:
        self.page.keyboard.press("Enter")
