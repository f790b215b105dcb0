"""Calls from a page: who may make them, what the page is told, and how they end."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.test import Client

from agents.models import Agent
from calls.carriers.tokens import widget_token
from calls.models import Call, Utterance
from calls.voice import Phrases
from config.asgi import application
from tenants.db import run_in_tenant, run_unscoped
from tenants.models import Role
from tests.calls.conftest import staff_desk
from tests.calls.phone import BROWSER, Phone, noise
from tests.calls.scripted import TRANSCRIBER
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted
from tests.calls.waiting import until
from tests.conftest import log_in

pytestmark = pytest.mark.django_db(transaction=True)

START = {"type": "start", "sample_rate": 16000}


@pytest.fixture
def cookie_of(settings):
    """The session cookie of somebody who is logged in."""

    def cookie(user):
        client = Client()
        log_in(client, user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        return (b"cookie", f"{settings.SESSION_COOKIE_NAME}={value}".encode())

    return cookie


@pytest.fixture
def staff_cookie(staff, cookie_of):
    return cookie_of(staff)


def page(query, *headers):
    return Phone(application, BROWSER, f"client=browser&{query}", tuple(headers))


async def calling(desk, cookie, start=START):
    phone = page(f"agent={desk.agent.public_id}", cookie, (b"origin", b"http://localhost:8000"))
    phone.socket.put(start)
    await phone.until(lambda m: m["type"] == "ready")
    return phone


def speak(phone, ms, *, aloud=True):
    sound = noise(ms, 16000) if aloud else bytes(32 * ms)
    for at in range(0, len(sound), 640):
        phone.socket.put(sound[at : at + 640])


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def test_member_talks_to_an_agent(desk, staff, staff_cookie, quiet):
    phone = await calling(desk, staff_cookie)
    ready = phone.socket.texts[0]
    assert ready["agent"] == "Andrea"
    assert ready["providers"].keys() == {"recogniser", "voice", "model"}
    await phone.until(lambda m: m["type"] == "turn")
    speak(phone, 400)
    speak(phone, 400, aloud=False)
    await phone.until(lambda m: m["type"] == "turn" and m["role"] == "caller")
    answer = await phone.until(
        lambda m: m["type"] == "turn" and m["role"] == "agent" and "cien" in m["text"]
    )
    assert answer["heard_text"] == answer["text"]
    assert answer["metrics"]["response_latency"] >= 0
    phone.socket.put({"type": "hangup"})
    assert (await phone.over())["code"] == 1000
    await quiet.writer.drained(5)
    (call,) = await rows(desk, Call)
    assert (str(call.public_id), call.channel, call.user_id) == (
        ready["call"], "browser", staff.pk,
    )  # fmt: skip
    assert call.end_reason == "caller_hung_up"
    assert [t.role for t in await rows(desk, Utterance)] == ["agent", "caller", "agent"]


async def test_fixed_phrases_are_got_while_a_page_is_greeted(
    desk, staff_cookie, quiet, monkeypatch
):
    asked: list[list[str]] = []

    async def note(_voices, texts):
        asked.append(list(texts))

    monkeypatch.setattr("calls.session.prepare", note)
    phone = await calling(desk, staff_cookie)
    phone.socket.put({"type": "hangup"})
    await phone.over()
    (texts,) = asked
    phrases = Phrases.for_language("es")
    assert {*phrases.fillers, *phrases.away_prompts, phrases.goodbye} <= {*texts}
    assert "Hola." not in texts


async def test_page_is_shown_what_happens(desk, staff_cookie, quiet):
    phone = await calling(desk, staff_cookie)
    await phone.until(lambda m: m["type"] == "turn")
    speak(phone, 400)
    speak(phone, 400, aloud=False)
    await phone.until(lambda m: m["type"] == "turn" and m["role"] == "caller")
    phone.socket.put({"type": "hangup"})
    await phone.over()
    shown = phone.socket.texts
    assert shown[0]["type"] == "ready"
    assert shown[-1] == {"type": "ended", "reason": "caller_hung_up"}
    finals = [m["text"] for m in shown if m["type"] == "transcript" and m["role"] == "caller"]
    assert finals == ["¿Cuánto cuesta el tour?"]
    states = [(m["agent"], m["caller"]) for m in shown if m["type"] == "state"]
    assert ("speaking", "silent") in states
    assert any(caller == "speaking" for _, caller in states)
    assert any(m.get("bytes") for m in phone.socket.sent)


async def test_page_that_recognises_by_itself_is_listened_to(tenant, staff_cookie, quiet):
    transcriber = {**TRANSCRIBER, "provider": "browser"}
    desk = await run_unscoped(staff_desk, tenant, "+525512340001", transcriber=transcriber)
    phone = await calling(desk, staff_cookie)
    assert phone.socket.texts[0]["providers"]["recogniser"] == "browser"
    await phone.until(lambda m: m["type"] == "turn")
    speak(phone, 300)
    phone.socket.put({"type": "transcript", "text": "cuánto", "final": False})
    phone.socket.put({"type": "transcript", "text": "cuánto cuesta el tour", "final": True})
    speak(phone, 400, aloud=False)
    turn = await phone.until(lambda m: m["type"] == "turn" and m["role"] == "caller")
    assert turn["text"] == "cuánto cuesta el tour"
    phone.socket.put({"type": "hangup"})
    await phone.over()


async def test_page_without_a_recogniser_is_heard_by_the_next_one(tenant, staff_cookie, quiet):
    transcriber = {**TRANSCRIBER, "provider": "browser"}
    desk = await run_unscoped(staff_desk, tenant, "+525512340001", transcriber=transcriber)
    phone = await calling(desk, staff_cookie, {**START, "speech_recognition": False})
    assert phone.socket.texts[0]["providers"]["recogniser"] == "scribe"
    await phone.until(lambda m: m["type"] == "turn")
    phone.socket.put({"type": "transcript", "text": "nadie escucha esto", "final": True})
    speak(phone, 400)
    speak(phone, 400, aloud=False)
    turn = await phone.until(lambda m: m["type"] == "turn" and m["role"] == "caller")
    assert turn["text"] == "¿Cuánto cuesta el tour?"
    phone.socket.put({"type": "hangup"})
    await phone.over()


async def test_visitor_with_a_widget_token_calls_once(desk, quiet):
    token = widget_token(desk.agent.public_id)
    first = page(f"token={token}", (b"origin", b"https://customer.example"))
    first.socket.put(START)
    await first.until(lambda m: m["type"] == "ready")
    second = page(f"token={token}")
    second.socket.put(START)
    assert (await second.over())["code"] == 4401
    first.socket.put({"type": "hangup"})
    assert (await first.over())["code"] == 1000
    third = page(f"token={token}")
    third.socket.put(START)
    assert (await third.over())["code"] == 4401
    assert len(await rows(desk, Call)) == 1


@pytest.mark.parametrize(
    ("asked", "spoken"), [("en", "en"), ("en-GB", "en"), ("es", "es"), ("fr", "es"), ("", "es")]
)
async def test_page_chooses_among_the_languages_of_the_version(tenant, quiet, asked, spoken):
    desk = await run_unscoped(staff_desk, tenant, "+525512340003", also=("en",))
    phone = page(f"token={widget_token(desk.agent.public_id)}&language={asked}")
    phone.socket.put(START)
    await phone.until(lambda m: m["type"] == "ready")
    phone.socket.put({"type": "hangup"})
    await phone.over()
    assert [call.language for call in await rows(desk, Call)] == [spoken]


# --- who may not ---------------------------------------------------------------------------


async def refused(phone, desk):
    phone.socket.put(START)
    close = await phone.over()
    assert await rows(desk, Call) == []
    return close["code"]


async def test_nobody_is_not_let_in(desk, quiet):
    assert await refused(page(f"agent={desk.agent.public_id}"), desk) == 4401


async def test_forged_widget_token_is_not_let_in(desk, quiet):
    assert await refused(page("token=forged"), desk) == 4401


async def test_widget_token_of_no_agent_finds_nobody(desk, quiet):
    assert await refused(page(f"token={widget_token(uuid.uuid4())}"), desk) == 4404


async def test_outsider_does_not_find_the_agent(desk, outsider, cookie_of, quiet):
    cookie = await run_unscoped(cookie_of, outsider)
    assert await refused(page(f"agent={desk.agent.public_id}", cookie), desk) == 4404


async def test_analyst_may_not_talk_to_agents(desk, tenant, make_member, cookie_of, quiet):
    cookie = await run_unscoped(lambda: cookie_of(make_member(tenant, Role.ANALYST)))
    assert await refused(page(f"agent={desk.agent.public_id}", cookie), desk) == 4401


async def test_login_of_this_site_is_no_use_to_pages_of_others(desk, staff_cookie, quiet):
    phone = page(
        f"agent={desk.agent.public_id}", staff_cookie, (b"origin", b"https://evil.example")
    )
    assert await refused(phone, desk) == 4401


@pytest.mark.parametrize("agent", ["", "nonsense", "00000000-0000-0000-0000-000000000000"])
async def test_unknown_agent_is_not_found(desk, staff_cookie, agent, quiet):
    assert await refused(page(f"agent={agent}", staff_cookie), desk) == 4404


async def test_agent_that_is_switched_off_is_not_found(desk, staff_cookie, quiet):
    await run_in_tenant(desk.tenant.id, lambda: Agent.objects.update(is_active=False))
    assert await refused(page(f"agent={desk.agent.public_id}", staff_cookie), desk) == 4404


async def test_draining_server_takes_no_page(desk, staff_cookie, quiet):
    quiet.draining = True
    assert await refused(page(f"agent={desk.agent.public_id}", staff_cookie), desk) == 4429


async def test_page_with_a_wrong_sample_rate_makes_no_call(desk, staff_cookie, quiet):
    phone = page(f"agent={desk.agent.public_id}", staff_cookie)
    phone.socket.put({"type": "start", "sample_rate": 44100})
    close = await phone.over()
    assert (close["code"], close["reason"]) == (4415, "wrong_format")
    assert await rows(desk, Call) == []


async def test_page_that_vanishes_ends_its_call(desk, staff_cookie, quiet):
    phone = await calling(desk, staff_cookie)
    phone.socket.disconnect(1006)
    await phone.over()
    await quiet.writer.drained(5)
    assert (await rows(desk, Call))[0].end_reason == "media_lost"


async def test_page_that_does_not_keep_up_misses_news_and_not_the_call(
    desk, staff_cookie, quiet, monkeypatch
):
    monkeypatch.setattr("calls.line.feed.QUEUE", 1)
    phone = await calling(desk, staff_cookie)
    await until(lambda: rows(desk, Utterance))
    phone.socket.put({"type": "hangup"})
    assert (await phone.over())["code"] == 1000
    await asyncio.sleep(0)
