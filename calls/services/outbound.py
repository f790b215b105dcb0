"""Calls that we place: whether they may be, and the rows from which a carrier is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from django.utils import timezone

from agents.models import Agent, AgentVersion
from agents.profiles import Channel
from agents.selectors import published_version
from calls.errors import (
    AgentNotPublished,
    CallNotPlaced,
    CannotBeCalled,
    KeyUsedOtherwise,
    NoCallerNumber,
    OnDoNotCallList,
    OutsideWindow,
    TooFast,
    TooManyAtOnce,
    ZoneUnknown,
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
from calls.providers.carriers.port import Capability, MachineDetection
from calls.providers.carriers.registry import UnknownCarrier, carrier
from calls.routing.hours import Interval, everywhere, next_everywhere
from calls.services.calls import finalise_on_commit
from calls.services.commands import command_give
from calls.services.intake import language_for
from calls.services.pace import pace_keep
from calls.voice.end_reasons import EndReason
from tenants import audit
from tenants.audit import Actor

RING_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that somebody asks for. Without `number` one of the agent's own is shown.

    `context` is what the agent is told about whom it calls, and why; `greeting` is said first
    instead of the agent's own.
    """

    to_number: str
    agent: Agent
    number: Number | None = None
    language: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    greeting: str = ""

    def digest(self) -> str:
        """What tells one asked-for call from another."""
        parts = (
            self.to_number,
            str(self.agent.public_id),
            self.number.e164 if self.number is not None else "",
            self.language,
            sorted(self.context.items()),
            self.greeting,
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Placed:
    """The call, and the order to its carrier; None if the same was asked for before.

    A call with a `refusal` is over: it is in the log, and was never placed.
    """

    call: Call
    command: Command | None
    refusal: CallNotPlaced | None = None


_END_REASONS: Mapping[type[CallNotPlaced], EndReason] = {
    OnDoNotCallList: EndReason.DO_NOT_CALL,
    OutsideWindow: EndReason.OUTSIDE_HOURS,
    ZoneUnknown: EndReason.INVALID_NUMBER,
    NoCallerNumber: EndReason.NO_CALLER_NUMBER,
    AgentNotPublished: EndReason.REFUSED_NO_AGENT,
    TooManyAtOnce: EndReason.REFUSED_BUSY,
}


def call_request(
    *, wanted: Wanted, actor: Actor, key: str = "", now: datetime | None = None
) -> Placed:
    """As `call_place`, for whoever has to be told: what is refused is in the call log too.

    With a `key` the same request gets the same answer, refusals included; only where all lines
    were busy is it tried again. Raises CannotBeCalled for what is no number at all, TooFast for
    what may be asked for again in a moment, and KeyUsedOtherwise; these are not logged.
    """
    now = now or timezone.now()
    wanted = replace(wanted, to_number=dialable(wanted.to_number))
    rules = outbound_settings_locked()
    known = _asked_before(wanted, key)
    refusal = _refusal_of(known.call, rules) if known is not None else None
    if known is not None and not isinstance(refusal, TooManyAtOnce):
        return Placed(known.call, None, refusal)
    try:
        return _place(wanted, actor, key, rules, now)
    except TooFast:
        raise
    except CallNotPlaced as error:
        call = known.call if known is not None else _log_refusal(wanted, error, actor, now)
        _remember(wanted, key, call)
        return Placed(call, None, error)


def call_place(
    *,
    wanted: Wanted,
    actor: Actor,
    key: str = "",
    now: datetime | None = None,
    in_bulk: bool = False,
) -> Placed:
    """Decide on a call of the current tenant's and write all that placing it takes.

    The caller's transaction holds call, leg and order, so that they are there together or not
    at all; the order is sent once that is committed. With a `key` the same
    request gives the same call, however often it is made. Raises CallNotPlaced by its cause,
    and then nothing was written. One of many, `in_bulk`, leaves room for calls that somebody
    waits for.
    """
    rules = outbound_settings_locked()
    known = _asked_before(wanted, key)
    now = now or timezone.now()
    return known or _place(wanted, actor, key, rules, now, in_bulk=in_bulk)


def _place(
    wanted: Wanted,
    actor: Actor,
    key: str,
    rules: OutboundSettings,
    now: datetime,
    *,
    in_bulk: bool = False,
) -> Placed:
    to_number = dialable(wanted.to_number)
    may_be_called(to_number, rules, now)
    if free_lines(rules) < 1:
        raise TooManyAtOnce(rules.max_at_once)
    placed = _write(wanted, to_number, now, in_bulk=in_bulk)
    _remember(wanted, key, placed.call)
    audit.record(action="call.placed", actor=actor, target=placed.call, changes={"to": to_number})
    return placed


def _asked_before(wanted: Wanted, key: str) -> Placed | None:
    """What came of the same request. Raises KeyUsedOtherwise."""
    known = OutboundRequest.objects.select_related("call").filter(key=key).first() if key else None
    if known is None:
        return None
    if known.digest != wanted.digest():
        raise KeyUsedOtherwise(key)
    return Placed(known.call, None)


def _remember(wanted: Wanted, key: str, call: Call) -> None:
    if key:
        OutboundRequest.objects.update_or_create(
            key=key, defaults={"digest": wanted.digest(), "call": call}
        )


# --- what is refused ----------------------------------------------------------------------


def _log_refusal(wanted: Wanted, error: CallNotPlaced, actor: Actor, now: datetime) -> Call:
    """A call that is over before it began: in the log, without a leg."""
    number = wanted.number or _number_of(wanted.agent)
    version = published_version(wanted.agent)
    call: Call = Call.objects.create(
        agent=wanted.agent,
        version=version,
        number=number,
        channel=number.carrier if number is not None else "",
        direction=Direction.OUTBOUND,
        from_number=number.e164 if number is not None else "",
        to_number=wanted.to_number,
        language=language_for(version, wish=wanted.language, caller=wanted.to_number)
        if version is not None
        else wanted.agent.language,
        context=dict(wanted.context),
        state=State.ENDED,
        started_at=now,
        ended_at=now,
        end_reason=_END_REASONS[type(error)],
    )
    finalise_on_commit([call.pk])
    changes = {"to": wanted.to_number, "reason": call.end_reason}
    audit.record(action="call.refused", actor=actor, target=call, changes=changes)
    return call


def _refusal_of(call: Call, rules: OutboundSettings) -> CallNotPlaced | None:
    """Why a call was refused, for who asks again; None for one that was placed."""
    if call.legs.exists():
        return None
    match call.end_reason:
        case EndReason.DO_NOT_CALL:
            return OnDoNotCallList(call.to_number)
        case EndReason.OUTSIDE_HOURS:
            opens = next_everywhere(_window(rules), zones_of(call.to_number), call.started_at)
            return OutsideWindow(call.to_number, opens)
        case EndReason.NO_CALLER_NUMBER:
            return NoCallerNumber(call.agent)
        case EndReason.REFUSED_NO_AGENT:
            return AgentNotPublished(call.agent)
        case EndReason.REFUSED_BUSY:
            return TooManyAtOnce(rules.max_at_once)
    return ZoneUnknown(call.to_number)


# --- what has to be so --------------------------------------------------------------------


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
    """Raise OnDoNotCallList, ZoneUnknown or OutsideWindow for whom may not be called now.

    A number that may ring in several zones has to be within the window in all of them.
    """
    if DoNotCall.objects.filter(number=number).exists():
        raise OnDoNotCallList(number)
    window, zones = _window(rules), zones_of(number)
    if not zones:
        raise ZoneUnknown(number)
    if not everywhere(window, zones, now):
        raise OutsideWindow(number, next_everywhere(window, zones, now))


def _window(rules: OutboundSettings) -> Interval:
    return Interval(rules.window_opens, rules.window_closes)


def free_lines(rules: OutboundSettings) -> int:
    """How many more calls may be placed at this moment."""
    busy = Call.objects.filter(direction=Direction.OUTBOUND).exclude(state=State.ENDED).count()
    return rules.max_at_once - busy  # type: ignore[no-any-return]


def caller_number(agent: Agent) -> Number:
    """The number that the agent calls from where none is named. Raises NoCallerNumber."""
    found = _number_of(agent)
    if found is None:
        raise NoCallerNumber(agent)
    return found


def _number_of(agent: Agent) -> Number | None:
    numbers = Number.objects.select_related("account").order_by("pk")
    of_agent = (*numbers.filter(agent=agent), *numbers.filter(rule__agent=agent))
    return next((each for each in of_agent if places_calls(each)), None)


def places_calls(number: Number) -> bool:
    """Whether a call of ours may be placed from that number."""
    usable = number.is_active and (number.account is None or number.account.is_active)
    try:
        return usable and Capability.OUTBOUND in carrier(number.carrier).capabilities
    except UnknownCarrier:
        return False


def _write(wanted: Wanted, to_number: str, now: datetime, *, in_bulk: bool) -> Placed:
    version = _version(wanted.agent)
    number = wanted.number or caller_number(wanted.agent)
    if not places_calls(number):
        raise NoCallerNumber(wanted.agent)
    pace_keep(number=number, now=now, in_bulk=in_bulk)
    call = Call.objects.create(
        agent=wanted.agent,
        version=version,
        number=number,
        channel=number.carrier,
        direction=Direction.OUTBOUND,
        from_number=number.e164,
        to_number=to_number,
        language=language_for(version, wish=wanted.language, caller=to_number),
        context=dict(wanted.context),
        greeting=wanted.greeting,
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
    return Placed(call, _order(leg, call, version))


def _order(leg: Leg, call: Call, version: AgentVersion) -> Command | None:
    """What the carrier is asked for; where it brings sound and signals `dispatch` adds."""
    advanced = version.profile(cast(Channel, call.channel)).advanced
    detects = Capability.MACHINE_DETECTION in carrier(leg.carrier).capabilities
    leaves = advanced.voicemail == "leave_message"
    wanted = MachineDetection.AFTER_GREETING if leaves else MachineDetection.AT_ONCE
    said = {
        "call": str(call.public_id),
        "to_number": call.to_number,
        "from_number": call.from_number,
        "ring_seconds": RING_SECONDS,
        "detect": wanted if detects else MachineDetection.OFF,
        "verdict_first": detects and advanced.verdict_first,
    }
    return command_give(leg=leg, kind=Command.Kind.PLACE, reason="place", arguments=said)


def _version(agent: Agent) -> AgentVersion:
    version = published_version(agent) if agent.is_active else None
    if version is None:
        raise AgentNotPublished(agent)
    return version
