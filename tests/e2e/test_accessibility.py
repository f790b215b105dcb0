"""The pages that staff work with: WCAG 2.2 AA by axe-core, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e.conftest import THEMES, Site
from tests.e2e.test_test_call import at, get_through, hang_up

OpenPage = Callable[..., Page]
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What does not depend on colours is looked at once.
RULES = {"light": STANDARDS, "dark": ["color-contrast"]}
RUN = """async (standards) => {
  const found = await axe.run(document, { runOnly: standards });
  const lines = found.violations.flatMap(
    (rule) => rule.nodes.map((node) => `${rule.id}: ${node.html}: ${node.failureSummary}`));
  return [found.passes.length, lines];
}"""
# How everything looks that the tab key may lead to, before it does.
LOOKS = """() => {
  window.lookOf = (node) => {
    const { outlineStyle, outlineWidth, outlineColor, boxShadow } = getComputedStyle(node);
    return `${outlineStyle === "none" ? "" : outlineWidth + outlineColor} ${boxShadow}`;
  };
  window.looks = new Map([...document.querySelectorAll("*")].map((n) => [n, lookOf(n)]));
}"""
# What has the focus, and whether it shows: on the screen, by an outline or shadow of its own.
FOCUSED = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const { width, top, bottom, left, right } = node.getBoundingClientRect();
  const seen = width > 0 && bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
  return [[...looks.keys()].indexOf(node), node.outerHTML.slice(0, 90),
    seen && lookOf(node) !== looks.get(node)];
}"""


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page in either theme; that it ran at all is asserted."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    every: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        passes, found = page.evaluate(RUN, RULES[theme])
        assert passes > (5 if theme == "light" else 0)
        every += [f"{theme}: {line}" for line in found]
    return every


def a_call(page: Page) -> str:
    """Make a call on the test page; the path of its own page."""
    get_through(page)
    hang_up(page)
    public_id = at(page, "facts").locator("dd").last.inner_text()
    return f"/calls/{public_id}/"


def test_pages_keep_to_wcag_2_2_aa(open_page: OpenPage, site: Site) -> None:
    stranger = open_page("/accounts/login/", None)
    assert violations(stranger) == []
    page = open_page("/test-call/")
    assert violations(page) == []
    path = a_call(page)
    assert violations(page) == []
    for each in ("/", path):
        page.goto(site.url + each)
        assert violations(page) == [], each


def test_whoever_uses_the_keyboard_sees_where_they_are(open_page: OpenPage, site: Site) -> None:
    page = open_page("/test-call/")
    stops = tabbed(page)
    assert len(stops) > 8
    assert [stop for stop, seen in stops if not seen] == []
    page.goto(site.url + a_call(page))
    stops = tabbed(page)
    assert len(stops) > 6
    assert [stop for stop, seen in stops if not seen] == []


def tabbed(page: Page) -> list[tuple[str, bool]]:
    """Every place that the tab key leads to, once, and whether one sees it."""
    page.evaluate(LOOKS)
    stops: dict[int, tuple[str, bool]] = {}
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None:
            break
        stops.setdefault(stop[0], (stop[1], stop[2]))
    return list(stops.values())
