"""The test-call page in a real Chromium, whose microphone plays a recording."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocketRoute, expect

from tests.e2e.conftest import Site, picture, sign_in

GREETING = 7.0  # seconds of silence that let the greeting be heard in full
ANSWER = 9.0
CALL_SECONDS = 45_000


def _talk(page: Page, role: str) -> list[str]:
    return page.locator(f'[data-at="talk"] li[data-role="{role}"]').all_text_contents()


def _english_agent(page: Page) -> None:
    option = page.locator('[data-at="agent"] option[data-language^="en"]').first
    page.select_option('[data-at="agent"]', value=option.get_attribute("value"))


def _problem(page: Page, code: str) -> None:
    expect(page.locator('[data-at="problem"]')).to_have_attribute("data-code", code)
    expect(page.locator('[data-at="problem"]')).to_be_visible()


def test_a_member_talks_to_the_english_agent_and_finds_the_call_stored(
    site: Site, speaking_browser: Callable[..., Browser]
) -> None:
    browser = speaking_browser(GREETING, "how-much-city", ANSWER, "opening-hours", 20.0)
    page = browser.new_page(locale="en", viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    page.on("console", lambda message: _keep_errors(message, errors))
    page.on("pageerror", lambda error: errors.append(str(error)))
    sign_in(page, site)
    picture(page, "test-call-before")
    _english_agent(page)
    page.click('[data-at="start"]')

    state = page.locator('[data-at="state"]')
    expect(state).to_have_attribute("data-state", "speaking", timeout=10_000)
    expect(page.locator('[data-at="turns"] > li')).to_have_count(2, timeout=CALL_SECONDS)
    picture(page, "test-call")
    assert "opening hours" in " ".join(_talk(page, "caller")).lower()
    assert "eight in the morning" in " ".join(_talk(page, "agent")).lower()
    page.click('[data-at="hang-up"]')
    expect(page.locator('[data-at="start"]')).to_be_visible()

    page.goto(site.url)
    picture(page, "home")
    page.locator("tbody a").first.click()
    expect(page.locator("tbody tr").nth(2)).to_be_visible()
    picture(page, "call")
    assert "opening hours" in page.locator("tbody").inner_text().lower()
    assert errors == []


def _keep_errors(message: ConsoleMessage, errors: list[str]) -> None:
    if message.type == "error":
        errors.append(message.text)


def test_a_blocked_microphone_is_named_with_what_to_do(
    site: Site, open_browser: Callable[..., Browser]
) -> None:
    # A fake device without the fake prompt: headless Chromium denies what nobody granted.
    page = open_browser("--use-fake-device-for-media-stream").new_page(locale="en")
    sign_in(page, site)
    page.click('[data-at="start"]')
    _problem(page, "permission_denied")
    picture(page, "permission-denied")


def test_a_missing_microphone_is_named_with_what_to_do(
    site: Site, open_browser: Callable[..., Browser]
) -> None:
    page = open_browser("--use-fake-ui-for-media-stream").new_page(locale="en")
    sign_in(page, site)
    page.click('[data-at="start"]')
    _problem(page, "no_microphone")


@pytest.mark.parametrize(("locale", "title"), [("es", "Llamada de prueba"), ("en", "Test call")])
def test_the_page_speaks_the_visitors_language(
    site: Site, open_browser: Callable[..., Browser], locale: str, title: str
) -> None:
    page = open_browser().new_page(locale=locale)
    sign_in(page, site)
    expect(page.locator("h1")).to_have_text(title)


def test_a_server_that_goes_away_is_told_and_the_page_can_call_again(
    site: Site, speaking_browser: Callable[..., Browser]
) -> None:
    page = speaking_browser(60.0).new_page(locale="en")
    page.route_web_socket(re.compile("media-stream"), _cut_after_ready)
    sign_in(page, site)
    _english_agent(page)
    page.click('[data-at="start"]')
    _problem(page, "server_gone")
    expect(page.locator('[data-at="start"]')).to_be_enabled()


def _cut_after_ready(socket: WebSocketRoute) -> None:
    server = socket.connect_to_server()

    def relay(message: str | bytes) -> None:
        socket.send(message)
        if isinstance(message, str) and '"mark"' in message:
            server.close()
            socket.close(code=1011)

    server.on_message(relay)
    socket.on_message(server.send)


def test_an_agent_that_does_not_exist_is_refused_clearly(
    site: Site, speaking_browser: Callable[..., Browser]
) -> None:
    page = speaking_browser(30.0).new_page(locale="en")
    sign_in(page, site)
    page.evaluate(
        """() => {
            const agent = document.querySelector('[data-at="agent"]');
            agent.options[agent.selectedIndex].value = "00000000-0000-4000-8000-000000000000";
        }"""
    )
    page.click('[data-at="start"]')
    _problem(page, "no_agent")


def test_an_outsider_is_asked_to_sign_in(site: Site, open_browser: Callable[..., Browser]) -> None:
    page = open_browser().new_page(locale="en")
    page.goto(f"{site.url}/test-call/")
    expect(page.locator("h1")).to_have_text("Sign in")
    picture(page, "sign-in")
