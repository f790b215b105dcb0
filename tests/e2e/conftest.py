"""A whole Andrea, started as its README says, and a real browser that speaks."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, expect, sync_playwright

from calls.simulator.clips import CLIPS, RATE, find

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
READY_SECONDS = 90
SCREENSHOTS = os.environ.get("SCREENSHOTS")
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
PATIENCE_MS = 20_000  # of one step, on a machine that has other work; none waits as long by rule

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests are skipped by name; in CI that is a failure."""
    for item in items:
        if "tests/e2e/" not in str(item.path).replace(os.sep, "/"):
            continue
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.xdist_group("e2e"))
        if CHROMIUM is None and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="no Chromium is installed"))


@dataclass
class Site:
    """A running Andrea: its address, the demo's logins, and who has logged in before."""

    url: str
    logins: dict[str, tuple[str, str]]
    sessions: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`make run` in a folder of its own, on a free port, without any key."""
    data = tmp_path_factory.mktemp("data")
    environment = {
        key: value
        for key, value in os.environ.items()
        if not re.search(r"_KEY$|_TOKEN$|_URL$|DJANGO_SETTINGS", key)
    }
    port = _free_port()
    environment |= {"DATA_DIR": str(data), "MEDIA_DIR": str(data / "media"), "PORT": str(port)}
    environment |= {"NO_COLOR": "1"}
    log = data / "launcher.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.launcher"], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_until_ready(process, log)
        people = json.loads((data / "demo.json").read_text())
        logins = {person["role"]: (person["email"], person["password"]) for person in people}
        yield Site(f"http://localhost:{port}", logins)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while "Andrea is ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Andrea did not start:\n{log.read_text()}")
        time.sleep(0.1)


# --- browsers ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def playwright_() -> Iterator[Playwright]:
    """Of a module, not of the session: its event loop must not meet asynchronous tests."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright_: Playwright) -> Iterator[Browser]:
    """One Chromium for all tests that need no switch of their own."""
    browser = launch(playwright_)
    yield browser
    browser.close()


@pytest.fixture
def launched(playwright_: Playwright) -> Iterator[Callable[..., Browser]]:
    """Open Chromium with the given switches; all of them close at the end."""
    opened: list[Browser] = []

    def start(*switches: str) -> Browser:
        opened.append(launch(playwright_, *switches))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def launch(playwright: Playwright, *switches: str) -> Browser:
    """A headless Chromium that asks nothing of the network but what the test opens."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *switches])


@pytest.fixture
def open_page(site: Site, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page, signed in as `who`, or as nobody. The test fails if a console reports errors."""
    errors: list[str] = []
    pages: list[Page] = []

    def start(
        path: str, who: str | None = "owner", *, on: Browser | None = None, **options: Any
    ) -> Page:
        options.setdefault("locale", "en")
        options.setdefault("viewport", {"width": 1280, "height": 860})
        if who is not None:
            options["storage_state"] = _session(site, browser, who)
        page = (on or browser).new_page(**options)
        pages.append(page)
        page.add_init_script(path=HERE / "mouth.js") if on is None else None
        page.on("console", lambda message: _keep_errors(message, errors))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(site.url + path)
        return page

    yield start
    for page in pages:
        page.close()
    assert errors == []


def _keep_errors(message: ConsoleMessage, errors: list[str]) -> None:
    if message.type == "error":
        errors.append(f"{message.location.get('url')}: {message.text}")


def _session(site: Site, browser: Browser, who: str) -> Any:
    """The cookies of somebody who has logged in by the form, once."""
    if who not in site.sessions:
        page = browser.new_page(locale="en")
        page.goto(f"{site.url}/accounts/login/")
        fill_in(page, *site.logins[who])
        page.wait_for_url(re.compile(rf"^{re.escape(site.url)}/(admin/)?$"))
        site.sessions[who] = page.context.storage_state()
        page.close()
    return site.sessions[who]


def fill_in(page: Page, email: str, password: str) -> None:
    """Log in on the page that asks for it."""
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")


# --- speech -----------------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Make a recording for Chromium's fake microphone: seconds of silence and names of clips."""

    def record(*parts: float | str) -> Path:
        path = tmp_path / "speech.wav"
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            for part in parts:
                out.writeframes(
                    find(part).pcm() if isinstance(part, str) else bytes(int(part * RATE) * 2)
                )
        return path

    return record


def say(page: Page, clip: str, *, after: float = 0.0) -> None:
    """Say a clip into the page's microphone, `after` seconds; returns when it was said."""
    wav = base64.b64encode((CLIPS / f"{find(clip).name}.wav").read_bytes()).decode()
    page.evaluate("([wav, delay]) => window.say(wav, delay)", [wav, after])


def problems_of(page: Page) -> list[str]:
    """What `audit.js` finds wrong with the page."""
    found: list[str] = page.evaluate((HERE / "audit.js").read_text())
    return found


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where SCREENSHOTS names a folder: for a person's eyes."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
