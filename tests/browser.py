"""A real browser on a real Streamlit server: what a person would see, and every error on the page or its console.

with streamlit_server(settings) as address, chromium() as browser:
    seen = visit(browser, f"{address}/risk", screenshot=Path("risk.png"))
    assert not seen.errors and "Audit chain" in seen.text
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from bifrost_core.environment import part_environment
from bifrost_core.settings import ROOT, Settings

READY_SECONDS = 60.0
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
ERRORS = '[data-testid="stException"], [data-testid="stAlertContentError"]'
PROBED = "/_stcore/"  # on a page's own path Streamlit looks for its server there first, in vain


@dataclass(frozen=True)
class Seen:
    """A drawn page: its visible text, its error boxes, and what its console complained of."""

    text: str
    error_boxes: tuple[str, ...]
    console_errors: tuple[str, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        return self.error_boxes + self.console_errors


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, headless; the test fails where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("no chromium on PATH: run tools/chromium.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def streamlit_server(settings: Settings) -> Iterator[str]:
    """The app on `settings.streamlit_port`, as `bifrost dashboard` starts it; yields its address."""
    address = f"http://127.0.0.1:{settings.streamlit_port}"
    options = ("--server.address=127.0.0.1", "--server.headless=true", "--server.fileWatcherType=none")
    port = f"--server.port={settings.streamlit_port}"
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "streamlit_app" / "app.py"), port, *options]
    process = subprocess.Popen(command, env={**os.environ, **part_environment(settings)})
    try:
        _wait_until_healthy(process, f"{address}/_stcore/health")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_healthy(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(address, timeout=2, verify=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"Streamlit does not answer at {address}")


def visit(browser: Browser, address: str, screenshot: Path | None = None) -> Seen:
    """Open `address`, wait until it is drawn, and say what was seen."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    try:
        return look(page, address, screenshot)
    finally:
        page.close()


def look(page: Page, address: str, screenshot: Path | None = None) -> Seen:
    """As `visit`, in an open page that the caller keeps."""
    complaints: list[str] = []
    page.on("console", lambda message: _note(complaints, message))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    settle(page)
    if screenshot is not None:
        _photograph(page, screenshot)
    boxes = tuple(box.inner_text() for box in page.locator(ERRORS).all())
    return Seen(page.locator('[data-testid="stApp"]').inner_text(), boxes, tuple(complaints))


def settle(page: Page) -> None:
    """Wait until the script has run to its end and nothing is left to be drawn."""
    page.wait_for_selector('[data-testid="stMain"] h1, [data-testid="stAlert"]')
    page.wait_for_selector(IDLE)
    page.wait_for_function("() => !document.querySelector('[data-testid=\"stSkeleton\"]')")
    page.wait_for_load_state("networkidle")


def _note(complaints: list[str], message: ConsoleMessage) -> None:
    address = str(message.location.get("url", ""))
    if message.type == "error" and not ("404" in message.text and PROBED in address):
        complaints.append(f"{message.text} {address}")


def _photograph(page: Page, path: Path) -> None:
    """The whole page: Streamlit scrolls inside a fixed frame, so the window is made as tall as its content."""
    height = page.evaluate("() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": 1440, "height": max(900, int(height) + 20)})
    settle(page)
    page.screenshot(path=path)
