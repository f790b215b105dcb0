"""The sound of one call over WebRTC, and the page's socket beside it.

The call outlives both. A network that changes takes the connection with it, and often the socket:
the page comes back with a new offer, on its socket or on a new one (`attend`), and goes on where
it was. One that does not come back within `Options.grace` has lost its call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from calls.providers.carriers.asgi import Message, Receive, Send
from calls.providers.carriers.browser import Heard, transcript_in
from calls.providers.carriers.dtmf import tones
from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.inbox import Inbox
from calls.providers.carriers.positions import Positions
from calls.providers.carriers.socket import (
    DEFAULT_LIMITS,
    Limits,
    SocketStream,
    key_pressed,
    parse,
)
from calls.providers.carriers.webrtc.engine import answering
from calls.providers.carriers.webrtc.hearing import Hearing
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.jitter import Packet
from calls.providers.carriers.webrtc.opening import servers_for
from calls.providers.carriers.webrtc.opus import SAMPLE_RATE, BadOpus
from calls.providers.carriers.webrtc.speaking import Speaking
from calls.voice.clock import LoopClock, Timer
from calls.voice.ports import Mark, MediaEvent

if TYPE_CHECKING:
    from calls.providers.carriers.webrtc.peer import Peer

log = logging.getLogger(__name__)

BURST, RATE = 500, 150.0  # packets at once, and packets a second, beyond which they are a flood
MOST_MALFORMED = 50  # messages and packets


@dataclass(frozen=True, slots=True)
class Options:
    """How patient a call is, in ms.

    `grace` is how long it lives without its page's socket or without any of its sound, `connect`
    how long a new connection may take, `between_offers` how soon another may be made.
    """

    grace: float = 15_000.0
    connect: float = 10_000.0
    between_offers: float = 500.0


class WebRtcMedia:
    """The media stream of one call; implements `CallMedia`.

    `user` is whom TURN credentials are for; `on_transcript` gets what the page itself recognised:
    the text, and whether it is final.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        peer: Peer,
        ice: IceOptions,
        user: str = "",
        *,
        on_transcript: Heard | None = None,
        limits: Limits = DEFAULT_LIMITS,
        options: Options | None = None,
    ) -> None:
        self.fault: MediaFault | None = None
        self.malformed = 0
        self.positions = Positions()
        self.on_transcript = on_transcript
        self._ice, self._user = ice, user
        self._limits, self._options = limits, options or Options()
        self._clock = LoopClock()
        self._began = self._heard_at = self._clock.now()
        self._inbox = Inbox()
        self._done = asyncio.Event()
        self._packets = 0
        self._offered_at = float("-inf")
        self._socket: _Socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._hearing = Hearing(self._clock, self.positions, self._inbox.put)
        self._speaking = Speaking(self._clock, lambda name: self._inbox.put(Mark(name)))
        self._absent = Timer(self._clock, lambda: self._lose("its page did not come back"))
        self._quiet = Timer(self._clock, self._check_quiet)
        self._next_peer: Peer | None = None
        self._peer = peer
        self._join(peer)
        self._quiet.set(self._heard_at + self._options.grace)

    # --- what comes -----------------------------------------------------------------------

    def __aiter__(self) -> WebRtcMedia:
        return self

    async def __anext__(self) -> MediaEvent:
        return await anext(self._inbox)

    def _join(self, peer: Peer) -> None:
        peer.join(self._take, self._too_late, self._speaking)

    def _take(self, packet: Packet, lost: bool) -> None:
        """A packet of the caller's sound, in order."""
        self._heard_at = self._clock.now()
        self._packets += 1
        seconds = (self._heard_at - self._began) / 1000
        if self._packets > BURST + RATE * seconds:
            self._break(Fault.FLOOD, f"{self._packets} packets in {seconds:.1f} s")
            return
        try:
            self._hearing.take(packet, lost)
        except BadOpus as error:
            self._forgive(MediaFault(Fault.MALFORMED, f"no Opus: {error}"))

    def _too_late(self) -> None:
        self.positions.late += 1

    def _check_quiet(self) -> None:
        due = self._heard_at + self._options.grace
        if due > self._clock.now() + 0.01:
            self._quiet.set(due)
        else:
            self._lose("no sound came any more")

    # --- what goes ------------------------------------------------------------------------

    async def send(self, pcm: bytes) -> None:
        """Have the page play PCM16 at 16 kHz after what it has already."""
        self._speaking.send(pcm)

    async def mark(self, name: str) -> None:
        """Tell when all sent so far has been heard, by our own clock."""
        self._speaking.mark(name)

    async def clear(self) -> None:
        """Throw away what was not sent, and tell the page, which shows it."""
        self._speaking.clear()
        await self.send_json({"type": "clear"})

    async def send_dtmf(self, digits: str) -> None:
        """Let the caller hear the keys: behind a page there is nobody to press them for."""
        await self.send(tones(digits, SAMPLE_RATE))

    async def send_json(self, message: dict[str, Any]) -> None:
        """Tell the page something that it shows; nothing while it has no socket."""
        if self._socket is not None:
            await self._socket.send_text(orjson.dumps(message).decode())

    # --- the page's socket ----------------------------------------------------------------

    async def attend(self, receive: Receive, send: Send) -> None:
        """Serve a socket of the page's, in place of the one before, until either is over."""
        before, self._socket = self._socket, _Socket(receive, send)
        if before is not None:
            await before.leave(1000, "another socket took over")
        self._absent.cancel()
        socket = self._socket
        listening = asyncio.ensure_future(self._listen(socket))
        waits = [listening, *map(asyncio.ensure_future, (self._done.wait(), socket.left.wait()))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
        except Exception:  # a defect of ours: the page may come back on another socket
            log.exception("a page's socket cannot be served")
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            if self._socket is socket and not self._done.is_set():
                self._socket = None
                self._absent.set(self._clock.now() + self._options.grace)

    async def _listen(self, socket: _Socket) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code", 1005) in SocketStream.orderly:
                    self._close("caller_hung_up")
                return
            try:
                await self._obey(parse(self._text(message)))
            except MediaFault as fault:
                self._forgive(fault)

    def _text(self, message: Message) -> str:
        text = message.get("text")
        if not isinstance(text, str):
            raise MediaFault(Fault.BINARY, "sound has to come over the connection")
        if len(text) > self._limits.message_bytes:
            raise MediaFault(Fault.OVERSIZED, f"{len(text)} characters in one message")
        return text

    async def _obey(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "dtmf":
            self._inbox.put(key_pressed(message))
        elif kind == "transcript":
            text, final = transcript_in(message)
            if self.on_transcript is not None:
                self.on_transcript(text, final)
        elif kind == "hangup":
            self._close("caller_hung_up")
        elif kind == "ice":
            await self.send_json(servers_for(self._ice, self._user))
        elif kind == "offer":
            await self._reconnect(message.get("sdp"))
        elif kind == "candidate" and self._next_peer is not None:
            await self._next_peer.add_candidate(message.get("candidate"))

    def _forgive(self, fault: MediaFault) -> None:
        """Overlook what makes no sense, if there is not too much of it; anything worse ends it."""
        self.malformed += 1
        harmless = fault.fault in {Fault.MALFORMED, Fault.BINARY}
        if not harmless or self.malformed > MOST_MALFORMED:
            self._break(fault.fault, fault.detail)

    # --- another connection ---------------------------------------------------------------

    async def _reconnect(self, offer: object) -> None:
        """The page offers anew: connect to it beside what there is, then change over."""
        now = self._clock.now()
        if now - self._offered_at < self._options.between_offers:
            raise MediaFault(Fault.MALFORMED, "one offer right after the other")
        self._offered_at = now
        before, self._next_peer = self._next_peer, None
        if before is not None:
            await before.close()
        peer, sdp = await answering(self._ice, offer)
        if self._done.is_set():
            await peer.close()
            return
        self._next_peer = peer
        self._in_background(self._change_over(peer))
        await self.send_json({"type": "answer", "sdp": sdp})

    async def _change_over(self, peer: Peer) -> None:
        connected = await peer.connected(self._options.connect / 1000)
        if self._next_peer is not peer:
            return  # a later offer took its place, or the call is over
        self._next_peer = None
        if not connected:
            await peer.close()
            return
        before, self._peer = self._peer, peer
        await before.close()
        self._hearing.reconnected()
        self._join(peer)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="webrtc.connect")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the end --------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop listening; connection and socket are let go by `hang_up`."""
        self._inbox.stop()

    async def hang_up(self, code: int, reason: str = "") -> None:
        """Let go of the connection, and close the socket with a WebSocket close code."""
        self._inbox.stop()
        for timer in (self._absent, self._quiet):
            timer.cancel()
        self._speaking.close()
        peers = [peer for peer in (self._peer, self._next_peer) if peer is not None]
        self._next_peer = None
        try:
            if self._socket is not None:
                await self._socket.leave(code, reason)
        finally:
            self._done.set()
            await asyncio.gather(*(peer.close() for peer in peers), *self._tasks)

    def _break(self, fault: Fault, detail: str) -> None:
        """The other side broke a rule."""
        if self.fault is None:
            self.fault = MediaFault(fault, detail)
        self._close("media_lost")

    def _lose(self, why: str) -> None:
        log.info("a call over WebRTC ended: %s", why)
        self._close("media_lost")

    def _close(self, reason: str) -> None:
        self._inbox.close(reason)


class _Socket:
    """One socket of a page, on which sending does no harm when it is gone."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive: Callable[[], Awaitable[Message]] = receive
        self.left = asyncio.Event()
        self._send = send

    async def send_text(self, text: str) -> None:
        await self._put({"type": "websocket.send", "text": text})

    async def leave(self, code: int, reason: str) -> None:
        """Close it."""
        await self._put({"type": "websocket.close", "code": code, "reason": reason})
        self.left.set()

    async def _put(self, message: Message) -> None:
        if self.left.is_set():
            return
        try:
            await self._send(message)
        except Exception:  # whatever a server's library raises for a socket that just closed
            log.debug("the socket took no %s", message["type"], exc_info=True)
            self.left.set()
