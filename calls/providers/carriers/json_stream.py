"""Media streams of JSON texts, each of which says in `event` what it is (Twilio, Telnyx)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.socket import SocketStream, key_pressed, parse
from calls.voice.ports import Audio, Closed, Mark, MediaEvent


class JsonStream(SocketStream):
    """One call's sound, marks and keys as JSON texts."""

    @abstractmethod
    def _sound(self, media: dict[str, Any]) -> Audio | None:
        """The caller's sound in a `media` message."""

    def _aside(self, message: dict[str, Any]) -> None:
        """Any other message of the carrier's."""

    def _take_text(self, text: str) -> MediaEvent | None:
        message = parse(text)
        event = message.get("event")
        if event == "media":
            media = part(message, "media")
            return self._sound(media) if media.get("track", "inbound") == "inbound" else None
        if event == "mark":
            return Mark(str(part(message, "mark").get("name", "")))
        if event == "dtmf":
            return key_pressed(part(message, "dtmf"))
        if event == "stop":
            return Closed("caller_hung_up")
        self._aside(message)
        return None

    def _take_bytes(self, data: bytes) -> MediaEvent | None:
        raise MediaFault(Fault.BINARY, f"{len(data)} binary bytes, where JSON text is spoken")


def part(message: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name in a message. Raises MediaFault."""
    found = message.get(name)
    if not isinstance(found, dict):
        raise MediaFault(Fault.MALFORMED, f"a {name} message without {name}")
    return found


def texts(parameters: object) -> dict[str, str]:
    """A start's parameters, whatever they are, as texts."""
    if not isinstance(parameters, dict):
        return {}
    return {str(name): str(value) for name, value in parameters.items()}
