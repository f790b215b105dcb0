"""What an agent does besides speaking, at any carrier: from the mind to the carrier and back."""

from __future__ import annotations

import pytest

from agents.brain.events import HangUp, TakeMessage, Transfer
from calls.models import Call, Leg, TakenMessage, Utterance
from tests.calls.acting import CUSTOMER, MESSAGE, SALES, is_back
from tests.calls.acting import desk as desk
from tests.calls.acting import mind as mind
from tests.calls.telnyx_line import telnyx_line
from tests.calls.twilio_line import twilio_line
from tests.calls.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

BUSY = {"telnyx": {"hangup_cause": "user_busy"}, "twilio": {"status": "busy"}}


@pytest.fixture(params=[telnyx_line, twilio_line], ids=["telnyx", "twilio"])
async def line(request, desk, mind, quiet, settings, monkeypatch):
    async with request.param(desk, quiet, settings, monkeypatch) as carrier:
        yield carrier


async def test_keys_are_a_turn_a_message_is_kept_and_the_agent_hangs_up(line, mind):
    leg = await line.dialled()
    mind(TakeMessage("Llegó tarde.", "Ana"))
    await line.press(leg)
    (message,) = await until(lambda: line.rows(TakenMessage))
    assert (message.text, message.number) == ("Llegó tarde.", CUSTOMER)
    (turn,) = await line.rows(Utterance, role="caller")
    assert turn.text == "1"
    mind(HangUp())
    await line.press(leg)
    await line.over(leg)
    assert (await line.call(state="ended")).end_reason == "agent_hung_up"


async def test_machine_is_left_the_message_after_its_beep(line):
    line.cloud.people[CUSTOMER] = line.machine
    await line.place(CUSTOMER)
    call = await line.call(state="ended")
    assert call.end_reason == "voicemail_left"
    assert MESSAGE in [turn.heard_text for turn in await line.rows(Utterance)]
    await until(lambda: line.rows(Leg, state="ended", picked_up="machine", may_speak=True))


async def test_person_who_picks_up_hears_the_agent_and_may_be_handed_over(line, mind):
    line.cloud.people[SALES] = line.person(**BUSY[line.carrier])
    mind(Transfer("Ventas", warm=False, briefing=""))
    await line.place(CUSTOMER)
    await until(lambda: line.rows(Leg, picked_up="human"))
    await until(lambda: line.rows(Utterance, role="agent"))
    leg = next(iter(line.cloud.legs.values()))
    await line.press(leg)
    await is_back(line, leg)
    assert MESSAGE not in [turn.heard_text for turn in await line.rows(Utterance)]
    assert len(await line.rows(Call)) == 1
