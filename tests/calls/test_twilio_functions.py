"""Callers whom an agent hands over at Twilio: from the mind to the carrier and back."""

from __future__ import annotations

import pytest

from calls.carriers import hold_music
from calls.carriers.links import hold_music as told_music
from calls.models import Command, Leg
from tests.calls.acting import SALES, handed_over, is_back
from tests.calls.acting import desk as desk
from tests.calls.acting import mind as mind
from tests.calls.twilio_line import twilio_line
from tests.calls.waiting import until
from tests.peers.twilio_cloud import Fault, Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def line(desk, mind, quiet, settings, monkeypatch):
    async with twilio_line(desk, quiet, settings, monkeypatch) as twilio:
        yield twilio


async def test_caller_whom_nobody_takes_is_back_with_the_agent(line, mind):
    leg = await handed_over(line, mind, Person(status="busy"), warm=False)
    await is_back(line, leg)
    assert await line.rows(Command) == []  # all of it in answers


async def test_caller_whom_somebody_takes_talks_with_them_until_one_hangs_up(line, mind):
    leg = await handed_over(line, mind, Person(), warm=False)
    call = await line.call(state="ended")
    assert (call.end_reason, call.transfer_to) == ("transferred", SALES)
    person = await until(lambda: leg.bridged_to)
    assert (person.to_number, person.from_number) == (SALES, line.desk.number)
    await line.cloud.hang_up(person)
    await line.over(leg)
    await until(lambda: line.rows(Leg, role="customer", state="ended"))
    assert len(leg.lines) == 1


@pytest.mark.parametrize(
    "person", [Person(keys="2"), Person(status="no-answer")], ids=["declines", "no answer"]
)
async def test_caller_whom_the_briefed_person_does_not_take_is_back(line, mind, person):
    leg = await handed_over(line, mind, person, warm=True)
    await is_back(line, leg)
    (form,) = line.dials()
    assert "Un reembolso." in form["Twiml"][0]
    assert await line.rows(Command, kind="hand_over", state="done")
    assert len(await line.rows(Command, kind="reattach")) == 1
    await until(lambda: line.rows(Leg, role="person", state="ended"))


async def test_caller_whom_a_briefed_person_takes_is_joined_to_them_once(line, mind):
    line.cloud.twice = True
    leg = await handed_over(line, mind, Person(keys="1"), warm=True)
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
    leg = await handed_over(line, mind, Person(keys="1"), warm=True)
    await until(lambda: line.rows(Leg, role="person", state="ringing"))
    await until(lambda: leg.played == [told_music().url])
    await line.cloud.hang_up(leg)
    await until(lambda: line.rows(Leg, role="person", state="ended"))
    assert (await line.call(state="ended")).end_reason == "transferred"


async def test_person_who_cannot_be_called_gives_the_caller_back(line, mind):
    line.cloud.faults.append(Fault(status=400, code="21217"))
    leg = await handed_over(line, mind, Person(), warm=True)
    await is_back(line, leg)


async def test_hold_that_nothing_ends_gives_the_caller_back(line, mind, monkeypatch):
    """Nobody knows whether the person was called, so nobody is called again."""
    short = hold_music.as_wav(hold_music.samples()[:80])
    monkeypatch.setattr(hold_music, "wav", lambda: short)
    line.cloud.faults.append(Fault(cut=True, at="/Calls.json"))
    leg = await handed_over(line, mind, Person(), warm=True)
    await is_back(line, leg)
    assert leg.played == [told_music().url]
    assert [row.state for row in await line.rows(Command, kind="hand_over")] == ["unknown"]
