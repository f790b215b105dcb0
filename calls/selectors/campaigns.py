"""Reading campaigns: inside the tenant, so another tenant's is not found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from calls.models import Campaign, CampaignAttempt, CampaignContact, Outcome, State


@dataclass(frozen=True, slots=True)
class Funnel:
    """How a campaign is going at this moment. All are numbers of people, but `calls`."""

    audience: int
    waiting: int
    ringing: int
    talking: int
    done: int
    given_up: int
    skipped: int
    calls: int
    outcomes: Mapping[str, int]  # by the last outcome of each who has one


def campaigns() -> QuerySet[Campaign]:
    """The tenant's campaigns, the latest first."""
    found: QuerySet[Campaign] = Campaign.objects.select_related("agent", "number").order_by("-id")
    return found


def funnel(campaign: Campaign) -> Funnel:
    """Counted anew each time: these are a few thousand indexed rows, and never out of date."""
    of_state = _counts(campaign.contacts.all(), "state")
    outcomes = _counts(campaign.contacts.exclude(outcome=""), "outcome")
    attempts = CampaignAttempt.objects.filter(contact__campaign=campaign)
    on_the_line = _counts(attempts.filter(outcome=""), "call__state")
    states = CampaignContact.State
    return Funnel(
        audience=sum(of_state.values()),
        waiting=of_state.get(states.WAITING, 0),
        ringing=on_the_line.get(State.RINGING, 0),
        talking=on_the_line.get(State.LIVE, 0),
        done=of_state.get(states.DONE, 0),
        given_up=of_state.get(states.GIVEN_UP, 0),
        skipped=of_state.get(states.SKIPPED, 0),
        calls=attempts.count(),
        outcomes={outcome: outcomes[outcome] for outcome in Outcome.values if outcome in outcomes},
    )


def _counts(rows: QuerySet[CampaignContact] | QuerySet[CampaignAttempt], by: str) -> dict[str, int]:
    found = rows.order_by().values_list(by).annotate(count=Count("pk"))
    return dict(found)
