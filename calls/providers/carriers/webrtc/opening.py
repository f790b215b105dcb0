"""What a page and we say to each other until its call begins, over its socket.

A page that wants WebRTC asks for its `ice` servers, makes an `offer` and gets our `answer`; more
of its addresses may follow as `candidate`. Its `start` comes when it is connected, or when it has
given up on that: then its sound comes over the socket, as that of a page which never asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.browser import PageStart, start_in
from calls.providers.carriers.errors import Fault, MediaFault, StreamGone
from calls.providers.carriers.socket import DEFAULT_LIMITS, Limits, parse
from calls.providers.carriers.webrtc.engine import answering
from calls.providers.carriers.webrtc.ice import IceOptions

if TYPE_CHECKING:
    from calls.providers.carriers.webrtc.peer import Peer

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0  # for a page that has made an offer, instead of the start's own time
MOST_MESSAGES = 100
MOST_OFFERS = 3


class Opening:
    """One socket until the start. `user` is whom TURN credentials are for."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        ice: IceOptions,
        user: str,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._receive, self._send = receive, send
        self.user = user
        self._ice, self._limits = ice, limits
        self._peer: Peer | None = None
        self._offers = 0

    async def start(self) -> tuple[PageStart, Peer | None]:
        """The page's start, and its connection where it comes by WebRTC.

        Raises MediaFault (not in time, never connected, anything that is no opening) and
        StreamGone. No connection is left then.
        """
        try:
            start = await self._in_time()
            if not start.webrtc:
                await self._forget_peer()
            elif self._peer is None or not await self._peer.connected(self._limits.start_seconds):
                raise MediaFault(Fault.NO_PATH, "the page says that it is connected, and is not")
        except BaseException:
            await self._forget_peer()
            raise
        return start, self._peer

    async def _in_time(self) -> PageStart:
        try:
            async with asyncio.timeout(self._limits.start_seconds) as patience:
                return await self._until_start(patience)
        except TimeoutError:
            if self._offers:
                raise MediaFault(
                    Fault.NO_PATH, f"not connected within {CONNECT_SECONDS:g} s of its offer"
                ) from None
            raise MediaFault(
                Fault.MISSING_START, f"no start within {self._limits.start_seconds:g} s"
            ) from None

    async def _until_start(self, patience: asyncio.Timeout) -> PageStart:
        for _ in range(MOST_MESSAGES):
            message = parse(await self._text())
            kind = str(message.get("type"))
            if kind == "offer" and not self._offers:
                patience.reschedule(asyncio.get_running_loop().time() + CONNECT_SECONDS)
            take = self._takes().get(kind)
            if take is None:
                return start_in(message)
            await take(message)
        raise MediaFault(Fault.MISSING_START, f"{MOST_MESSAGES} messages, and none was a start")

    async def _text(self) -> str:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise StreamGone
        text = message.get("text")
        if not isinstance(text, str) or len(text) > self._limits.message_bytes:
            raise MediaFault(Fault.MISSING_START, "until the start all messages have to be JSON")
        return text

    def _takes(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[None]]]:
        return {"ice": self._tell_servers, "offer": self._answer, "candidate": self._add_candidate}

    async def _tell_servers(self, _message: dict[str, Any]) -> None:
        await self._tell(servers_for(self._ice, self.user))

    async def _answer(self, message: dict[str, Any]) -> None:
        self._offers += 1
        if not self._ice.enabled or self._offers > MOST_OFFERS:
            raise MediaFault(Fault.MALFORMED, "an offer that nobody asked for")
        await self._forget_peer()
        self._peer, sdp = await answering(self._ice, message.get("sdp"))
        await self._tell({"type": "answer", "sdp": sdp})

    async def _add_candidate(self, message: dict[str, Any]) -> None:
        if self._peer is not None:
            await self._peer.add_candidate(message.get("candidate"))

    async def _forget_peer(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.close()

    async def _tell(self, message: dict[str, Any]) -> None:
        try:
            await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})
        except Exception:  # whatever a server's library raises for a socket that just closed
            log.debug("the socket took no answer", exc_info=True)
            raise StreamGone from None


def servers_for(ice: IceOptions, user: str) -> dict[str, Any]:
    """The answer to a page that asks for its ICE servers; none where WebRTC is switched off."""
    servers = ice.servers(user, time.time()) if ice.enabled else None
    return {"type": "ice", "servers": servers}
