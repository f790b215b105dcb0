"""Real servers against callers that send nonsense, too much at a time, or that stop reading."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import Any

import pytest
import websockets

from calls.carriers.tokens import widget_token
from calls.models import Call, CallEvent
from tenants.db import run_unscoped
from tests.calls.conftest import staff_desk
from tests.calls.phone import TWILIO
from tests.calls.servers import Server, greeted, rows
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SERVERS = pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
TURNS = {"send_timeout": 500}
# More than a minute of speech, which no buffer between us may hold.
LONG = "Bienvenidos a nuestra agencia de viajes, en la que todo es posible. " * 8


@pytest.fixture
def desk(tenant):
    transcriber = {"provider": "browser", "languages": ["es-MX"], "turns": TURNS}
    return staff_desk(tenant, "+525512340001", transcriber=transcriber)


def address(server, desk) -> str:
    base = server.account.server.replace("http", "ws", 1)
    token = widget_token(desk.agent.public_id)
    return f"{base}/api/v1/ws/media-stream?client=browser&token={token}"


async def started(page) -> None:
    await page.send(json.dumps({"type": "start", "sample_rate": 16000}))
    assert json.loads(await page.recv())["type"] == "ready"


async def how_it_ended(desk) -> tuple[str, dict[str, Any]]:
    (call,) = await until(lambda: rows(desk, Call, state="ended"), seconds=20)
    (fault,) = await rows(desk, CallEvent, name="media_fault")
    return call.end_reason, fault.data


@SERVERS
async def test_oversized_message_is_closed_with_the_same_code_by_both_servers(desk, lasting, kind):
    server = await asyncio.to_thread(lasting, kind)
    async with websockets.connect(address(server, desk)) as page:
        await started(page)
        await page.send(bytes(80 * 1024))
        await asyncio.wait_for(page.wait_closed(), 20)
        assert page.close_code == 4413
    reason, fault = await how_it_ended(desk)
    assert (reason, fault["fault"]) == ("media_lost", "oversized")


@SERVERS
async def test_message_that_no_server_holds_is_closed_by_the_server(desk, lasting, kind):
    server = await asyncio.to_thread(lasting, kind)
    async with websockets.connect(address(server, desk)) as page:
        await started(page)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await page.send(bytes(300 * 1024))
        assert page.close_code in {1006, 1009}  # 1006: it went while we were still sending
    (call,) = await until(lambda: rows(desk, Call, state="ended"), seconds=20)
    assert call.end_reason == "media_lost"


@SERVERS
async def test_page_that_stops_reading_loses_its_call_and_the_reason_is_kept(tenant, lasting, kind):
    desk = await run_unscoped(
        lambda: staff_desk(
            tenant, "+525512340001", greeting=LONG,
            transcriber={"provider": "browser", "languages": ["es-MX"], "turns": TURNS},
        )
    )  # fmt: skip
    server = await asyncio.to_thread(lasting, kind)
    port = int(server.account.server.rpartition(":")[2])
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", port))
    page = await websockets.connect(
        address(server, desk), sock=narrow, max_queue=1, close_timeout=0.1
    )
    await started(page)
    page.transport.pause_reading()
    reason, fault = await how_it_ended(desk)
    page.transport.abort()
    assert (reason, fault["fault"]) == ("media_lost", "not_reading")


@SERVERS
async def test_bad_input_is_closed_with_its_code_and_no_traceback(other_desk, lasting, kind):
    server = await asyncio.to_thread(lasting, kind)
    assert await code_for_garbage(server) == 4408
    async with greeted(server, other_desk) as (stream, _line):
        for _ in range(11):
            await stream.malformed_json()
        await asyncio.wait_for(stream.socket.wait_closed(), 10)
        assert stream.socket.close_code == 4400
    output = server.log.read_text()
    assert "media socket closed: missing_start" in output
    assert not {"Traceback", "Exception"} & set(re.findall(r"\w+", output))


async def code_for_garbage(server: Server) -> int | None:
    """The close code for a stream that begins with nonsense."""
    url = server.account.server.replace("http", "ws", 1) + TWILIO
    async with websockets.connect(url) as socket:
        for _ in range(11):
            await socket.send("{")
        await asyncio.wait_for(socket.wait_closed(), 10)
        return socket.close_code
