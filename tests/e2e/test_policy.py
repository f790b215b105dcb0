"""The Content-Security-Policy blocks nothing that a page of ours needs.

A browser reports what it blocks as an error on the console, and `open_page` fails on any.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site

OpenPage = Callable[..., Page]


def test_the_apis_description_is_drawn(open_page: OpenPage) -> None:
    page = open_page("/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    page.locator(".opblock-summary").first.click()
    expect(page.get_by_role("button", name="Try it out").first).to_be_visible()


def test_the_code_of_a_second_factor_is_shown(open_page: OpenPage, site: Site) -> None:
    page = open_page("/accounts/2fa/totp/activate/", "staff")
    if "/reauthenticate/" in page.url:
        page.fill("input[name=password]", site.logins["staff"][1])
        page.click("main button[type=submit]")
    picture = page.locator("main img[src^='data:image/svg']")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")


def test_a_script_written_into_a_page_does_not_run(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    page.goto(f"{site.url}/accounts/login/")
    blocked = page.evaluate(
        """() => new Promise(resolve => {
          document.addEventListener('securitypolicyviolation', event => resolve(event.blockedURI));
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
        })"""
    )
    ran = page.evaluate("window.ran")
    page.close()
    assert (blocked, ran) == ("inline", None)
