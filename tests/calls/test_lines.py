"""Lines at a carrier that asks what comes next, and then asks nothing any more: each has an end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from calls.models import Call, Command, Leg
from calls.services.commands import command_give
from calls.services.lines import ASKED_BY, NO_WORD_AFTER, SILENT_AFTER, lines_sweep
from calls.services.orders import (
    HANG_UP_WITHIN,
    MOST_ATTEMPTS,
    command_claim,
    command_unanswered,
)
from tenants.db import tenant_transaction
from tests.rows import make_row

pytestmark = pytest.mark.django_db

A_SECOND = timedelta(seconds=1)


@pytest.fixture
def tenant_of(desk):
    """Inside the desk's tenant."""
    with tenant_transaction(desk.tenant.id):
        yield desk


@pytest.fixture
def call(tenant_of):
    """Make a call with an answered leg at Twilio: `call(state="ended", …)`."""

    def make(**fields):
        now = timezone.now()
        usual = {"state": "live", "streams": 1, "language": "es"}
        times = {"started_at": now, "answered_at": now, "heartbeat_at": now}
        row = make_row(Call, channel="twilio", **times, **{**usual, **fields})
        make_row(
            Leg, call=row, carrier="twilio", carrier_id="CA1", state="answered", answered_at=now
        )
        return row

    return make


def ended(reason, **fields):
    return {"state": "ended", "end_reason": reason, "ended_at": timezone.now(), **fields}


def swept(after):
    """What the sweeper finds so long after now."""
    return lines_sweep(now=timezone.now() + after)


def orders():
    return [order.kind for order in Command.objects.order_by("pk")]


def test_call_whose_next_stream_is_never_asked_for_ends_with_an_apology(call):
    row = call(media_lost_at=timezone.now())
    assert swept(SILENT_AFTER - A_SECOND) == 0
    assert swept(SILENT_AFTER + A_SECOND) == 1
    row.refresh_from_db()
    assert (row.state, row.end_reason) == ("ended", "media_lost")
    (order,) = Command.objects.all()
    assert (order.kind, "interrumpió" in order.arguments["text"]) == ("say_and_hang_up", True)


def test_leg_that_stays_after_its_apology_is_hung_up_once_and_taken_for_over(call):
    call(media_lost_at=timezone.now())
    swept(SILENT_AFTER + A_SECOND)
    assert swept(ASKED_BY) == 0
    late = SILENT_AFTER + ASKED_BY + 2 * A_SECOND
    assert [swept(late), swept(late + SILENT_AFTER)] == [1, 0]
    assert orders() == ["say_and_hang_up", "hang_up"]
    Command.objects.filter(kind="hang_up").update(state="done", sent_at=timezone.now())
    swept(NO_WORD_AFTER + A_SECOND)
    assert Leg.objects.get().state == "ended"


def test_leg_of_a_call_that_ended_well_is_hung_up_if_nothing_is_heard_of_it(call):
    call(**ended("agent_hung_up"))
    assert [swept(ASKED_BY - A_SECOND), swept(ASKED_BY + A_SECOND)] == [0, 1]
    assert orders() == ["hang_up"]


def test_caller_of_a_server_that_is_gone_hears_an_apology_before_the_leg_is_hung_up(call):
    call(**ended("server_lost"))
    assert swept(ASKED_BY + A_SECOND) == 1
    assert orders() == ["say_and_hang_up"]
    assert swept(ASKED_BY + SILENT_AFTER + 2 * A_SECOND) == 1
    assert orders() == ["say_and_hang_up", "hang_up"]


def test_carrier_that_is_away_is_asked_to_hang_up_until_it_is_back(call):
    row = call(**ended("agent_hung_up"))
    order = command_give(leg=row.legs.get(), kind=Command.Kind.HANG_UP, reason="silent line")
    for _ in range(3 * MOST_ATTEMPTS):
        assert command_claim(command_id=order.pk)
        command_unanswered(command_id=order.pk, error="503")
    Command.objects.update(created_at=timezone.now() - HANG_UP_WITHIN)
    assert command_claim(command_id=order.pk)
    command_unanswered(command_id=order.pk, error="503")
    order.refresh_from_db()
    assert (order.state, order.attempts) == ("failed", 3 * MOST_ATTEMPTS + 1)


def test_caller_who_talks_to_a_person_is_left_alone(call):
    call(**ended("transferred", transfer_to="+525511112222"))
    assert swept(timedelta(hours=1)) == 0
    assert orders() == []
