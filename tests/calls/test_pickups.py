"""What a machine that answers our call is done with: hung up on, or left a message."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from calls.line import pickups as pickups_module
from calls.line.pickups import Pickups
from calls.line.rows import CallRef, Closing
from calls.models import Call, Command, Leg
from calls.providers.carriers.signals import Answered, Answerer, Detected
from calls.services.calls import call_close
from calls.services.carrier_signals import _react
from calls.services.legs import caller_take_back, leg_follow
from tenants.db import run_in_tenant, tenant_transaction
from tests.calls.conftest import staff_desk
from tests.calls.test_store import live_call
from tests.calls.waiting import until

LEAVES = {"advanced": {"voicemail": "leave_message", "voicemail_message": "Le llamó Andrea."}}


def telephone(desk, direction="outbound", **fields):
    """A live call of this desk over Telnyx, with its customer's answered leg."""
    call = live_call(desk, direction=direction, **fields)
    with tenant_transaction(desk.tenant.id):
        Call.objects.filter(pk=call.pk).update(channel="telnyx")
        leg = Leg.objects.create(
            call=call, carrier="telnyx", carrier_id=uuid.uuid4().hex, direction=direction,
            state="answered", answered_at=timezone.now(),
            from_number="+525512340000", to_number="+525512349999",
        )  # fmt: skip
    return call, leg


@pytest.fixture
def line(desk):
    return telephone(desk)


def detected(answerer, **known):
    return Detected(
        event_id=uuid.uuid4().hex, leg="leg", at=timezone.now(), answerer=answerer, **known
    )


def orders(desk, leg):
    with tenant_transaction(desk.tenant.id):
        return list(Command.objects.filter(leg=leg).values_list("kind", "reason"))


# --- what is ordered ----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("profile", "answerer", "direction", "ordered"),
    [
        ({}, Answerer.MACHINE, "outbound", [("hang_up", "voicemail")]),
        ({}, Answerer.FAX, "outbound", [("hang_up", "voicemail")]),
        ({}, Answerer.HUMAN, "outbound", []),
        ({}, Answerer.MACHINE, "inbound", []),
        (LEAVES, Answerer.MACHINE, "outbound", []),
        (LEAVES, Answerer.FAX, "outbound", [("hang_up", "voicemail")]),
    ],
)
def test_a_machine_is_hung_up_on_unless_it_is_left_a_message(
    tenant, profile, answerer, direction, ordered
):
    desk = staff_desk(tenant, "+525512340000", **profile)
    _call, leg = telephone(desk, direction)
    with tenant_transaction(tenant.id):
        _react(Leg.objects.select_related("call__version").get(pk=leg.pk), detected(answerer))
    assert orders(desk, leg) == ordered


@pytest.mark.django_db
def test_the_beep_is_kept_with_the_leg_in_whatever_order_it_was_told(desk):
    _call, leg = telephone(desk)
    now = timezone.now()
    beep = detected(Answerer.MACHINE, may_speak=True, greeted=True)
    answer = Answered(event_id="a", leg="leg", at=now - timedelta(seconds=5))
    for told in ([beep, answer], [answer, detected(Answerer.MACHINE), beep]):
        with tenant_transaction(desk.tenant.id):
            leg_follow(leg=leg, signals=told)
            leg.refresh_from_db()
        assert (leg.picked_up, leg.may_speak, leg.greeted) == ("machine", True, True)


@pytest.mark.django_db
def test_who_gets_a_caller_is_briefed_and_the_caller_may_ask_again(desk):
    call, leg = telephone(desk, "inbound", streams=1)
    for stream in (1, 2):
        closing = Closing(
            "transferred", timezone.now(), transfer_to="+525555123456", briefing="A refund.",
            stream=stream,
        )  # fmt: skip
        with tenant_transaction(desk.tenant.id):
            assert call_close(call_id=call.pk, closing=closing)
            leg.refresh_from_db()
            caller_take_back(leg=leg)
            Call.objects.filter(pk=call.pk).update(streams=2, media_lost_at=None)
            leg = Leg.objects.get(pk=leg.pk)
    with tenant_transaction(desk.tenant.id):
        handed = Command.objects.filter(leg=leg, kind="hand_over").order_by("pk")
        told = [(each.arguments["to_number"], each.arguments["briefing"]) for each in handed]
    assert told == [("+525555123456", "A refund.")] * 2


# --- how it reaches the conversation ------------------------------------------------------


def ref(call):
    return CallRef(call.tenant_id, call.pk, call.public_id)


async def note(desk, leg, **known):
    await run_in_tenant(desk.tenant.id, lambda: Leg.objects.filter(pk=leg.pk).update(**known))


@pytest.mark.django_db(transaction=True)
async def test_the_conversation_is_told_of_a_machine_its_greeting_and_its_beep_once_each(
    line, desk
):
    call, leg = line
    pickups, told = Pickups(every=0.01), []
    pickups.watch(ref(call), lambda *known: told.append(known))
    await note(desk, leg, picked_up="unknown")
    await asyncio.sleep(0.05)
    assert told == []
    await note(desk, leg, picked_up="machine")
    await until(lambda: told == [(False, False)])
    await note(desk, leg, greeted=True)
    await until(lambda: told[1:] == [(False, True)])
    await note(desk, leg, may_speak=True)
    await until(lambda: told[2:] == [(True, True)])
    assert len(pickups) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answerer", ["human", "fax"])
async def test_nobody_is_looked_after_who_is_no_machine(line, desk, answerer):
    call, leg = line
    await note(desk, leg, picked_up=answerer)
    pickups, told = Pickups(every=0.01), []
    pickups.watch(ref(call), lambda *known: told.append(known))
    await until(lambda: len(pickups) == 0)
    assert told == []


@pytest.mark.django_db(transaction=True)
async def test_a_call_of_which_nothing_is_ever_known_is_given_up(line):
    call, _leg = line
    pickups = Pickups(every=0.01, give_up_after=0.03)
    pickups.watch(ref(call), lambda *_: None)
    await until(lambda: len(pickups) == 0)


@pytest.mark.django_db(transaction=True)
async def test_a_database_that_is_away_is_asked_again(line, desk, monkeypatch):
    call, leg = line
    await note(desk, leg, picked_up="machine", may_speak=True)
    ask, failures = pickups_module.run_in_tenant, []

    async def away_at_first(*arguments):
        if not failures:
            failures.append(OSError("away"))
            raise failures[0]
        return await ask(*arguments)

    monkeypatch.setattr(pickups_module, "run_in_tenant", away_at_first)
    pickups, told = Pickups(every=0.01), []
    pickups.watch(ref(call), lambda *known: told.append(known))
    await until(lambda: told == [(True, False)])
    assert failures


@pytest.mark.django_db(transaction=True)
async def test_what_is_known_before_the_conversation_begins_is_told_at_once(line, desk):
    call, leg = line
    await note(desk, leg, picked_up="machine", greeted=True)
    pickups, told = Pickups(every=60), []
    pickups.watch(ref(call), lambda *known: told.append(known))
    await pickups.look(ref(call))
    assert told == [(False, True)]
    pickups.forget(call.pk)


@pytest.mark.django_db(transaction=True)
async def test_a_call_that_is_over_is_looked_after_no_more(line, desk):
    call, leg = line
    pickups, told = Pickups(every=0.02), []
    pickups.watch(ref(call), lambda *known: told.append(known))
    pickups.forget(call.pk)
    pickups.forget(call.pk)
    await note(desk, leg, picked_up="machine")
    await asyncio.sleep(0.06)
    assert told == []
