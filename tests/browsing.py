"""A browser on the pages of a server, which fails where a page asks elsewhere or complains."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
GRAVE = ("serious", "critical")  # findings of axe-core that keep people out


def find_browser() -> str | None:
    """Return where Chromium is installed, if it is."""
    return next((found for found in map(shutil.which, BROWSERS) if found), None)


@dataclass
class Visit:
    """A page under way: its address, what it asked for, and what went wrong on it."""

    page: Page
    base: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        """Go to a page, and wait until it has all that it asks for."""
        self.page.goto(self.base + path)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def answered(self, *files: Path) -> Page:
        """Choose images, and wait until all are answered."""
        self.page.set_input_files("#files", list(files))
        self.page.get_by_text(f"of {len(files)} image").wait_for()
        return self.page

    def grave_findings(self) -> list[str]:
        """Return what axe-core finds that keeps people from using the page."""
        found: Any = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {node['html']} ({node['failureSummary']})"
            for each in found
            if each["impact"] in GRAVE
            for node in each["nodes"]
        ]


def new_visit(context: BrowserContext, base: str) -> Visit:
    """Return a visit that notes every request and complaint."""
    visit = Visit(context.new_page(), base)
    visit.page.set_default_timeout(15_000)
    visit.page.on("request", lambda request: visit.asked.append(request.url))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on(
        "console",
        lambda message: visit.complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    return visit


def started_browser() -> Iterator[Browser]:
    """Start Chromium, and end it; a test that wants it is skipped where there is none."""
    path = find_browser()
    if path is None:
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def brought(page: Page, event: str, path: Path) -> None:
    """Let a file be dropped on the page, or pasted."""
    script = """([event, name, text]) => {
        const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], name, { type: "image/png" }));
        document.dispatchEvent(event === "drop"
            ? new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
    }"""
    page.evaluate(script, [event, path.name, base64.b64encode(path.read_bytes()).decode()])
