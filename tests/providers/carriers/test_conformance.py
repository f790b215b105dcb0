"""One list of scenarios, and every carrier has to pass it: its adapter against its stand-in.

What a carrier has no `Capability` for it has to refuse as `Unsupported`. What needs no carrier,
but a conversation alone, pages pass too.
"""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from agents.brain.errors import ProviderError
from calls.providers.carriers.dtmf import tones
from calls.providers.carriers.legs import LegState, picture
from calls.providers.carriers.port import Capability, MachineDetection, OutgoingMessage, Unsupported
from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    EndCause,
    Ended,
    HandoverEnded,
    MessageKind,
    MessageMoved,
    MessageState,
    Ringing,
)
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from calls.voice.resample import resample
from tests.providers.carriers.exchanges import (
    CALLER,
    EXCHANGES,
    OURS,
    PERSON,
    FarEnd,
    Line,
    Manner,
)
from tests.providers.carriers.pages import PAGES

RATE = 8000
FRAME = np.tile(np.array([4000, -4000], "<i2"), 80).tobytes()  # 20 ms
SPEECH = (np.sin(np.arange(RATE // 5) / 4) * 8000).astype("<i2").tobytes()  # 200 ms at 8 kHz
LINES = {**EXCHANGES, **PAGES}
# Where nothing can be flushed, what was sent ahead is heard to its end.
STOPS_WITHIN = 0.25


@pytest.fixture(params=list(EXCHANGES))
async def exchange(request):
    async with EXCHANGES[request.param]() as found:
        yield found


@pytest.fixture(params=list(LINES))
async def line(request):
    async with LINES[request.param]() as found:
        yield found


async def hears(line: Line, far: FarEnd) -> None:
    """Whoever is at the far end is heard by us, and hears us."""
    before = len(line.witness.events)
    await far.say(FRAME)
    await line.witness.until(
        lambda: any(isinstance(event, Audio) for event in line.witness.events[before:])
    )
    await line.witness.media[-1].send(speech(line))
    await line.witness.until(lambda: far.has_heard(SPEECH))


def speech(line: Line, times: int = 1) -> bytes:
    """200 ms of the agent's, or more of it."""
    return resample(SPEECH * times, RATE, line.rate)


# --- calls -------------------------------------------------------------------------------


async def test_caller_and_agent_hear_each_other(line):
    await hears(line, await line.call())


async def test_incoming_call_says_who_calls_whom(exchange):
    caller = await exchange.call()
    ringing = await exchange.witness.told(Ringing, caller.leg)
    assert (ringing.incoming, ringing.from_number, ringing.to_number) == (True, CALLER, OURS)


async def test_placed_call_is_answered_and_both_sides_are_heard(exchange):
    exchange.person(Manner.ANSWERS)
    leg = await exchange.api.place(exchange.dial())
    ringing = await exchange.witness.told(Ringing, exchange.in_signals(leg))
    assert (ringing.incoming, ringing.to_number) == (False, PERSON)
    await exchange.witness.told(Answered, exchange.in_signals(leg))
    await hears(exchange, await exchange.placed(leg))


@pytest.mark.parametrize(
    ("manner", "cause"), [(Manner.BUSY, EndCause.BUSY), (Manner.AWAY, EndCause.NO_ANSWER)]
)
async def test_placed_call_that_nobody_takes_says_why(exchange, manner, cause):
    exchange.person(manner)
    assert await exchange.cause_of_placing() is cause
    assert exchange.witness.media == []


async def test_voicemail_is_detected_and_may_be_spoken_to(exchange):
    if Capability.MACHINE_DETECTION not in exchange.capabilities:
        with pytest.raises(Unsupported):
            await exchange.api.place(exchange.dial(detect=MachineDetection.AFTER_GREETING))
        return
    exchange.person(Manner.MACHINE)
    leg = await exchange.api.place(exchange.dial(detect=MachineDetection.AFTER_GREETING))

    def seen():
        return picture(signal for signal in exchange.witness.signals if signal.leg == leg)

    await exchange.witness.until(lambda: seen().may_speak)
    assert seen().answerer is Answerer.MACHINE


# --- the conversation --------------------------------------------------------------------


async def test_what_was_played_is_acknowledged(line):
    await line.call()
    media = line.witness.media[-1]
    await media.send(speech(line))
    await media.mark("said")
    await line.witness.until(lambda: Mark("said") in line.witness.events)


async def test_interrupted_agent_falls_silent(line):
    caller = await line.call()
    media = line.witness.media[-1]
    await media.send(speech(line, 25))
    await media.mark("said")
    await line.witness.until(lambda: caller.heard)
    await media.clear()
    await line.witness.until(lambda: Mark("said") in line.witness.events)
    assert caller.left_to_play <= STOPS_WITHIN
    heard = len(caller.heard)
    await media.send(speech(line))  # the next answer comes through, nothing of the last before it
    await line.witness.until(lambda: len(caller.heard) > heard)


async def test_keys_of_the_caller_arrive_in_order(line):
    caller = await line.call()
    for key in "1*0#":
        await caller.press(key)
    keys = [Dtmf(key) for key in "1*0#"]
    await line.witness.until(
        lambda: [event for event in line.witness.events if isinstance(event, Dtmf)] == keys
    )


async def test_keys_are_pressed_by_command_or_as_tones(exchange):
    caller = await exchange.call()
    try:
        await exchange.api.send_dtmf(caller.leg, "5", uuid.uuid4())
    except Unsupported:
        await exchange.witness.media[-1].send_dtmf("5")
        await exchange.witness.until(lambda: caller.has_heard(tones("5", RATE)[:320]))
    else:
        assert exchange.keys_pressed(caller) == "5"


# --- to a person -------------------------------------------------------------------------


@pytest.mark.parametrize("briefing", ["", "Ana pregunta por su vuelo. Pulse 1."])
async def test_person_who_takes_the_caller_talks_to_them(exchange, briefing):
    exchange.person(Manner.ANSWERS)
    caller = await exchange.call()
    await exchange.api.hand_over(exchange.handover(caller, briefing))
    await exchange.joined(caller)
    ended = await exchange.witness.told(HandoverEnded, caller.leg)
    assert ended.reached
    await exchange.witness.until(lambda: caller.is_gone)


@pytest.mark.parametrize(
    ("manner", "briefing", "cause"),
    [
        (Manner.BUSY, "", EndCause.BUSY),
        (Manner.AWAY, "", EndCause.NO_ANSWER),
        (Manner.BUSY, "Pulse 1.", EndCause.BUSY),
        (Manner.AWAY, "Pulse 1.", EndCause.NO_ANSWER),
        (Manner.DECLINES, "Pulse 1.", EndCause.REJECTED),
    ],
)
async def test_caller_whom_nobody_takes_is_with_the_agent(exchange, manner, briefing, cause):
    exchange.person(manner)
    caller = await exchange.call()
    await exchange.api.hand_over(exchange.handover(caller, briefing))
    ended = await exchange.witness.told(HandoverEnded, caller.leg)
    assert (ended.reached, ended.cause) == (False, cause)
    bridged = [signal for signal in exchange.witness.signals if isinstance(signal, Bridged)]
    assert bridged == []
    if exchange.witness.events[-1:] == [Closed("caller_hung_up")]:  # its sound is brought back
        await exchange.witness.until(lambda: len(exchange.witness.media) == 2)
    await hears(exchange, caller)


# --- the end -----------------------------------------------------------------------------


async def test_caller_who_hangs_up_ends_the_talk(line):
    caller = await line.call()
    await caller.hang_up()
    await line.witness.until(lambda: Closed("caller_hung_up") in line.witness.events)


async def test_agent_who_hangs_up_ends_the_call(line):
    caller = await line.call()
    await line.hang_up(caller)
    await line.witness.until(lambda: caller.is_gone)


async def test_leg_of_a_caller_who_hangs_up_has_ended(exchange):
    caller = await exchange.call()
    await caller.hang_up()
    assert (await exchange.witness.told(Ended, caller.leg)).cause is EndCause.COMPLETED
    seen = picture(signal for signal in exchange.witness.signals if signal.leg == caller.leg)
    assert seen.state is LegState.ENDED


async def test_leg_may_be_hung_up_twice(exchange):
    caller = await exchange.call()
    await exchange.api.hang_up(caller.leg, uuid.uuid4())
    await exchange.witness.told(Ended, caller.leg)
    await exchange.api.hang_up(caller.leg, uuid.uuid4())


async def test_lost_sound_is_told_as_such(line):
    caller = await line.call()
    await caller.lose_media()
    await line.witness.until(lambda: Closed("media_lost") in line.witness.events)


async def test_lost_sound_is_brought_back(exchange):
    caller = await exchange.call()
    await caller.lose_media()
    await exchange.witness.until(lambda: Closed("media_lost") in exchange.witness.events)
    assert not caller.is_gone
    await exchange.attached_again(caller)
    await hears(exchange, caller)


async def test_carrier_whose_api_is_down_says_so_and_the_call_goes_on(exchange):
    exchange.person(Manner.ANSWERS)
    caller = await exchange.call()
    exchange.api_is_down(down=True)
    for command in (
        exchange.api.place(exchange.dial()),
        exchange.api.hand_over(exchange.handover(caller)),
        exchange.api.hang_up(caller.leg, uuid.uuid4()),
    ):
        with pytest.raises(ProviderError):
            await command
    await hears(exchange, caller)
    exchange.api_is_down(down=False)
    await exchange.api.hang_up(caller.leg, uuid.uuid4())
    await exchange.witness.told(Ended, caller.leg)


async def test_calls_at_the_same_time_do_not_meet(line):
    first, second = await line.call(), await line.call()
    await hears(line, second)
    assert not first.has_heard(SPEECH)
    await first.hang_up()
    await line.witness.until(lambda: Closed("caller_hung_up") in line.witness.events)
    assert not second.is_gone


async def test_what_is_told_twice_counts_once(exchange):
    exchange.tell_twice()
    caller = await exchange.call()
    await caller.hang_up()
    await exchange.witness.told(Ended, caller.leg)
    await hears(exchange, await exchange.call())  # by now all of the first call was told again
    facts = [signal for signal in exchange.witness.signals if signal.leg == caller.leg]
    assert len({signal.event_id for signal in facts}) == len(facts)
    assert len([fact for fact in facts if isinstance(fact, Ended)]) == 1


# --- messages and recordings ---------------------------------------------------------------


@pytest.mark.parametrize("kind", list(MessageKind))
async def test_message_goes_out_and_is_delivered(exchange, kind):
    message = OutgoingMessage(kind, PERSON, OURS, "Hola", exchange.signals_url)
    if Capability(kind.value) not in exchange.capabilities:
        with pytest.raises(Unsupported):
            await exchange.api.send_message(message)
        return
    sent = await exchange.api.send_message(message)
    wanted = [(sent, MessageState.SENT), (sent, MessageState.DELIVERED)]
    await exchange.witness.until(
        lambda: (
            [
                (signal.message_id, signal.state)
                for signal in exchange.witness.signals
                if isinstance(signal, MessageMoved)
            ]
            == wanted
        )
    )


async def test_recording_that_nobody_made_is_an_error(exchange):
    kind = ProviderError if Capability.RECORDING in exchange.capabilities else Unsupported
    with pytest.raises(kind):
        _ = [piece async for piece in exchange.api.recording("RE1", "http://127.0.0.1:1/RE1")]
