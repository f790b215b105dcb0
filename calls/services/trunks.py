"""What the holder of an account's standing connection reads and writes.

Only one process may write for an account. Each that begins counts the account's `holder` up, and
whatever it does later is done under a lock of that row, if the count is still its own: a process
that was frozen, and replaced meanwhile, can do no harm when it goes on.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from calls.models import CarrierAccount, Command, Direction, Leg, Number, State
from calls.phone_numbers import country_of, readings
from calls.providers.carriers.registry import CARRIERS, carrier
from calls.providers.carriers.signals import Ringing, Signal
from calls.providers.carriers.trunk import KnownLeg, leg_name
from calls.selectors.callers import home_country
from calls.services.carrier_events import event_store
from calls.services.carrier_signals import Taken, leg_apply
from calls.services.legs import leg_placed
from tenants.db import lookup

# A caller whom nobody talks to any more is let go by who ended the call; after so long, by us.
LEFT_OVER_AFTER = timedelta(seconds=20)
# A leg that appears so long after an order to call its number is of that order.
ORDERED_WITHIN = timedelta(minutes=2)
_NOT_A_DIGIT = re.compile(r"\D")


class NoLongerHeld(Exception):
    """Another process has the account's connection now, or nobody is to have it."""


@dataclass(frozen=True, slots=True)
class TrunkAccount:
    """An account that wants a standing connection, as it is entered since `entered_at`."""

    tenant_id: int
    account_id: int
    carrier: str
    public_id: uuid.UUID
    entered_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A process's right to write for an account, as long as `count` is the row's."""

    account: TrunkAccount
    count: int


@dataclass(frozen=True, slots=True)
class SilentLeg:
    """A connected leg whose call waits for its sound, the one after so many others."""

    leg: str
    call: uuid.UUID
    after: int


def trunk_accounts() -> list[TrunkAccount]:
    """Every active account, of every tenant, that is to be listened to. Outside a tenant."""
    found: list[TrunkAccount] = []
    for name in (entry.name for entry in CARRIERS if entry.trunk is not None):
        with lookup(CarrierAccount, "carrier", name) as rows:
            active = rows.filter(is_active=True, tenant__is_active=True).order_by("pk")
            names = ("tenant_id", "pk", "carrier", "public_id", "updated_at")
            found += [TrunkAccount(*row) for row in active.values_list(*names)]
    return found


def trunk_take(*, account: TrunkAccount) -> tuple[Hold, Sequence[KnownLeg]]:
    """Become the account's holder; its legs that are not over as far as is known."""
    rows = CarrierAccount.objects.filter(pk=account.account_id, is_active=True)
    if not rows.update(holder=F("holder") + 1):
        raise NoLongerHeld(f"account {account.public_id} is gone or switched off")
    legs = _open_legs(account.account_id)
    known = [
        KnownLeg(
            leg=leg.carrier_id,
            incoming=leg.direction == Direction.INBOUND,
            answered=leg.state == Leg.State.ANSWERED,
        )
        for leg in legs
    ]
    return Hold(account, rows.get().holder), known


def trunk_tell(*, hold: Hold, signal: Signal, accepting: bool) -> Taken:
    """Keep what was heard, once, and take notice of it. Raises NoLongerHeld."""
    row = _held(hold)
    if isinstance(signal, Ringing) and signal.incoming:
        signal = _in_full(row, signal)
    return signal_take(
        carrier_name=row.carrier, account_id=row.pk, signal=signal, accepting=accepting
    )


def signal_take(
    *, carrier_name: str, account_id: int, signal: Signal, accepting: bool = True
) -> Taken:
    """Keep a signal that came without a webhook, once, and take notice of it."""
    told = carrier(carrier_name).told
    if told is None:
        raise TypeError(f"{carrier_name} tells by webhooks")
    event_store(carrier_name=carrier_name, event=told(signal), account_id=account_id)
    return leg_apply(carrier_name=carrier_name, leg=signal.leg, accepting=accepting)


def leg_we_placed(*, hold: Hold, party: str, number: str) -> str | None:
    """The name of the leg that we placed, and that the carrier calls `party`.

    The answer to our order may be on its way, or have been lost: then it is the one leg that
    was ordered to this number.
    """
    _held(hold)
    mine = Leg.objects.filter(account_id=hold.account.account_id, direction=Direction.OUTBOUND)
    open_legs = mine.exclude(state=Leg.State.ENDED).filter(carrier_id__startswith=f"{party}.")
    found: Leg | None = open_legs.order_by("pk").last()
    return found.carrier_id if found is not None else _adopted(mine, party, number)


def _adopted(mine: QuerySet[Leg], party: str, number: str) -> str | None:
    """Its call may have been given up meanwhile: then the leg is hung up for having a name."""
    orders = Command.objects.select_related("leg").filter(
        kind=Command.Kind.PLACE,
        state__in=[Command.State.SENDING, Command.State.UNKNOWN],
        sent_at__gt=timezone.now() - ORDERED_WITHIN,
        leg__in=mine.filter(carrier_id=""),
    )
    fitting = [order for order in orders if _digits(order.leg.to_number) == _digits(number)]
    if len(fitting) != 1:
        return None
    (order,) = fitting
    name = leg_name(party, order.public_id)
    leg_placed(leg_id=order.leg_id, carrier_id=name)
    return name


def legs_without_sound(*, hold: Hold) -> list[SilentLeg]:
    """Whose sound is to be fetched now. Raises NoLongerHeld."""
    _held(hold)
    waiting = (
        _open_legs(hold.account.account_id)
        .filter(role=Leg.Role.CUSTOMER, state=Leg.State.ANSWERED)
        .filter(
            Q(call__state=State.RINGING, call__streams=0)
            | Q(call__state=State.LIVE, call__media_lost_at__isnull=False)
        )
    )
    return [
        SilentLeg(leg.carrier_id, leg.call.public_id, leg.call.streams)
        for leg in waiting.select_related("call")
    ]


def legs_left_over(*, hold: Hold, now: datetime) -> list[str]:
    """Legs that are open though their call is over and every order to end them has failed."""
    _held(hold)
    hang_ups = Command.objects.filter(kind=Command.Kind.HANG_UP)
    legs = (
        _open_legs(hold.account.account_id)
        .filter(call__state=State.ENDED, call__ended_at__lt=now - LEFT_OVER_AFTER)
        .filter(pk__in=hang_ups.filter(state=Command.State.FAILED).values("leg"))
        .exclude(pk__in=hang_ups.exclude(state=Command.State.FAILED).values("leg"))
    )
    return list(legs.values_list("carrier_id", flat=True))


def _held(hold: Hold) -> CarrierAccount:
    """The account, locked. Raises NoLongerHeld."""
    row: CarrierAccount | None = (
        CarrierAccount.objects.select_for_update(no_key=True, of=("self",))
        .select_related("answers_as")
        .filter(pk=hold.account.account_id, holder=hold.count, is_active=True)
        .first()
    )
    if row is None:
        raise NoLongerHeld(f"account {hold.account.public_id} has another holder, or none")
    return row


def _open_legs(account_id: int) -> QuerySet[Leg]:
    legs: QuerySet[Leg] = Leg.objects.filter(account_id=account_id)
    return legs.exclude(state=Leg.State.ENDED).exclude(carrier_id="").order_by("pk")


def _in_full(account: CarrierAccount, ringing: Ringing) -> Ringing:
    """Both numbers in E.164 form, however the PBX writes them.

    What is no number of the tenant's, an extension's short one for instance, is answered as the
    account says.
    """
    told, answers_as = ringing.to_number, account.answers_as
    country = country_of(answers_as.e164) if answers_as is not None else home_country()
    number = Number.objects.filter(e164__in=readings(told, country)).first() or answers_as
    callers = readings(ringing.from_number, country)
    return replace(
        ringing,
        to_number=str(number.e164) if number is not None else told,
        from_number=callers[0] if callers else ringing.from_number,
    )


def _digits(number: str) -> str:
    """As a PBX and we may both write it."""
    return _NOT_A_DIGIT.sub("", number).removeprefix("00")
