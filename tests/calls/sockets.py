"""A WebSocket as a server presents it to an ASGI application, driven by hand."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable
from typing import Any

SILENT = bytes([0xFF]) * 160


class Socket:
    """Both ends of one socket: `receive` and `send` for us, the rest for the test."""

    def __init__(self, messages: Iterable[dict[str, Any] | str | bytes] = ()) -> None:
        self.inbound: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.taken = asyncio.Event()
        self.taken.set()
        for message in messages:
            self.put(message)

    def put(self, message: dict[str, Any] | str | bytes) -> None:
        """Have the other side send this: text, bytes, or an event as JSON."""
        if isinstance(message, bytes):
            self.inbound.put_nowait({"type": "websocket.receive", "bytes": message})
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self.inbound.put_nowait({"type": "websocket.receive", "text": text})

    def disconnect(self, code: int = 1000) -> None:
        """Have the other side go."""
        self.inbound.put_nowait({"type": "websocket.disconnect", "code": code})

    def connect(self) -> None:
        """Have the other side open the socket."""
        self.inbound.put_nowait({"type": "websocket.connect"})

    async def receive(self) -> Any:
        return await self.inbound.get()

    async def send(self, message: Any) -> None:
        await self.taken.wait()
        self.sent.append(dict(message))

    def stop_reading(self) -> None:
        """From now on nothing that is sent arrives, and sending never returns."""
        self.taken.clear()

    @property
    def texts(self) -> list[dict[str, Any]]:
        """The JSON messages that the other side got."""
        return [json.loads(m["text"]) for m in self.sent if m.get("text")]

    @property
    def close(self) -> dict[str, Any] | None:
        """How the socket was closed by us, if it was."""
        return next((m for m in self.sent if m["type"] == "websocket.close"), None)


def connected() -> dict[str, Any]:
    """Twilio's first message."""
    return {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def start(
    call_sid: str = "CA1", token: str = "", *, rate: object = 8000, **changes: Any
) -> dict[str, Any]:
    """Twilio's `start`, with its numbers as it likes."""
    return {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ1",
        "start": {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": call_sid,
            "tracks": ["inbound"],
            "customParameters": {"token": token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": rate, "channels": 1},
            **changes,
        },
    }


def media(timestamp: object, payload: bytes = SILENT, **changes: Any) -> dict[str, Any]:
    """A media message; `timestamp` is sent just as it is."""
    return {
        "event": "media",
        "sequenceNumber": "3",
        "streamSid": "MZ1",
        "media": {
            "track": "inbound",
            "chunk": "1",
            "timestamp": timestamp,
            "payload": base64.b64encode(payload).decode(),
            **changes,
        },
    }


def stop() -> dict[str, Any]:
    """Twilio's `stop`."""
    return {"event": "stop", "streamSid": "MZ1", "stop": {"accountSid": "AC1", "callSid": "CA1"}}
