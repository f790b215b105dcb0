"""A WebSocket client that costs next to nothing, so that one core can play hundreds of callers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_NO_MASK = b"\0\0\0\0"  # masking with zeros is masking: it leaves the payload as it is


class WireClient(asyncio.Protocol):
    """One connection. `on_text` and `on_bytes` get each message, `on_close` why it ended."""

    def __init__(self, host: str, path: str) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self.on_text: Callable[[bytes], None] = lambda _text: None
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self.on_close: Callable[[str], None] = lambda _why: None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport  # uvloop's are no asyncio.Transport by name
        transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        why = str(error or "closed")
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"no WebSocket: {why}"))
        self.on_close(why)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := self._next_frame()) is not None:
            self._handle(*frame)

    def _upgrade(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 101"):
            self._transport.abort()
            return False
        self._buffer, self._upgraded = rest, True
        self.opened.set_result(None)
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next whole frame. Servers do not mask."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1], 2
        if size >= 126:
            form, at = (">H", 4) if size == 126 else (">Q", 10)
            if len(buffer) < at:
                return None
            (size,) = struct.unpack_from(form, buffer, 2)
        if len(buffer) < at + size:
            return None
        self._buffer = buffer[at + size :]
        return buffer[0] & 0xF, buffer[at : at + size]

    def _handle(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT:
            self.on_text(payload)
        elif opcode == _BINARY:
            self.on_bytes(payload)
        elif opcode == _PING:
            self._send(_PONG, payload)
        elif opcode == _CLOSE:
            self._send(_CLOSE, payload)
            self._transport.close()

    def send_text(self, text: str) -> None:
        self._send(_TEXT, text.encode())

    def send_bytes(self, data: bytes) -> None:
        self._send(_BINARY, data)

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else None
        head = head or struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, size)
        self._transport.write(head + _NO_MASK + payload)

    def close(self) -> None:
        self._send(_CLOSE, struct.pack(">H", 1000))
