"""Calls that we place: whether they may be, and the rows from which a carrier is asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext

from agents.models import Agent, AgentVersion
from agents.selectors import published_version
from calls.errors import (
    AgentNotPublished,
    CannotBeCalled,
    KeyUsedOtherwise,
    NoCallerNumber,
    OnDoNotCallList,
    OutsideWindow,
    TooManyAtOnce,
)
from calls.models import (
    Call,
    Command,
    Direction,
    DoNotCall,
    Leg,
    Number,
    OutboundRequest,
    OutboundSettings,
    State,
)
from calls.phone_numbers import NotANumber, e164, zones_of
from calls.providers.carriers.port import Capability
from calls.providers.carriers.registry import UnknownCarrier, carrier
from calls.routing.hours import Interval, everywhere, next_everywhere
from calls.services.commands import command_give
from calls.services.intake import language_for
from tenants import audit
from tenants.audit import Actor

RING_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that somebody asks for. Without `number` one of the agent's own is shown."""

    to_number: str
    agent: Agent
    number: Number | None = None
    language: str = ""

    def digest(self) -> str:
        """What tells one asked-for call from another."""
        parts = (
            self.to_number,
            str(self.agent.public_id),
            self.number.e164 if self.number is not None else "",
            self.language,
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Placed:
    """The call, and the order to its carrier; None if the same was asked for before."""

    call: Call
    command: Command | None


def call_place(
    *, wanted: Wanted, actor: Actor, key: str = "", now: datetime | None = None
) -> Placed:
    """Decide on a call of the current tenant's and write all that placing it takes.

    The caller's transaction holds call, leg and order, so that they are there together or not
    at all; the order is sent once that is committed. With a `key` the same
    request gives the same call, however often it is made. Raises CallNotPlaced by its cause.
    """
    rules = outbound_settings_locked()
    digest = wanted.digest()
    if key and (known := OutboundRequest.objects.filter(key=key).first()) is not None:
        if known.digest != digest:
            raise KeyUsedOtherwise(key)
        return Placed(known.call, None)
    to_number, now = dialable(wanted.to_number), now or timezone.now()
    may_be_called(to_number, rules, now)
    if free_lines(rules) < 1:
        raise TooManyAtOnce(rules.max_at_once)
    placed = _write(wanted, to_number, now)
    if key:
        OutboundRequest.objects.create(key=key, digest=digest, call=placed.call)
    audit.record(action="call.placed", actor=actor, target=placed.call, changes={"to": to_number})
    return placed


def outbound_settings_locked() -> OutboundSettings:
    """The current tenant's rules; nobody else places a call until the transaction ends."""
    OutboundSettings.objects.get_or_create()
    rules: OutboundSettings = OutboundSettings.objects.select_for_update(no_key=True).get()
    return rules


def dialable(text: str) -> str:
    """The number in E.164 form. Raises CannotBeCalled."""
    try:
        return e164(text, strict=True)
    except NotANumber as error:
        raise CannotBeCalled(str(error)) from None


def may_be_called(number: str, rules: OutboundSettings, now: datetime) -> None:
    """Raise OnDoNotCallList or OutsideWindow for a number that may not be called now.

    A number that may ring in several zones has to be within the window in all of them.
    """
    if DoNotCall.objects.filter(number=number).exists():
        raise OnDoNotCallList(number)
    window = Interval(rules.window_opens, rules.window_closes)
    zones = zones_of(number)
    if not zones:
        unknown = gettext("It is not known in which time zone %(number)s rings.")
        raise CannotBeCalled(unknown % {"number": number})
    if not everywhere(window, zones, now):
        raise OutsideWindow(number, next_everywhere(window, zones, now))


def free_lines(rules: OutboundSettings) -> int:
    """How many more calls may be placed at this moment."""
    busy = Call.objects.filter(direction=Direction.OUTBOUND).exclude(state=State.ENDED).count()
    return rules.max_at_once - busy  # type: ignore[no-any-return]


def caller_number(agent: Agent) -> Number:
    """The number that the agent calls from where none is named. Raises NoCallerNumber."""
    active = Number.objects.filter(is_active=True).select_related("account").order_by("pk")
    of_agent = (*active.filter(agent=agent), *active.filter(rule__agent=agent))
    found = next((each for each in of_agent if _places_calls(each)), None)
    if found is None:
        raise NoCallerNumber(agent)
    return found


def _places_calls(number: Number) -> bool:
    usable = number.account is None or number.account.is_active
    try:
        return usable and Capability.OUTBOUND in carrier(number.carrier).capabilities
    except UnknownCarrier:
        return False


def _write(wanted: Wanted, to_number: str, now: datetime) -> Placed:
    version = _version(wanted.agent)
    number = wanted.number or caller_number(wanted.agent)
    if not (number.is_active and _places_calls(number)):
        raise NoCallerNumber(wanted.agent)
    call = Call.objects.create(
        agent=wanted.agent,
        version=version,
        number=number,
        channel=number.carrier,
        direction=Direction.OUTBOUND,
        from_number=number.e164,
        to_number=to_number,
        language=language_for(version, wish=wanted.language, caller=to_number),
        started_at=now,
    )
    leg = Leg.objects.create(
        call=call,
        account_id=number.account_id,
        carrier=number.carrier,
        direction=Direction.OUTBOUND,
        from_number=number.e164,
        to_number=to_number,
    )
    return Placed(call, _order(leg, call))


def _order(leg: Leg, call: Call) -> Command | None:
    """What the carrier is asked for; `calls.dispatch` adds where it brings sound and signals."""
    said = {
        "call": str(call.public_id),
        "to_number": call.to_number,
        "from_number": call.from_number,
        "ring_seconds": RING_SECONDS,
        "detect_machine": Capability.MACHINE_DETECTION in carrier(leg.carrier).capabilities,
    }
    return command_give(leg=leg, kind=Command.Kind.PLACE, reason="place", arguments=said)


def _version(agent: Agent) -> AgentVersion:
    version = published_version(agent) if agent.is_active else None
    if version is None:
        raise AgentNotPublished(agent)
    return version
