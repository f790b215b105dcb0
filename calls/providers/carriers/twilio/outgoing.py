"""Written messages as Twilio wants them (twilio.md, 9)."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from calls.providers.carriers.port import OutgoingMessage
from calls.providers.carriers.signals import MessageKind

WHATSAPP = "whatsapp:"


def form_of(message: OutgoingMessage, status_url: str) -> dict[str, str | Sequence[str]]:
    """The form of one message. A template is named by its ContentSid, `HX…`."""
    prefix = WHATSAPP if message.kind is MessageKind.WHATSAPP else ""
    form: dict[str, str | Sequence[str]] = {
        "To": prefix + message.to_number,
        "From": prefix + message.from_number,
        "StatusCallback": status_url,
    }
    if message.template:
        form["ContentSid"] = message.template
        if message.template_values:
            form["ContentVariables"] = orjson.dumps(dict(message.template_values)).decode()
        return form
    if message.text:
        form["Body"] = message.text
    if message.media:
        form["MediaUrl"] = message.media
    return form
