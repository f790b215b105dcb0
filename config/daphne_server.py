"""daphne, with a bounded write buffer.

As it comes, `send` returns at once whatever the other side reads: a socket that stops reading
fills memory, and nobody is told. Here `send` waits while the transport holds more than it wants
(64 KiB, as uvicorn's does), so that the sender's own time limit finds out.
"""

from __future__ import annotations

import asyncio
from typing import Any

# Twisted installs its reactor when daphne is first imported, so that has to come first.
import daphne.server
from daphne.server import twisted_loop
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as installed

__all__ = ["BoundedServer", "reactor", "twisted_loop"]

reactor: Any = installed  # a module for whoever reads types, an object for whoever runs it


class BoundedProtocol(WebSocketProtocol):  # type: ignore[misc]
    """One WebSocket, which Twisted tells when its buffer is full. Twisted names the methods."""

    def onOpen(self) -> None:  # noqa: N802
        """Take over from the HTTP channel, which would stop reading when the buffer is full."""
        self.failByDrop = False  # tell the other side why, as uvicorn does
        self.writable = asyncio.Event()
        self.writable.set()
        self.transport.unregisterProducer()
        self.registerProducer(self, True)
        super().onOpen()

    def pauseProducing(self) -> None:  # noqa: N802
        """The buffer is full."""
        self.writable.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        """It is empty again."""
        self.writable.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone: nobody has to wait for it."""
        self.writable.set()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:  # noqa: N802, N803
        """The same, whoever closed it."""
        if hasattr(self, "writable"):
            self.writable.set()
        super().onClose(wasClean, code, reason)


WebSocketFactory.protocol = BoundedProtocol


class BoundedServer(daphne.server.Server):  # type: ignore[misc]
    """The server whose sockets those are."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send once there is room; closing waits for nothing."""
        if message["type"] == "websocket.send" and isinstance(protocol, BoundedProtocol):
            await protocol.writable.wait()
        await super().handle_reply(protocol, message)
