"""What an agent does besides speaking, by telephone: from the mind to the carrier and back."""

from __future__ import annotations

import asyncio

import pytest

from agents.brain.events import HangUp, SendDtmf, TakeMessage, TextDelta, Transfer
from calls import dispatch, setup
from calls.links import hold_music
from calls.models import Call, Command, Leg, Number, TakenMessage, Utterance
from calls.services import outbound
from calls.services.outbound import Wanted, call_place
from calls.simulator.telnyx_legs import Person
from tenants.db import run_in_tenant
from tests.calls.conftest import staff_desk
from tests.calls.phone import QUICK, on_a_script
from tests.calls.telnyx_line import telnyx_line
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGE = "Le llamó Andrea de Spirit Tours."
SALES, CUSTOMER = "+525555123456", "+525598765432"
PROFILE = {
    "transcriber": {"provider": "embedded", "languages": ["es-MX"], "turns": QUICK},
    "functions": {"transfer_targets": [{"name": "Ventas", "number": SALES, "warm": True}]},
    "advanced": {"voicemail": "leave_message", "voicemail_message": MESSAGE},
}


class Does:
    """A mind that says something and does this, whatever it is told."""

    model_name = "scripted"
    observer = None

    def __init__(self, action):
        self.action = action

    async def open(self):
        """Nothing to connect to."""

    async def aclose(self):
        """Nothing is open."""

    async def reply(self, _items, committed):
        yield TextDelta("Un momento.")
        await committed.wait()
        yield self.action


@pytest.fixture
def mind(monkeypatch, settings, tmp_path):
    """Set what the agent does: `mind(HangUp())`."""
    settings.MEDIA_ROOT = tmp_path
    on_a_script(monkeypatch)
    does = Does(HangUp())
    monkeypatch.setattr(setup, "build_mind", lambda *_args, **_kwargs: does)
    return lambda action: setattr(does, "action", action)


@pytest.fixture
def desk(tenant):
    return staff_desk(tenant, "+525512340001", greeting="Hola.", **PROFILE)


@pytest.fixture
async def line(desk, mind, quiet, settings, monkeypatch):
    async with telnyx_line(desk, settings, monkeypatch) as telnyx:
        yield telnyx
        await dispatch.close_all()
        await until(lambda: not quiet._background)


async def press(line, leg):
    """The caller presses a key once the agent has greeted; that is a turn."""
    await until(lambda: line.rows(Utterance, role="agent"))
    for digit in "1#":
        await leg.stream.dtmf(digit)


async def test_keys_are_a_turn_a_message_is_kept_and_the_agent_hangs_up(line, mind):
    leg = await line.dialled()
    mind(TakeMessage("Llegó tarde.", "Ana"))
    await press(line, leg)
    (message,) = await until(lambda: line.rows(TakenMessage))
    assert (message.text, message.number) == ("Llegó tarde.", CUSTOMER)
    (turn,) = await line.rows(Utterance, role="caller")
    assert turn.text == "1"
    mind(HangUp())
    await press(line, leg)
    await asyncio.wait_for(leg.done.wait(), 10)
    assert (await line.call(state="ended")).end_reason == "agent_hung_up"


async def test_keys_of_the_agent_are_pressed_by_command_once_each(line, mind):
    leg = await line.dialled()
    mind(SendDtmf("12#"))
    for times in (1, 2):
        await press(line, leg)
        await until(lambda times=times: len(line.asked("send_dtmf")) == times)
    assert [body["digits"] for body in line.asked("send_dtmf")] == ["12#", "12#"]
    await until(lambda: line.rows(Command, kind="send_dtmf", state="done"))
    await line.hang_up(leg)
    await line.call(state="ended")


@pytest.mark.parametrize("warm", [False, True])
async def test_caller_whom_nobody_takes_is_back_with_the_agent(line, mind, warm):
    line.cloud.people[SALES] = Person(keys="2") if warm else Person("user_busy")
    mind(Transfer("Ventas", warm=warm, briefing="Un reembolso."))
    leg = await line.dialled()
    await press(line, leg)
    await line.call(state="live", streams=2)
    await until(lambda: line.rows(Utterance, text__contains="no contesta nadie"))
    assert await line.rows(Command, kind="hand_over", state="done")
    briefings = [str(each["payload"]) for each in line.asked("gather_using_speak")]
    assert ["Un reembolso." in each for each in briefings] == ([True] if warm else [])
    await until(lambda: leg.played == ([hold_music().url] if warm else []))
    assert not leg.playing
    await line.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


async def test_caller_whom_a_briefed_person_takes_is_transferred(line, mind):
    line.cloud.people[SALES] = Person(keys="1")
    mind(Transfer("Ventas", warm=True, briefing="Un reembolso."))
    leg = await line.dialled()
    await press(line, leg)
    call = await line.call(state="ended")
    assert (call.end_reason, call.transfer_to) == ("transferred", SALES)
    await until(lambda: leg.bridged_to is not None)
    assert leg.bridged_to.to_number == SALES
    await until(lambda: leg.played == [hold_music().url] and not leg.playing)
    await line.hang_up(leg)
    await until(lambda: line.rows(Leg, role="customer", state="ended"))


async def placed(line, monkeypatch, person):
    """The agent calls the customer, at whom this person or machine is."""
    line.cloud.people[CUSTOMER] = person
    monkeypatch.setattr(outbound, "may_be_called", lambda *_args: None)

    def place():
        Number.objects.filter(e164=line.desk.number).update(carrier="telnyx")
        return call_place(wanted=Wanted(CUSTOMER, line.desk.agent), actor="tests").command.pk

    command = await run_in_tenant(line.desk.tenant.id, place)
    await dispatch.send(line.desk.tenant.id, command)


async def test_machine_is_left_the_message_after_its_beep(line, monkeypatch):
    await placed(line, monkeypatch, Person(detected="machine"))
    call = await line.call(state="ended")
    assert call.end_reason == "voicemail_left"
    assert MESSAGE in [turn.heard_text for turn in await line.rows(Utterance)]
    await until(lambda: line.rows(Leg, state="ended", picked_up="machine", may_speak=True))


async def test_person_who_picks_up_hears_the_agent_and_no_message(line, monkeypatch):
    await placed(line, monkeypatch, Person())
    await until(lambda: line.rows(Leg, picked_up="human"))
    await until(lambda: line.rows(Utterance, role="agent"))
    (leg,) = line.cloud.legs.values()
    await line.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"
    assert MESSAGE not in [turn.heard_text for turn in await line.rows(Utterance)]
    assert len(await line.rows(Call)) == 1
