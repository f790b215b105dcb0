"""What becomes of a message of ours, on its way to its carrier and from there on.

Its state only ever goes on. While a process has it in hand it is still queued, with the time at
which it was claimed; a carrier's signal may be here before the answer to our request is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from calls.carriers.links import message_url
from calls.models import DoNotCall, Message
from calls.providers.carriers.letters import LetterPicture
from calls.providers.carriers.port import OutgoingMessage
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import MessageKind, MessageState

State = Message.State

# One that was claimed and not finished by then was lost with the process that had it.
LOST_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(seconds=5)
TRY_AGAIN_AFTER = timedelta(seconds=15)
MOST_ATTEMPTS = 5

_ORDER = [State.QUEUED, State.UNKNOWN, State.SENT, State.FAILED, State.DELIVERED, State.READ]
_STATES = {
    MessageState.SENT: State.SENT,
    MessageState.FAILED: State.FAILED,
    MessageState.DELIVERED: State.DELIVERED,
    MessageState.READ: State.READ,
}


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A claimed message, with what its carrier has to know."""

    id: int
    carrier: str
    account_id: int | None
    outgoing: OutgoingMessage


def message_claim(*, message_id: int) -> Dispatch | None:
    """Take a queued message for sending; None if somebody else has it, or it is not to be sent."""
    now = timezone.now()
    claimed = Message.objects.filter(pk=message_id, state=State.QUEUED, claimed_at=None).update(
        claimed_at=now, attempts=F("attempts") + 1, updated_at=now
    )
    if not claimed:
        return None
    message: Message = Message.objects.get(pk=message_id)
    if DoNotCall.objects.filter(number=message.party).exists():
        message_refused(message_id=message_id, error="the number is on the do-not-call list")
        return None
    return Dispatch(message.pk, message.carrier, message.account_id, _outgoing(message))


def _outgoing(message: Message) -> OutgoingMessage:
    return OutgoingMessage(
        kind=MessageKind(message.kind),
        to_number=message.party,
        from_number=message.own_number,
        text=message.text,
        media=tuple(message.media),
        template=message.template,
        template_values=message.template_values,
        signals_url=message_url(message.carrier, message.public_id),
        command_id=message.public_id,
    )


def message_taken(*, message_id: int, carrier_id: str) -> None:
    """The carrier has it, and gave it a name."""
    message_named(message_id=message_id, carrier_id=carrier_id)
    _advance(message_id, State.SENT, sent_at=timezone.now(), error="")


def message_named(*, message_id: int, carrier_id: str) -> None:
    """The carrier's id of a message, from its answer or from a signal that came before that."""
    unnamed = Message.objects.filter(pk=message_id, carrier_id="")
    unnamed.update(carrier_id=carrier_id[:200], updated_at=timezone.now())


def message_refused(*, message_id: int, error: str) -> None:
    """It will not be sent, whoever asks."""
    _advance(message_id, State.FAILED, failed_at=timezone.now(), error=error[:300])


def message_postponed(*, message_id: int, error: str, seconds: float | None = None) -> None:
    """It was certainly not sent, and may be later; after some tries it is given up."""
    message: Message = Message.objects.get(pk=message_id)
    if message.attempts >= MOST_ATTEMPTS:
        message_refused(message_id=message_id, error=error)
        return
    wait = TRY_AGAIN_AFTER if seconds is None else timedelta(seconds=min(seconds, 3600))
    now = timezone.now()
    Message.objects.filter(pk=message_id, state=State.QUEUED).update(
        claimed_at=None, due_at=now + wait, error=error[:300], updated_at=now
    )


def message_unanswered(*, message_id: int, error: str) -> None:
    """It was asked for, and nobody knows whether it was sent.

    Again, where the carrier does it once however often it is asked. Elsewhere it is `unknown`,
    until a signal of it comes: its address names the message.
    """
    message: Message = Message.objects.get(pk=message_id)
    repeatable = MessageKind(message.kind) in carrier(message.carrier).repeats
    if repeatable and message.attempts < MOST_ATTEMPTS:
        message_postponed(message_id=message_id, error=error)
    else:
        _advance(message_id, State.UNKNOWN, error=error[:300])


def message_follow(*, message: Message, seen: LetterPicture) -> None:
    """Make the row what its signals say, as far as it has not come further already."""
    if seen.state is None:
        return
    times = {f"{_STATES[state].value}_at": at for state, at in seen.at.items()}
    Message.objects.filter(pk=message.pk).update(**times)
    state = _STATES[seen.state]
    reached = Message.objects.filter(pk=message.pk, state__in=_up_to(state))
    reached.update(state=state, error=seen.error[:300], updated_at=timezone.now())


def messages_waiting(*, now: datetime) -> list[int]:
    """The current tenant's messages that nobody sends: due, forgotten, or lost by a process."""
    lost = Message.objects.filter(state=State.QUEUED, claimed_at__lt=now - LOST_AFTER)
    for message_id in list(lost.values_list("pk", flat=True)):
        message_unanswered(message_id=message_id, error="the process that sent it ended")
    due = Message.objects.filter(
        state=State.QUEUED, claimed_at=None, due_at__lt=now - FORGOTTEN_AFTER
    )
    return list(due.order_by("due_at").values_list("pk", flat=True)[:500])


def _advance(message_id: int, state: State, **fields: Any) -> bool:
    """Go on to `state`, unless the message is there or further."""
    before = Message.objects.filter(pk=message_id, state__in=_up_to(state)).exclude(state=state)
    return bool(before.update(**fields, state=state, updated_at=timezone.now()))


def _up_to(state: State) -> list[State]:
    return _ORDER[: _ORDER.index(state) + 1]
