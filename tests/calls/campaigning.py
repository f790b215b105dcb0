"""Campaigns on a stopped clock: make one, let it take a step, end its calls, look at it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from calls.carriers import outbox
from calls.line.rows import Closing
from calls.models import Call, Campaign, Command, Number, OutboundSettings
from calls.number_files import number_rows
from calls.services.calls import call_close
from calls.services.campaign_run import campaign_step
from calls.services.campaigns import campaign_create, campaign_fill, campaign_start
from tenants.db import tenant_transaction

if TYPE_CHECKING:
    from tests.calls.conftest import Desk

NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # 12:00 in Mexico, a Monday


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """The orders that workers were asked to send, instead of sending them."""
    found: list[int] = []
    monkeypatch.setattr(outbox, "post", lambda _tenant, order: found.append(order))
    return found


@pytest.fixture
def line(desk: Desk) -> Desk:
    with tenant_transaction(desk.tenant.id):
        Number.objects.update(carrier="telnyx")
        OutboundSettings.objects.create(max_at_once=100)
    return desk


def number(place: int) -> str:
    return f"+5255987654{place:02d}"


def audience(*places: int) -> str:
    return "number,name\n" + "".join(f"{number(place)},Person {place}\n" for place in places)


def make(line: Desk, *places: int, start: bool = True, **limits: int) -> Campaign:
    """A campaign with these people, which may call all of them at once unless told otherwise."""
    given: dict[str, Any] = {"calls_per_minute": 600, "max_at_once": 100, **limits}
    with tenant_transaction(line.tenant.id):
        campaign = campaign_create(
            name="Spring", agent=line.agent, number=None, actor="tests", **given
        )
        rows = number_rows(audience(*places), strict=True)
        campaign_fill(campaign=campaign, rows=rows, actor="tests")
        if start:
            campaign_start(campaign=campaign, actor="tests")
            Campaign.objects.filter(pk=campaign.pk).update(
                watched_since=NOON, paced_until=NOON - timedelta(hours=1)
            )
            campaign.contacts.update(next_at=NOON)
    return campaign


def step(campaign: Campaign, now: datetime = NOON) -> list[str]:
    """One step of it; whom it called."""
    with tenant_transaction(campaign.tenant_id):
        return [
            each.arguments["to_number"] for each in campaign_step(campaign_id=campaign.pk, now=now)
        ]


def end(campaign: Campaign, to: str, reason: str, at: datetime = NOON) -> None:
    """The call to that number that is on the line is over."""
    with tenant_transaction(campaign.tenant_id):
        call = Call.objects.exclude(state="ended").get(to_number=to)
        if reason in {"caller_hung_up", "agent_hung_up", "media_lost", "voicemail"}:
            Call.objects.filter(pk=call.pk).update(state="live", answered_at=at, heartbeat_at=at)
        call_close(call_id=call.pk, closing=Closing(reason, at))


def people(campaign: Campaign) -> dict[str, tuple[str, str, int]]:
    """Each contact's state, last outcome and tries."""
    with tenant_transaction(campaign.tenant_id):
        return {
            each.number: (each.state, each.outcome, each.tries) for each in campaign.contacts.all()
        }


def state(campaign: Campaign) -> str:
    with tenant_transaction(campaign.tenant_id):
        return str(Campaign.objects.get(pk=campaign.pk).state)


def dialled(campaign: Campaign) -> Counter[str]:
    """How often each number was called, by the orders that carriers were given."""
    with tenant_transaction(campaign.tenant_id):
        return Counter(row.arguments["to_number"] for row in Command.objects.filter(kind="place"))
