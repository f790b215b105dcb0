"""Whole calls between our adapter and a Twilio that may misbehave, over real sockets."""

from __future__ import annotations

import uuid

import pytest

from calls.providers.carriers.legs import LegState, picture
from calls.providers.carriers.port import Handover, MachineDetection, OutgoingMessage
from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    Detected,
    EndCause,
    Ended,
    HandoverEnded,
    MessageKind,
    MessageReceived,
    MessageState,
    RecordingReady,
    Ringing,
    StreamStarted,
    StreamStopped,
)
from calls.voice.codecs import mulaw_encode
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from calls.voice.text import Heard, Interrupted
from tests.peers.twilio_cloud import Fault, Person
from tests.providers.carriers.office import TONE, dial, moved, on_the_phone
from tests.providers.carriers.twilio_office import an_office

CAUSES = {"busy": EndCause.BUSY, "no-answer": EndCause.NO_ANSWER, "failed": EndCause.FAILED}


# --- inwards -----------------------------------------------------------------------------


async def test_incoming_call_is_answered_heard_and_hung_up():
    async with an_office() as (office, cloud):
        leg, caller, _ = await on_the_phone(office, cloud)
        assert office.starts[0].parameters == {"token": "secret"}
        assert office.starts[0].leg == leg.sid
        await caller.media(mulaw_encode(TONE[:320]))
        await caller.dtmf("5")
        await office.until(lambda: Dtmf("5") in office.events)
        await cloud.hang_up(leg)
        ended = await office.told(Ended, leg.sid)
        assert ended.cause is EndCause.COMPLETED
        await office.until(lambda: Closed("caller_hung_up") in office.events)
        await office.told(StreamStopped)
        assert {type(signal) for signal in office.signals} == {
            Ringing, StreamStarted, StreamStopped, Ended,
        }  # fmt: skip


async def test_agent_is_heard_and_interrupted():
    async with an_office() as (office, cloud):
        _, caller, media = await on_the_phone(office, cloud)
        await media.send(TONE)
        await media.mark("g1-1")
        await office.until(lambda: Mark("g1-1") in office.events)
        assert bytes(caller.playout.stretches[0].sound) == mulaw_encode(TONE)
        await media.send(TONE * 100)
        await media.mark("g1-2")
        await media.clear()
        await office.until(lambda: Mark("g1-2") in office.events)
        assert caller.playout.stretches[-1].cleared


async def test_call_that_nobody_takes_is_refused_for_nothing():
    async with an_office() as (office, cloud):
        office.answers = False
        leg = await cloud.call(to="+1", caller="+52")
        await office.until(lambda: not leg.is_alive)
        assert (leg.status, leg.stream) == ("busy", None)


async def test_lost_stream_is_asked_about_and_taken_up_again():
    async with an_office() as (office, cloud):
        office.goes_on = True
        leg, caller, _ = await on_the_phone(office, cloud)
        await caller.vanish()
        await office.until(lambda: Closed("media_lost") in office.events)
        await office.until(lambda: len(office.starts) == 2)
        assert office.starts[1].parameters == {"token": "again"}
        assert leg.is_alive


async def test_live_call_is_attached_anew_by_command():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await office.api.reattach(leg.sid, office.target("second", office.hooks), uuid.uuid4())
        await office.until(lambda: len(office.starts) == 2)
        assert office.starts[1].parameters == {"token": "second"}
        assert leg.is_alive


async def test_last_word_is_said_and_the_leg_ends():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await office.api.say_and_hang_up(leg.sid, "Lo siento", "es", uuid.uuid4())
        await office.told(Ended, leg.sid)
        assert leg.said == ["Lo siento"]


async def test_webhook_signed_with_another_token_is_refused():
    async with an_office() as (office, cloud):
        office.credentials = office.credentials.model_copy(update={"auth_token": _token("x" * 32)})
        leg = await cloud.call(to="+1", caller="+52")
        assert {status for _, _, status in cloud.delivered} == {403}
        assert (office.signals, leg.status) == ([], "failed")


def _token(text: str):
    from pydantic import SecretStr

    return SecretStr(text)


# --- in text -----------------------------------------------------------------------------


async def test_call_is_held_in_text():
    async with an_office() as (office, cloud):
        office.relays = True
        leg = await cloud.call(to="+1", caller="+52")
        relay = await office.until(lambda: office.relays_open and office.relays_open[-1])
        (caller,) = leg.lines
        assert (office.starts[0].leg, office.starts[0].parameters) == (
            leg.sid, {"token": "secret"},
        )  # fmt: skip
        await caller.say("¿Está abierto?")
        await office.until(lambda: Heard("¿Está abierto?", "es-MX", final=True) in office.events)
        await relay.say("Sí, ", last=False)
        await relay.say("hasta las nueve.", last=True)
        await office.until(lambda: caller.spoken == "Sí, hasta las nueve.")
        await caller.interrupt("Sí, has", 460)
        await caller.dtmf("5")
        await office.until(lambda: Dtmf("5") in office.events)
        assert Interrupted("Sí, has", 460.0) in office.events
        await relay.end()
        await office.told(Ended, leg.sid)


# --- outwards ----------------------------------------------------------------------------


async def test_placed_call_is_answered_and_streams():
    async with an_office() as (office, _):
        leg = await office.api.place(dial(office, detect=MachineDetection.AFTER_GREETING))
        await office.until(lambda: office.starts)
        ringing = await office.told(Ringing, leg)
        assert (ringing.incoming, ringing.to_number) == (False, "+49")
        assert (await office.told(Answered, leg)).order == 2
        assert (await office.told(Detected, leg)).answerer is Answerer.HUMAN
        assert office.starts[0].parameters == {"token": "out"}
        await office.told(StreamStarted, leg)


async def test_machine_may_be_left_a_message():
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(answered_by="machine_end_beep")
        leg = await office.api.place(dial(office, detect=MachineDetection.AFTER_GREETING))
        await office.until(lambda: picture(s for s in office.signals if s.leg == leg).may_speak)


@pytest.mark.parametrize(("word", "cause"), CAUSES.items())
async def test_call_that_nobody_takes_says_why(word, cause):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(status=word)
        leg = await office.api.place(dial(office))
        assert (await office.told(Ended, leg)).cause is cause
        assert office.starts == []


@pytest.mark.parametrize("seed", range(3))
async def test_callbacks_twice_and_shuffled_make_the_same_picture(seed):
    async with an_office() as (office, cloud):
        cloud.twice = True
        cloud.hold()
        leg = await office.api.place(dial(office))
        await office.until(lambda: office.starts)
        await cloud.hang_up(cloud.legs[leg])
        await cloud.release(seed)
        found = picture(s for s in office.signals if s.leg == leg)
        assert (found.state, found.cause) == (LegState.ENDED, EndCause.COMPLETED)
        assert found.answered_at is not None


async def test_call_is_given_up_while_it_rings():
    async with an_office() as (office, cloud):
        cloud.delay = 0.05
        leg = await office.api.place(dial(office))
        await office.api.hang_up(leg, uuid.uuid4())
        assert (await office.told(Ended, leg)).cause is EndCause.CANCELLED
        assert office.starts == []


# --- handing over ------------------------------------------------------------------------


async def hand_over(office, leg, briefing: str = "") -> None:
    await office.api.hand_over(
        Handover(leg.sid, "+49", "+1", office.hooks, uuid.uuid4(), "es", 25, briefing)
    )


async def test_blind_handover_joins_and_ends_with_the_person():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg)
        person = await office.until(lambda: leg.bridged_to)
        assert (person.parent, person.from_number) == (leg, "+1")
        await cloud.hang_up(person)
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached, ended.person_leg) == (leg.sid, True, person.sid)
        await office.told(Ended, leg.sid)


@pytest.mark.parametrize(("word", "cause"), CAUSES.items())
async def test_blind_handover_to_nobody_brings_the_caller_back(word, cause):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(status=word)
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg)
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached, ended.cause) == (leg.sid, False, cause)
        await office.until(lambda: len(office.starts) == 2)
        assert office.starts[1].parameters == {"token": "back"}
        assert leg.is_alive


async def test_person_who_accepts_gets_the_caller():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Ana pregunta por su vuelo. Pulse 1.")
        bridged = await office.told(Bridged, leg.sid)
        person = await office.until(lambda: leg.bridged_to)
        assert bridged.other_leg == person.sid
        assert person.said == ["Ana pregunta por su vuelo. Pulse 1."]
        assert (await office.told(Ringing, person.sid)).session == leg.sid
        await cloud.hang_up(person)
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached) == (leg.sid, True)
        await office.told(Ended, leg.sid)


async def test_caller_who_hangs_up_on_the_person_lets_them_go():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        person = await office.until(lambda: leg.bridged_to)
        await cloud.hang_up(leg)
        await office.told(Ended, person.sid)
        assert (await office.told(HandoverEnded)).reached


@pytest.mark.parametrize(
    "person", [Person(keys="2"), Person(keys=""), Person(hangs_up=True)], ids=["2", "none", "gone"]
)
async def test_person_who_declines_leaves_the_caller_with_the_agent(person):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = person
        leg, caller, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached, ended.cause) == (leg.sid, False, EndCause.REJECTED)
        await caller.dtmf("9")
        await office.until(lambda: Dtmf("9") in office.events)
        assert (leg.is_alive, len(office.starts)) == (True, 1)


@pytest.mark.parametrize(("word", "cause"), CAUSES.items())
async def test_nobody_there_leaves_the_caller_with_the_agent(word, cause):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(status=word)
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached, ended.cause) == (leg.sid, False, cause)
        assert (leg.is_alive, len(office.starts)) == (True, 1)


async def test_person_is_let_go_when_the_caller_gave_up_meanwhile():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        cloud.delay = 0.05
        await hand_over(office, leg, "Pulse 1.")
        await cloud.hang_up(leg)
        person = await office.until(lambda: [x for x in cloud.legs.values() if x is not leg])
        assert (await office.told(HandoverEnded)).reached is False
        assert not person[0].is_alive


async def test_person_is_let_go_when_the_caller_cannot_be_brought():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        cloud.faults.append(Fault(status=503))
        ended = await office.told(HandoverEnded)
        assert (ended.reached, ended.cause) == (False, EndCause.REJECTED)
        assert (leg.is_alive, len(office.starts)) == (True, 1)


async def test_key_told_twice_joins_once():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        cloud.asks_twice = cloud.twice = True
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: leg.bridged_to)
        joins = [form for _, path, form in cloud.requests if leg.sid in path]
        assert len(joins) == 1


@pytest.mark.parametrize("takes", [True, False])
async def test_caller_whom_the_agent_let_go_waits_for_the_person(takes):
    async with an_office() as (office, cloud):
        office.holds = 30
        cloud.people["+49"] = Person(keys="1" if takes else "2")
        leg, _, media = await on_the_phone(office, cloud)
        await media.hang_up(1000)
        await office.until(lambda: leg.played == [office.music.url])
        await hand_over(office, leg, "Pulse 1.")
        if takes:
            await office.until(lambda: leg.bridged_to)
            return
        assert not (await office.told(HandoverEnded)).reached
        await office.api.reattach(leg.sid, office.target("back", office.hooks), uuid.uuid4())
        await office.until(lambda: len(office.starts) == 2)


async def test_caller_whom_nobody_fetches_is_asked_about():
    async with an_office() as (office, cloud):
        office.holds = 0
        leg, _, media = await on_the_phone(office, cloud)
        await media.hang_up(1000)
        assert not (await office.told(HandoverEnded, leg.sid)).reached
        await office.until(lambda: len(office.starts) == 2)
        assert office.starts[1].parameters == {"token": "back"}


async def test_caller_does_not_wait_for_ever_for_a_person_who_left():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        person = await office.until(lambda: leg.bridged_to)
        for room in list(cloud.rooms.values()):
            room.over = type(room.over)()  # the caller came into a room of the same name, later
        await cloud.hang_up(person)
        await office.told(Ended, leg.sid)


# --- messages and recordings ---------------------------------------------------------------


@pytest.mark.parametrize("kind", list(MessageKind))
@pytest.mark.parametrize("nobody", [False, True])
async def test_message_goes_out_and_tells_what_became_of_it(nobody, kind):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(status="failed" if nobody else "")
        found = await office.api.send_message(
            OutgoingMessage(kind, "+49", "+1", "Hola", office.hooks)
        )
        last = MessageState.FAILED if nobody else MessageState.DELIVERED
        await office.until(lambda: [s.state for s in moved(office)] == [MessageState.SENT, last])
        assert {signal.message_id for signal in moved(office)} == {found}
        assert moved(office)[-1].error == ("30003" if nobody else "")


async def test_written_message_is_received_once():
    async with an_office() as (office, cloud):
        cloud.twice = True
        await cloud.write(to="whatsapp:+1", writer="whatsapp:+52", text="Hola", ProfileName="Ana")
        (received,) = office.signals
        assert isinstance(received, MessageReceived)
        assert (received.kind, received.text, received.sender_name) == (
            MessageKind.WHATSAPP, "Hola", "Ana",
        )  # fmt: skip
        assert (received.from_number, received.to_number) == ("+52", "+1")


async def test_recording_is_told_of_and_fetched():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await office.api.record(leg.sid, office.hooks)
        await cloud.recorded(leg, b"RIFF" * 50_000)
        ready = await office.told(RecordingReady, leg.sid)
        assert (ready.channels, ready.seconds) == (2, 7.0)
        sound = [piece async for piece in office.api.recording(ready.recording_id, ready.url)]
        assert b"".join(sound) == b"RIFF" * 50_000


async def test_reordered_sound_is_heard_in_order():
    async with an_office() as (office, cloud):
        _, caller, _ = await on_the_phone(office, cloud)
        await caller.reordered(1)
        await caller.dtmf("1")
        await office.until(lambda: Dtmf("1") in office.events)
        heard = [event.timestamp for event in office.events if isinstance(event, Audio)]
        assert heard == sorted(heard)
