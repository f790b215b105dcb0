"""What an agent does at Telnyx alone, or by other means: from the mind to the carrier and back."""

from __future__ import annotations

import pytest

from agents.brain.events import SendDtmf
from calls.carriers.links import hold_music
from calls.models import Command, Leg
from tests.calls.acting import SALES, handed_over, is_back
from tests.calls.acting import desk as desk
from tests.calls.acting import mind as mind
from tests.calls.telnyx_line import telnyx_line
from tests.calls.waiting import until
from tests.peers.telnyx import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def line(desk, mind, quiet, settings, monkeypatch):
    async with telnyx_line(desk, quiet, settings, monkeypatch) as telnyx:
        yield telnyx


async def test_keys_of_the_agent_are_pressed_by_command_once_each(line, mind):
    leg = await line.dialled()
    mind(SendDtmf("12#"))
    for times in (1, 2):
        await line.press(leg)
        await until(lambda times=times: len(line.asked("send_dtmf")) == times)
    assert [body["digits"] for body in line.asked("send_dtmf")] == ["12#", "12#"]
    await until(lambda: line.rows(Command, kind="send_dtmf", state="done"))
    await line.hang_up(leg)
    await line.call(state="ended")


@pytest.mark.parametrize("warm", [False, True])
async def test_caller_whom_nobody_takes_is_back_with_the_agent(line, mind, warm):
    person = Person(keys="2") if warm else Person("user_busy")
    leg = await handed_over(line, mind, person, warm=warm)
    await is_back(line, leg)
    assert await line.rows(Command, kind="hand_over", state="done")
    briefings = [str(each["payload"]) for each in line.asked("gather_using_speak")]
    assert ["Un reembolso." in each for each in briefings] == ([True] if warm else [])
    assert leg.played == ([hold_music().url] if warm else [])
    assert not leg.playing


async def test_caller_whom_a_briefed_person_takes_is_transferred(line, mind):
    leg = await handed_over(line, mind, Person(keys="1"), warm=True)
    call = await line.call(state="ended")
    assert (call.end_reason, call.transfer_to) == ("transferred", SALES)
    await until(lambda: leg.bridged_to is not None)
    assert leg.bridged_to.to_number == SALES
    await until(lambda: leg.played == [hold_music().url] and not leg.playing)
    await line.hang_up(leg)
    await until(lambda: line.rows(Leg, role="customer", state="ended"))
