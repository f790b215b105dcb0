"""Written messages as Telnyx wants them.

As the SDK 4.189 types them: `message_send_params` and `message_whatsapp_params`.
"""

from __future__ import annotations

import mimetypes
from typing import Any

from calls.providers.carriers.port import OutgoingMessage
from calls.providers.carriers.signals import MessageKind

SMS_PATH, WHATSAPP_PATH = "messages", "messages/whatsapp"
_MEDIA_KINDS = frozenset({"image", "video", "audio"})


def path_of(message: OutgoingMessage) -> str:
    """Where a message of this kind is sent to."""
    return WHATSAPP_PATH if message.kind is MessageKind.WHATSAPP else SMS_PATH


def body_of(message: OutgoingMessage, messaging_profile_id: str) -> dict[str, Any]:
    """The request's body."""
    body: dict[str, Any] = {
        "from": message.from_number,
        "to": message.to_number,
        "webhook_url": message.signals_url,
    }
    if messaging_profile_id:
        body["messaging_profile_id"] = messaging_profile_id
    if message.kind is MessageKind.WHATSAPP:
        return {**body, "type": "WHATSAPP", "whatsapp_message": _whatsapp(message)}
    if message.text:
        body["text"] = message.text
    if message.media:
        return {**body, "type": "MMS", "media_urls": list(message.media)}
    return {**body, "type": "SMS"}


def _whatsapp(message: OutgoingMessage) -> dict[str, Any]:
    if message.template:
        return {"type": "template", "template": _template(message)}
    if not message.media:
        return {"type": "text", "text": {"body": message.text}}
    url = message.media[0]
    guessed = (mimetypes.guess_type(url)[0] or "").partition("/")[0]
    kind = guessed if guessed in _MEDIA_KINDS else "document"
    media = {"link": url}
    if message.text and kind != "audio":
        media["caption"] = message.text
    return {"type": kind, kind: media}


def _template(message: OutgoingMessage) -> dict[str, Any]:
    """A template by its name and language, `reminder/es_MX`, or by Telnyx's id of it."""
    name, _, language = message.template.partition("/")
    template: dict[str, Any] = (
        {"name": name, "language": {"code": language}} if language else {"template_id": name}
    )
    if message.template_values:
        values = [{"type": "text", "text": text} for text in message.template_values.values()]
        template["components"] = [{"type": "body", "parameters": values}]
    return template
