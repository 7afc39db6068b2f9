"""A real browser without a window. Debian's or anyone's Chromium is used; nothing is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests of a worker."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is installed: none of {', '.join(NAMES)}")
    with sync_api.sync_playwright() as started:
        # In a container there is often no sandbox; the pages are the tests' own.
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    return files(package).joinpath("axe.min.js").read_text(encoding="utf-8")


class Opened:
    """A page of ours in a browser, and what the browser said about it."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(path.as_uri())

    def unfold(self) -> None:
        """Open everything that is folded up."""
        self.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")

    def violations(self, axe: str) -> list[str]:
        """Return each rule that is broken, with the first element that breaks it."""
        self.page.evaluate(axe)
        found = self.page.evaluate(
            """tags => axe.run(document, {
                runOnly: {type: 'tag', values: tags},
                rules: {'target-size': {enabled: true}},
                resultTypes: ['violations'],
            })""",
            list(RULES),
        )
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    """Open a file in a fresh browser profile: width in CSS pixels, ``light`` or ``dark``."""
    opened: list[Opened] = []

    def open_one(path: Path, width: int = 1200, scheme: str = "light") -> Opened:
        opened.append(Opened(chromium, path, width, scheme))
        return opened[-1]

    yield open_one
    for each in opened:
        each.context.close()
