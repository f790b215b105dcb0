"""Messages that we write: whether they may be, and the row from which a carrier is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from calls.message_errors import (
    CannotBeWrittenTo,
    DoesNotWantMessages,
    KeyUsedForAnother,
    NumberCannotSend,
    WindowClosed,
)
from calls.models import Direction, DoNotCall, Message, Number
from calls.phone_numbers import NotANumber, e164
from calls.providers.carriers.port import Capability
from calls.providers.carriers.registry import UnknownCarrier, carrier
from tenants import audit
from tenants.audit import Actor

# So long after a person wrote, WhatsApp takes free text to them; after it, templates alone.
WHATSAPP_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that somebody asks for, from one of the current tenant's numbers."""

    kind: Message.Kind
    number: Number
    to_number: str
    text: str = ""
    media: tuple[str, ...] = ()
    template: str = ""
    template_values: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """What tells one asked-for message from another."""
        parts = (
            self.kind.value,
            self.number.e164,
            self.to_number,
            self.text,
            self.media,
            self.template,
            sorted(self.template_values.items()),
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Posted:
    """The message; `is_new` unless the same was asked for before."""

    message: Message
    is_new: bool


def message_send(*, letter: Letter, actor: Actor, key: str = "") -> Posted:
    """Decide on a message of the current tenant's, and have it sent once that is stored.

    With a `key` the same request gives the same message, however often it is made. Raises
    MessageNotSent by its cause.
    """
    known = Message.objects.filter(key=key).first() if key else None
    if known is None:
        _may_be_sent(letter)
        message, is_new = _write(letter, key)
    else:
        message, is_new = known, False
    if not is_new:
        if message.digest != letter.digest():
            raise KeyUsedForAnother(key)
        return Posted(message, False)
    audit.record(
        action="message.created", actor=actor, target=message, changes={"to": message.party}
    )
    send_on_commit(message)
    return Posted(message, True)


def writable(text: str) -> str:
    """The number in E.164 form. Raises CannotBeWrittenTo."""
    try:
        return e164(text, strict=True)
    except NotANumber as error:
        raise CannotBeWrittenTo(str(error)) from None


def send_on_commit(message: Message) -> None:
    """Have a worker send it. What a broker that is away does not take, the sweeper finds."""
    from calls.tasks import send_message

    tenant_id, message_id = message.tenant_id, message.pk
    transaction.on_commit(lambda: send_message.delay(tenant_id, message_id), robust=True)


def _may_be_sent(letter: Letter) -> None:
    number = letter.number
    if not (number.is_active and _sends(number, letter.kind)):
        raise NumberCannotSend(number.e164, letter.kind.label)
    if DoNotCall.objects.filter(number=letter.to_number).exists():
        raise DoesNotWantMessages(letter.to_number)
    if letter.kind == Message.Kind.WHATSAPP and not letter.template:
        wrote_at = last_wrote_at(number, letter.to_number)
        if wrote_at is None or wrote_at <= timezone.now() - WHATSAPP_WINDOW:
            raise WindowClosed(letter.to_number, wrote_at)


def last_wrote_at(number: Number, party: str) -> datetime | None:
    """When they last wrote to this number over WhatsApp."""
    theirs = Message.objects.filter(
        number=number, party=party, kind=Message.Kind.WHATSAPP, direction=Direction.INBOUND
    )
    wrote_at: datetime | None = theirs.order_by("-at").values_list("at", flat=True).first()
    return wrote_at


def _sends(number: Number, kind: Message.Kind) -> bool:
    usable = number.account is None or number.account.is_active
    try:
        return usable and Capability(kind.value) in carrier(number.carrier).capabilities
    except UnknownCarrier:
        return False


def _write(letter: Letter, key: str) -> tuple[Message, bool]:
    now = timezone.now()
    row = {
        "direction": Direction.OUTBOUND,
        "kind": letter.kind,
        "carrier": letter.number.carrier,
        "account_id": letter.number.account_id,
        "number": letter.number,
        "own_number": letter.number.e164,
        "party": letter.to_number,
        "text": letter.text,
        "media": list(letter.media),
        "template": letter.template,
        "template_values": dict(letter.template_values),
        "state": Message.State.QUEUED,
        "at": now,
        "due_at": now,
        "digest": letter.digest(),
    }
    if not key:
        return Message.objects.create(**row), True
    message: Message
    message, is_new = Message.objects.get_or_create(key=key, defaults=row)
    return message, is_new
