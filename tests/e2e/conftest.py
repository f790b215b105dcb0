"""A whole Andrea, started as its README says, and a real browser with a recorded microphone."""

from __future__ import annotations

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
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from calls.simulator.clips import RATE, find

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
READY_SECONDS = 90
SCREENSHOTS = os.environ.get("SCREENSHOTS")

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser these tests are skipped by name; in CI that is a failure."""
    for item in items:
        if "tests/e2e/" not in str(item.path).replace(os.sep, "/"):
            continue
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.xdist_group("e2e"))
        if CHROMIUM is None and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="no Chromium is installed"))


@dataclass(frozen=True)
class Site:
    """A running Andrea: its address and the demo's logins."""

    url: str
    logins: dict[str, str]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`make run` in a folder of its own, on a free port."""
    data = tmp_path_factory.mktemp("data")
    port = _free_port()
    environment = {
        key: value
        for key, value in os.environ.items()
        if not re.search(r"_KEY$|_TOKEN$|DATABASE|REDIS|DJANGO_SETTINGS", key)
    }
    environment |= {"DATA_DIR": str(data), "PORT": str(port), "NO_COLOR": "1"}
    log = data / "launcher.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.launcher"], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://localhost:{port}"
    try:
        _wait_until_ready(process, log)
        yield Site(url, _logins(data))
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


def _logins(data: Path) -> dict[str, str]:
    people = json.loads((data / "demo.json").read_text())
    return {person["email"]: person["password"] for person in people}


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a recording for the fake microphone: seconds of silence and names of clips."""

    def record(*parts: float | str) -> Path:
        path = tmp_path_factory.mktemp("microphone") / "speech.wav"
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


@pytest.fixture
def open_browser() -> Iterator[Callable[..., Browser]]:
    """Open Chromium with the given switches; all of them close at the end."""
    with sync_playwright() as playwright:
        opened: list[Browser] = []

        def start(*switches: str) -> Browser:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *switches])
            opened.append(browser)
            return browser

        yield start
        for browser in opened:
            browser.close()


@pytest.fixture
def speaking_browser(
    open_browser: Callable[..., Browser], microphone: Callable[..., Path]
) -> Callable[..., Browser]:
    """A browser whose microphone hears a recording, once."""

    def start(*parts: float | str) -> Browser:
        return open_browser(
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone(*parts)}%noloop",
        )

    return start


def sign_in(page: Page, site: Site, who: str = "owner") -> None:
    """Log in as the demo's owner or staff."""
    email = next(email for email in site.logins if email.startswith(who))
    page.goto(f"{site.url}/test-call/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", site.logins[email])
    page.click("main button[type=submit]")
    page.wait_for_url("**/test-call/")


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where SCREENSHOTS names a folder: for a person's eyes."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)
