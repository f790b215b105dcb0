"""Call-backs that agents promised: placed by themselves when they are due, each try once.

A step is one transaction, as with campaigns: a worker that dies before its end has done nothing,
and after it everything that placing the call takes is in the database.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
from django.utils import timezone
from django.utils.translation import gettext

from agents.models import Agent
from agents.selectors import published_version
from calls import spoken
from calls.errors import (
    CallNotPlaced,
    CannotBeCalled,
    OnDoNotCallList,
    OutsideWindow,
    TooManyAtOnce,
)
from calls.line.rows import HANDED_OVER
from calls.models import CallBack, CallEvent, Number, OutboundSettings, Outcome, State
from calls.services.campaign_run import outcome_of
from calls.services.outbound import (
    Wanted,
    call_place,
    caller_number,
    dialable,
    places_calls,
)
from calls.voice.end_reasons import EndReason
from tenants import audit

MOST_TRIES = 3
AGAIN_AFTER = {
    Outcome.BUSY: timedelta(minutes=10),
    Outcome.NO_ANSWER: timedelta(minutes=30),
    Outcome.VOICEMAIL: timedelta(minutes=60),
    Outcome.FAILED: timedelta(minutes=5),
    Outcome.BROKEN_OFF: timedelta(minutes=2),
}
# One that nobody could place for so long is left to people: they expected the call earlier.
GOOD_FOR = timedelta(hours=24)
MOST_LOOKED_AT = 100
# Whoever has an agent promise more than this in one call is up to something.
MOST_OF_ONE_CALL = 2
ACTOR = "call-backs"

_States = CallBack.State


def call_backs_underway(*, now: datetime) -> list[int]:
    """The current tenant's call-backs that have something to do: to be placed, or settled."""
    rules = OutboundSettings.objects.first()
    found = CallBack.objects.filter(state=_States.CALLING, placed__state=State.ENDED)
    if rules is None or rules.dials_call_backs:
        found = found | CallBack.objects.due(now).order_by()
    return list(found.order_by("due_at", "pk").values_list("pk", flat=True)[:MOST_LOOKED_AT])


def call_back_step(*, call_back_id: int, now: datetime | None = None) -> None:
    """Place a call-back that is due, or take notice of how its call ended, or of its being late.

    Nothing where another worker has it at this moment, or where it was settled meanwhile.
    """
    now = now or timezone.now()
    found: CallBack | None = (
        CallBack.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("call__agent", "call__number__account", "placed")
        .filter(pk=call_back_id, state__in=(_States.SCHEDULED, _States.CALLING))
        .first()
    )
    if found is None:
        return
    before = found.state
    if not _follow(found, now) and found.is_due(now):
        if found.due_at <= now - GOOD_FOR:
            _expire(found)
        else:
            _place(found, now)
    found.save()
    if found.state in {_States.DONE, _States.CANCELLED, _States.FAILED}:
        changes = {"state": [before, found.state], "outcome": found.outcome}
        audit.record(action="call_back.settle", actor=ACTOR, target=found, changes=changes)


# --- how its call ended -------------------------------------------------------------------


def _follow(call_back: CallBack, now: datetime) -> bool:
    """Make it what its latest call says; False where that leaves a call to be placed.

    A call that was taken for lost may turn out to be alive, or to have gone well.
    """
    call = call_back.placed
    if call is None:
        return False
    if call.state != State.ENDED:
        call_back.state = _States.CALLING
        return True
    outcome = outcome_of(call)
    if call_back.state == _States.SCHEDULED and outcome == call_back.outcome:
        return False
    call_back.outcome = outcome
    if outcome == Outcome.TALKED or call.end_reason == EndReason.VOICEMAIL_LEFT:
        call_back.state, call_back.settled_at = _States.DONE, now
    elif outcome in AGAIN_AFTER and call_back.tries < MOST_TRIES:
        call_back.state, call_back.not_before = _States.SCHEDULED, now + AGAIN_AFTER[outcome]
    else:
        call_back.state = _States.FAILED
    return True


# --- placing it ---------------------------------------------------------------------------


def _place(call_back: CallBack, now: datetime) -> None:
    key = f"call-back {call_back.public_id} {call_back.tries + 1}"
    try:
        wanted = _wanted(call_back)
        placed = call_place(wanted=wanted, actor=f"{ACTOR}: {wanted.agent}", key=key, now=now)
    except TooManyAtOnce:
        return  # the next step tries again
    except OutsideWindow as error:
        call_back.not_before = error.retry_at
        if error.retry_at is None:
            _leave_to_people(call_back, Outcome.OUTSIDE_HOURS, error)
    except OnDoNotCallList:
        call_back.outcome = Outcome.DO_NOT_CALL
        call_back.state, call_back.settled_at = _States.CANCELLED, now
    except CannotBeCalled as error:
        _leave_to_people(call_back, Outcome.INVALID_NUMBER, error)
    except CallNotPlaced as error:
        _leave_to_people(call_back, Outcome.FAILED, error)
    else:
        call_back.state, call_back.placed = _States.CALLING, placed.call
        call_back.tries, call_back.problem = call_back.tries + 1, ""


def _expire(call_back: CallBack) -> None:
    """What became of an earlier try stays its outcome."""
    call_back.state = _States.FAILED
    call_back.problem = gettext("It could not be placed within %(hours)d hours of its time.") % {
        "hours": GOOD_FOR // timedelta(hours=1)
    }


def _leave_to_people(call_back: CallBack, outcome: Outcome, why: CallNotPlaced) -> None:
    call_back.state, call_back.outcome = _States.FAILED, outcome
    call_back.problem = str(why)[:300]


def _wanted(call_back: CallBack) -> Wanted:
    """The call, from the number on which they talked before, or else one of the agent's.

    Raises CannotBeCalled and NoCallerNumber.
    """
    call, agent = call_back.call, _promised_by(call_back)
    earlier = CallBack.objects.filter(call=call, sequence__lt=call_back.sequence).count()
    if earlier >= MOST_OF_ONE_CALL:
        raise CannotBeCalled(
            gettext("In one call no more than %(most)d call-backs are promised that we place.")
            % {"most": MOST_OF_ONE_CALL}
        )
    usable = call.number is not None and places_calls(call.number)
    number = call.number if usable else caller_number(agent)
    language = _language(agent, call.language)
    greeting = spoken.say(spoken.CALLING_BACK, language)
    return Wanted(
        _number_near(call_back, number),
        agent,
        number,
        language=language,
        context=_context(call_back),
        greeting=greeting.format(agent=agent.name, company=call_back.tenant.name),
    )


def _language(agent: Agent, spoken_before: str) -> str:
    """That of the first call, if the agent still speaks it."""
    version = published_version(agent)
    if version is None or spoken_before in version.languages:
        return spoken_before
    return str(version.language)


def _promised_by(call_back: CallBack) -> Agent:
    """Who had the call when it was promised; it may have been handed on later."""
    call = call_back.call
    handed = CallEvent.objects.filter(
        call=call, name=HANDED_OVER, sequence__gt=call_back.sequence
    ).order_by("sequence")
    slug = handed.values_list("data__from", flat=True).first()
    promised: Agent | None = Agent.objects.filter(slug=slug).first() if slug else None
    return promised or call.agent


def _number_near(call_back: CallBack, shown: Number) -> str:
    """The number, if it is of a country that the first call was about. Raises CannotBeCalled.

    Anybody may name any number to an agent; one that is dear to call is not dialled unseen. Who
    talked on a page called from no country: theirs has to be that of the number `shown`.
    """
    call, number = call_back.call, dialable(call_back.number)
    known = {_country(other) for other in (call.from_number, call.to_number, shown.e164)} - {None}
    if _country(number) not in known:
        text = gettext("%(number)s is in another country than the call in which it was given.")
        raise CannotBeCalled(text % {"number": number})
    return number


def _country(number: str) -> str | None:
    """Not by the country code: +1 is that of islands at the other end of the price list, too."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return None


def _context(call_back: CallBack) -> dict[str, str]:
    """Why the agent calls: what was agreed, when, and what was said until then."""
    call, zone = call_back.call, ZoneInfo(call_back.time_zone)
    began = call.started_at.astimezone(zone)
    return {
        "why you call": "You promised this person to call back, and now you do.",
        "promised in the call of": f"{began:%A, %d %B %Y, %H:%M}",
        "agreed time": f"{call_back.local_due_at:%A, %d %B %Y, %H:%M}",
        "topic": call_back.reason,
        "summary of that call": call.summary,
        "try": f"{call_back.tries + 1} of {MOST_TRIES}",
    }
