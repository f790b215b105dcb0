"""What a running campaign does by itself, a step at a time; each step is one transaction.

A step takes notice of the calls that have ended, and places those that are due. Everything that
it decides is in the database when it ends, the orders to carriers included, so a worker may die
at any moment: before the end nothing has happened, and after it what is missing is sent by
whoever comes next, once. One worker at a time has a campaign.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext

from calls.errors import (
    AgentNotPublished,
    CannotBeCalled,
    NoCallerNumber,
    OnDoNotCallList,
    OutsideWindow,
    TooManyAtOnce,
)
from calls.models import (
    Call,
    Campaign,
    CampaignAttempt,
    CampaignContact,
    Command,
    Outcome,
    State,
)
from calls.models.campaign import FAILURES
from calls.services.outbound import Wanted, call_place
from calls.voice.end_reasons import EndReason
from tenants import audit

# A worker that comes late makes up for so much; more would be a burst.
LATENESS = timedelta(seconds=5)
MOST_LOOKED_AT = 200

_NEVER_REACHED = {
    EndReason.BUSY: Outcome.BUSY,
    EndReason.NO_ANSWER: Outcome.NO_ANSWER,
    EndReason.REJECTED: Outcome.REJECTED,
    EndReason.UNKNOWN_NUMBER: Outcome.UNKNOWN_NUMBER,
    EndReason.VOICEMAIL: Outcome.VOICEMAIL,
    EndReason.VOICEMAIL_LEFT: Outcome.VOICEMAIL,
}
_DEFECTS = frozenset(
    {
        EndReason.BRAIN_FAILED,
        EndReason.DRAINED,
        EndReason.FAILED,
        EndReason.INTERNAL_ERROR,
        EndReason.MEDIA_LOST,
        EndReason.RECOGNISER_FAILED,
        EndReason.SERVER_LOST,
    }
)


def campaigns_underway() -> list[int]:
    """The current tenant's campaigns that have something to do: calls to place, or to settle.

    Who placed none for longest is first: they may share an account that dials few at once.
    """
    unsettled = CampaignAttempt.objects.filter(contact__campaign=OuterRef("pk"), outcome="")
    found = Campaign.objects.filter(Q(state=Campaign.State.RUNNING) | Exists(unsettled))
    order = (F("paced_until").asc(nulls_first=True), "pk")
    return list(found.order_by(*order).values_list("pk", flat=True))


def campaign_step(*, campaign_id: int, now: datetime | None = None) -> list[Command]:
    """One step; the orders to be sent once it is committed.

    None where another worker has the campaign at this moment.
    """
    now = now or timezone.now()
    campaign: Campaign | None = (
        Campaign.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("agent", "number", "number__account")
        .filter(pk=campaign_id)
        .first()
    )
    if campaign is None:
        return []
    _settle(campaign, now)
    if campaign.state != Campaign.State.RUNNING:
        return []
    if failed := _failures(campaign):
        text = gettext("%(failed)d of the last %(sample)d calls failed.")
        _break(campaign, now, text % {"failed": failed, "sample": campaign.breaker_sample})
        return []
    placed = _place_due(campaign, now)
    _finish(campaign, now)
    return placed


# --- taking notice of what has ended ------------------------------------------------------


def outcome_of(call: Call) -> Outcome:
    """What a call that is over was for the campaign."""
    reason = EndReason.of(call.end_reason, EndReason.INTERNAL_ERROR)
    if reason in _NEVER_REACHED:
        return _NEVER_REACHED[reason]
    if call.answered_at is None:
        return Outcome.FAILED
    return Outcome.BROKEN_OFF if reason in _DEFECTS else Outcome.TALKED


def _settle(campaign: Campaign, now: datetime) -> None:
    ended = CampaignAttempt.objects.filter(
        contact__campaign=campaign, outcome="", call__state=State.ENDED
    ).select_related("contact", "call")
    rules = {rule.outcome: rule for rule in campaign.retries.all()}
    for attempt in ended:
        outcome, contact = outcome_of(attempt.call), attempt.contact
        attempt.outcome, attempt.ended_at = outcome, attempt.call.ended_at
        attempt.save()
        contact.outcome = outcome
        rule = rules.get(outcome)
        if outcome in {Outcome.TALKED, Outcome.VOICEMAIL} and rule is None:
            contact.state = CampaignContact.State.DONE
        elif rule is not None and contact.tries < rule.tries:
            contact.state = CampaignContact.State.WAITING
            contact.next_at = now + timedelta(minutes=rule.after_minutes)
        else:
            contact.state = CampaignContact.State.GIVEN_UP
        contact.save()


def _failures(campaign: Campaign) -> int:
    """How many of the last calls failed, if that is too many; else 0."""
    last = list(
        CampaignAttempt.objects.filter(
            contact__campaign=campaign, ended_at__gte=campaign.watched_since
        )
        .exclude(outcome__in=("", Outcome.STOPPED))
        .order_by("-ended_at", "-pk")
        .values_list("outcome", flat=True)[: campaign.breaker_sample]
    )
    failed = sum(outcome in FAILURES for outcome in last)
    enough = len(last) >= campaign.breaker_sample
    return failed if enough and failed * 100 >= campaign.breaker_share * len(last) else 0


def _break(campaign: Campaign, now: datetime, why: str) -> None:
    campaign.state, campaign.ended_at = Campaign.State.BROKEN, now
    campaign.stop_reason = why[:300]
    campaign.save()
    audit.record(
        action="campaign.broken", actor="campaigns", target=campaign, changes={"reason": why}
    )


def _finish(campaign: Campaign, now: datetime) -> None:
    unfinished = (CampaignContact.State.WAITING, CampaignContact.State.CALLING)
    if campaign.state != Campaign.State.RUNNING:
        return
    if not campaign.contacts.filter(state__in=unfinished).exists():
        campaign.state, campaign.ended_at = Campaign.State.FINISHED, now
        campaign.save()
        audit.record(action="campaign.finished", actor="campaigns", target=campaign)


# --- placing what is due ------------------------------------------------------------------


def _place_due(campaign: Campaign, now: datetime) -> list[Command]:
    """Call whoever is due, as many as pace and lines allow."""
    pace = timedelta(minutes=1) / campaign.calls_per_minute
    first = max(campaign.paced_until or now, now - LATENESS)
    due = 0 if first > now else int((now - first) / pace) + 1
    busy = campaign.contacts.filter(state=CampaignContact.State.CALLING).count()
    most = min(due, campaign.max_at_once - busy)
    placed: list[Command] = []
    for contact in _due_contacts(campaign, now) if most > 0 else ():
        if len(placed) == most:
            break
        try:
            command = _call(campaign, contact, now)
        except TooManyAtOnce:
            break
        except (AgentNotPublished, NoCallerNumber) as error:
            _break(campaign, now, str(error))
            break
        if command is not None:
            placed.append(command)
    if placed:
        campaign.paced_until = first + pace * len(placed)
        campaign.save(update_fields=["paced_until", "updated_at"])
    return placed


def _due_contacts(campaign: Campaign, now: datetime) -> list[CampaignContact]:
    """Who waits and may be called; not those whose call was taken for lost, and is not."""
    on_the_line = CampaignAttempt.objects.filter(contact=OuterRef("pk")).exclude(
        call__state=State.ENDED
    )
    return list(
        campaign.contacts.select_for_update(skip_locked=True, of=("self",))
        .filter(~Exists(on_the_line), state=CampaignContact.State.WAITING, next_at__lte=now)
        .order_by("next_at", "pk")[:MOST_LOOKED_AT]
    )


def _call(campaign: Campaign, contact: CampaignContact, now: datetime) -> Command | None:
    """Place one call; None for somebody who may not be called, or not now."""
    wanted = Wanted(contact.number, campaign.agent, campaign.number, context=contact.attributes)
    try:
        placed = call_place(wanted=wanted, actor=f"campaign {campaign}", now=now, in_bulk=True)
    except OutsideWindow as error:
        if error.retry_at is None:
            _skip(contact, Outcome.OUTSIDE_HOURS)
        else:
            contact.next_at = error.retry_at
            contact.save()
        return None
    except (OnDoNotCallList, CannotBeCalled) as error:
        _skip(contact, Outcome(error.code))
        return None
    contact.state, contact.tries = CampaignContact.State.CALLING, contact.tries + 1
    contact.save()
    CampaignAttempt.objects.create(contact=contact, ordinal=contact.tries, call=placed.call)
    return placed.command


def _skip(contact: CampaignContact, outcome: Outcome) -> None:
    contact.state, contact.outcome = CampaignContact.State.SKIPPED, outcome
    contact.save()
