"""How calls begin: announced by a carrier, opened from a page, or refused."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from agents.models import Agent, AgentVersion
from agents.selectors import published_version
from calls import spoken
from calls.models import Call, Channel, Number, RefusedCall, State
from calls.routing import NoPublishedAgent, Route, route
from calls.services.calls import LOST_AFTER, finalise_on_commit
from calls.voice.end_reasons import EndReason
from tenants.models import User


class TooManyCalls(Exception):
    """The user, or the visitors of the agent's widget, have enough calls on the line."""


class StreamRefused(Exception):
    """No call waits for this stream: the token was used, or the call is another one."""


@dataclass(frozen=True, slots=True)
class Ring:
    """A carrier's announcement of a call; `at` is the carrier's clock, where it tells one."""

    carrier: Channel
    carrier_id: str
    from_number: str
    to_number: str
    at: datetime | None = None


# A carrier announces a call again within so long, if at all.
ANNOUNCED_AFTER = timedelta(seconds=120)
# Calls that ended before anybody took them, because of us.
REFUSALS = frozenset({EndReason.REFUSED_BUSY, EndReason.REFUSED_NO_AGENT})


def call_announce(*, number: Number, ring: Ring, accepting: bool) -> Call:
    """Note that somebody calls one of the current tenant's numbers.

    The call rings, or has ended with one of `REFUSALS`. A carrier that asks twice gets the same
    call.
    """
    known = _announced(ring)
    return known if known is not None else _announce(number, ring, accepting)


def still_rings(call: Call) -> bool:
    """Whether an announcement of the call is no replay of one that was answered."""
    freshest = timezone.now() - ANNOUNCED_AFTER
    return call.state == State.RINGING and call.started_at > freshest


def _announced(ring: Ring) -> Call | None:
    known: Call | None = Call.objects.filter(
        channel=ring.carrier, carrier_id=ring.carrier_id
    ).first()
    return known


def _announce(number: Number, ring: Ring, accepting: bool) -> Call:
    started_at = ring.at or timezone.now()
    found, refusal = _who_answers(number, ring.from_number, started_at, accepting)
    try:
        with transaction.atomic():
            call: Call = Call.objects.create(
                number=number,
                channel=ring.carrier,
                carrier_id=ring.carrier_id,
                from_number=ring.from_number,
                to_number=ring.to_number,
                started_at=started_at,
                state=State.ENDED if refusal else State.RINGING,
                ended_at=started_at if refusal else None,
                end_reason=refusal or "",
                **_answer_of(number, ring, found, refused=refusal is not None),
            )
    except IntegrityError:  # the same announcement, at the same time
        first: Call = Call.objects.get(channel=ring.carrier, carrier_id=ring.carrier_id)
        return first
    if refusal:
        finalise_on_commit([call.pk])
    return call


def _who_answers(
    number: Number, caller: str, now: datetime, accepting: bool
) -> tuple[Route | None, EndReason | None]:
    """Who takes the number's calls, and why nobody does now."""
    try:
        found = route(number, caller, now)
    except NoPublishedAgent:
        return None, EndReason.REFUSED_NO_AGENT
    if not (number.is_active and number.tenant.is_active):
        return found, EndReason.REFUSED_NO_AGENT
    return found, None if accepting else EndReason.REFUSED_BUSY


def _answer_of(number: Number, ring: Ring, found: Route | None, *, refused: bool) -> dict[str, Any]:
    """The call's agent and language; a caller who is refused hears the agent's own."""
    if found is None:
        agent = number.agent or number.rule.agent
        return {"agent": agent, "version": None, "language": agent.language}
    version = found.version
    language = version.language if refused else language_for(version, caller=ring.from_number)
    return {
        "agent": found.agent,
        "version": version,
        "language": language,
        "routing": found.reason,
        "greeting": found.greeting_in(language),
    }


def call_connect(
    *, public_id: uuid.UUID, carrier_id: str, after: int = 0, server: str = ""
) -> Call:
    """Give the call to the stream that comes `after` so many others; only the first one gets it.

    `server` is the process that has the stream, by the name under which it is present.
    Raises StreamRefused.
    """
    now = timezone.now()
    waiting = Call.objects.filter(
        Q(state=State.RINGING) if after == 0 else Q(state=State.LIVE, media_lost_at__isnull=False),
        public_id=public_id,
        carrier_id__in=(carrier_id, ""),  # dialled, and the carrier's answer is on its way
        streams=after,
    )
    taken = waiting.update(
        state=State.LIVE,
        carrier_id=carrier_id,
        answered_at=Coalesce(F("answered_at"), now),
        heartbeat_at=now,
        server=server,
        streams=F("streams") + 1,
        media_lost_at=None,
        updated_at=now,
    )
    if not taken:
        raise StreamRefused(f"call {public_id} of {carrier_id!r} does not wait for a stream")
    return _with_everything(public_id)


def call_open_from_page(
    *,
    agent: Agent,
    user: User | None,
    public_id: uuid.UUID | None = None,
    language: str = "",
    server: str = "",
) -> Call:
    """Begin a call from a page, answered at once.

    `public_id` comes out of a widget's token: a second call with it raises StreamRefused.
    `language` is the page's wish (`en`, `en-GB`), where the version speaks it, `server` as for
    `call_connect`. Raises NoPublishedAgent and TooManyCalls.
    """
    version = _version_to_answer(agent)
    now = timezone.now()
    try:
        with transaction.atomic():
            _check_page_calls(agent, user)
            call = Call.objects.create(
                public_id=public_id or uuid.uuid4(),
                agent=agent,
                version=version,
                user=user,
                channel=Channel.BROWSER,
                language=language_for(version, wish=language),
                state=State.LIVE,
                started_at=now,
                answered_at=now,
                heartbeat_at=now,
                server=server,
            )
    except IntegrityError:
        raise StreamRefused(f"the token of call {public_id} was used before") from None
    return _with_everything(call.public_id)


def _check_page_calls(agent: Agent, user: User | None) -> None:
    """Pages that call at the same time come one after the other: each counts those before it."""
    heard_of = timezone.now() - LOST_AFTER
    pages = Call.objects.live().filter(channel=Channel.BROWSER, heartbeat_at__gt=heard_of)
    if user is not None:
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        count, most = pages.filter(user=user).count(), settings.PAGE_CALLS_PER_USER
    else:
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
        same = pages.filter(agent=agent, user=None)
        count, most = same.count(), settings.PAGE_CALLS_PER_WIDGET
    if count >= most:
        raise TooManyCalls(f"{count} calls from pages are on the line already; {most} may be")


def call_to_nobody(*, ring: Ring, language: str) -> None:
    """Note a call to a number that nobody has. A carrier that asks twice is noted once."""
    RefusedCall.objects.bulk_create(
        [
            RefusedCall(
                carrier=ring.carrier,
                carrier_id=ring.carrier_id,
                from_number=ring.from_number,
                to_number=ring.to_number,
                reason=RefusedCall.Reason.UNKNOWN_NUMBER,
                language=language,
            )
        ],
        ignore_conflicts=True,
    )


def _version_to_answer(agent: Agent) -> AgentVersion:
    version = published_version(agent)
    if version is None:
        raise NoPublishedAgent(f"agent {agent.public_id} has no published version")
    return version


def language_for(version: AgentVersion, *, wish: str = "", caller: str = "") -> str:
    """What the call begins in, of what the version speaks.

    What was asked for explicitly, else what people speak in the country of the caller's number,
    else the version's first.
    """
    likely = spoken.likely_language(caller, default="")
    wanted = (wish[:2].lower(), likely)
    return next((code for code in wanted if code in version.languages), version.language)


def _with_everything(public_id: uuid.UUID) -> Call:
    call: Call = Call.objects.select_related("tenant", "agent", "version", "number").get(
        public_id=public_id
    )
    return call
