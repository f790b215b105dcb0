"""The media sockets: one consumer per kind of line, each a thin adapter from socket to session.

They are Channels consumers that take their frames off the socket themselves. A stock consumer
hops into the one process-wide thread for every message and joins a channel layer; here a frame
goes from `receive()` straight into the voice loop, and nothing else happens to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from channels.consumer import AsyncConsumer
from django.conf import settings

from calls.carriers import admission, outbox
from calls.carriers.admission import Denied, TooManyPages, Visitor
from calls.carriers.tokens import resume_token
from calls.line.conduct import AdmittedCall, conduct
from calls.line.feed import PageFeed
from calls.line.live import LiveCalls, live
from calls.line.lobby import NoRoom, Seat
from calls.line.relayed import RelayedCall
from calls.models import Call
from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.browser import BrowserMedia, PageStart
from calls.providers.carriers.door import Door, Start
from calls.providers.carriers.errors import BUSY, NO_SUCH_AGENT, MediaFault, StreamGone
from calls.providers.carriers.socket import DEFAULT_LIMITS, Limits
from calls.providers.carriers.stream import CallMedia, CallText
from calls.providers.carriers.webrtc.media import WebRtcMedia
from calls.providers.carriers.webrtc.opening import Opening
from calls.session import StoredCall
from tenants.client_ip import socket_ip

log = logging.getLogger(__name__)

GONE = 1000  # the close code of a call that was cancelled from outside

AdmitStream = Callable[[Start], Awaitable[AdmittedCall[CallMedia]]]


class MediaConsumer(AsyncConsumer):
    """Accepts a socket, lets `serve` have it, and survives whatever goes wrong on it."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, calls: LiveCalls = live) -> None:
        self.limits, self.live = limits, calls

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application of one socket."""
        outbox.open_here()
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        try:
            if not self.live.accepting:
                raise Denied(BUSY, "no more calls are taken at the moment")
            with self.live.lobby.seat(socket_ip(scope) or "") as seat:
                await self.serve(scope, receive, send, seat)
        except NoRoom as full:
            log.info("media socket crowded out: %s", full)
            await _close(send, BUSY, str(full))
        except Denied as denied:
            log.warning("media socket refused: %s", denied)
            await _close(send, denied.code, str(denied))
        except MediaFault as fault:
            log.warning("media socket closed: %s", fault)
            await _close(send, fault.close_code, fault.fault.value)
        except StreamGone:
            log.info("media socket closed by the other side before its start")

    async def serve(self, scope: Any, receive: Receive, send: Send, seat: Seat) -> None:
        """Run one call, which leaves its `seat` once it is admitted.

        May raise Denied, NoRoom, MediaFault and StreamGone before that.
        """
        raise NotImplementedError


async def admit_stored(start: Start) -> AdmittedCall[CallMedia]:
    """The stored call that a carrier's stream belongs to. Raises Denied."""
    return StoredCall(await admission.admit_stream(start))


class StreamConsumer(MediaConsumer):
    """A carrier's media streams. `admit` says whose one is (a bench brings its own)."""

    def __init__(
        self, *, door: Door[CallMedia], admit: AdmitStream = admit_stored, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.door, self.admit = door, admit

    async def serve(
        self,
        scope: Any,  # noqa: ARG002
        receive: Receive,
        send: Send,
        seat: Seat,
    ) -> None:
        """Wait for the start, which carries the token; then talk."""
        async with seat.idle():
            start = await self.door.read_start(receive, self.limits)
        call = await self.admit(start)
        seat.leave()
        media = self.door.enter(receive, send, start, self.limits, call.press)
        await conduct(call, media, self.live)


class TextConsumer(MediaConsumer):
    """Calls whose carrier hears and speaks by itself: text comes over the socket."""

    def __init__(self, *, door: Door[CallText], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.door = door

    async def serve(
        self,
        scope: Any,  # noqa: ARG002
        receive: Receive,
        send: Send,
        seat: Seat,
    ) -> None:
        """Wait for the start, which carries the token; then talk."""
        async with seat.idle():
            start = await self.door.read_start(receive, self.limits)
        call, dialect = await admission.admit_relay(start)
        seat.leave()
        line = self.door.enter(receive, send, start, self.limits, None)
        await conduct(RelayedCall(call, dialect), line, self.live)


class BrowserMediaConsumer(MediaConsumer):
    """A page's call: its sound over WebRTC or as 16 kHz PCM both ways, and all that it shows."""

    async def serve(self, scope: Any, receive: Receive, send: Send, seat: Seat) -> None:
        """Find out who it is, wait for the start, then talk; or go on with a call that lives."""
        token = admission.resumes(scope)
        if token:
            await self._resume(token, receive, send, seat)
            return
        visitor: Visitor = await admission.admit_page(scope)
        opening = Opening(receive, send, settings.WEBRTC, str(visitor.agent), self.limits)
        async with seat.idle():
            start, peer = await opening.start()
        try:
            found = await admission.open_from_page(visitor)
        except BaseException as denied:
            if peer is not None:
                await peer.close()
            if isinstance(denied, TooManyPages):  # in words too: the close code says just "busy"
                await _tell_problem(send, denied)
            raise
        seat.leave()
        if peer is None:
            await self._talk(found, BrowserMedia(receive, send, limits=self.limits), start)
            return
        media = WebRtcMedia(peer, settings.WEBRTC, opening.user, limits=self.limits)
        page = asyncio.ensure_future(media.attend(receive, send))
        self.live.in_background(self._outlive(found, media, start), f"call {found.public_id}")
        await page

    async def _talk(self, found: Call, media: BrowserMedia | WebRtcMedia, start: PageStart) -> None:
        """One call to its end."""
        feed = PageFeed(media.send_json)
        call = StoredCall(found, page=feed, page_recognises=start.recognises)
        media.on_transcript = call.page_heard
        try:
            await conduct(call, media, self.live)
        finally:
            feed.stop()

    async def _outlive(self, found: Call, media: WebRtcMedia, start: PageStart) -> None:
        """One call to its end, whatever becomes of the socket that began it."""
        self.live.resumable[found.public_id] = media
        try:
            await media.send_json({"type": "resume", "token": resume_token(found.public_id)})
            await self._talk(found, media, start)
        finally:
            del self.live.resumable[found.public_id]
            await media.hang_up(GONE)  # nothing, unless we are cancelled

    async def _resume(self, token: str, receive: Receive, send: Send, seat: Seat) -> None:
        call = self.live.resumable.get(admission.admit_resumed(token))
        if call is None:
            raise Denied(NO_SUCH_AGENT, "that call is over, or not here")
        seat.leave()
        await call.attend(receive, send)


async def _tell_problem(send: Send, denied: TooManyPages) -> None:
    problem = {"type": "error", "code": denied.name, "message": str(denied)}
    await send({"type": "websocket.send", "text": orjson.dumps(problem).decode()})


async def _close(send: Send, code: int, reason: str) -> None:
    try:
        await send({"type": "websocket.close", "code": code, "reason": _short(reason)})
    except (OSError, RuntimeError):
        log.debug("the socket was gone before it could be closed")
    except Exception:  # whatever a server's library objects to: the socket is the server's now
        log.exception("the socket did not take close code %d", code)


def _short(reason: str) -> str:
    """A close frame holds 123 bytes of reason."""
    return reason.encode()[:120].decode(errors="ignore")
