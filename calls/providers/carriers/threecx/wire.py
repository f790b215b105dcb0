"""One endless HTTP/1.1 exchange with nothing between it and the socket.

The pooled client of `rest.py` waits for a request's end before it reads the answer; a stream
that the PBX refuses or drops in the middle has to be known of at once. The protocol itself is
`h11`'s. Everything is called back on the event loop; nothing here waits but `open_exchange`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import h11

from calls.providers.tls import shared_tls


class Exchange(asyncio.Protocol):
    """One request and its answer, both open-ended.

    `on_response(status)` comes with the answer's head, `on_data` with each piece of a body,
    `on_over(why)` once, when nothing more can come: `why` is empty after a body's proper end.
    `on_writable(bool)` tells when the socket is full and when it takes more. `over`: nothing
    goes either way any more.
    """

    def __init__(
        self,
        *,
        on_response: Callable[[int], None],
        on_data: Callable[[bytes], None],
        on_over: Callable[[str], None],
        on_writable: Callable[[bool], None] = lambda _ready: None,
    ) -> None:
        self._on_response, self._on_data = on_response, on_data
        self._on_over, self._on_writable = on_over, on_writable
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self.over = False

    # --- to the PBX ---------------------------------------------------------------------------

    def request(self, method: str, url: str, headers: list[tuple[str, str]]) -> None:
        """Send the head. A GET is complete with it, a POST's body is written afterwards."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self._send(
            h11.Request(method=method, target=target, headers=[("Host", parts.netloc), *headers])
        )
        if method == "GET":
            self._send(h11.EndOfMessage())

    def write(self, data: bytes) -> None:
        """One chunk of the body; nothing once the exchange is over."""
        if not self.over:
            self._send(h11.Data(data))

    def finish(self) -> None:
        """End the body in good order, and let go."""
        if not self.over and self._http.our_state is h11.SEND_BODY:
            self._send(h11.EndOfMessage())
        self._end("", tell=False)

    def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        data = self._http.send(event)
        if data and self._transport is not None:
            self._transport.write(data)

    # --- from the PBX -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast(asyncio.Transport, transport)

    def limit_backlog(self, size: int) -> None:
        """Call the socket full when it holds more bytes than this."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=size)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._http.receive_data(data)
        self._read()

    def eof_received(self) -> None:
        """The PBX sends nothing more; `connection_lost` follows."""
        self._http.receive_data(b"")
        self._read()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone."""
        self._end(f"the connection broke: {error or 'closed by the PBX'}")

    def pause_writing(self) -> None:
        """The socket is full."""
        self._on_writable(False)

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._on_writable(True)

    def _read(self) -> None:
        try:
            while not self.over and self._take(self._http.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            self._end(f"no HTTP: {error}")

    def _take(self, event: object) -> bool:
        """Whether there may be another event."""
        if isinstance(event, h11.Data):
            self._on_data(bytes(event.data))
        elif isinstance(event, h11.Response):
            self._on_response(event.status_code)
        elif isinstance(event, h11.EndOfMessage):
            self._end("")
        elif isinstance(event, h11.ConnectionClosed):
            self._end("closed by the PBX")
        return event not in (h11.NEED_DATA, h11.PAUSED)

    def _end(self, why: str, *, tell: bool = True) -> None:
        if self.over:
            return
        self.over = True
        if self._transport is not None:
            self._transport.close()
        if tell:
            self._on_over(why)


async def open_exchange(url: str, exchange: Exchange) -> None:
    """Connect `exchange` to where `url` points. Raises OSError."""
    parts = urlsplit(url)
    tls = shared_tls() if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: exchange, parts.hostname or "", port, ssl=tls)
