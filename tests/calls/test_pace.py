"""No carrier is asked for more calls than it dials at once: they would wait there, unheard of."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction

from calls import tasks
from calls.carriers.tokens import STREAM_SECONDS
from calls.errors import OnDoNotCallList, TooFast
from calls.models import Call, CarrierAccount, DoNotCall, Number
from calls.services.calls import RING_LIMIT
from calls.services.campaign_run import campaigns_underway
from calls.services.outbound import Wanted, call_place, call_request
from calls.services.pace import BURST, RESERVED
from config.celery import app
from tenants.db import tenant_transaction
from tests.calls.campaigning import NOON, make, state, step
from tests.rows import make_row

pytestmark = pytest.mark.django_db


def seconds(number):
    return timedelta(seconds=number)


def at_carrier(desk, name, *, own=False, rate=None):
    """Have the desk's number at that carrier, in an account of its own if asked for."""
    with tenant_transaction(desk.tenant.id):
        account = make_row(CarrierAccount, carrier=name, calls_per_second=rate) if own else None
        Number.objects.filter(e164=desk.number).update(carrier=name, account=account)


def placed(desk, times, after=0.0):
    """How many of so many calls are placed at that moment."""
    done = 0
    with tenant_transaction(desk.tenant.id):
        for place in range(times):
            wanted = Wanted(f"+5255987654{place:02d}", desk.agent)
            try:
                call_place(wanted=wanted, actor="tests", now=NOON + seconds(after))
            except TooFast:
                break
            done += 1
    return done


def test_twilio_is_asked_for_one_call_a_second(line):
    at_carrier(line, "twilio", own=True)
    assert placed(line, 5) == (BURST + RESERVED).total_seconds() == 3
    assert placed(line, 5, after=0.9) == 0
    assert placed(line, 5, after=1) == 1
    assert [placed(line, 5, after=second) for second in range(2, 9)] == [1] * 7
    assert placed(line, 5, after=60) == 3  # what was not used up is not made up for


def test_account_is_asked_for_as_many_as_were_agreed(line):
    at_carrier(line, "twilio", own=True, rate=5)
    assert placed(line, 30) == 15
    assert placed(line, 30, after=1) == 5


@pytest.mark.parametrize(("rate", "most"), [(None, 30), (3, 9)])
def test_carrier_without_a_limit_has_one_where_it_was_entered(line, rate, most):
    at_carrier(line, "telnyx", own=True, rate=rate)
    assert placed(line, 30) == most


def test_tenants_share_the_pace_of_the_installations_account(line, other_desk):
    at_carrier(line, "twilio")
    at_carrier(other_desk, "twilio")
    assert placed(line, 1) == 1
    assert placed(other_desk, 5) == 2
    assert placed(line, 5) == 0


def test_tenants_accounts_have_each_their_own(line, other_desk):
    at_carrier(line, "twilio", own=True)
    at_carrier(other_desk, "twilio", own=True)
    assert (placed(line, 5), placed(other_desk, 5)) == (3, 3)


def test_call_that_was_undone_does_not_count(line):
    at_carrier(line, "twilio", own=True)
    with tenant_transaction(line.tenant.id):
        savepoint = transaction.savepoint()
        call_place(wanted=Wanted("+525598765400", line.agent), actor="tests", now=NOON)
        transaction.savepoint_rollback(savepoint)
    assert placed(line, 5) == 3


def test_call_that_may_not_be_placed_does_not_count(line):
    at_carrier(line, "twilio", own=True)
    with tenant_transaction(line.tenant.id):
        DoNotCall.objects.create(number="+525598765499")
        for _ in range(3):
            with pytest.raises(OnDoNotCallList):
                call_place(wanted=Wanted("+525598765499", line.agent), actor="tests", now=NOON)
    assert placed(line, 5) == 3


def test_who_asks_too_fast_is_told_and_may_ask_again_under_the_same_key(line, sent):
    at_carrier(line, "twilio", own=True)
    assert placed(line, 3) == 3
    wanted = Wanted("+525598765450", line.agent)
    with tenant_transaction(line.tenant.id):
        for key in ("k", "k", "", ""):
            with pytest.raises(TooFast, match="1"):
                call_request(wanted=wanted, actor="tests", key=key, now=NOON)
        assert Call.objects.count() == 3  # none of these is in the log
        again = call_request(wanted=wanted, actor="tests", key="k", now=NOON + seconds(2))
        assert again.refusal is None
        assert again.command is not None


def test_campaign_goes_as_fast_as_its_carrier_and_is_no_failure(line, sent):
    campaign = make(line, *range(40))
    at_carrier(line, "twilio", own=True)
    called = [len(step(campaign, NOON + seconds(2 * number))) for number in range(5)]
    assert called == [2] * 5
    assert state(campaign) == "running"
    with tenant_transaction(line.tenant.id):
        assert Call.objects.filter(end_reason="").count() == 10


def test_campaign_leaves_room_for_a_call_that_somebody_waits_for(line, other_desk, sent):
    campaign = make(line, *range(40))
    for desk in (line, other_desk):
        at_carrier(desk, "twilio")
    for number in range(3):
        assert step(campaign, NOON + seconds(2 * number))
        assert placed(other_desk, 5, after=2 * number) == 1


def test_campaigns_of_a_tenant_take_turns_at_an_account(line, sent):
    at_carrier(line, "twilio", own=True)
    campaigns = {each.pk: each for each in (make(line, *range(20)), make(line, *range(20, 40)))}
    calls = Counter()
    for second in range(0, 12, 2):
        with tenant_transaction(line.tenant.id):
            underway = campaigns_underway()
        for pk in underway:
            calls[pk] += len(step(campaigns[pk], NOON + seconds(second)))
    assert sorted(calls.values()) == [6, 6]


def test_tenants_take_turns_at_the_installations_account(line, other_desk, sent, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(tasks, "_platform_is_open", lambda: True)
    monkeypatch.setattr(tasks.run_campaign, "delay", lambda tenant, _campaign: asked.append(tenant))
    for desk in (line, other_desk):
        make(desk, 1)
    random.seed(1)
    for _ in range(12):
        tasks.run_campaigns()
    assert set(asked[::2]) == {line.tenant.id, other_desk.tenant.id}


def test_token_of_a_placed_call_outlives_its_ringing():
    """Also one that its carrier let wait for a while is answered into a socket that opens."""
    sweep = app.conf.beat_schedule["sweep-calls"]["schedule"]
    assert RING_LIMIT.total_seconds() + 2 * sweep < STREAM_SECONDS
