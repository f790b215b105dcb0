"""What becomes of an order on its way to its carrier, and of the leg if it is not taken."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from calls.models import Command
from calls.providers.carriers.registry import answers_inline
from calls.services.legs import leg_let_down, leg_never_dialled

# A command that was claimed and not finished by then was lost with the process that had it.
LOST_AFTER = timedelta(seconds=30)
# Some carriers answer a hand-over when it is decided: after a briefing, and long ringing.
HANDED_OVER_BY = timedelta(minutes=4)
PENDING_AFTER = timedelta(seconds=3)
MOST_ATTEMPTS = 5
# An order to call somebody is only good for so long.
PLACE_WITHIN = timedelta(seconds=60)
# Done twice, these would ring somebody's telephone twice: sent, and no answer, is for people.
ONLY_ONCE = frozenset({Command.Kind.PLACE, Command.Kind.DTMF})
# So would these, or break off a talk, at a carrier that does not know a command by its id.
_ONLY_ONCE_WITHOUT_IDS = frozenset(
    {Command.Kind.HAND_OVER, Command.Kind.STEP, Command.Kind.REATTACH}
)


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
    call: uuid.UUID
    leg: str
    attempts: int


def command_claim(*, command_id: int) -> Order | None:
    """Take a pending command for sending; None if somebody else has it or it is done."""
    if _cannot_be_sent(command_id):
        return None
    claimed = Command.objects.filter(pk=command_id, state=Command.State.PENDING).update(
        state=Command.State.SENDING,
        attempts=F("attempts") + 1,
        sent_at=timezone.now(),
        updated_at=timezone.now(),
    )
    if not claimed:
        return None
    command: Command = Command.objects.select_related("leg__call").get(pk=command_id)
    return Order(
        id=command.pk,
        tenant_id=command.tenant_id,
        leg_id=command.leg_id,
        command_id=command.public_id,
        kind=command.kind,
        arguments=command.arguments,
        carrier=command.leg.carrier,
        account_id=command.leg.account_id,
        call=command.leg.call.public_id,
        leg=command.leg.carrier_id,
        attempts=command.attempts,
    )


def _cannot_be_sent(command_id: int) -> bool:
    """Whether a pending order is too late, or too early; what it is too late for is given up.

    Somebody whom nobody called in time is not called: who knows what hour it is there by now.
    And a leg has to be dialled before anything else can be asked of it; the sweeper tries again.
    """
    command: Command | None = (
        Command.objects.select_related("leg__call")
        .filter(pk=command_id, state=Command.State.PENDING)
        .first()
    )
    if command is None:
        return True
    now = timezone.now()
    late = command.created_at < now - PLACE_WITHIN
    if command.kind == Command.Kind.PLACE:
        if late and leg_never_dialled(leg=command.leg, at=now):
            leg_let_down(leg=command.leg, kind=Command.Kind.PLACE, leg_gone=False)
        return late
    if command.leg.carrier_id:
        return False
    if late or command.leg.state == command.leg.State.ENDED:
        Command.objects.filter(pk=command_id, state=Command.State.PENDING).update(
            state=Command.State.FAILED, error="its leg never came to be", updated_at=now
        )
    return True


def command_done(*, command_id: int) -> None:
    """The carrier took it."""
    _settle(command_id, Command.State.DONE, "")


def command_failed(*, command_id: int, error: str, leg_gone: bool = False) -> None:
    """The carrier will not do it, whoever asks; the call goes on without, or not at all."""
    if _settle(command_id, Command.State.FAILED, error):
        command: Command = Command.objects.select_related("leg").get(pk=command_id)
        leg_let_down(leg=command.leg, kind=Command.Kind(command.kind), leg_gone=leg_gone)


def command_unanswered(*, command_id: int, error: str) -> None:
    """It was sent and nobody knows whether it was done: again, unless twice would be worse."""
    command: Command = Command.objects.select_related("leg").get(pk=command_id)
    if _is_done_once(command):
        _settle(command_id, Command.State.UNKNOWN, error)
    elif command.attempts >= MOST_ATTEMPTS:
        command_failed(command_id=command_id, error=error)
    else:
        _settle(command_id, Command.State.PENDING, error)


def _is_done_once(command: Command) -> bool:
    if command.kind in ONLY_ONCE:
        return True
    return command.kind in _ONLY_ONCE_WITHOUT_IDS and answers_inline(command.leg.carrier)


def commands_waiting(*, now: datetime) -> list[int]:
    """The current tenant's commands that nobody sends: new ones forgotten, claimed ones lost."""
    lost = Command.objects.filter(
        Q(sent_at__lt=now - HANDED_OVER_BY)
        | Q(sent_at__lt=now - LOST_AFTER) & ~Q(kind=Command.Kind.HAND_OVER),
        state=Command.State.SENDING,
    )
    for command_id in list(lost.values_list("pk", flat=True)):
        command_unanswered(command_id=command_id, error="the process that sent it ended")
    waiting = Command.objects.filter(
        Q(sent_at=None, created_at__lt=now - PENDING_AFTER) | Q(sent_at__lt=now - PENDING_AFTER),
        state=Command.State.PENDING,
    )
    return list(waiting.values_list("pk", flat=True)[:500])


def _settle(command_id: int, state: Command.State, error: str) -> bool:
    settled = Command.objects.filter(pk=command_id, state=Command.State.SENDING).update(
        state=state, error=error[:300], updated_at=timezone.now()
    )
    return bool(settled)
