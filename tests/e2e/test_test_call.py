"""The test-call page in a real Chromium, whose microphone says what the test wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect

from tests.e2e.conftest import picture, problems_of, say

OpenPage = Callable[..., Page]
MS = re.compile(r"(\d+)\sms")

NO_WEBRTC = """
RTCPeerConnection.prototype.setRemoteDescription = () => Promise.reject(new Error("no way"));
"""
# Keeps the page's connections, and what it hears of them.
CONNECTIONS = """
window.peers = [];
const Peer = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Peer {
  constructor(...options) { super(...options); window.peers.push(this); }
};
window.heard = async () => {
  let energy = 0;
  for (const peer of window.peers) {
    (await peer.getStats()).forEach((each) => { energy += each.totalAudioEnergy || 0; });
  }
  return energy;
};
"""
NETWORK_CHANGES = """async () => {
    window.dispatchEvent(new Event("online"));
    const states = () => window.peers.map((each) => each.connectionState).join();
    for (let i = 0; i < 500 && states() !== "closed,connected"; i += 1) {
        await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    return states();
}"""
NO_RECOGNITION = "delete window.SpeechRecognition; delete window.webkitSpeechRecognition;"
# The page as it is for a Spanish agent that speaks English too.
SECOND_LANGUAGE = """
document.addEventListener("readystatechange", () => {
  const data = document.getElementById("test-call-hearing");
  if (!data || document.readyState !== "interactive") return;
  const hearing = JSON.parse(data.textContent);
  Object.values(hearing).filter((h) => h.es).forEach((h) => { h.en = h.es; });
  data.textContent = JSON.stringify(hearing);
});
"""
# A browser's recogniser that understands what the test tells it to.
RECOGNITION = """
window.starts = 0;
window.SpeechRecognition = class {
  constructor() { window.recognition = this; }
  start() { window.starts += 1; }
  stop() {}
};
window.understand = (text) => {
  const result = Object.assign([{ transcript: text }], { isFinal: true });
  window.recognition.onresult({ results: [result], resultIndex: 0 });
};
window.fail = (error) => {
  window.recognition.onerror({ error });
  window.recognition.onend();
};
"""


def at(page: Page, name: str) -> Locator:
    return page.locator(f'[data-at="{name}"]')


def lines(page: Page, role: str) -> Locator:
    return page.locator(f'[data-at="talk"] li[data-role="{role}"]')


def choose(page: Page, language: str) -> None:
    option = page.locator(f'[data-at="agent"] option[data-language^="{language}"]').first
    page.select_option('[data-at="agent"]', value=option.get_attribute("value"))


def call(page: Page, language: str = "en") -> None:
    """Call the agent and hear its greeting to the end."""
    get_through(page, language)
    expect(at(page, "state")).to_have_attribute("data-state", "listening")


def get_through(page: Page, language: str = "en") -> None:
    """Call the agent, and hear it begin to speak."""
    choose(page, language)
    page.click('[data-at="start"]')
    expect(at(page, "state")).to_have_attribute("data-state", "speaking")


def fact(page: Page, name: str) -> Locator:
    return at(page, "facts").locator(f'dt:text-is("{name}") + dd')


def hang_up(page: Page) -> None:
    page.click('[data-at="hang-up"]')
    expect(at(page, "start")).to_be_visible()
    expect(lines(page, "note").last).to_have_text("Call ended: the caller hung up")


def assert_problem(page: Page, code: str) -> None:
    expect(at(page, "problem")).to_be_visible()
    expect(at(page, "problem")).to_have_attribute("data-code", code)
    expect(at(page, "start")).to_be_enabled()


def test_a_member_talks_to_the_english_agent_and_finds_the_call_stored(
    open_page: OpenPage,
) -> None:
    page = open_page("/test-call/")
    page.add_init_script(CONNECTIONS)
    page.reload()
    expect(at(page, "notice")).to_be_visible()
    call(page)
    expect(fact(page, "Sound")).to_have_text("over WebRTC")
    assert page.evaluate("heard()") > 0
    say(page, "opening-hours")
    expect(lines(page, "caller").last).to_contain_text("opening")
    answer = lines(page, "agent").nth(1)
    expect(answer).to_contain_text("eight in the morning to eight in the evening")
    expect(at(page, "turns").locator("li")).to_have_count(1)
    assert_parts_add_up(at(page, "turns").locator("li"))
    expect(at(page, "state")).to_have_attribute("data-state", "listening")
    picture(page, "test-call")
    assert problems_of(page) == []
    hang_up(page)

    page.goto(page.url.replace("test-call/", ""))
    page.locator("tbody a").first.click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("opening")
    expect(rows.nth(2)).to_contain_text(re.compile(r"\d+ ms"))
    picture(page, "call")
    assert problems_of(page) == []


def assert_parts_add_up(row: Locator) -> None:
    """The parts of an answer's time, as words and as widths of the bar, make the whole."""
    total = int(MS.findall(row.locator("strong").inner_text())[0])
    parts = [int(part) for part in MS.findall(row.locator(".turns__parts").first.inner_text())]
    assert abs(sum(parts) - total) <= 5  # each part is rounded
    widths = "bars => bars.map(bar => parseFloat(bar.style.width))"
    assert sum(row.locator(".bar i").evaluate_all(widths)) == pytest.approx(100, abs=0.1)


def test_a_caller_interrupts_and_the_page_keeps_what_was_heard(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    call(page)
    say(page, "how-much")
    expect(at(page, "state")).to_have_attribute("data-state", "speaking")
    say(page, "opening-hours", after=1.5)  # into the long list of prices
    answer = lines(page, "agent").nth(1)
    expect(answer.locator("small")).to_have_text("interrupted: only what was heard is kept")
    unheard = answer.locator(".unheard").inner_text().strip()
    heard = answer.inner_text().partition(unheard)[0].strip()
    assert heard and unheard
    expect(lines(page, "agent").nth(2)).to_contain_text("eight in the morning")
    picture(page, "interrupted")
    assert problems_of(page) == []
    hang_up(page)


def test_keys_reach_the_call(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    get_through(page)
    at(page, "keypad").locator("summary").click()
    page.click('[data-digit="5"]')
    expect(lines(page, "note")).to_have_text("Key pressed: 5")
    hang_up(page)
    public_id = at(page, "facts").locator("dd").last.inner_text()
    stored = page.request.get(page.url.replace("test-call/", f"api/v1/calls/{public_id}/")).json()
    pressed = [event["data"] for event in stored["events"] if event["name"] == "dtmf"]
    assert [data["digit"] for data in pressed] == ["5"]


def test_an_agent_without_ears_for_its_language_says_so(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.add_init_script(NO_RECOGNITION)
    page.reload()
    choose(page, "es")
    expect(at(page, "notice")).to_have_attribute("data-code", "deaf")
    expect(at(page, "notice")).to_contain_text("No Spanish recogniser is configured")
    expect(at(page, "notice")).to_contain_text("GROQ_API_KEY")
    get_through(page, "es")
    expect(at(page, "notice")).to_have_attribute("data-code", "deaf")
    expect(lines(page, "agent").first).to_contain_text("Spirit Tours")
    picture(page, "deaf")
    choice = page.locator('[data-at="agent"]')
    expect(choice).to_be_disabled()
    page.click('[data-at="hang-up"]')
    expect(choice).to_be_enabled()
    choose(page, "en")
    expect(at(page, "notice")).to_have_attribute("data-code", "demonstration")


def test_what_an_agent_lacks_is_said_in_the_visitors_language(open_page: OpenPage) -> None:
    page = open_page("/test-call/", locale="es")
    page.add_init_script(NO_RECOGNITION)
    page.reload()
    choose(page, "es")
    expect(at(page, "notice")).to_contain_text("No hay un reconocedor de voz")


def test_an_agent_of_two_languages_is_called_in_the_chosen_one(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.add_init_script(SECOND_LANGUAGE)
    page.reload()
    choose(page, "en")
    expect(at(page, "language")).to_be_hidden()
    choose(page, "es")
    expect(at(page, "language").locator("option")).to_have_text(["Spanish", "English"])
    page.select_option('[data-at="language"]', "en")
    with page.expect_websocket() as opened:
        page.click('[data-at="start"]')
    assert "language=en" in opened.value.url
    expect(at(page, "state")).to_have_attribute("data-state", "speaking")
    hang_up(page)


def test_the_spanish_agent_understands_by_the_browsers_own_recognition(
    open_page: OpenPage,
) -> None:
    page = open_page("/test-call/")
    page.add_init_script(RECOGNITION)
    page.reload()
    choose(page, "es")
    expect(at(page, "notice")).to_have_attribute("data-code", "browser")
    call(page, "es")
    assert page.evaluate("recognition.lang") == "es-MX"
    say(page, "opening-hours")  # what is heard in it is up to the page
    page.evaluate("understand('¿Cuánto cuesta?')")
    expect(lines(page, "caller").last).to_contain_text("Cuánto cuesta")
    expect(lines(page, "agent").nth(1)).to_contain_text("pesos")
    picture(page, "own-recognition")
    assert problems_of(page) == []
    hang_up(page)


def test_recognition_that_the_browser_cannot_do_is_told(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.add_init_script(RECOGNITION)
    page.reload()
    get_through(page, "es")
    page.evaluate("fail('network')")
    expect(at(page, "problem")).to_have_attribute("data-code", "no_recognition")
    assert page.evaluate("starts") == 1
    hang_up(page)


@pytest.mark.parametrize(
    ("script", "sound"),
    [("", "over WebRTC"), (NO_WEBRTC, "over the WebSocket")],
    ids=["webrtc", "websocket"],
)
def test_the_machines_own_microphone_is_heard(
    open_page: OpenPage,
    launched: Callable[..., Browser],
    recording: Callable[..., Path],
    script: str,
    sound: str,
) -> None:
    speech = recording(*["opening-hours", 1.0] * 20)
    own = launched(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    )
    page = open_page("/test-call/", on=own)
    page.add_init_script(script)
    page.reload()
    choose(page, "en")
    page.click('[data-at="start"]')
    expect(fact(page, "Sound")).to_have_text(sound)
    expect(at(page, "caller")).to_have_attribute("data-state", "speaking")
    expect(at(page, "meter")).not_to_have_attribute("aria-valuenow", "0")
    # The fake device starts anywhere in its recording, so that the first words may be cut off.
    understood = lines(page, "caller").filter(has_text="opening hours")
    expect(understood.first).to_be_visible()
    page.click('[data-at="hang-up"]')
    expect(at(page, "start")).to_be_visible()


@pytest.mark.parametrize(
    ("switch", "code"),
    [
        # A fake device without the fake prompt: headless Chromium denies what nobody granted.
        ("--use-fake-device-for-media-stream", "permission_denied"),
        ("--use-fake-ui-for-media-stream", "no_microphone"),
    ],
)
def test_a_microphone_that_cannot_be_used_is_named_with_what_to_do(
    open_page: OpenPage, launched: Callable[..., Browser], switch: str, code: str
) -> None:
    page = open_page("/test-call/", on=launched(switch))
    page.click('[data-at="start"]')
    assert_problem(page, code)
    picture(page, code)
    assert problems_of(page) == []


def test_a_server_that_goes_away_is_told_and_the_page_can_call_again(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.add_init_script(NO_WEBRTC)
    page.reload()
    page.route_web_socket(re.compile("media-stream"), _cut_after_ready)
    choose(page, "en")
    page.click('[data-at="start"]')
    assert_problem(page, "server_gone")


def _cut_after_ready(socket: WebSocketRoute) -> None:
    server = socket.connect_to_server()
    cut = False

    def to_page(message: str | bytes) -> None:
        nonlocal cut
        socket.send(message)
        if isinstance(message, str) and '"mark"' in message and not cut:
            cut = True
            server.close()
            socket.close(code=1011)

    def to_server(message: str | bytes) -> None:
        if not cut:
            server.send(message)

    server.on_message(to_page)
    socket.on_message(to_server)


def test_a_page_whose_network_changes_goes_on_with_its_call(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.add_init_script(CONNECTIONS)
    page.reload()
    routes: list[tuple[WebSocketRoute, WebSocketRoute]] = []
    page.route_web_socket(
        re.compile("media-stream"), lambda own: routes.append((own, own.connect_to_server()))
    )
    call(page)
    own, server = routes[0]
    server.close(code=3001)
    own.close(code=3001)
    with page.expect_websocket(lambda socket: "resume=" in socket.url):
        pass
    assert page.evaluate(NETWORK_CHANGES) == "closed,connected"
    say(page, "opening-hours")
    expect(lines(page, "agent").nth(1)).to_contain_text("eight in the morning")
    hang_up(page)


@pytest.mark.parametrize(
    ("closing", "code"),
    [(4401, "not_allowed"), (4404, "no_agent"), (4429, "busy"), (1006, "no_connection")],
)
def test_a_refused_call_says_why(open_page: OpenPage, closing: int, code: str) -> None:
    page = open_page("/test-call/")

    def refuse(socket: WebSocketRoute) -> None:
        socket.close(code=closing) if closing != 1006 else socket.close()

    page.route_web_socket(re.compile("media-stream"), refuse)
    page.click('[data-at="start"]')
    assert_problem(page, code)


def test_a_caller_with_too_many_calls_is_told_so_and_not_that_the_server_is_full(
    open_page: OpenPage,
) -> None:
    page = open_page("/test-call/")

    def refuse(socket: WebSocketRoute) -> None:
        socket.send('{"type": "error", "code": "too_many_calls", "message": "2 of 2"}')
        socket.close(code=4429)

    page.route_web_socket(re.compile("media-stream"), refuse)
    page.click('[data-at="start"]')
    assert_problem(page, "too_many_calls")


def test_an_agent_that_does_not_exist_is_refused_by_the_server(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    page.evaluate(
        """() => {
            const agent = document.querySelector('[data-at="agent"]');
            agent.options[agent.selectedIndex].value = "00000000-0000-4000-8000-000000000000";
        }"""
    )
    page.click('[data-at="start"]')
    assert_problem(page, "no_agent")


def test_leaving_the_page_ends_the_call(open_page: OpenPage) -> None:
    page = open_page("/test-call/")
    get_through(page)
    public_id = at(page, "facts").locator("dd").last.inner_text()
    stored = page.url.replace("test-call/", f"api/v1/calls/{public_id}/")
    page.goto(page.url.replace("test-call/", ""))
    ended = """async (address) => {
        for (;;) {
            const call = await (await fetch(address)).json();
            if (call.end_reason) return call.end_reason;
            await new Promise((resolve) => { setTimeout(resolve, 100); });
        }
    }"""
    assert page.evaluate(ended, stored) == "caller_hung_up"
