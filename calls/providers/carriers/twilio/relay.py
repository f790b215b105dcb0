"""Twilio's ConversationRelay: Twilio hears and speaks, and text goes to and fro as JSON.

Its messages are as Twilio's page "ConversationRelay WebSocket messages" has them (2026-08-19);
twilio.md names the noun only. Type names are in `type`, not in `event` as with media streams. The
page does not show the `info` messages of `events`; they are read as Twilio's own samples do, and
the text loop does without them where they do not come.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from calls.providers.carriers.asgi import Receive, Send
from calls.providers.carriers.door import Press
from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.json_stream import texts
from calls.providers.carriers.positions import Positions
from calls.providers.carriers.socket import (
    DEFAULT_LIMITS,
    Limits,
    WatchedSocket,
    key_pressed,
    parse,
)
from calls.providers.carriers.start import until_start
from calls.voice.ports import Closed, Dtmf
from calls.voice.text import CallerSpeaks, Heard, Interrupted, Spoken

log = logging.getLogger(__name__)

NORMAL = 1000
PARTING_SECONDS = 1.0  # that Twilio has for closing the socket once it was told the end
_SPEAKING = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class RelayStart:
    """The `setup` message: whose conversation this is."""

    session_id: str
    leg: str
    account: str
    from_number: str
    to_number: str
    incoming: bool
    parameters: Mapping[str, str]


RelayEvent: TypeAlias = Heard | Interrupted | Spoken | CallerSpeaks | Dtmf


async def read_setup(receive: Receive, limits: Limits = DEFAULT_LIMITS) -> RelayStart:
    """Read up to and including `setup`.

    Raises MediaFault (none in time, talk before it, garbage) and StreamGone.
    """
    return await until_start(receive, limits, _setup_in)


def _setup_in(message: dict[str, Any]) -> RelayStart | None:
    if message.get("type") in {"prompt", "interrupt", "dtmf"}:
        raise MediaFault(Fault.MISSING_START, f"a {message['type']} came before the setup")
    if message.get("type") != "setup":
        return None
    return RelayStart(
        session_id=_text(message, "sessionId"),
        leg=_text(message, "callSid"),
        account=_text(message, "accountSid"),
        from_number=_text(message, "from"),
        to_number=_text(message, "to"),
        incoming=_text(message, "direction") == "inbound",
        parameters=texts(message.get("customParameters")),
    )


class TwilioRelay(WatchedSocket[RelayEvent]):
    """One call's conversation in text, from its setup on; implements `TextStream`.

    `complaints` counts what Twilio refused of ours; it is in the log.
    """

    complaints = 0

    def __init__(self, receive: Receive, send: Send, *, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(receive, send, limits=limits)
        self.positions = Positions()  # there is no sound that could be lost

    def _take_text(self, text: str) -> RelayEvent | Closed | None:
        message = parse(text)
        match message.get("type"):
            case "prompt":
                said = _required(message, "voicePrompt")
                final = message.get("last") is not False
                return Heard(said, _text(message, "lang"), final)
            case "interrupt":
                spoken = _text(message, "utteranceUntilInterrupt")
                return Interrupted(spoken, _ms(message.get("durationUntilInterruptMs")))
            case "dtmf":
                return key_pressed(message)
            case "info" if message.get("name") == "tokensPlayed":
                return Spoken(_text(message, "value"))
            case "info" if message.get("name") == "clientSpeaking":
                speaking = _SPEAKING.get(_text(message, "value"))
                return None if speaking is None else CallerSpeaks(speaking)
            case "error":
                self.complaints += 1
                log.warning("twilio refused a message: %s", _text(message, "description")[:300])
        return None

    def _take_bytes(self, data: bytes) -> None:
        raise MediaFault(Fault.BINARY, f"{len(data)} binary bytes; the relay speaks JSON text")

    async def say(self, text: str, *, last: bool, interruptible: bool = True) -> None:
        """Have a piece of an answer spoken after those before it; `last` completes the answer."""
        message: dict[str, Any] = {"type": "text", "token": text, "last": last}
        if not interruptible:
            message["interruptible"] = False
        await self._say(message)

    async def switch_language(self, language: str) -> None:
        """Hear and speak another language from now on, such as `es-MX`."""
        await self._say(
            {"type": "language", "ttsLanguage": language, "transcriptionLanguage": language}
        )

    async def send_dtmf(self, digits: str) -> None:
        """Press keys towards the other side; `w` is half a second."""
        await self._say({"type": "sendDigits", "digits": digits})

    async def end(self, handoff: Mapping[str, Any] | None = None) -> None:
        """Let go of the call, which goes on with its document; `handoff` is told there."""
        message: dict[str, Any] = {"type": "end"}
        if handoff:
            message["handoffData"] = orjson.dumps(dict(handoff)).decode()
        await self._say(message)

    async def hang_up(self, code: int, reason: str = "") -> None:
        """Let go of the call in good order, if it is: Twilio closes the socket once it is told."""
        if code == NORMAL and not self.gone:
            await self.end({"reason": reason})
            try:
                async with asyncio.timeout(PARTING_SECONDS):
                    await self._until_gone()
            except TimeoutError:
                log.warning("twilio did not close the socket after the end")
        await super().hang_up(code, reason)

    async def _until_gone(self) -> None:
        while not self.gone:
            self.gone = (await self._receive())["type"] == "websocket.disconnect"

    async def _say(self, message: Mapping[str, Any]) -> None:
        await self.send_text(orjson.dumps(message).decode())


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""


def _required(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise MediaFault(Fault.MALFORMED, f"a {message.get('type')} message without {name}")
    return value


def _ms(value: object) -> float | None:
    """A number, which Twilio writes as a text; None for what is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def enter(
    receive: Receive, send: Send, _start: RelayStart, limits: Limits, _press: Press | None
) -> TwilioRelay:
    """The conversation in text."""
    return TwilioRelay(receive, send, limits=limits)
