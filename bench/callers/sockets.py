"""Callers whose sound comes over a WebSocket: Twilio's, Telnyx's, and a page's without WebRTC."""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar

import orjson

from bench.callers.caller import Caller, Frame
from bench.callers.wire import WireClient
from bench.server import HOST, Server
from calls.simulator.bench_paths import MEDIA_PATH, TELNYX_PATH
from calls.simulator.browser import PATH as PAGE_PATH
from calls.voice.codecs import mulaw_encode

_ACCOUNT = "AC" + "0" * 32
_MULAW_BYTES = 8000  # a second
_WIDE_BYTES = 32_000


class SocketCaller(Caller[Frame]):
    """Connects to `path`, says how its call starts, and reads what comes."""

    path: ClassVar[str]
    _wire: WireClient

    async def connect(self, server: Server) -> None:
        """Open the socket, say what comes, begin the silence."""
        _, self._wire = await self._loop.create_connection(
            lambda: WireClient(f"{HOST}:{server.port}", self.path), HOST, server.port
        )
        self._wire.on_text, self._wire.on_bytes = self._take, self._take_sound
        self._wire.on_close = self._lost
        await self._wire.opened
        self._start()
        self._begin()

    def _start(self) -> None:
        raise NotImplementedError

    def _take(self, text: bytes) -> None:
        raise NotImplementedError

    def _take_sound(self, sound: bytes) -> None:
        raise NotImplementedError

    async def _disconnect(self) -> None:
        self._stop()
        self._wire.close()

    def _stop(self) -> None:
        raise NotImplementedError


class TwilioCaller(SocketCaller[str]):
    """A caller of Twilio's: mu-law in base64 in JSON."""

    path = MEDIA_PATH
    bytes_per_second: ClassVar[int] = _MULAW_BYTES

    @classmethod
    def coded(cls, pcm: bytes) -> str:
        return base64.b64encode(mulaw_encode(pcm)).decode()

    def _start(self) -> None:
        self._sequence = self._chunk = 0
        self._sid, self._call_sid = f"MZ{self.number:032x}", f"CA{self.number:032x}"
        self._wire.send_text('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        start = {
            "accountSid": _ACCOUNT,
            "streamSid": self._sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "customParameters": {},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        self._send("start", f'"start":{orjson.dumps(start).decode()}')

    def _put(self, frame: str) -> None:
        self._chunk += 1
        self._send(
            "media",
            f'"media":{{"track":"inbound","chunk":"{self._chunk}",'
            f'"timestamp":"{(self._chunk - 1) * 20}","payload":"{frame}"}}',
        )

    def _passed(self, name: str) -> None:
        self._send("mark", f'"mark":{{"name":"{name}"}}')

    def _stop(self) -> None:
        self._send("stop", f'"stop":{{"accountSid":"{_ACCOUNT}","callSid":"{self._call_sid}"}}')

    def _send(self, event: str, body: str) -> None:
        self._sequence += 1
        self._wire.send_text(
            f'{{"event":"{event}","sequenceNumber":"{self._sequence}",'
            f'"streamSid":"{self._sid}",{body}}}'
        )

    def _take(self, text: bytes) -> None:
        now = self._loop.time()
        message = orjson.loads(text)
        event = message["event"]
        if event == "media":
            size = len(message["media"]["payload"]) * 3 // 4
            self._hear(now, size / self.bytes_per_second)
        elif event == "mark":
            self._mark(now, message["mark"]["name"])
        elif event == "clear":
            self._clear(now)


class TelnyxCaller(TwilioCaller):
    """A caller of Telnyx's, who sends and hears mu-law."""

    path = TELNYX_PATH
    encoding: ClassVar[str] = "PCMU"

    def _start(self) -> None:
        self._sequence = self._chunk = 0
        self._sid, self._call_sid = f"{self.number:032X}", f"v3:{self.number:x}"
        self._wire.send_text('{"event":"connected","version":"1.0.0"}')
        start = {
            "user_id": "bench",
            "call_control_id": self._call_sid,
            "call_session_id": f"{self.number:x}",
            "custom_parameters": {"stream_codec": self.encoding},
            "media_format": {
                "encoding": self.encoding, "sample_rate": self.rate, "channels": 1,
            },
        }  # fmt: skip
        self._send("start", f'"start":{orjson.dumps(start).decode()}')

    def _stop(self) -> None:
        self._send("stop", f'"stop":{{"call_control_id":"{self._call_sid}"}}')

    def _send(self, event: str, body: str) -> None:
        self._sequence += 1
        self._wire.send_text(
            f'{{"event":"{event}","sequence_number":"{self._sequence}",'
            f'"stream_id":"{self._sid}",{body}}}'
        )


class WideTelnyxCaller(TelnyxCaller):
    """A caller of Telnyx's on a line that carries PCM16 at 16 kHz."""

    rate = 16_000
    encoding, bytes_per_second = "L16", _WIDE_BYTES

    @classmethod
    def coded(cls, pcm: bytes) -> str:
        return binascii.b2a_base64(pcm, newline=False).decode()


class BrowserCaller(SocketCaller[bytes]):
    """A caller behind a page without WebRTC: PCM16 at 16 kHz, as it is."""

    path = PAGE_PATH
    rate = 16_000

    @classmethod
    def coded(cls, pcm: bytes) -> bytes:
        return pcm

    def _start(self) -> None:
        self._wire.send_text('{"type":"start","sample_rate":16000}')

    def _put(self, frame: bytes) -> None:
        self._wire.send_bytes(frame)

    def _passed(self, name: str) -> None:
        self._wire.send_text(f'{{"type":"played","mark":"{name}"}}')

    def _stop(self) -> None:
        self._wire.send_text('{"type":"hangup"}')

    def _take_sound(self, sound: bytes) -> None:
        self._hear(self._loop.time(), len(sound) / _WIDE_BYTES)

    def _take(self, text: bytes) -> None:
        now = self._loop.time()
        message = orjson.loads(text)
        if message["type"] == "mark":
            self._mark(now, message["name"])
        elif message["type"] == "clear":
            self._clear(now)
