"""What becomes of an order on its way to its carrier, and of the leg if it is not taken."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from calls.models import Command
from calls.providers.carriers.registry import CARRIERS, carrier
from calls.providers.carriers.signals import EndCause
from calls.services.legs import hand_over_unknown, leg_let_down, leg_never_dialled

# A command that was claimed and not finished by then was lost with the process that had it.
LOST_AFTER = timedelta(seconds=30)
# A hand-over that is answered when it is decided takes a briefing, and long ringing.
DECIDED_BY = timedelta(minutes=4)
# One sending, with the repetitions that the carrier's client makes by itself, is over by then.
ONE_SENDING = timedelta(seconds=15)
PENDING_AFTER = timedelta(seconds=3)
MOST_ATTEMPTS = 5
# A line that nobody hangs up costs money by the minute: a carrier that is away is asked for longer.
HANG_UP_WITHIN = timedelta(hours=1)
# An order to call somebody is only good for so long.
PLACE_WITHIN = timedelta(seconds=60)
# Done twice, these would ring or press somebody's telephone twice, by the time nobody expects it.
ONLY_ONCE = frozenset({Command.Kind.PLACE, Command.Kind.DTMF})
# So would these, or break off a talk, at a carrier that does not remember them by their id.
_ONLY_ONCE_FORGOTTEN = frozenset({Command.Kind.HAND_OVER, Command.Kind.STEP, Command.Kind.REATTACH})
_DECIDES_HAND_OVERS = [entry.name for entry in CARRIERS if entry.decides_hand_overs]


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
    now = timezone.now()
    if _cannot_be_sent(command_id, now):
        return None
    claimed = Command.objects.filter(pk=command_id, state=Command.State.PENDING).update(
        state=Command.State.SENDING,
        attempts=F("attempts") + 1,
        first_sent_at=Coalesce("first_sent_at", now),
        sent_at=now,
        updated_at=now,
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


def _cannot_be_sent(command_id: int, now: datetime) -> bool:
    """Whether a pending order is too late, or too early; what it is too late for is given up.

    Somebody whom nobody called in time is not called: who knows what hour it is there by now.
    And a leg has to be dialled before anything else can be asked of it; the sweeper tries again.
    What was sent before, and its carrier forgets by its id, may not be sent again.
    """
    command: Command | None = (
        Command.objects.select_related("leg__call")
        .filter(pk=command_id, state=Command.State.PENDING)
        .first()
    )
    if command is None:
        return True
    late = command.created_at < now - PLACE_WITHIN
    if command.kind == Command.Kind.PLACE:
        if late and leg_never_dialled(leg=command.leg, at=now):
            leg_let_down(leg=command.leg, kind=Command.Kind.PLACE, leg_gone=False)
        return late
    if command.leg.carrier_id:
        return command.attempts > 0 and _given_up(command, command.error, now)
    if late or command.leg.state == command.leg.State.ENDED:
        Command.objects.filter(pk=command_id, state=Command.State.PENDING).update(
            state=Command.State.FAILED, error="its leg never came to be", updated_at=now
        )
    return True


def command_done(*, command_id: int) -> None:
    """The carrier took it."""
    _settle(command_id, Command.State.DONE, "")


def command_failed(
    *,
    command_id: int,
    error: str,
    leg_gone: bool = False,
    cause: EndCause = EndCause.FAILED,
) -> None:
    """The carrier will not do it, whoever asks; the call goes on without, or not at all."""
    if _settle(command_id, Command.State.FAILED, error):
        command: Command = Command.objects.select_related("leg").get(pk=command_id)
        kind = Command.Kind(command.kind)
        leg_let_down(leg=command.leg, kind=kind, leg_gone=leg_gone, cause=cause)


def command_unanswered(*, command_id: int, error: str) -> None:
    """It was sent and nobody knows whether it was done: again, unless twice would be worse."""
    command: Command = Command.objects.select_related("leg__call").get(pk=command_id)
    now = timezone.now()
    if _given_up(command, error, now):
        return
    lasts = command.kind == Command.Kind.HANG_UP and command.created_at > now - HANG_UP_WITHIN
    if command.attempts >= MOST_ATTEMPTS and not lasts:
        command_failed(command_id=command_id, error=error)
    else:
        _settle(command_id, Command.State.PENDING, error)


def _given_up(command: Command, error: str, now: datetime) -> bool:
    """Leave an order that was sent as it is, unknown, where once more may be done twice."""
    if not _is_done_once(command, now):
        return False
    open_states = [Command.State.SENDING, Command.State.PENDING]
    given_up = Command.objects.filter(pk=command.pk, state__in=open_states).update(
        state=Command.State.UNKNOWN, error=error[:300], updated_at=now
    )
    if given_up and command.kind == Command.Kind.HAND_OVER:
        hand_over_unknown(leg=command.leg)
    return True


def _is_done_once(command: Command, now: datetime) -> bool:
    if command.kind in ONLY_ONCE:
        return True
    if command.kind not in _ONLY_ONCE_FORGOTTEN:
        return False
    first = command.first_sent_at or command.created_at
    return bool(first + carrier(command.leg.carrier).remembers_commands < now + ONE_SENDING)


def commands_waiting(*, now: datetime) -> list[int]:
    """The current tenant's commands that nobody sends: new ones forgotten, claimed ones lost."""
    lost = Command.objects.filter(
        Q(sent_at__lt=now - DECIDED_BY)
        | Q(sent_at__lt=now - LOST_AFTER)
        & ~Q(kind=Command.Kind.HAND_OVER, leg__carrier__in=_DECIDES_HAND_OVERS),
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
