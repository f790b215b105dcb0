"""How calls begin: announced by a carrier, opened from a page, or refused."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.models import Agent, AgentVersion
from agents.selectors import published_version
from calls import spoken
from calls.models import Call, Channel, Number, RefusedCall, State
from calls.routing import NoPublishedAgent, route
from calls.services.calls import LOST_AFTER
from calls.tokens import STREAM_SECONDS
from tenants.models import User


class AlreadyAnswered(Exception):
    """The call is past ringing: what asks for it now is a replay."""


class TooManyCalls(Exception):
    """The user, or the visitors of the agent's widget, have enough calls on the line."""


class StreamRefused(Exception):
    """No call waits for this stream: the token was used, or the call is another one."""


@dataclass(frozen=True, slots=True)
class Ring:
    """A carrier's announcement of a call."""

    carrier: Channel
    carrier_id: str
    from_number: str
    to_number: str


def call_announce(*, number: Number, ring: Ring) -> Call:
    """Note that somebody calls one of the current tenant's numbers.

    A carrier that asks twice gets the same call. Raises AlreadyAnswered if that one is not
    ringing any more, NoPublishedAgent if there is nobody to take it.
    """
    known: Call | None = Call.objects.filter(
        channel=ring.carrier, carrier_id=ring.carrier_id
    ).first()
    if known is None:
        known = _create_announced(number, ring)
    freshest = timezone.now() - timedelta(seconds=STREAM_SECONDS)
    if known.state != State.RINGING or known.started_at < freshest:
        raise AlreadyAnswered(f"call {known.public_id} is {known.state}")
    return known


def _create_announced(number: Number, ring: Ring) -> Call:
    now = timezone.now()
    found = route(number, ring.from_number, now)
    language = language_for(found.version, caller=ring.from_number)
    try:
        with transaction.atomic():
            created: Call = Call.objects.create(
                agent=found.agent,
                version=found.version,
                number=number,
                channel=ring.carrier,
                carrier_id=ring.carrier_id,
                from_number=ring.from_number,
                to_number=ring.to_number,
                language=language,
                routing=found.reason,
                greeting=found.greeting_in(language),
                started_at=now,
            )
    except IntegrityError:  # the same announcement, at the same time
        created = Call.objects.get(channel=ring.carrier, carrier_id=ring.carrier_id)
    return created


def call_connect(*, public_id: uuid.UUID, carrier_id: str) -> Call:
    """Give the call to the stream that holds its token; only the first one gets it.

    Raises StreamRefused.
    """
    now = timezone.now()
    taken = Call.objects.filter(
        public_id=public_id, carrier_id=carrier_id, state=State.RINGING
    ).update(state=State.LIVE, answered_at=now, heartbeat_at=now, updated_at=now)
    if not taken:
        raise StreamRefused(f"call {public_id} of {carrier_id!r} does not wait for a stream")
    return _with_everything(public_id)


def call_open_from_page(
    *, agent: Agent, user: User | None, public_id: uuid.UUID | None = None, language: str = ""
) -> Call:
    """Begin a call from a page, answered at once.

    `public_id` comes out of a widget's token: a second call with it raises StreamRefused.
    `language` is the page's wish (`en`, `en-GB`), where the version speaks it.
    Raises NoPublishedAgent and TooManyCalls.
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


def call_refuse(*, ring: Ring, reason: RefusedCall.Reason, language: str) -> None:
    """Note a call that nobody takes. A carrier that asks twice is noted once."""
    RefusedCall.objects.bulk_create(
        [
            RefusedCall(
                carrier=ring.carrier,
                carrier_id=ring.carrier_id,
                from_number=ring.from_number,
                to_number=ring.to_number,
                reason=reason,
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
