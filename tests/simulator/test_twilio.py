"""The stand-in for Twilio, against a server that only notes what it gets."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from calls.simulator.line import Line, Quality
from calls.simulator.twilio import Account, Answer, signature
from calls.voice.codecs import mulaw_encode
from tests.peers.twilio import RudeStream, is_open

TWIML = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Connect action="https://h/after" method="POST"><Stream url="wss://h/ws/tw">
<Parameter name="token" value="9f3"/></Stream></Connect><Say>Sorry.</Say></Response>"""


def test_requests_are_signed_as_twilio_documents_it():
    form = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234",
        "From": "+14158675309", "To": "+18005551212",
    }  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signature("12345", "wss://x.example/ws/tw") == "2vwIZpR5S+nhi5lJ03m2+mgLlWg="


def test_twiml_is_read():
    answer = Answer.read(httpx.Response(200, text=TWIML), 0.1)
    assert answer.stream_url == "wss://h/ws/tw"
    assert answer.parameters == {"token": "9f3"}
    assert (answer.action_url, answer.said) == ("https://h/after", ("Sorry.",))


def test_a_refusal_is_no_twiml():
    assert Answer.read(httpx.Response(403, text="no"), 0.1).status == 403
    with pytest.raises(ValueError, match="no TwiML"):
        Answer.read(httpx.Response(200, text="<html>"), 0.1)


def test_the_socket_is_reached_where_the_server_is():
    account = Account("t", "http://127.0.0.1:9", "https://public.example/")
    assert account.signed_url("/x") == "https://public.example/x"
    assert account.reachable("wss://public.example/ws/tw") == "ws://127.0.0.1:9/ws/tw"


async def test_the_webhooks_time_is_the_servers_not_the_clients(monkeypatch):
    """Building a client takes up to half a second, which no carrier spends on a call."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(TWIML)}\r\n\r\n"
        writer.write((head + TWIML).encode())
        await writer.drain()
        writer.close()

    class Slow(httpx.AsyncClient):
        def __init__(self, **options: Any) -> None:
            time.sleep(1.0)
            super().__init__(**options)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr("calls.simulator.twilio.httpx.AsyncClient", Slow)
        got = await Account("t", f"http://127.0.0.1:{port}").post("/x", {})
    assert got.stream_url == "wss://h/ws/tw"
    assert 0 < got.seconds < 0.9


class Server:
    """Notes what it gets; the test says what it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: Mapping[str, str] = {}
        self.port = 0
        self.connection: ServerConnection
        self.changed = asyncio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request
        self.connection, self.headers = connection, connection.request.headers
        async for text in connection:
            self.got.append(json.loads(text) if isinstance(text, str) else {"event": "binary"})
            self.changed.set()

    async def say(self, event: str, **body) -> None:
        sid = next(message["streamSid"] for message in self.got if message["event"] == "start")
        await self.connection.send(json.dumps({"event": event, "streamSid": sid, **body}))

    async def until(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        async with asyncio.timeout(5):
            while True:
                found = [message for message in self.got if message["event"] == event]
                if len(found) >= count:
                    return found
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def server():
    noting = Server()
    async with serve(noting, "127.0.0.1", 0) as listening:
        noting.port = listening.sockets[0].getsockname()[1]
        yield noting


@pytest.fixture
async def stream(server):
    account = Account("secret", f"http://127.0.0.1:{server.port}")
    answer = Answer(200, "", 0.0, "wss://h/ws/tw", {"token": "9f3"})
    opened = await RudeStream.open(account, answer, call_sid="CA1")
    yield opened
    await opened.close()


async def test_the_stream_opens_as_documented(server, stream):
    await stream.start()
    start = (await server.until("start"))[0]
    assert server.headers["X-Twilio-Signature"] == signature("secret", "wss://h/ws/tw")
    assert server.got[0] == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["customParameters"] == {"token": "9f3"}
    assert start["start"]["callSid"] == "CA1"


async def test_numbers_are_strings_and_lost_frames_leave_a_hole(server, stream):
    await stream.start()
    await stream.media(b"\x01" * 160)
    stream.lose_frame()
    await stream.media(b"\x02" * 160)
    first, second = await server.until("media", 2)
    assert (first["media"]["chunk"], first["media"]["timestamp"]) == ("1", "0")
    assert (second["media"]["chunk"], second["media"]["timestamp"]) == ("3", "40")
    assert base64.b64decode(second["media"]["payload"]) == b"\x02" * 160
    assert second["sequenceNumber"] == "3"


async def test_marks_are_echoed_when_played_and_all_at_once_on_clear(server, stream):
    await stream.start()
    await server.until("start")
    second = base64.b64encode(b"\x01" * 8000).decode()
    await server.say("mark", mark={"name": "nothing queued"})
    assert [m["mark"]["name"] for m in await server.until("mark")] == ["nothing queued"]
    await server.say("media", media={"payload": second})
    await server.say("mark", mark={"name": "one"})
    await server.say("mark", mark={"name": "two"})
    await server.say("clear")
    echoed = [message["mark"]["name"] for message in await server.until("mark", 3)]
    assert echoed == ["nothing queued", "one", "two"]
    assert [received.event for received in stream.received].count("clear") == 1
    assert sum(len(stretch.sound) for stretch in stream.playout.stretches) < 8000


async def test_a_played_mark_comes_back_by_itself(server, stream):
    await stream.start()
    await server.until("start")
    await server.say("media", media={"payload": base64.b64encode(b"\x01" * 160).decode()})
    await server.say("mark", mark={"name": "played"})
    assert (await server.until("mark"))[0]["mark"]["name"] == "played"


async def test_the_line_speaks_in_order_and_notes_the_end_of_speech(server, stream):
    await stream.start()
    line = Line(stream)
    speech = bytes(320) + b"\x10\x27" * 160 * 4 + bytes(320) * 2
    words = line.say(speech)
    talking = asyncio.create_task(line.run())
    await asyncio.wait_for(words.done.wait(), 5)
    talking.cancel()
    sent = [
        base64.b64decode(message["media"]["payload"]) for message in await server.until("media", 7)
    ]
    assert b"".join(sent[:7]) == mulaw_encode(speech)
    assert (words.first_speech_frame, words.last_speech_frame) == (1, 4)
    assert words.started < words.ended


async def test_a_bad_line_loses_frames_but_no_time(server, stream):
    await stream.start()
    line = Line(stream, Quality(loss=0.5, jitter_ms=5, seed=3))
    words = line.say(b"\x10\x27" * 160 * 20)
    talking = asyncio.create_task(line.run())
    await asyncio.wait_for(words.done.wait(), 5)
    talking.cancel()
    arrived = [int(message["media"]["chunk"]) for message in await server.until("media", 4)]
    assert 4 <= len(arrived) <= 16
    assert arrived == sorted(arrived)
    assert max(arrived) >= 16


@pytest.mark.parametrize("fault", ["binary", "unknown_event", "media_that_is_no_base64"])
async def test_faults_reach_the_server(server, stream, fault):
    await stream.start()
    await getattr(stream, fault)()
    event = {"binary": "binary", "unknown_event": "telepathy"}.get(fault, "media")
    assert await server.until(event)


async def test_reordered_chunks_keep_their_own_times(server, stream):
    await stream.start()
    await stream.reordered(first=10)
    times = [message["media"]["timestamp"] for message in await server.until("media", 3)]
    assert times == ["220", "200", "180"]


async def test_vanishing_leaves_no_stop(server, stream):
    await stream.start()
    await server.until("start")
    await stream.vanish()
    await asyncio.wait_for(server.connection.wait_closed(), 5)
    assert not is_open(stream.socket)
    assert "stop" not in [message["event"] for message in server.got]


async def test_hanging_up_says_stop(server, stream):
    await stream.start()
    await stream.stop()
    assert (await server.until("stop"))[0]["stop"]["callSid"] == "CA1"
    await stream.stop()  # twice is harmless
    assert stream.ended.is_set()
