"""Calls that nobody talked on are in the call log, with their reason, as soon as that is known.

No test waits: what an event brings is there when its transaction is over.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from calls.models import Call, Command, Leg, Number, OutboundSettings
from calls.providers.carriers.carrier import Webhook
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.signals import EndCause, Ended, Ringing
from calls.selectors.calls import recent_calls
from calls.services.carrier_events import event_store
from calls.services.carrier_signals import leg_apply
from calls.services.legs import leg_placed
from calls.services.lines import PLACED_BY, lines_sweep
from calls.services.orders import command_claim, command_unanswered
from calls.services.outbound import Wanted, call_place, free_lines

SOMEBODY = "+525598765432"
NOON = datetime(2026, 11, 23, 18, tzinfo=UTC)  # 12:00 in Mexico
CARRIERS = ("telnyx", "twilio", "threecx")
CAUSES = {
    EndCause.BUSY: ("user_busy", "busy"),
    EndCause.NO_ANSWER: ("no_answer", "no-answer"),
    EndCause.FAILED: ("unspecified", "failed"),
}


def telnyx(leg, kind, **payload):
    """One of Telnyx's webhooks, read."""
    ids = {"call_control_id": leg, "call_session_id": "s", "connection_id": "1"}
    data = {
        "record_type": "event",
        "event_type": kind,
        "id": f"{leg}-{kind}",
        "occurred_at": timezone.now().isoformat(),
        "payload": {**ids, **payload},
    }
    return _read("telnyx", json.dumps({"data": data}).encode())


def twilio(leg, status, **fields):
    """One of Twilio's status callbacks, read."""
    form = {"CallSid": leg, "CallStatus": status, "SequenceNumber": "0", **fields}
    return _read("twilio", form={name: [value] for name, value in form.items()}, kind="call-status")


def _read(name, body=b"", form=None, kind=""):
    webhook = Webhook(kind=kind, url="https://h/", headers={}, body=body, form=form or {})
    return carrier(name).event(webhook, time.time())


def rings(name, leg):
    """The telephone of whom we call rings."""
    if name == "telnyx":
        numbers = {"from": "+525512340001", "to": SOMEBODY, "direction": "outgoing"}
        return telnyx(leg, "call.initiated", state="bridging", **numbers)
    if name == "twilio":
        return twilio(leg, "ringing")
    about = {"from_number": "+525512340001", "to_number": SOMEBODY, "incoming": False}
    return carrier(name).told(Ringing(event_id=f"{leg}:r", leg=leg, at=timezone.now(), **about))


def is_over(name, leg, cause):
    """It is over before anybody picked up."""
    by_telnyx, by_twilio = CAUSES[cause]
    if name == "telnyx":
        return telnyx(leg, "call.hangup", hangup_cause=by_telnyx, hangup_source="callee")
    if name == "twilio":
        return twilio(leg, by_twilio, SequenceNumber="1")
    return carrier(name).told(
        Ended(event_id=f"{leg}:e", leg=leg, at=timezone.now(), cause=cause, detail="")
    )


def hear(name, event, call=None):
    """What a webhook, or whoever listens to a PBX, does."""
    event_store(carrier_name=name, event=event, call_id=call.pk if call else None)
    return leg_apply(carrier_name=name, leg=event.leg)


@pytest.fixture
def place(desk, sent, in_tenant):
    """Call somebody from a number at that carrier: `place("telnyx")`."""

    def ask(name):
        Number.objects.filter(e164=desk.number).update(carrier=name)
        return call_place(wanted=Wanted(SOMEBODY, desk.agent), actor="tests", now=NOON).call

    return ask


@pytest.fixture
def unanswered(place):
    """A call whose carrier did not answer the order to place it: `unanswered("telnyx")`."""

    def ask(name):
        call = place(name)
        Command.objects.update(created_at=timezone.now())
        order = Command.objects.get(kind="place")
        assert command_claim(command_id=order.pk) is not None
        command_unanswered(command_id=order.pk, error="no answer")
        return call

    return ask


def logged():
    """The one call, as the log shows it: its state, and why it ended."""
    (call,) = recent_calls()
    return call.state, call.end_reason


def soon(seconds=1.0):
    """After the time that a placed call has to show a sign of itself."""
    return timezone.now() + PLACED_BY + timedelta(seconds=seconds)


def orders(kind="hang_up"):
    return list(Command.objects.filter(kind=kind).values_list("state", flat=True))


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("cause", CAUSES)
def test_call_that_nobody_took_is_in_the_log_with_the_event_that_tells_it(place, name, cause):
    call = place(name)
    leg_placed(leg_id=call.legs.get().pk, carrier_id="leg-1")
    hear(name, rings(name, "leg-1"), call)
    assert logged() == ("ringing", "")
    hear(name, is_over(name, "leg-1", cause), call)
    assert logged() == ("ended", cause.value)


@pytest.mark.parametrize("name", ["telnyx", "threecx"])
def test_caller_for_whom_nobody_is_there_is_in_the_log_with_the_ring(desk, sent, in_tenant, name):
    Number.objects.filter(e164=desk.number).update(is_active=False, carrier=name)
    about = {"from_number": SOMEBODY, "to_number": desk.number, "incoming": True}
    if name == "telnyx":
        numbers = {"from": SOMEBODY, "to": desk.number, "direction": "incoming"}
        event = telnyx("leg-1", "call.initiated", state="parked", **numbers)
    else:
        ring = Ringing(event_id="r", leg="leg-1", at=timezone.now(), **about)
        event = carrier(name).told(ring)
    hear(name, event)
    assert logged() == ("ended", "refused_no_agent")
    assert orders("say_and_hang_up") == ["pending"]


# --- an order to call somebody that was not answered -------------------------------------------


@pytest.mark.parametrize("name", CARRIERS)
def test_call_of_which_nothing_is_heard_fails_soon_and_frees_its_line(unanswered, name):
    unanswered(name)
    rules = OutboundSettings.objects.get()
    lines = free_lines(rules)
    assert lines_sweep(now=timezone.now() + PLACED_BY / 2) == 0
    assert logged() == ("ringing", "")
    assert lines_sweep(now=soon()) == 1
    assert logged() == ("ended", "failed")
    assert free_lines(rules) == lines + 1
    leg = Leg.objects.get()
    assert (leg.state, leg.cause, leg.carrier_id) == ("ended", "failed", "")
    assert orders() == []
    assert lines_sweep(now=soon(5)) == 0


@pytest.mark.parametrize("name", CARRIERS)
def test_call_of_which_its_carrier_has_told_goes_on(unanswered, name):
    call = unanswered(name)
    hear(name, rings(name, "leg-1"), call)
    assert lines_sweep(now=soon()) == 0
    assert logged() == ("ringing", "")
    hear(name, is_over(name, "leg-1", EndCause.BUSY), call)
    assert logged() == ("ended", "busy")


@pytest.mark.parametrize("name", CARRIERS)
def test_call_that_rings_after_it_was_given_up_is_hung_up_at_once(unanswered, name):
    call = unanswered(name)
    lines_sweep(now=soon())
    hear(name, rings(name, "leg-1"), call)
    leg = Leg.objects.get()
    assert (leg.carrier_id, leg.state, leg.cause) == ("leg-1", "ringing", "")
    (hang_up,) = Command.objects.filter(kind="hang_up")
    assert command_claim(command_id=hang_up.pk).leg == "leg-1"
    hear(name, is_over(name, "leg-1", EndCause.NO_ANSWER), call)
    assert logged() == ("ended", "failed")
    assert Leg.objects.get().state == "ended"
    assert len(orders()) == 1


def test_call_whose_answer_comes_after_it_was_given_up_is_hung_up(unanswered):
    unanswered("telnyx")
    lines_sweep(now=soon())
    leg_placed(leg_id=Leg.objects.get().pk, carrier_id="leg-1")
    leg = Leg.objects.get()
    assert (leg.carrier_id, leg.state, leg.ended_at) == ("leg-1", "dialling", None)
    assert orders() == ["pending"]
    assert logged() == ("ended", "failed")


def test_call_that_ends_before_it_was_given_up_needs_no_hanging_up(unanswered):
    call = unanswered("telnyx")
    lines_sweep(now=soon())
    hear("telnyx", is_over("telnyx", "leg-1", EndCause.BUSY), call)
    assert orders() == []


def test_order_that_was_taken_gives_its_call_all_the_time_to_ring(place):
    call = place("telnyx")
    Command.objects.update(
        state=Command.State.DONE, created_at=timezone.now(), sent_at=timezone.now()
    )
    assert lines_sweep(now=soon()) == 0
    assert Call.objects.get(pk=call.pk).state == "ringing"
