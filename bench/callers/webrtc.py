"""Callers behind a page with WebRTC: real peers (aiortc) that speak packets encoded beforehand.

A peer costs more here than its call costs the server, so our own core is full first.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.callers.caller import CLIP_RATE, CLIPS, FRAME_SECONDS, Caller, frames, spoken
from bench.server import HOST, Server
from calls.providers.carriers.webrtc.jitter import Packet
from calls.providers.carriers.webrtc.opus import FRAME_BYTES, SAMPLE_RATE, Encoder
from calls.simulator.browser import PATH as PAGE_PATH
from calls.simulator.clips import index
from calls.simulator.webrtc import Microphone, PagePeer
from calls.voice.resample import resample

LOUD = 24  # bytes of a packet: silence is encoded in fewer


class RecordedMicrophone(Microphone):
    """A track whose frames are encoded already."""

    def _packet(self, pcm: bytes, at: int) -> av.Packet[Any]:
        packet = av.Packet(pcm)
        packet.pts, packet.time_base = at, Fraction(1, SAMPLE_RATE)
        return packet


class WebRtcCaller(Caller[bytes]):
    """A caller whose sound goes as Opus over UDP, both ways."""

    rate = 16_000
    _socket: ClientConnection
    _reading: asyncio.Task[None]

    @classmethod
    def coded(cls, pcm: bytes) -> bytes:
        """Silence only: the packets of speech depend on each other."""
        assert not any(pcm)
        return _silence()

    @classmethod
    def speech(cls) -> list[list[bytes]]:
        return [_packets(spoken(index()[name].pcm())) for name in CLIPS]

    async def connect(self, server: Server) -> None:
        """Connect the peers, begin the call and the silence."""
        self._peer = PagePeer(self._heard, RecordedMicrophone())
        self._answer: asyncio.Future[str] = self._loop.create_future()
        url = f"ws://{HOST}:{server.port}{PAGE_PATH}"
        self._socket = await connect(url, compression=None, proxy=None)
        self._reading = asyncio.create_task(self._read())
        await self._tell({"type": "offer", "sdp": await self._peer.offer()})
        await self._peer.accept(await self._answer)
        await self._tell({"type": "start", "sample_rate": self.rate, "transport": "webrtc"})
        self._begin()

    async def _disconnect(self) -> None:
        await self._socket.close()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._peer.close()

    def _put(self, frame: bytes) -> None:
        self._peer.microphone.put(frame)

    def _heard(self, packet: Packet, _lost: bool) -> None:
        if len(packet.payload) > LOUD:
            self._hear(self._loop.time(), FRAME_SECONDS)

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
def _silence() -> bytes:
    """20 ms of silence as a packet."""
    encoder = Encoder()
    return [bytes(encoder.encode(bytes(FRAME_BYTES), 0)) for _ in range(20)][-1]


def _packets(pcm: bytes) -> list[bytes]:
    encoder, wide = Encoder(), resample(pcm, CLIP_RATE, WebRtcCaller.rate)
    return [bytes(encoder.encode(frame, 0)) for frame in frames(wide, WebRtcCaller.rate)]
