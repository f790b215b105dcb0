"""The page's own media protocol: PCM16 at 16 kHz as binary, everything else as JSON text.

From the page: `start` first (`webrtc/opening.py` tells what may come before it), binary sound
(20 ms a message), `played` with the mark that the
worklet has played up to, `dtmf`, `transcript` (where the page itself recognises), `hangup`.
To the page: binary sound, `mark`, `clear`, and whatever the page shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from calls.providers.carriers.arrivals import Arrivals
from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.dtmf import tones
from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.socket import (
    DEFAULT_LIMITS,
    Limits,
    SocketStream,
    key_pressed,
    parse,
)
from calls.voice.ports import Closed, Mark, MediaEvent

SAMPLE_RATE = 16000
_TEXT_LIMIT = 2000

Heard = Callable[[str, bool], None]


@dataclass(frozen=True, slots=True)
class PageStart:
    """What a page tells at first; `recognises` unless it says that it has no recogniser.

    With `webrtc` its sound comes over the connection that it has made before.
    """

    recognises: bool = True
    webrtc: bool = False


def start_in(message: dict[str, Any]) -> PageStart:
    """The page's start. Raises MediaFault for any other message, and for another sample rate."""
    if message.get("type") != "start":
        raise MediaFault(
            Fault.MISSING_START, f"{str(message.get('type'))[:20]!r} came before start"
        )
    if str(message.get("sample_rate")) != str(SAMPLE_RATE):
        raise MediaFault(
            Fault.WRONG_FORMAT,
            f"{str(message.get('sample_rate'))[:20]} Hz; the page has to send {SAMPLE_RATE} Hz",
        )
    return PageStart(
        recognises=message.get("speech_recognition") is not False,
        webrtc=message.get("transport") == "webrtc",
    )


def transcript_in(message: dict[str, Any]) -> tuple[str, bool]:
    """What the page itself recognised, and whether it is final. Raises MediaFault."""
    text = message.get("text")
    if not isinstance(text, str) or len(text) > _TEXT_LIMIT:
        raise MediaFault(Fault.MALFORMED, f"a transcript is a text of {_TEXT_LIMIT} at most")
    return text, message.get("final") is True


class BrowserMedia(SocketStream):
    """The media stream of one call from a page, from its start message on.

    `on_transcript` gets what the page itself recognised: the text, and whether it is final.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        on_transcript: Heard | None = None,
        limits: Limits = DEFAULT_LIMITS,
        **kwargs: Any,
    ) -> None:
        super().__init__(receive, send, sample_rate=SAMPLE_RATE, limits=limits, **kwargs)
        self.on_transcript = on_transcript
        self._arrivals = Arrivals()

    def _take_bytes(self, data: bytes) -> MediaEvent | None:
        if len(data) % 2:
            raise MediaFault(Fault.MALFORMED, f"{len(data)} bytes are no whole 16-bit samples")
        expected = self.positions.expected
        missing = self._arrivals.missing(expected, (self._now() - self._began) * 1000.0)
        return self._place(data, expected + missing if missing else None)

    def _take_text(self, text: str) -> MediaEvent | None:
        message = parse(text)
        kind = message.get("type")
        if kind == "played":
            return Mark(str(message.get("mark", "")))
        if kind == "dtmf":
            return key_pressed(message)
        if kind == "transcript":
            self._hear(message)
            return None
        return Closed("caller_hung_up") if kind == "hangup" else None

    def _hear(self, message: dict[str, Any]) -> None:
        text, final = transcript_in(message)
        if self.on_transcript is not None:
            self.on_transcript(text, final)

    async def send(self, pcm: bytes) -> None:
        """Have the page play PCM16 at 16 kHz after what it has already."""
        await self._put({"type": "websocket.send", "bytes": pcm})

    async def mark(self, name: str) -> None:
        """Ask to be told when all sound sent so far has been played."""
        await self.send_json({"type": "mark", "name": name})

    async def clear(self) -> None:
        """Have the page throw away what it has not played."""
        await self.send_json({"type": "clear"})

    async def send_dtmf(self, digits: str) -> None:
        """Let the caller hear the keys: behind a page there is nobody to press them for."""
        await self.send(tones(digits, SAMPLE_RATE))

    async def send_json(self, message: dict[str, Any]) -> None:
        """Tell the page something that it shows."""
        await self.send_text(orjson.dumps(message).decode())
