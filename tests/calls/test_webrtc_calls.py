"""Calls over WebRTC from a page's first message to the stored call: who may, and who comes back."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest

from calls.carriers.tokens import resume_token, widget_token
from calls.models import Call, Utterance
from calls.providers.carriers.webrtc import media as media_module
from calls.providers.carriers.webrtc.media import Options
from calls.simulator.webrtc import PagePeer
from config.asgi import application
from tenants.db import run_in_tenant
from tests.calls.phone import BROWSER, Phone, noise
from tests.calls.scripted import desk as desk
from tests.calls.scripted import scripted as scripted

pytestmark = pytest.mark.django_db(transaction=True)

START = {"type": "start", "sample_rate": 16000}
SILENCE = bytes(640)


def page(query: str) -> Phone:
    return Phone(application, BROWSER, f"client=browser&{query}")


def visitor(desk) -> Phone:
    return page(f"token={widget_token(desk.agent.public_id)}")


async def connect(phone: Phone, peer: PagePeer) -> None:
    phone.socket.put({"type": "offer", "sdp": await peer.offer()})
    await peer.accept((await phone.until(lambda m: m["type"] == "answer"))["sdp"])


@asynccontextmanager
async def calling(desk):
    """A visitor's call over WebRTC whose microphone is on: the socket and the connection."""
    phone, peer = visitor(desk), PagePeer()
    await connect(phone, peer)
    phone.socket.put({**START, "transport": "webrtc"})
    await phone.until(lambda m: m["type"] == "ready")
    humming = asyncio.create_task(hum(peer))
    try:
        yield phone, peer
    finally:
        humming.cancel()
        await asyncio.gather(humming, return_exceptions=True)
        await peer.close()


async def hum(peer: PagePeer) -> None:
    while True:
        peer.microphone.put(SILENCE)
        await asyncio.sleep(0.02)


async def speak(peer: PagePeer, ms: int) -> None:
    sound = noise(ms, 16000)
    for at in range(0, len(sound), 640):
        peer.microphone.put(sound[at : at + 640])


async def rows(desk, model, **filters):
    return await run_in_tenant(desk.tenant.id, lambda: list(model.objects.filter(**filters)))


async def ended(desk, quiet) -> str:
    async with asyncio.timeout(10):
        while quiet.resumable:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    await quiet.writer.drained(5)
    (call,) = await rows(desk, Call)
    return call.end_reason


async def test_visitor_talks_to_an_agent_over_webrtc(desk, quiet):
    async with calling(desk) as (phone, peer):
        await phone.until(lambda m: m["type"] == "turn")
        await speak(peer, 400)
        answer = await phone.until(
            lambda m: m["type"] == "turn" and m["role"] == "agent" and "cien" in m["text"]
        )
        assert answer["heard_text"] == answer["text"]
        phone.socket.put({"type": "hangup"})
        assert (await phone.over())["code"] == 1000
        assert await ended(desk, quiet) == "caller_hung_up"
    roles = [turn.role for turn in await rows(desk, Utterance)]
    assert roles == ["agent", "caller", "agent"]
    assert phone.socket.texts[-1] == {"type": "ended", "reason": "caller_hung_up"}


async def test_page_that_falls_back_has_not_lost_its_token(desk, quiet):
    phone, peer = visitor(desk), PagePeer()
    phone.socket.put({"type": "offer", "sdp": await peer.offer()})
    await phone.until(lambda m: m["type"] == "answer")
    assert await rows(desk, Call) == []
    phone.socket.put(START)
    await phone.until(lambda m: m["type"] == "ready")
    phone.socket.put({"type": "hangup"})
    assert (await phone.over())["code"] == 1000
    assert quiet.resumable == {}
    await peer.close()


async def test_offer_that_makes_no_sense_makes_no_call(desk, quiet):
    phone = visitor(desk)
    phone.socket.put({"type": "offer", "sdp": "m=audio and more"})
    close = await phone.over()
    assert (close["code"], close["reason"]) == (4400, "malformed")
    assert await rows(desk, Call) == []


async def test_nobody_is_asked_for_an_offer_who_may_not_call(desk, quiet):
    phone = page("token=forged")
    phone.socket.put({"type": "ice"})
    assert (await phone.over())["code"] == 4401
    assert phone.socket.texts == []


async def test_connection_is_let_go_when_the_call_is_refused(desk, quiet):
    token = widget_token(desk.agent.public_id)
    first, second = page(f"token={token}"), page(f"token={token}")
    peers = [PagePeer(), PagePeer()]
    for phone, peer in zip((first, second), peers, strict=True):
        await connect(phone, peer)
        phone.socket.put({**START, "transport": "webrtc"})
    await first.until(lambda m: m["type"] == "ready")
    assert (await second.over())["code"] == 4401
    first.socket.put({"type": "hangup"})
    await first.over()
    assert await ended(desk, quiet) == "caller_hung_up"
    for peer in peers:
        await peer.close()


async def test_page_comes_back_to_its_call_on_another_socket(desk, quiet):
    async with calling(desk) as (phone, peer):
        token = next(m["token"] for m in phone.socket.texts if m["type"] == "resume")
        await phone.until(lambda m: m["type"] == "turn")
        phone.socket.disconnect(1006)
        await phone.over()
        again = page(f"resume={token}")
        await speak(peer, 400)
        await again.until(
            lambda m: m["type"] == "turn" and m["role"] == "agent" and "cien" in m["text"]
        )
        again.socket.put({"type": "hangup"})
        assert (await again.over())["code"] == 1000
        assert await ended(desk, quiet) == "caller_hung_up"


async def test_page_that_never_comes_back_has_lost_its_call(desk, quiet, monkeypatch):
    monkeypatch.setattr(media_module, "Options", lambda: Options(grace=200))
    async with calling(desk) as (phone, _peer):
        phone.socket.disconnect(1006)
        assert await ended(desk, quiet) == "media_lost"


@pytest.mark.parametrize(
    ("token", "code"),
    [("forged", 4401), (resume_token(uuid.uuid4()), 4404)],
    ids=["forged", "of nobody's call"],  # xdist wants the same names in all workers
)
async def test_nobody_comes_back_to_a_call_that_is_not_theirs_or_is_over(desk, quiet, token, code):
    assert (await page(f"resume={token}").over())["code"] == code


async def test_drained_server_ends_calls_over_webrtc_too(desk, quiet):
    async with calling(desk) as (phone, _peer):
        await quiet.drain(0)
        await phone.over()
        assert await ended(desk, quiet) == "drained"
