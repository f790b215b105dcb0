"""Real servers in processes of their own: killed in the middle of a call, or told to end."""

from __future__ import annotations

import asyncio
import json
import signal
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import websockets
from django.utils import timezone

from calls.carriers.tokens import widget_token
from calls.models import Call, CallEvent, Utterance
from calls.tasks import sweep_calls
from tenants.db import run_in_tenant, run_unscoped
from tests.calls.conftest import staff_desk
from tests.calls.servers import Server, ended, greeted, rows
from tests.calls.waiting import until
from tests.peers.twilio import place_call

pytestmark = pytest.mark.django_db(transaction=True)


async def test_killed_server_loses_nothing_that_was_said_and_the_sweeper_closes_the_calls(
    desk, tenant, serve, tmp_path
):
    unhurried = {"endpointing_min": 5000, "endpointing_max": 8000, "endpointing_adaptive": False}
    slow_desk = await run_unscoped(
        staff_desk, tenant, "+525512340009", slug="slow",
        transcriber={"provider": "browser", "languages": ["es-MX"], "turns": unhurried},
    )  # fmt: skip
    server = await asyncio.to_thread(serve, "uvicorn")
    async with greeted(server, desk), asked(server, slow_desk):
        await until(lambda: any(file.stat().st_size > 44 for file in tmp_path.rglob("*.wav")))
        server.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(server.process.wait)
    # Words of which nothing was made yet are kept as well.
    (heard,) = await rows(desk, CallEvent, name="transcript_final")
    assert heard.data["text"] == "quiero reservar para dos"
    assert await rows(desk, Utterance, role="caller") == []
    assert [call.state for call in await rows(desk, Call)] == ["live", "live"]
    assert await rows(desk, Utterance, heard_text="Hola.", call__channel="twilio")

    a_minute_ago = timezone.now() - timedelta(minutes=1)
    await run_in_tenant(desk.tenant.id, lambda: Call.objects.update(heartbeat_at=a_minute_ago))
    assert await run_unscoped(sweep_calls) == 2
    for call in await rows(desk, Call):
        assert (call.state, call.end_reason, call.ended_at) == (
            "ended", "server_lost", a_minute_ago,
        )  # fmt: skip
        assert call.finalised_at is not None
    for recording in tmp_path.rglob("*.wav"):
        with wave.open(str(recording)) as sound:
            assert sound.getnchannels() == 2
            assert sound.getnframes() > 0


@asynccontextmanager
async def asked(server: Server, desk: Any) -> AsyncIterator[None]:
    """A page's call whose caller has asked something, and whose agent still waits for more."""
    address = server.account.server.replace("http", "ws", 1)
    token = widget_token(desk.agent.public_id)
    url = f"{address}/api/v1/ws/media-stream?client=browser&token={token}"
    async with websockets.connect(url) as page:
        await page.send(json.dumps({"type": "start", "sample_rate": 16000}))
        assert json.loads(await page.recv())["type"] == "ready"
        said = {"type": "transcript", "text": "quiero reservar para dos", "final": True}
        await page.send(json.dumps(said))
        await until(lambda: rows(desk, CallEvent, name="transcript_final"), seconds=30)
        yield


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_draining_server_takes_no_call_and_ends_the_last_when_time_is_up(desk, serve, kind):
    server = await asyncio.to_thread(serve, kind, drain_seconds=2)
    async with greeted(server, desk) as (stream, _line):
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: refuses(server, desk))
        assert stream.socket.close_code is None
        output = await ended(server)
        await asyncio.wait_for(stream.socket.wait_closed(), 10)
        assert stream.socket.close_code == 1000
    assert "draining: 1 calls are live" in output
    assert "Traceback" not in output
    ended_calls = await rows(desk, Call, state="ended")
    assert {call.end_reason for call in ended_calls} == {"drained", "refused_busy"}
    assert [call.end_reason for call in ended_calls if call.answered_at] == ["drained"]


async def refuses(server: Server, desk) -> bool:
    answer, _ = await place_call(server.account, to=desk.number)
    return bool(answer.said) and not answer.stream_url


async def test_draining_server_ends_as_soon_as_its_last_caller_hangs_up(desk, serve):
    server = await asyncio.to_thread(serve, "uvicorn", drain_seconds=600)
    async with greeted(server, desk) as (stream, _line):
        server.process.send_signal(signal.SIGTERM)
        await stream.stop()
        output = await ended(server)
    assert "drained" in output
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, server.account.server)
    (call,) = await rows(desk, Call, state="ended")
    assert call.end_reason == "caller_hung_up"
