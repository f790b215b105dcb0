"""What an agent does besides speaking, on Twilio's lines: from the mind to the carrier and back."""

from __future__ import annotations

import pytest

from agents.brain.events import HangUp, TakeMessage, Transfer
from calls import dispatch, hold_music, setup
from calls.links import hold_music as told_music
from calls.models import Call, Command, Leg, Number, TakenMessage, Utterance
from calls.services import outbound
from calls.services.outbound import Wanted, call_place
from tenants.db import run_in_tenant
from tests.calls.conftest import staff_desk
from tests.calls.phone import on_a_script
from tests.calls.test_telnyx_functions import CUSTOMER, MESSAGE, PROFILE, SALES, Does
from tests.calls.twilio_line import twilio_line
from tests.calls.waiting import until
from tests.peers.twilio_cloud import Fault, Person

pytestmark = pytest.mark.django_db(transaction=True)


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
    async with twilio_line(desk, settings, monkeypatch) as twilio:
        yield twilio
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
    mind(HangUp())
    await press(line, leg)
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "agent_hung_up"


async def transferred(line, mind, person, *, warm):
    """The agent hands the caller to sales, where this person is."""
    line.cloud.people[SALES] = person
    mind(Transfer("Ventas", warm=warm, briefing="Un reembolso."))
    leg = await line.dialled()
    await press(line, leg)
    return leg


async def is_back(line, leg):
    await line.call(state="live", streams=2)
    await until(lambda: line.rows(Utterance, text__contains="no contesta nadie"))
    await line.hears(leg)
    await line.cloud.hang_up(leg)
    assert (await line.call(state="ended")).end_reason == "caller_hung_up"


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
async def test_caller_whom_nobody_takes_is_back_with_the_agent(line, mind, status):
    leg = await transferred(line, mind, Person(status=status), warm=False)
    await is_back(line, leg)
    assert await line.rows(Command) == []  # all of it in answers


async def test_caller_whom_somebody_takes_talks_with_them_until_one_hangs_up(line, mind):
    leg = await transferred(line, mind, Person(), warm=False)
    call = await line.call(state="ended")
    assert (call.end_reason, call.transfer_to) == ("transferred", SALES)
    person = await until(lambda: leg.bridged_to)
    assert (person.to_number, person.from_number) == (SALES, line.desk.number)
    await line.cloud.hang_up(person)
    await line.over(leg)
    await until(lambda: line.rows(Leg, role="customer", state="ended"))
    assert len(leg.lines) == 1


@pytest.mark.parametrize(
    "person",
    [
        Person(keys="2"),
        Person(keys=""),
        Person(hangs_up=True),
        Person(status="busy"),
        Person(status="no-answer"),
    ],
    ids=["declines", "presses nothing", "hangs up", "busy", "no answer"],
)
async def test_caller_whom_the_briefed_person_does_not_take_is_back(line, mind, person):
    leg = await transferred(line, mind, person, warm=True)
    await is_back(line, leg)
    (form,) = line.dials()
    assert "Un reembolso." in form["Twiml"][0]
    assert await line.rows(Command, kind="hand_over", state="done")
    assert len(await line.rows(Command, kind="reattach")) == 1
    await until(lambda: line.rows(Leg, role="person", state="ended"))


@pytest.mark.parametrize("twice", [False, True])
async def test_caller_whom_a_briefed_person_takes_is_joined_to_them_once(line, mind, twice):
    line.cloud.twice = twice
    leg = await transferred(line, mind, Person(keys="1"), warm=True)
    call = await line.call(state="ended")
    assert (call.end_reason, call.transfer_to) == ("transferred", SALES)
    person = await until(lambda: leg.bridged_to)
    assert person.to_number == SALES
    assert person.said == [next(iter(person.said))]
    assert len(line.instructed(leg)) == 1
    await until(lambda: "stage=joined" in person.status_url)  # or they never met, for all we know
    await line.cloud.hang_up(person)
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "transferred"
    assert len(leg.lines) == 1


async def test_caller_who_gives_up_waiting_ends_the_call_to_the_person(line, mind, monkeypatch):
    line.cloud.people[SALES] = Person(keys="1")
    ring = line.cloud.ring

    async def rings_on(leg):
        if leg.to_number != SALES:
            return await ring(leg)
        await line.cloud.move(leg, "initiated")
        await line.cloud.move(leg, "ringing")
        await leg.done.wait()
        return False

    monkeypatch.setattr(line.cloud, "ring", rings_on)
    leg = await transferred(line, mind, Person(keys="1"), warm=True)
    await until(lambda: line.rows(Leg, role="person", state="ringing"))
    await until(lambda: leg.played == [told_music().url])
    await line.cloud.hang_up(leg)
    await until(lambda: line.rows(Leg, role="person", state="ended"))
    assert (await line.call(state="ended")).end_reason == "transferred"


async def test_person_who_cannot_be_called_gives_the_caller_back(line, mind):
    line.cloud.faults.append(Fault(status=400, code="21217"))
    leg = await transferred(line, mind, Person(), warm=True)
    await is_back(line, leg)


async def test_hold_that_nothing_ends_gives_the_caller_back(line, mind, monkeypatch):
    """Nobody knows whether the person was called, so nobody is called again."""
    short = hold_music.as_wav(hold_music.samples()[:80])
    monkeypatch.setattr(hold_music, "wav", lambda: short)
    line.cloud.faults.append(Fault(cut=True, at="/Calls.json"))
    leg = await transferred(line, mind, Person(), warm=True)
    await is_back(line, leg)
    assert leg.played == [told_music().url]
    assert [row.state for row in await line.rows(Command, kind="hand_over")] == ["unknown"]


# --- calls that we place -----------------------------------------------------------------------


async def placed(line, monkeypatch, person):
    """The agent calls the customer, at whom this person or machine is."""
    line.cloud.people[CUSTOMER] = person
    monkeypatch.setattr(outbound, "may_be_called", lambda *_args: None)

    def place():
        Number.objects.filter(e164=line.desk.number).update(carrier="twilio")
        call_place(wanted=Wanted(CUSTOMER, line.desk.agent), actor="tests")

    await run_in_tenant(line.desk.tenant.id, place)


async def test_machine_is_left_the_message_after_its_beep(line, monkeypatch):
    await placed(line, monkeypatch, Person(answered_by="machine_end_beep"))
    call = await line.call(state="ended")
    assert call.end_reason == "voicemail_left"
    assert MESSAGE in [turn.heard_text for turn in await line.rows(Utterance)]
    await until(lambda: line.rows(Leg, state="ended", picked_up="machine", may_speak=True))


async def test_person_who_picks_up_hears_the_agent_and_may_be_handed_over(line, mind, monkeypatch):
    line.cloud.people[SALES] = Person(status="busy")
    mind(Transfer("Ventas", warm=False, briefing=""))
    await placed(line, monkeypatch, Person())
    await until(lambda: line.rows(Leg, picked_up="human"))
    await until(lambda: line.rows(Utterance, role="agent"))
    (leg,) = line.cloud.legs.values()
    await press(line, leg)
    await is_back(line, leg)
    assert MESSAGE not in [turn.heard_text for turn in await line.rows(Utterance)]
    assert len(await line.rows(Call)) == 1
