"""SMS, MMS and WhatsApp: what comes in, and how far ours have come.

Payloads as the SDK 4.189 types them (`MessagingInboundMessagePayload`, `OutboundMessagePayload`):
numbers lie in `from.phone_number` and `to[].phone_number`, what was attached in `media[].url`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from calls.providers.carriers.signals import (
    MessageKind,
    MessageMoved,
    MessageReceived,
    MessageState,
    Signal,
)
from calls.providers.carriers.telnyx.events import Event, MalformedWebhook

_KINDS = {
    "SMS": MessageKind.SMS,
    "MMS": MessageKind.SMS,  # the same conversation, with pictures
    "WHATSAPP": MessageKind.WHATSAPP,
}
_STATES = {
    "sent": MessageState.SENT,
    "delivery_unconfirmed": MessageState.SENT,  # the network will never tell
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "sending_failed": MessageState.FAILED,
    "delivery_failed": MessageState.FAILED,
    "expired": MessageState.FAILED,
}


def _received(event: Event) -> list[Signal]:
    kind = _KINDS.get(event.text("type") or "SMS")
    if kind is None:  # RCS: nothing here writes it
        return []
    payload = event.payload
    return [
        MessageReceived(
            event_id=event.id,
            leg="",
            at=event.at,
            message_id=event.required("id"),
            kind=kind,
            from_number=_number(payload.get("from"), "from"),
            to_number=_number(_first(payload.get("to")), "to"),
            text=_written(payload),
            media=_media(payload.get("media")),
        )
    ]


def _moved(event: Event) -> list[Signal]:
    to = _first(event.payload.get("to"))
    status = to.get("status") if isinstance(to, dict) else None
    if event.kind == "message.read":
        status = "read"
    state = _STATES.get(str(status))
    if state is None:  # queued, sending: nothing has become of it yet
        return []
    return [
        MessageMoved(
            event_id=event.id,
            leg="",
            at=event.at,
            message_id=event.required("id"),
            state=state,
            error=_errors(event.payload.get("errors")) if state is MessageState.FAILED else "",
        )
    ]


def _first(to: object) -> object:
    return to[0] if isinstance(to, list) and to else to


def _number(party: object, name: str) -> str:
    number = party.get("phone_number") if isinstance(party, dict) else party
    if not isinstance(number, str) or not number:
        raise MalformedWebhook(f"data.payload.{name}", "names no phone_number")
    return number


def _written(payload: Mapping[str, Any]) -> str:
    """The text of an SMS, or the body of a WhatsApp message."""
    text = payload.get("text")
    if text is None and isinstance(body := payload.get("body"), dict):
        inner = body.get("text")
        text = inner.get("body") if isinstance(inner, dict) else inner
    return text if isinstance(text, str) else ""


def _media(media: object) -> tuple[str, ...]:
    items = media if isinstance(media, list) else []
    urls = [item.get("url") for item in items if isinstance(item, dict)]
    return tuple(url for url in urls if isinstance(url, str) and url)


def _errors(errors: object) -> str:
    items = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    return "; ".join(f"{item.get('code', '')} {item.get('title', '')}".strip() for item in items)


MESSAGE_READERS: dict[str, Callable[[Event], list[Signal]]] = {
    "message.received": _received,
    "message.sent": _moved,
    "message.finalized": _moved,
    "message.read": _moved,
}
