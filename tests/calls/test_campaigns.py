"""Campaigns: nobody is lost, nobody is called twice, and they stop when they should."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from agents.models import Agent
from calls import tasks
from calls.errors import CallNotPlaced, CampaignError, FileFaults
from calls.line import stored
from calls.models import (
    Call,
    Campaign,
    Command,
    DoNotCall,
    Number,
    OutboundSettings,
    RetryRule,
)
from calls.number_files import number_rows
from calls.services.campaign_run import campaign_step, campaigns_underway
from calls.services.campaigns import (
    campaign_create,
    campaign_fill,
    campaign_start,
    campaign_stop,
)
from calls.services.legs import leg_placed
from calls.services.orders import command_claim, command_done, commands_waiting
from tenants.db import tenant_transaction
from tests.calls.campaigning import (
    NOON,
    audience,
    dialled,
    end,
    make,
    number,
    people,
    state,
    step,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

# --- the audience -------------------------------------------------------------------------


def test_an_audience_has_no_numbers_that_earn_by_being_called():
    with pytest.raises(FileFaults) as refused:
        number_rows(f"number\n{number(1)}\n+19005550101\n+979123456789\n", strict=True)
    assert [line for line, _why in refused.value.problems] == [3, 4]


def test_an_audience_is_a_snapshot_with_its_other_columns(line):
    campaign = make(line, 1, 2, start=False)
    with tenant_transaction(line.tenant.id):
        first = campaign.contacts.first()
        assert (first.number, first.line, first.attributes) == (number(1), 2, {"name": "Person 1"})
        rows = number_rows(audience(3), strict=True)
        campaign_fill(campaign=campaign, rows=rows, actor="tests")
        assert [each.number for each in campaign.contacts.all()] == [number(3)]
        campaign_start(campaign=campaign, actor="tests")
        with pytest.raises(CampaignError):
            campaign_fill(campaign=campaign, rows=rows, actor="tests")


def test_the_agent_is_told_what_the_list_says_of_whom_it_calls(line):
    step(make(line, 1, 2))
    with tenant_transaction(line.tenant.id):
        call = Call.objects.get(to_number=number(2))
        assert call.context == {"name": "Person 2"}
        setup, _recording = stored._open(call, 8000, records=True)
        assert "Person 2" in setup.mind._system


def test_a_campaign_that_could_call_nobody_does_not_start(line):
    full = make(line, 1, start=False)
    with tenant_transaction(line.tenant.id):
        empty = campaign_create(name="Empty", agent=line.agent, number=None, actor="tests")
        with pytest.raises(CampaignError, match="nobody left"):
            campaign_start(campaign=empty, actor="tests")
        Number.objects.update(is_active=False)
        with pytest.raises(CallNotPlaced, match="No active number"):
            campaign_start(campaign=full, actor="tests")
        Number.objects.update(is_active=True)
        campaign_start(campaign=full, actor="tests")
        with pytest.raises(CampaignError, match="Running already"):
            campaign_start(campaign=full, actor="tests")


# --- pace ---------------------------------------------------------------------------------


def test_calls_are_placed_at_their_pace_and_a_late_worker_makes_no_burst(line):
    campaign = make(line, *range(20), calls_per_minute=60)
    with tenant_transaction(line.tenant.id):
        Campaign.objects.update(paced_until=None)
    counts = [len(step(campaign, NOON + timedelta(seconds=at))) for at in (0, 0.5, 1, 3, 60)]
    assert counts == [1, 0, 1, 2, 6]  # after a minute's absence: 5 s made up for, and now


def test_no_more_are_called_at_once_than_may_be(line):
    campaign = make(line, 1, 2, 3, max_at_once=2)
    first = step(campaign)
    assert len(first) == 2
    assert step(campaign, NOON + timedelta(seconds=10)) == []
    end(campaign, first[0], "busy")
    assert step(campaign, NOON + timedelta(seconds=20)) == [number(3)]


def test_the_tenants_lines_are_shared_with_its_other_calls(line):
    with tenant_transaction(line.tenant.id):
        OutboundSettings.objects.update(max_at_once=3)
    campaign, other = make(line, 1, 2), make(line, 11, 12)
    assert (len(step(campaign)), len(step(other))) == (2, 1)
    assert people(other)[number(12)] == ("waiting", "", 0)


# --- retries and ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "outcome", "left"),
    [
        ("caller_hung_up", "talked", "done"),
        ("voicemail", "voicemail", "done"),
        ("media_lost", "broken_off", "given_up"),
        ("rejected", "rejected", "given_up"),
        ("unknown_number", "unknown_number", "given_up"),
        ("busy", "busy", "waiting"),
        ("no_answer", "no_answer", "waiting"),
        ("failed", "failed", "waiting"),
        ("cancelled", "failed", "waiting"),  # swept: nobody ever heard of it again
    ],
)
def test_each_outcome_is_noted_and_has_its_consequence(line, reason, outcome, left):
    campaign = make(line, 1)
    step(campaign)
    end(campaign, number(1), reason)
    step(campaign)
    assert people(campaign) == {number(1): (left, outcome, 1)}
    assert state(campaign) == ("running" if left == "waiting" else "finished")


def test_somebody_is_called_again_as_often_and_as_late_as_the_rule_says(line):
    campaign = make(line, 1)
    with tenant_transaction(line.tenant.id):
        RetryRule.objects.filter(outcome="busy").update(tries=2, after_minutes=15)
    assert step(campaign) == [number(1)]
    end(campaign, number(1), "busy")
    assert step(campaign) == []
    assert step(campaign, NOON + timedelta(minutes=14, seconds=59)) == []
    assert step(campaign, NOON + timedelta(minutes=15)) == [number(1)]
    end(campaign, number(1), "busy")
    step(campaign, NOON + timedelta(minutes=16))
    assert people(campaign) == {number(1): ("given_up", "busy", 2)}
    assert state(campaign) == "finished"


def test_who_may_not_be_called_is_skipped_and_who_sleeps_is_called_in_the_morning(line):
    campaign = make(line, 1, 2)
    with tenant_transaction(line.tenant.id):
        DoNotCall.objects.create(number=number(1))
    night = datetime(2026, 11, 24, 3, tzinfo=UTC)  # 21:00 there
    assert step(campaign, night) == []
    assert people(campaign) == {
        number(1): ("skipped", "do_not_call", 0),
        number(2): ("waiting", "", 0),
    }
    morning = datetime(2026, 11, 24, 15, tzinfo=UTC)
    assert step(campaign, morning - timedelta(seconds=1)) == []
    assert step(campaign, morning) == [number(2)]


def test_an_agent_who_is_switched_off_stops_the_campaign_and_says_why(line):
    campaign = make(line, 1)
    with tenant_transaction(line.tenant.id):
        Agent.objects.update(is_active=False)
    assert step(campaign) == []
    with tenant_transaction(line.tenant.id):
        campaign.refresh_from_db()
    assert (campaign.state, people(campaign)) == ("broken", {number(1): ("waiting", "", 0)})
    assert "switched off" in campaign.stop_reason


# --- the breaker --------------------------------------------------------------------------


def test_too_many_failures_stop_it_and_starting_it_again_forgets_them(line):
    campaign = make(line, *range(1, 9), breaker_sample=5, breaker_share=60, max_at_once=5)
    called = step(campaign)
    for place, to in enumerate(called):
        end(campaign, to, "failed" if place < 3 else "busy")
    assert step(campaign, NOON + timedelta(seconds=5)) == []
    with tenant_transaction(line.tenant.id):
        campaign.refresh_from_db()
        assert (campaign.state, campaign.stop_reason) == ("broken", "3 of the last 5 calls failed.")
        campaign_start(campaign=campaign, actor="tests")
        Campaign.objects.update(watched_since=NOON + timedelta(seconds=6))
    assert len(step(campaign, NOON + timedelta(seconds=10))) == 1  # at its pace, from now on


def test_people_who_are_busy_or_decline_are_no_failures(line):
    campaign = make(line, *range(1, 7), breaker_sample=5, breaker_share=20, max_at_once=5)
    for to, reason in zip(step(campaign), ["busy", "no_answer", "rejected"] * 2, strict=False):
        end(campaign, to, reason)
    assert step(campaign, NOON + timedelta(seconds=5)) == [number(6)]


# --- stop now -----------------------------------------------------------------------------


def test_stopping_takes_back_what_was_not_sent_hangs_up_what_rings_and_lets_people_talk(line):
    campaign = make(line, 1, 2, 3, 4, max_at_once=3)
    step(campaign)
    with tenant_transaction(line.tenant.id):
        ringing = Command.objects.get(arguments__to_number=number(2))
        assert command_claim(command_id=ringing.pk) is not None
        command_done(command_id=ringing.pk)
        talking = Call.objects.get(to_number=number(3))
        Call.objects.filter(pk=talking.pk).update(state="live", answered_at=NOON, heartbeat_at=NOON)
        campaign_stop(campaign=campaign, actor="tests")
        orders = {(row.leg.to_number, row.kind): row.state for row in Command.objects.all()}
    assert orders[number(1), "place"] == "failed"  # taken back: it will never be sent
    assert (number(1), "hang_up") not in orders
    assert orders[number(2), "hang_up"] == "pending"
    assert (number(3), "hang_up") not in orders
    found = people(campaign)
    assert found[number(1)][:2] == found[number(2)][:2] == ("waiting", "stopped")
    assert found[number(3)][0] == "calling"
    assert step(campaign) == []
    end(campaign, number(3), "caller_hung_up")
    step(campaign)
    assert people(campaign)[number(3)] == ("done", "talked", 1)
    assert state(campaign) == "stopped"


def test_a_call_that_is_being_placed_at_that_moment_is_hung_up_as_soon_as_it_is_there(line):
    campaign = make(line, 1)
    step(campaign)
    with tenant_transaction(line.tenant.id):
        place = Command.objects.get()
        assert command_claim(command_id=place.pk) is not None  # on its way to the carrier
        campaign_stop(campaign=campaign, actor="tests")
        hang_up = Command.objects.get(kind="hang_up")
        assert command_claim(command_id=hang_up.pk) is None  # of what? there is no leg yet
        leg_placed(leg_id=place.leg_id, carrier_id="v3:1")
        order = command_claim(command_id=hang_up.pk)
    assert order is not None
    assert order.leg == "v3:1"


def test_a_stopped_campaign_goes_on_where_it_was(line):
    campaign = make(line, 1, 2, max_at_once=1)
    step(campaign)
    with tenant_transaction(line.tenant.id):
        campaign_stop(campaign=campaign, actor="tests")
        campaign_stop(campaign=campaign, actor="tests")
        campaign_start(campaign=campaign, actor="tests")
        Campaign.objects.update(paced_until=NOON)
        taken_back = campaign.contacts.get(number=number(1))
        assert taken_back.next_at > timezone.now() + timedelta(minutes=29)
        campaign.contacts.filter(pk=taken_back.pk).update(next_at=NOON + timedelta(minutes=30))
    assert step(campaign) == [number(2)]
    end(campaign, number(2), "caller_hung_up")
    assert step(campaign, NOON + timedelta(minutes=29)) == []
    assert step(campaign, NOON + timedelta(minutes=30)) == [number(1)]


# --- workers that die ---------------------------------------------------------------------


class WorkerKilled(BaseException):
    """As abrupt as SIGKILL: no handler of ours runs."""


def test_a_worker_that_dies_before_its_commit_has_done_nothing(line, sent):
    campaign = make(line, 1, 2)
    with pytest.raises(WorkerKilled), tenant_transaction(line.tenant.id):
        assert len(campaign_step(campaign_id=campaign.pk, now=NOON)) == 2
        raise WorkerKilled
    assert dialled(campaign) == {}
    assert sent == []
    assert sorted(step(campaign)) == [number(1), number(2)]
    assert dialled(campaign) == {number(1): 1, number(2): 1}


def test_what_a_worker_decided_and_did_not_send_is_sent_by_another_once(line):
    """It dies between its claim and the sending: the order is there, and nobody has it."""
    campaign = make(line, 1)
    step(campaign)  # committed, and never sent
    assert step(campaign, NOON + timedelta(seconds=5)) == []  # the next worker calls nobody twice
    later = datetime.now(UTC) + timedelta(seconds=10)
    with tenant_transaction(line.tenant.id):
        (order,) = commands_waiting(now=later)
        claims = [command_claim(command_id=order) for _ in range(3)]
    assert [claim is not None for claim in claims] == [True, False, False]
    assert dialled(campaign) == {number(1): 1}


def test_an_order_that_no_worker_sent_in_time_calls_nobody_at_night(line):
    campaign = make(line, 1)
    step(campaign)
    with tenant_transaction(line.tenant.id):
        Command.objects.update(created_at=timezone.now() - timedelta(minutes=2))
        (order,) = commands_waiting(now=timezone.now())
        assert command_claim(command_id=order) is None
        assert Command.objects.get().state == "failed"
        call = Call.objects.get()
        assert (call.state, call.end_reason, call.legs.get().state) == ("ended", "failed", "ended")
    step(campaign)
    assert people(campaign)[number(1)] == ("waiting", "failed", 1)


def test_what_a_worker_was_sending_when_it_died_is_never_sent_again(line):
    campaign = make(line, 1)
    step(campaign)
    with tenant_transaction(line.tenant.id):
        order = Command.objects.get()
        assert command_claim(command_id=order.pk) is not None
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert commands_waiting(now=later) == []
        order.refresh_from_db()
        assert order.state == "unknown"
        assert command_claim(command_id=order.pk) is None
    assert step(campaign, NOON + timedelta(minutes=1)) == []
    # The sweeper gives the call up; only then, and by the rule for failures, is there another.
    end(campaign, number(1), "cancelled")
    assert step(campaign, NOON + timedelta(minutes=3)) == []
    assert step(campaign, NOON + timedelta(minutes=8)) == [number(1)]


def test_a_call_that_was_taken_for_lost_and_is_not_keeps_its_person_from_being_called(line):
    campaign = make(line, 1)
    step(campaign)
    end(campaign, number(1), "server_lost")
    step(campaign)
    assert people(campaign)[number(1)] == ("waiting", "failed", 1)
    with tenant_transaction(line.tenant.id):
        Call.objects.update(
            state="live", ended_at=None, end_reason="", answered_at=NOON, heartbeat_at=NOON
        )
    assert step(campaign, NOON + timedelta(minutes=10)) == []


def test_workers_at_the_same_moment_call_everybody_once(transactional_db, desk):
    with tenant_transaction(desk.tenant.id):
        Number.objects.update(carrier="telnyx")
        OutboundSettings.objects.create(max_at_once=100)
    campaign = make(desk, *range(12), max_at_once=50)
    together = threading.Barrier(4)

    def work() -> None:
        try:
            together.wait(5)
            step(campaign)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    step(campaign)
    assert dialled(campaign) == {number(place): 1 for place in range(12)}


def test_every_tenants_campaigns_are_asked_for_and_nobody_elses(
    line, other_desk, monkeypatch, django_capture_on_commit_callbacks, sent
):
    campaign = make(line, 1)
    with tenant_transaction(other_desk.tenant.id):
        assert campaigns_underway() == []
        assert campaign_step(campaign_id=campaign.pk) == []
    asked: list[Any] = []
    monkeypatch.setattr(tasks.run_campaign, "delay", lambda *ids: asked.append(ids))
    monkeypatch.setattr(tasks, "_platform_is_open", lambda: False)
    tasks.run_campaigns()
    assert asked == []
    monkeypatch.setattr(tasks, "_platform_is_open", lambda: True)
    tasks.run_campaigns()
    assert asked == [(line.tenant.id, campaign.pk)]
