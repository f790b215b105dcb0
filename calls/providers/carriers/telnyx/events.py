"""The envelope that every webhook of Telnyx comes in (telnyx.md, 2), read but not yet judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from calls.providers.carriers.signals import MalformedEvent
from calls.providers.carriers.telnyx.context import unpack


class MalformedWebhook(MalformedEvent, ValueError):
    """A webhook that is not as Telnyx documents it; `field` names the part that is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `leg` is the call control id, empty where the event tells none.

    `client_state` is unpacked already.
    """

    kind: str
    id: str
    at: datetime
    payload: Mapping[str, Any]

    @property
    def leg(self) -> str:
        return self.text("call_control_id")

    @property
    def session(self) -> str:
        return self.text("call_session_id")

    @property
    def client_state(self) -> str:
        return unpack(self.payload.get("client_state"))

    def text(self, name: str) -> str:
        """A text of the payload; empty if it is absent or null, MalformedWebhook if no text."""
        value = self.payload.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise MalformedWebhook(f"data.payload.{name}", f"{type(value).__name__}, not a text")
        return value

    def required(self, name: str) -> str:
        """The same for a text that has to be there."""
        value = self.text(name)
        if not value:
            raise MalformedWebhook(f"data.payload.{name}", "is missing")
        return value


def read_event(body: bytes) -> Event:
    """One event out of a request's body. Raises MalformedWebhook."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedWebhook("body", f"no JSON: {error}") from None
    data = _part(envelope, "data", "body")
    payload = data.get("payload")
    return Event(
        kind=_text(data, "event_type"),
        id=_text(data, "id"),
        at=moment(data.get("occurred_at"), "data.occurred_at"),
        payload=_part(data, "payload", "data") if payload is not None else {},
    )


def moment(value: object, field: str) -> datetime:
    """A time of ISO 8601; UTC if it names no zone. Raises MalformedWebhook."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise MalformedWebhook(field, f"{str(value)[:40]!r} is no time of ISO 8601") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _part(whole: object, name: str, where: str) -> Mapping[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    if not isinstance(part, dict):
        raise MalformedWebhook(f"{where}.{name}".removeprefix("body."), "has to be an object")
    return part


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedWebhook(f"data.{name}", "has to be a text")
    return value
