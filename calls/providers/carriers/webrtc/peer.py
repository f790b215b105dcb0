"""Our end of one connection with a page: ICE, DTLS and SRTP by aiortc, the sound by us.

What of aiortc's we do without, and why (measured with 1.16):

- its jitter buffer waits for four packets and stands still for sixteen after a loss;
- its decoder is a thread for each call, at 48 kHz stereo. It is started and gets no work;
- its encoder, in threads too, at 96 kbit/s stereo: our track gives packets that are encoded.

Imports aiortc, which takes most of a second: `engine.load` does that in good time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.rtp import RtpPacket
from aiortc.sdp import candidate_from_sdp

from calls.providers.carriers.webrtc.ice import IceOptions, may_try
from calls.providers.carriers.webrtc.jitter import JitterBuffer, Packet
from calls.providers.carriers.webrtc.offers import MOST_CANDIDATES, checked, malformed
from calls.providers.carriers.webrtc.opus import Encoder
from calls.providers.carriers.webrtc.speaking import Speaking
from calls.voice.clock import LoopClock

log = logging.getLogger(__name__)

OPUS = RTCRtpCodecCapability("audio/opus", clockRate=48000, channels=2)
_BUFFER = "_RTCRtpReceiver__jitter_buffer"

Take = Callable[[Packet, bool], None]


class _Ear:
    """Stands where a receiver of aiortc's has its jitter buffer, and gives it nothing back."""

    def __init__(self, buffer: JitterBuffer) -> None:
        self._buffer = buffer

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """A packet that came, whatever its order."""
        self._buffer.put(packet.sequence_number, packet.timestamp, packet.payload)
        return False, None


def listen(receiver: RTCRtpReceiver, buffer: JitterBuffer) -> None:
    """Have the receiver's packets go to our buffer. Raises RuntimeError if aiortc has changed."""
    if not hasattr(receiver, _BUFFER):
        raise RuntimeError("this aiortc keeps its jitter buffer elsewhere: see webrtc/peer.py")
    setattr(receiver, _BUFFER, _Ear(buffer))


class Mouth(MediaStreamTrack):
    """The track that a page hears: encoded packets, from when there is a `Speaking` on."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._encoder = Encoder()
        self._speaking: asyncio.Future[Speaking] = asyncio.get_running_loop().create_future()

    def speak(self, speaking: Speaking) -> None:
        """Say this from now on."""
        self._speaking.set_result(speaking)

    async def recv(self) -> av.Packet[Any]:
        """The next packet, when it is due: aiortc asks for it."""
        speaking = await asyncio.shield(self._speaking)
        frame = await speaking.next()
        return self._encoder.encode(frame.pcm, frame.at)


class Peer:
    """One connection. Nobody is told when it fails: no sound comes any more."""

    def __init__(self, ice: IceOptions) -> None:
        servers = [RTCIceServer(list(ice.stun_urls))] if ice.stun_urls else []
        self._ice = ice
        self._candidates = 0
        self._settled = asyncio.Event()
        self._take: Take | None = None
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._mouth = Mouth()
        transceiver = self._connection.addTransceiver(self._mouth, "sendrecv")
        transceiver.setCodecPreferences([OPUS])
        self._buffer = JitterBuffer(LoopClock(), self._deliver)
        listen(transceiver.receiver, self._buffer)
        _refuse_empty(transceiver.receiver.transport.transport._connection)
        self._connection.on("connectionstatechange", self._changed)

    @property
    def state(self) -> str:
        """WebRTC's `connectionState`: new, connecting, connected, failed or closed."""
        return self._connection.connectionState

    async def answer(self, offer: object) -> str:
        """Our answer to a page's offer, both as SDP. Raises MediaFault, and is closed by then."""
        try:
            sdp = checked(offer, private=self._ice.private)
            return await self._answer(sdp)
        except BaseException:
            await self.close()
            raise

    async def _answer(self, sdp: str) -> str:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await self._connection.setLocalDescription()
        except Exception as error:  # aiortc checks little, and trips over the rest in many ways
            log.info("an offer was no good", exc_info=True)
            raise malformed(f"the offer cannot be answered: {error}"[:200]) from None
        return str(self._connection.localDescription.sdp)

    async def add_candidate(self, line: object) -> None:
        """One more address of the page's. Raises MediaFault for what is none."""
        if not isinstance(line, str) or len(line) > 500:
            raise malformed("a candidate is a line of text")
        if not may_try(line, private=self._ice.private) or self._candidates >= MOST_CANDIDATES:
            return
        self._candidates += 1
        try:
            candidate = candidate_from_sdp(line.removeprefix("candidate:"))
        except (ValueError, AssertionError, IndexError) as error:
            raise malformed(f"no candidate: {error}") from None
        candidate.sdpMLineIndex = 0
        await self._connection.addIceCandidate(candidate)

    async def connected(self, seconds: float) -> bool:
        """Wait until the page is connected; False if it is not in that time, or never will be."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            return False
        return self.state == "connected"

    def join(self, take: Take, late: Callable[[], None], speaking: Speaking) -> None:
        """Begin to listen and to speak, once. `late` is told of packets that come too late."""
        self._take, self._buffer.on_late = take, late
        self._mouth.speak(speaking)

    def _deliver(self, packet: Packet, lost: bool) -> None:
        if self._take is not None:
            self._take(packet, lost)

    async def close(self) -> None:
        """Let go of it. Doing it twice is harmless."""
        self._buffer.close()
        self._mouth.stop()
        await self._connection.close()

    def _changed(self) -> None:
        log.debug("a page's connection is %s", self.state)
        if self.state in {"connected", "failed", "closed"}:
            self._settled.set()


def _refuse_empty(connection: Any) -> None:
    """Keep empty datagrams, which port scanners send, from aiortc: it would end the call."""
    take = connection.data_received

    def data_received(data: bytes, component: int) -> None:
        if data:
            take(data, component)

    connection.data_received = data_received


async def answering(ice: IceOptions, offer: object) -> tuple[Peer, str]:
    """A new connection for a page's offer, and our answer. Raises MediaFault."""
    peer = Peer(ice)
    return peer, await peer.answer(offer)
