"""A page's side of a call over WebRTC: Opus both ways, with the page's socket for signalling."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import is_rtcp
from websockets.asyncio.client import ClientConnection

from calls.providers.carriers.positions import Positions
from calls.providers.carriers.webrtc.hearing import Hearing
from calls.providers.carriers.webrtc.jitter import JitterBuffer, Packet
from calls.providers.carriers.webrtc.opus import Encoder
from calls.providers.carriers.webrtc.peer import OPUS, listen
from calls.providers.carriers.webrtc.speaking import FRAME_SAMPLES
from calls.simulator.browser import BrowserStream
from calls.simulator.line import level
from calls.voice.clock import LoopClock
from calls.voice.ports import Audio

CONNECT_SECONDS = 10.0
JITTER_SECONDS = 0.06  # that a browser waits before it plays
SILENT = 10  # root mean square of PCM16
CONTIGUOUS_MS = 20.0


class NotConnected(Exception):
    """No connection came about; the message says how far it got."""


class Microphone(MediaStreamTrack):
    """The caller's track: a packet for each 20 ms that are put in."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._encoder = Encoder()
        self._count = 0

    def put(self, pcm: bytes) -> None:
        """Say 20 ms."""
        self._frames.put_nowait(pcm)

    async def recv(self) -> av.Packet[Any]:
        """The next packet: aiortc asks for it."""
        pcm = await self._frames.get()
        self._count += 1
        return self._packet(pcm, self._count * FRAME_SAMPLES)

    def _packet(self, pcm: bytes, at: int) -> av.Packet[Any]:
        return self._encoder.encode(pcm, at)


class PagePeer:
    """A browser's end of one connection. `on_packet` gets what comes, in order."""

    def __init__(
        self,
        on_packet: Callable[[Packet, bool], None] = lambda _p, _l: None,
        microphone: Microphone | None = None,
    ) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = microphone or Microphone()
        self._losing = 0
        transceiver = self.connection.addTransceiver(self.microphone, "sendrecv")
        transceiver.setCodecPreferences([OPUS])
        self._buffer = JitterBuffer(LoopClock(), on_packet)
        listen(transceiver.receiver, self._buffer)
        self._transport = transceiver.receiver.transport
        self._send = self._transport._send_rtp
        self._transport._send_rtp = self._send_or_lose  # type: ignore[method-assign]

    async def offer(self) -> str:
        """What the page offers, with all its addresses."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Connect as the other side answers. Raises NotConnected."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                while self.connection.connectionState in {"new", "connecting"}:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        if self.connection.connectionState != "connected":
            raise NotConnected(f"the connection is {self.connection.connectionState}")

    def lose(self) -> None:
        """The next packet gets lost on the way."""
        self._losing += 1

    async def _send_or_lose(self, data: bytes) -> None:
        if self._losing and not is_rtcp(data):
            self._losing -= 1
        else:
            await self._send(data)

    async def close(self) -> None:
        """Be gone."""
        self._buffer.close()
        self.microphone.stop()
        await self.connection.close()


class WebRtcStream(BrowserStream):
    """The page's end of one call: the simulated caller's `Telephone`."""

    def __init__(
        self, socket: ClientConnection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(socket, clock)
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._hearing = Hearing(LoopClock(), Positions(), self._hear)
        self._peer = PagePeer(self._hearing.take)
        self._heard_until = 0.0
        self._last_frame = bytes(2 * FRAME_SAMPLES)

    async def start(self) -> None:
        """Offer, connect, and say that the call may begin. Raises NotConnected."""
        self._tasks = [asyncio.create_task(self._receive())]
        await self.send({"type": "offer", "sdp": await self._peer.offer()})
        async with asyncio.timeout(CONNECT_SECONDS):
            answer = await self._answer
        await self._peer.accept(answer)
        start = {"type": "start", "sample_rate": self.sample_rate, "transport": "webrtc"}
        await self.send(start)

    async def send_frame(self, pcm: bytes) -> None:
        """Send 20 ms of PCM16."""
        self._last_frame = pcm
        self._peer.microphone.put(pcm)

    def lose_frame(self) -> None:
        """A packet has a number: what is lost is missed."""
        self._peer.lose()
        self._peer.microphone.put(self._last_frame)

    async def stop(self) -> None:
        """Hang up."""
        await super().stop()
        await self._peer.close()

    async def _take(self, message: str | bytes) -> None:
        await super()._take(message)
        told = self.messages[-1]
        if told["type"] == "answer" and not self._answer.done():
            self._answer.set_result(told["sdp"])

    def _hear(self, audio: Audio) -> None:
        """Play it, unless it is the silence that keeps the line open."""
        follows = audio.timestamp - self._heard_until < CONTIGUOUS_MS
        self._heard_until = audio.timestamp + len(audio.pcm) * 500 / audio.sample_rate
        if not follows and level(audio.pcm) < SILENT:
            return
        now = self.clock()
        running = now <= self.playout.plays_until
        self.playout.receive(now if running else now + JITTER_SECONDS, audio.pcm)
        self.on_sound(audio.pcm)
