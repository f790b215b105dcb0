"""How the pages look and speak: both languages, both themes, on a telephone's screen."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.conftest import THEMES, Site, fill_in, picture, problems_of

OpenPage = Callable[..., Page]
SCREENS: dict[str, ViewportSize] = {
    "desk": {"width": 1280, "height": 860},
    "phone": {"width": 390, "height": 844},
}
MEMBERS_PAGES = ["/", "/test-call/", "/accounts/2fa/", "/accounts/password/change/"]
STRANGERS_PAGES = ["/accounts/login/", "/accounts/password/reset/"]


@pytest.mark.parametrize(
    ("who", "paths"),
    [(None, STRANGERS_PAGES), ("owner", MEMBERS_PAGES)],
    ids=["stranger", "member"],
)
def test_every_page_fits_every_screen_and_can_be_read_in_both_themes(
    open_page: OpenPage, site: Site, who: str | None, paths: list[str]
) -> None:
    page = open_page(paths[0], who, locale="es")
    for path in paths:
        page.goto(site.url + path)
        for screen, theme in product(SCREENS, THEMES):
            page.set_viewport_size(SCREENS[screen])
            page.emulate_media(color_scheme=theme)
            picture(page, f"{screen}-{theme}{path.replace('/', '-')}")
            assert problems_of(page) == [], (path, screen, theme)


def test_somebody_not_logged_in_is_asked_to_and_led_on(open_page: OpenPage, site: Site) -> None:
    page = open_page("/test-call/", None)
    expect(page.locator("h1")).to_have_text("Sign in")
    fill_in(page, site.logins["staff"][0], "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    fill_in(page, *site.logins["staff"])
    page.wait_for_url("**/test-call/")


@pytest.mark.parametrize(("locale", "title"), [("es", "Llamada de prueba"), ("en", "Test call")])
def test_the_page_speaks_the_visitors_language(
    open_page: OpenPage, locale: str, title: str
) -> None:
    expect(open_page("/test-call/", locale=locale).locator("h1")).to_have_text(title)


def test_a_visitor_changes_the_language_and_stays_where_they_are(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.get_by_role("button", name="Español").click()
    expect(page.locator("h1")).to_have_text("Llamada de prueba")
    assert page.url.endswith("/test-call/")
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Test call")


def test_a_new_call_is_shown_without_a_reload_within_two_seconds(open_page: OpenPage) -> None:
    page = open_page("/")
    expect(page.locator("#latest-calls")).to_be_visible()
    newer = """<section id="latest-calls" data-changes="yes"><p>A call just now</p></section>"""
    page.route("**/calls/latest/", lambda route: route.fulfill(body=newer))
    expect(page.get_by_text("A call just now")).to_be_visible(timeout=2000)


def test_the_operator_opens_every_page_of_the_back_office(open_page: OpenPage, site: Site) -> None:
    page = _office(open_page, "es")
    expect(page.get_by_role("heading", name="Llamadas", exact=True).first).to_be_visible()
    picture(page, "office-es")
    links = page.locator(".office a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert len(links) >= 15
    for link in links:
        response = page.goto(site.url + link)
        assert response is not None and response.status == 200, link
        first = page.locator("#result_list a[href*='/change/']").first
        if first.count():
            response = page.goto(site.url + str(first.get_attribute("href")))
            assert response is not None and response.status == 200, link


def test_the_back_office_speaks_english_too(open_page: OpenPage) -> None:
    page = _office(open_page, "en")
    expect(page.get_by_role("heading", name="Calls", exact=True).first).to_be_visible()
    picture(page, "office-en")


def _office(open_page: OpenPage, locale: str) -> Page:
    """The operator's first page, with a tenant chosen."""
    page = open_page("/admin/", "operator", locale=locale)
    page.select_option("#operator-tenant", label="Spirit Tours")
    page.locator(".tenant-selector button").click()
    expect(page.locator("#operator-tenant option:checked")).to_have_text("Spirit Tours")
    return page


def test_the_operator_edits_a_draft_and_finds_its_profiles(open_page: OpenPage, site: Site) -> None:
    page = _office(open_page, "en")
    page.goto(f"{site.url}/admin/agents/agent/")
    page.get_by_role("link", name="Grace").click()
    page.get_by_role("link", name="Edit the draft").click()
    expect(page.locator("#id_prompt")).to_be_visible()
    picture(page, "draft")
    page.get_by_text("Channel profiles").click()
    page.get_by_role("link", name="Browser profile").click()
    expect(page.get_by_text("Use for every channel")).to_be_visible()
    page.get_by_text("Turn-taking", exact=True).first.click()
    expect(page.get_by_label("Shortest wait")).to_be_visible()
    picture(page, "profile")
