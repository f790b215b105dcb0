"""Orders that were sent and not answered: again where that is once, and never twice elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from calls.carriers import outbox
from calls.models import Call, Command, Leg
from calls.providers.carriers.registry import CARRIERS, carrier
from calls.services.commands import command_give
from calls.services.orders import command_claim, command_unanswered, commands_waiting
from tests.rows import make_row

NOW = timezone.now
A_MOMENT = timedelta(seconds=1)
RINGS_A_PERSON = (Command.Kind.HAND_OVER, Command.Kind.STEP)
PAST_ITS_MEMORY = timedelta(seconds=50)


@pytest.fixture(autouse=True)
def kept(monkeypatch, in_tenant):
    """Orders stay where they are."""
    monkeypatch.setattr(outbox, "post", lambda *_order: None)


def transferring(carrier_name, **leg):
    """A caller whom the agent has handed to a person."""
    call = make_row(
        Call, channel=carrier_name, state="ended", end_reason="transferred", streams=1,
        transfer_to="+525511112222", answered_at=NOW(), ended_at=NOW(), carrier_id="x",
    )  # fmt: skip
    fields = {"state": "answered", "role": "customer", "direction": "inbound", **leg}
    return make_row(Leg, call=call, carrier=carrier_name, carrier_id="x", account=None, **fields)


def given(leg, kind=Command.Kind.HAND_OVER):
    order = command_give(leg=leg, kind=kind, reason="r")
    assert command_claim(command_id=order.pk) is not None
    return order


def sent_ago(order, ago, **fields):
    Command.objects.filter(pk=order.pk).update(first_sent_at=NOW() - ago, **fields)


def state_of(order):
    order.refresh_from_db()
    return order.state


def kinds(leg):
    return [row.kind for row in Command.objects.filter(leg=leg).order_by("pk")]


@pytest.mark.parametrize("kind", RINGS_A_PERSON)
@pytest.mark.parametrize(
    ("carrier_name", "ago", "state"),
    [
        ("telnyx", A_MOMENT, "pending"),
        ("telnyx", PAST_ITS_MEMORY, "unknown"),
        ("threecx", A_MOMENT, "unknown"),
        ("twilio", A_MOMENT, "unknown"),
    ],
)
def test_what_rings_a_person_is_repeated_while_the_carrier_knows_its_id(
    kind, carrier_name, ago, state
):
    order = given(transferring(carrier_name), kind)
    sent_ago(order, ago)
    command_unanswered(command_id=order.pk, error="timeout")
    assert (state_of(order), order.error) == (state, "timeout")


@pytest.mark.parametrize("entry", CARRIERS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("kind", [Command.Kind.PLACE, Command.Kind.DTMF])
def test_what_nobody_expects_any_more_is_never_repeated(entry, kind):
    order = given(transferring(entry.name), kind)
    command_unanswered(command_id=order.pk, error="timeout")
    assert state_of(order) == "unknown"


@pytest.mark.parametrize("entry", CARRIERS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("kind", [Command.Kind.HANG_UP, Command.Kind.ANSWER, Command.Kind.SAY])
def test_what_harms_nobody_twice_is_repeated_at_any_carrier(entry, kind):
    order = given(transferring(entry.name), kind)
    sent_ago(order, timedelta(hours=1))
    command_unanswered(command_id=order.pk, error="timeout")
    assert state_of(order) == "pending"


def test_order_that_waited_past_its_carriers_memory_is_not_sent_again():
    """The sweeper was away in between."""
    order = given(transferring("telnyx"))
    command_unanswered(command_id=order.pk, error="timeout")
    assert state_of(order) == "pending"
    sent_ago(order, PAST_ITS_MEMORY)
    assert command_claim(command_id=order.pk) is None
    assert (state_of(order), order.error, order.attempts) == ("unknown", "timeout", 1)


def test_first_sending_counts_and_not_the_last():
    order = given(transferring("telnyx"))
    first = state_of(order) and order.first_sent_at
    command_unanswered(command_id=order.pk, error="timeout")
    assert command_claim(command_id=order.pk) is not None
    assert state_of(order) == "sending"
    assert order.first_sent_at == first < order.sent_at


@pytest.mark.parametrize(
    ("carrier_name", "ago", "waits", "state"),
    [
        ("telnyx", timedelta(seconds=31), True, "pending"),
        ("telnyx", PAST_ITS_MEMORY, False, "unknown"),
        ("twilio", timedelta(seconds=31), False, "unknown"),
        ("threecx", timedelta(minutes=3), False, "sending"),  # a person is briefed
        ("threecx", timedelta(minutes=5), False, "unknown"),
    ],
)
def test_hand_over_that_was_lost_with_its_process_rings_nobody_twice(
    carrier_name, ago, waits, state
):
    order = given(transferring(carrier_name))
    sent_ago(order, ago, sent_at=NOW() - ago)
    assert (order.pk in commands_waiting(now=NOW())) is waits
    assert state_of(order) == state


# --- the caller of a hand-over that nobody knows of --------------------------------------------


def test_caller_goes_back_to_the_agent_when_nobody_will_tell():
    leg = transferring("threecx")
    command_unanswered(command_id=given(leg).pk, error="the connection broke")
    call = Call.objects.get(pk=leg.call_id)
    assert (call.state, call.end_reason) == ("live", "")
    assert kinds(leg) == ["hand_over", "reattach"]


def test_caller_waits_for_a_person_who_is_being_rung():
    leg = transferring("telnyx")
    make_row(Leg, call=leg.call, carrier="telnyx", carrier_id="p", role="person", state="ringing")
    order = given(leg)
    sent_ago(order, PAST_ITS_MEMORY)
    command_unanswered(command_id=order.pk, error="timeout")
    assert kinds(leg) == ["hand_over"]


def test_caller_whose_carrier_asks_what_comes_next_is_told_then():
    leg = transferring("twilio")
    command_unanswered(command_id=given(leg).pk, error="timeout")
    assert kinds(leg) == ["hand_over"]
    assert carrier("twilio").asks_what_next


def test_caller_who_has_hung_up_is_not_taken_back():
    leg = transferring("threecx", state="ended", cause="completed", ended_at=NOW())
    command_unanswered(command_id=given(leg).pk, error="the connection broke")
    assert Call.objects.get(pk=leg.call_id).end_reason == "transferred"
    assert kinds(leg) == ["hand_over"]
