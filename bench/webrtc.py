"""Calls over WebRTC on one core: how fast they are answered and stopped, what they cost.

The callers are real peers (aiortc) that speak packets encoded beforehand; they have a core of
their own, which is full before the server's is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.caller import CLIPS, Caller, Measured, spoken
from bench.figures import Figure, percentile
from bench.server import HOST, Server, bench_server, cores
from calls.providers.carriers.webrtc.jitter import Packet
from calls.providers.carriers.webrtc.opus import FRAME_BYTES, SAMPLE_RATE, Encoder
from calls.simulator.browser import PATH
from calls.simulator.clips import index
from calls.simulator.webrtc import Microphone, PagePeer
from calls.voice.resample import resample

APART_SECONDS = 0.3  # from one call's begin to the next one's
SETTLE_SECONDS = 2.0
LOUD = 24  # bytes of a packet: silence is encoded in fewer
MULAW_FRAME = 160  # how the reply's length is counted
STOP_LIMIT = 200 + 40.0


class RecordedMicrophone(Microphone):
    """A track whose frames are encoded already."""

    def _packet(self, pcm: bytes, at: int) -> av.Packet[Any]:
        packet = av.Packet(pcm)
        packet.pts, packet.time_base = at, Fraction(1, SAMPLE_RATE)
        return packet


class PageCaller(Caller):
    """A caller behind a page."""

    def __init__(
        self, number: int, clips: Sequence[Sequence[str | bytes]], measured: Measured
    ) -> None:
        super().__init__(number, clips, measured)
        self.silence = silence()
        self._peer = PagePeer(self._heard, RecordedMicrophone())
        self._socket: ClientConnection
        self._reading: asyncio.Task[None]
        self._answer: asyncio.Future[str] = self._loop.create_future()

    async def connect(self, host: str, port: int, path: str) -> None:
        """Connect, begin the call and the silence."""
        self._socket = await connect(f"ws://{host}:{port}{path}", compression=None, proxy=None)
        self._reading = asyncio.create_task(self._read())
        await self._tell({"type": "offer", "sdp": await self._peer.offer()})
        await self._peer.accept(await self._answer)
        await self._tell({"type": "start", "sample_rate": 16000, "transport": "webrtc"})
        self._due = self._loop.time()
        self._tick()

    async def leave(self) -> None:
        """Hang up, and let go of everything."""
        self._silence_all()
        self.over = True
        await self._socket.close()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._peer.close()

    def _send_frame(self, payload: str | bytes) -> None:
        assert isinstance(payload, bytes)
        self._peer.microphone.put(payload)

    def _heard(self, packet: Packet, _lost: bool) -> None:
        if len(packet.payload) > LOUD:
            self._hear(self._loop.time(), MULAW_FRAME)

    async def _tell(self, message: dict[str, Any]) -> None:
        await self._socket.send(orjson.dumps(message).decode())

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                message = orjson.loads(text)
                if message["type"] == "answer":
                    self._answer.set_result(message["sdp"])
                elif message["type"] == "clear":
                    self._clear(self._loop.time())
        except ConnectionClosed:
            pass
        self._lost("the socket closed")


@lru_cache(maxsize=1)
def silence() -> bytes:
    """20 ms of silence as a packet."""
    encoder = Encoder()
    return [bytes(encoder.encode(bytes(FRAME_BYTES), 0)) for _ in range(20)][-1]


def speech() -> list[list[bytes]]:
    """Each clip as packets, from its first frame with speech to its last."""
    return [_packets(b"".join(spoken(index()[name].pcm()))) for name in CLIPS]


def _packets(pcm: bytes) -> list[bytes]:
    encoder, wide = Encoder(), resample(pcm, 8000, 16000)
    frames = (wide[at : at + FRAME_BYTES] for at in range(0, len(wide), FRAME_BYTES))
    return [bytes(encoder.encode(frame.ljust(FRAME_BYTES, b"\0"), 0)) for frame in frames]


async def measure(calls: int, seconds: float) -> list[Figure]:
    """Figures of so many calls at once."""
    server_core, our_core = cores()
    if our_core is not None:
        os.sched_setaffinity(0, {our_core})
    async with bench_server("uvicorn", server_core) as server:
        clips, measured = speech(), Measured()
        warm = PageCaller(0, clips, Measured())
        await warm.connect(HOST, server.port, PATH)
        await asyncio.sleep(1.0)
        await warm.leave()
        idle = await server.metrics()
        callers = [PageCaller(number, clips, measured) for number in range(1, calls + 1)]
        before, after = await _under_load(server, callers, measured, seconds)
    return _figures(calls, measured, idle, before, after)


async def _under_load(
    server: Server, callers: list[PageCaller], measured: Measured, seconds: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    loop = asyncio.get_running_loop()
    until = loop.time() + len(callers) * APART_SECONDS + SETTLE_SECONDS + seconds
    talks = []
    for caller in callers:
        await caller.connect(HOST, server.port, PATH)
        talks.append(asyncio.create_task(caller.converse(until)))
        await asyncio.sleep(APART_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)
    before = await server.metrics()
    for values in (measured.response, measured.bargein, measured.late_ticks):
        values.clear()
    await asyncio.sleep(until - loop.time() - 0.5)
    after = await server.metrics()
    await asyncio.gather(*talks)
    await asyncio.gather(*(caller.leave() for caller in callers))
    return before, after


def _figures(
    calls: int,
    measured: Measured,
    idle: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
) -> list[Figure]:
    seconds = after["wall_seconds"] - before["wall_seconds"]
    cpu = (after["cpu_seconds"] - before["cpu_seconds"]) / seconds * 100
    memory = (after["rss_bytes"] - idle["rss_bytes"]) / calls / 2**20
    response, bargein = measured.response, measured.bargein
    return [
        Figure("calls at once", after["live_calls"], "calls", calls, at_least=True),
        Figure("replies measured", len(response), "replies", calls, at_least=True),
        Figure("last speech packet to first voice, p50", percentile(response, 0.5), "ms"),
        Figure("last speech packet to first voice, p95", percentile(response, 0.95), "ms", 360),
        Figure("event loop lag, p99", after["loop_lag_p99_ms"] or 0.0, "ms", 20),
        Figure("core, per call", cpu / calls, "%"),
        Figure("calls on a core that is 80 % busy, worked out", 100 * calls / cpu * 0.8, "calls"),
        Figure("memory, per call", memory, "MiB"),
        Figure("barge-in to clear, p50", percentile(bargein, 0.5), "ms"),
        Figure("barge-in to clear, p95", percentile(bargein, 0.95), "ms", STOP_LIMIT),
        Figure("barge-ins not heeded", measured.not_stopped, "times", 0),
        Figure("questions not answered", measured.unanswered, "times", 0),
        Figure("calls lost", measured.lost, "calls", 0),
        Figure("lateness of our own frames, p99", percentile(measured.late_ticks, 0.99), "ms"),
    ]
