"""What people do with a campaign: make it, fill it, start it, stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext

from agents.models import Agent
from agents.selectors import published_version
from calls.errors import AgentNotPublished, CampaignError
from calls.line.rows import Closing
from calls.models import (
    Campaign,
    CampaignAttempt,
    CampaignContact,
    Command,
    Leg,
    Number,
    Outcome,
    RetryRule,
    State,
)
from calls.number_files import NumberRow
from calls.services.calls import call_close
from calls.services.commands import command_give
from calls.services.legs import leg_never_dialled
from calls.services.outbound import caller_number
from calls.voice.end_reasons import EndReason
from tenants import audit
from tenants.audit import Actor

# By outcome: calls in all, minutes later.
Retries = Mapping[Outcome, tuple[int, int]]
USUAL_RETRIES: Retries = {
    Outcome.BUSY: (3, 15),
    Outcome.NO_ANSWER: (3, 120),
    Outcome.FAILED: (3, 5),
}
STARTABLE = (Campaign.State.DRAFT, Campaign.State.STOPPED, Campaign.State.BROKEN)
AGAIN_AFTER_STOP_MINUTES = 30


def campaign_create(
    *,
    name: str,
    agent: Agent,
    number: Number | None,
    actor: Actor,
    retries: Retries | None = None,
    **limits: int,
) -> Campaign:
    """A draft of the current tenant's. `limits` are its fields; without `retries` the usual."""
    campaign: Campaign = Campaign.objects.create(name=name, agent=agent, number=number, **limits)
    campaign_set_retries(campaign, USUAL_RETRIES if retries is None else retries)
    audit.record(action="campaign.created", actor=actor, target=campaign)
    return campaign


def campaign_set_retries(campaign: Campaign, retries: Retries) -> None:
    """Say whom a new campaign calls again."""
    RetryRule.objects.bulk_create(
        [
            RetryRule(campaign=campaign, outcome=outcome, tries=tries, after_minutes=minutes)
            for outcome, (tries, minutes) in retries.items()
        ]
    )


def campaign_fill(*, campaign: Campaign, rows: Sequence[NumberRow], actor: Actor) -> int:
    """Take a snapshot of an audience into a draft, in place of the one before; its size.

    Raises CampaignError for a campaign that has begun.
    """
    locked = _locked(campaign)
    if locked.state != Campaign.State.DRAFT:
        raise CampaignError(gettext("The audience of a campaign that has begun does not change."))
    locked.contacts.all().delete()
    now = timezone.now()
    CampaignContact.objects.bulk_create(
        [
            CampaignContact(
                campaign=locked,
                number=row.number,
                line=row.line,
                attributes=dict(row.values),
                next_at=now,
            )
            for row in rows
        ],
        batch_size=1000,
    )
    audit.record(
        action="campaign.filled", actor=actor, target=locked, changes={"contacts": len(rows)}
    )
    return len(rows)


def campaign_start(*, campaign: Campaign, actor: Actor) -> None:
    """Let it place calls, from the beginning or on from where it stopped.

    Raises CampaignError and CallNotPlaced for what would keep it from calling anybody.
    """
    locked = _locked(campaign)
    if locked.state not in STARTABLE:
        raise CampaignError(
            gettext("The campaign is %(state)s already.") % {"state": locked.get_state_display()}
        )
    if not locked.contacts.filter(state__in=_UNFINISHED).exists():
        raise CampaignError(gettext("The campaign has nobody left to call."))
    if not locked.agent.is_active or published_version(locked.agent) is None:
        raise AgentNotPublished(locked.agent)
    if locked.number is None:
        caller_number(locked.agent)
    now = timezone.now()
    locked.state, locked.stop_reason, locked.ended_at = Campaign.State.RUNNING, "", None
    locked.started_at = locked.started_at or now
    locked.watched_since, locked.paced_until = now, None
    locked.save()
    audit.record(action="campaign.started", actor=actor, target=locked)


def campaign_stop(*, campaign: Campaign, actor: Actor) -> None:
    """Place no more calls, and take back those that nobody has answered yet.

    Conversations go on to their end. Stopping twice is harmless.
    """
    locked = _locked(campaign)
    if locked.state != Campaign.State.RUNNING:
        return
    now = timezone.now()
    locked.state, locked.ended_at = Campaign.State.STOPPED, now
    locked.stop_reason = str(actor)[:300]
    locked.save()
    ringing = CampaignAttempt.objects.filter(
        contact__campaign=locked, outcome="", call__state=State.RINGING
    ).select_related("contact", "call")
    for attempt in ringing:
        _take_back(attempt, now)
    audit.record(action="campaign.stopped", actor=actor, target=locked)


_UNFINISHED = (CampaignContact.State.WAITING, CampaignContact.State.CALLING)


def _locked(campaign: Campaign) -> Campaign:
    """The row as it is now, for as long as the transaction lasts."""
    found: Campaign = (
        Campaign.objects.select_for_update(of=("self",))
        .select_related("agent", "number")
        .get(pk=campaign.pk)
    )
    return found


def _take_back(attempt: CampaignAttempt, now: datetime) -> None:
    """Nobody has answered: the contact waits again."""
    contact = attempt.contact
    attempt.outcome, attempt.ended_at = Outcome.STOPPED, now
    attempt.save()
    contact.state, contact.outcome = CampaignContact.State.WAITING, Outcome.STOPPED
    contact.next_at = now + timedelta(minutes=AGAIN_AFTER_STOP_MINUTES)
    contact.save()
    leg = Leg.objects.get(call=attempt.call, role=Leg.Role.CUSTOMER)
    if leg_never_dialled(leg=leg, at=now):
        call_close(call_id=attempt.call_id, closing=Closing(EndReason.CANCELLED, now))
    else:
        command_give(leg=leg, kind=Command.Kind.HANG_UP, reason="campaign stopped")
