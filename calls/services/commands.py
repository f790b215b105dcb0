"""Orders to carriers: decided in a transaction, sent after it, done once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from calls.models import Command, Leg

# A command that was claimed and not finished by then was lost with the process that had it.
LOST_AFTER = timedelta(seconds=30)
PENDING_AFTER = timedelta(seconds=3)
MOST_ATTEMPTS = 5
# Done twice, these would ring somebody's telephone twice: sent, and no answer, is for people.
ONLY_ONCE = frozenset({Command.Kind.PLACE, Command.Kind.DTMF})


@dataclass(frozen=True, slots=True)
class Order:
    """A claimed command, with what its carrier has to know."""

    id: int
    tenant_id: int
    leg_id: int
    command_id: uuid.UUID
    kind: str
    arguments: Mapping[str, Any]
    carrier: str
    account_id: int | None
    leg: str
    attempts: int


def command_give(
    *, leg: Leg, kind: Command.Kind, reason: str, arguments: Mapping[str, Any] | None = None
) -> Command | None:
    """Order something of the leg's carrier; None if this was ordered for the same reason before.

    Whoever gives it sees to its being sent once the transaction is committed
    (`calls.dispatch`); what a dying process leaves behind the sweeper sends.
    """
    command, created = Command.objects.get_or_create(
        leg=leg, kind=kind, reason=reason, defaults={"arguments": dict(arguments or {})}
    )
    return command if created else None


def command_claim(*, command_id: int) -> Order | None:
    """Take a pending command for sending; None if somebody else has it or it is done."""
    claimed = Command.objects.filter(pk=command_id, state=Command.State.PENDING).update(
        state=Command.State.SENDING,
        attempts=F("attempts") + 1,
        sent_at=timezone.now(),
        updated_at=timezone.now(),
    )
    if not claimed:
        return None
    command: Command = Command.objects.select_related("leg").get(pk=command_id)
    return Order(
        id=command.pk,
        tenant_id=command.tenant_id,
        leg_id=command.leg_id,
        command_id=command.public_id,
        kind=command.kind,
        arguments=command.arguments,
        carrier=command.leg.carrier,
        account_id=command.leg.account_id,
        leg=command.leg.carrier_id,
        attempts=command.attempts,
    )


def command_done(*, command_id: int) -> None:
    """The carrier took it."""
    _settle(command_id, Command.State.DONE, "")


def command_failed(*, command_id: int, error: str) -> None:
    """The carrier will not do it, whoever asks."""
    _settle(command_id, Command.State.FAILED, error)


def command_unanswered(*, command_id: int, error: str) -> None:
    """It was sent and nobody knows whether it was done: again, unless twice would be worse."""
    command: Command = Command.objects.get(pk=command_id)
    if command.kind in ONLY_ONCE:
        _settle(command_id, Command.State.UNKNOWN, error)
    elif command.attempts >= MOST_ATTEMPTS:
        _settle(command_id, Command.State.FAILED, error)
    else:
        _settle(command_id, Command.State.PENDING, error)


def commands_waiting(*, now: datetime) -> list[int]:
    """The current tenant's commands that nobody sends: new ones forgotten, claimed ones lost."""
    lost = Command.objects.filter(state=Command.State.SENDING, sent_at__lt=now - LOST_AFTER)
    for command_id in list(lost.values_list("pk", flat=True)):
        command_unanswered(command_id=command_id, error="the process that sent it ended")
    waiting = Command.objects.filter(
        Q(sent_at=None, created_at__lt=now - PENDING_AFTER) | Q(sent_at__lt=now - PENDING_AFTER),
        state=Command.State.PENDING,
    )
    return list(waiting.values_list("pk", flat=True)[:500])


def _settle(command_id: int, state: Command.State, error: str) -> None:
    Command.objects.filter(pk=command_id, state=Command.State.SENDING).update(
        state=state, error=error[:300], updated_at=timezone.now()
    )
