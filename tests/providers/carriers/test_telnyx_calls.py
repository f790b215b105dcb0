"""Whole calls between our adapter and a Telnyx that may misbehave, over real sockets."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from agents.brain.errors import NetworkFailure
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
    Ringing,
    StreamStarted,
    StreamStopped,
)
from calls.voice.codecs import mulaw_encode
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from tests.peers.telnyx import Fault, Person, RudeStream
from tests.providers.carriers.office import TONE, dial, moved, on_the_phone
from tests.providers.carriers.telnyx_office import an_office

CAUSES = {"user_busy": EndCause.BUSY, "timeout": EndCause.NO_ANSWER}


async def test_incoming_call_is_answered_heard_and_hung_up():
    async with an_office() as (office, cloud):
        leg, caller, _ = await on_the_phone(office, cloud)
        assert office.starts[0].parameters == {"token": "secret"}
        assert office.starts[0].leg == leg.id
        await caller.media(mulaw_encode(TONE[:320]))
        await caller.dtmf("5")
        await caller.stop()
        ended = await office.told(Ended, leg.id)
        assert (ended.cause, ended.detail) == (EndCause.COMPLETED, "normal_clearing, caller")
        await office.until(lambda: Closed("caller_hung_up") in office.events)
        assert Dtmf("5") in office.events
        kinds = {type(signal) for signal in office.signals}
        assert kinds == {Ringing, Answered, StreamStarted, StreamStopped, Ended}


async def test_agent_is_heard_and_its_marks_come_back_when_it_was():
    async with an_office() as (office, cloud):
        _, caller, media = await on_the_phone(office, cloud)
        await media.send(TONE)
        await media.mark("g1-1")
        await office.until(lambda: Mark("g1-1") in office.events)
        assert bytes(caller.playout.stretches[0].sound) == mulaw_encode(TONE)
        assert media.errors == {}


async def test_interrupted_agent_is_silent_at_once_and_its_marks_come_back():
    async with an_office() as (office, cloud):
        _, caller, media = await on_the_phone(office, cloud)
        await media.send(TONE * 100)
        await media.mark("g1-1")
        await media.clear()
        await office.until(lambda: Mark("g1-1") in office.events)
        assert caller.playout.stretches[-1].cleared
        assert caller.playout.plays_until <= caller.clock()


async def test_shuffled_doubled_and_lost_chunks_are_heard_in_order():
    async with an_office() as (office, cloud):
        _, caller, media = await on_the_phone(office, cloud)
        await caller.chunks([1, 3, 2, 2, 5, 4, 7, 8, 9, 10, 11])
        await office.until(lambda: media.positions.expected >= 220)
        heard = [event for event in office.events if isinstance(event, Audio)]
        assert sum(len(event.pcm) for event in heard) == 10 * 320
        assert [e.timestamp for e in heard] == sorted(e.timestamp for e in heard)
        assert (media.positions.lost_ms, media.positions.late) == (20, 1)


async def test_complaints_and_garbage_do_not_end_a_call():
    async with an_office() as (office, cloud):
        _, caller, media = await on_the_phone(office, cloud)
        await caller.rate_limited()
        await caller.malformed_json()
        await caller.binary()
        await caller.dtmf("1")
        await office.until(lambda: Dtmf("1") in office.events)
        assert (media.errors["rate_limit_reached"], media.malformed) == (1, 2)


@pytest.mark.parametrize("leave", [RudeStream.vanish, RudeStream.end_without_stop])
async def test_lost_stream_is_brought_back_to_the_same_leg(leave):
    async with an_office() as (office, cloud):
        leg, caller, _ = await on_the_phone(office, cloud)
        await leave(caller)
        await office.until(lambda: Closed("media_lost") in office.events)
        await office.api.reattach(leg.id, office.target("second"), uuid.uuid4())
        await office.until(lambda: len(office.starts) == 2)
        assert office.starts[1].parameters == {"token": "second"}
        assert office.starts[1].leg == leg.id


@pytest.mark.parametrize("seed", range(3))
async def test_webhooks_twice_and_shuffled_make_the_same_picture(seed):
    async with an_office() as (office, cloud):
        office.answers = False
        cloud.twice = True
        cloud.hold()
        leg = await cloud.call(to="+1", caller="+52")
        await cloud.end(leg, "originator_cancel", "caller")
        await cloud.release(seed)
        found = picture(s for s in office.signals if s.leg == leg.id)
        assert (found.state, found.cause) == (LegState.ENDED, EndCause.CANCELLED)
        assert [status for _, status in cloud.delivered] == [200] * 4


async def test_webhook_that_failed_comes_again_elsewhere():
    async with an_office() as (office, cloud):
        office.fail_webhooks, cloud.retries = 1, 2
        cloud.failover_url = f"{office.url}/failover"
        await cloud.call(to="+1", caller="+52")
        await office.told(Ringing)
        tries = [status for envelope, status in cloud.delivered
                 if envelope["data"]["event_type"] == "call.initiated"]  # fmt: skip
        assert tries == [500, 200]


async def test_webhook_with_another_key_is_refused():
    async with an_office() as (office, cloud):
        office.credentials = office.credentials.model_copy(update={"public_key": "A" * 43 + "="})
        await cloud.call(to="+1", caller="+52")
        assert cloud.delivered[-1][1] == 403
        assert office.signals == []


# --- outwards ----------------------------------------------------------------------------


async def test_placed_call_is_answered_and_streams():
    async with an_office() as (office, _):
        leg = await office.api.place(
            dial(office, client_state="row-7", detect=MachineDetection.AFTER_GREETING)
        )
        await office.until(lambda: office.starts)
        ringing = await office.told(Ringing, leg)
        assert (ringing.incoming, ringing.client_state) == (False, "row-7")
        assert (await office.told(Detected, leg)).answerer is Answerer.HUMAN
        assert office.starts[0].parameters == {"token": "out"}


async def test_machine_may_be_left_a_message():
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(detected="machine")
        leg = await office.api.place(dial(office, detect=MachineDetection.AFTER_GREETING))
        await office.until(lambda: picture(s for s in office.signals if s.leg == leg).may_speak)


@pytest.mark.parametrize(("word", "cause"), CAUSES.items())
async def test_call_that_nobody_takes_says_why(word, cause):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(hangup_cause=word)
        leg = await office.api.place(dial(office))
        assert (await office.told(Ended, leg)).cause is cause
        assert office.starts == []


# --- handing over ------------------------------------------------------------------------


async def hand_over(office, leg, briefing: str = "") -> None:
    about = Handover(
        leg.id, "+49", "+1", office.hooks, uuid.uuid4(), "es", 25, briefing,
        music=office.music,
    )  # fmt: skip
    await office.api.hand_over(about)


async def test_person_who_accepts_gets_the_caller():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Ana pregunta por su vuelo. Pulse 1.")
        await office.told(Bridged, leg.id)
        assert leg.bridged_to is not None
        await cloud.end(leg.bridged_to, "normal_clearing", "callee")
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached) == (leg.id, True)
        assert not leg.is_alive


async def test_caller_hears_music_until_the_person_has_decided():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        cloud.hold()
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: leg.playing == office.music.url)
        await cloud.release(1)
        await office.told(Bridged, leg.id)
        await office.until(lambda: not leg.playing)
        assert leg.played == [office.music.url]


async def test_caller_who_is_taken_back_hears_the_agent_and_no_music():
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(keys="2")
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        assert not (await office.told(HandoverEnded)).reached
        await office.until(lambda: leg.playing)
        await office.api.reattach(leg.id, office.target("again"), uuid.uuid4())
        await office.until(lambda: len(office.starts) == 2)
        assert not leg.playing


async def test_last_word_is_not_said_under_the_music():
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(hangup_cause="user_busy")
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: leg.playing)
        await office.api.say_and_hang_up(leg.id, "Lo siento", "es", uuid.uuid4())
        await asyncio.wait_for(leg.done.wait(), 5)
        assert not leg.playing


async def test_music_that_cannot_be_played_keeps_no_person_from_being_called():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        cloud.faults.append(Fault(status=422, code="90000", at="/playback_start"))
        await hand_over(office, leg, "Pulse 1.")
        await office.told(Bridged, leg.id)
        assert leg.played == []


@pytest.mark.parametrize("keys", ["2", ""])
async def test_person_who_declines_leaves_the_caller_with_the_agent(keys):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(keys=keys)
        leg, caller, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, "Pulse 1.")
        ended = await office.told(HandoverEnded)
        assert (ended.leg, ended.reached, ended.cause) == (leg.id, False, EndCause.REJECTED)
        assert leg.is_alive
        await caller.dtmf("9")
        await office.until(lambda: Dtmf("9") in office.events)


@pytest.mark.parametrize("briefing", ["", "Pulse 1."])
@pytest.mark.parametrize(("word", "cause"), CAUSES.items())
async def test_nobody_there_leaves_the_caller_with_the_agent(word, cause, briefing):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(hangup_cause=word)
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg, briefing)
        ended = await office.told(HandoverEnded)
        assert (ended.reached, ended.cause, leg.is_alive) == (False, cause, True)


async def test_blind_handover_joins_at_once():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        await hand_over(office, leg)
        await office.told(Bridged, leg.id)
        await cloud.end(leg, "normal_clearing", "caller")
        assert (await office.told(HandoverEnded)).reached


async def test_person_is_let_go_when_the_caller_gave_up_meanwhile():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        cloud.hold()
        await hand_over(office, leg, "Pulse 1.")
        await office.until(lambda: len(cloud.legs) == 2)
        await cloud.end(leg, "originator_cancel", "caller")
        await cloud.release(1)
        (person,) = (known for known in cloud.legs.values() if known is not leg)
        await asyncio.wait_for(person.done.wait(), 5)


async def test_handover_told_twice_is_done_once():
    async with an_office() as (office, cloud):
        leg, _, _ = await on_the_phone(office, cloud)
        cloud.twice = True
        await hand_over(office, leg, "Pulse 1.")
        await office.told(Bridged, leg.id)
        said = [body for path, body in cloud.requests if path.endswith("gather_using_speak")]
        joined = [body for path, body in cloud.requests if path.endswith("bridge")]
        assert len({body["command_id"] for body in said}) == 1
        assert len({body["command_id"] for body in joined}) == 1


# --- a last word -------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [True, False])
async def test_last_word_is_said_and_the_leg_ends(answered):
    async with an_office() as (office, cloud):
        office.answers = answered
        leg = await cloud.call(to="+1", caller="+52")
        if answered:
            await office.told(StreamStarted, leg.id)
        await office.api.say_and_hang_up(leg.id, "Lo siento", "es", uuid.uuid4())
        await asyncio.wait_for(leg.done.wait(), 5)
        assert [body["payload"] for path, body in cloud.requests if path.endswith("speak")][-1] == (
            "Lo siento"
        )


# --- messages ----------------------------------------------------------------------------


def sms(office) -> OutgoingMessage:
    return OutgoingMessage(MessageKind.SMS, "+49", "+1", "Hola", office.hooks)


@pytest.mark.parametrize("nobody", [False, True])
async def test_message_tells_what_became_of_it(nobody):
    async with an_office() as (office, cloud):
        cloud.people["+49"] = Person(hangup_cause="not_found" if nobody else "")
        found = await office.api.send_message(sms(office))
        last = MessageState.FAILED if nobody else MessageState.DELIVERED
        await office.until(lambda: [s.state for s in moved(office)] == [MessageState.SENT, last])
        assert {signal.message_id for signal in moved(office)} == {found}
        assert moved(office)[-1].error == ("40001 Not routable" if nobody else "")


async def test_message_whose_answer_was_lost_is_not_asked_for_again_and_still_tells_of_itself():
    """Telnyx knows no repeated SMS by any id: asked for again, it would go out again."""
    async with an_office() as (office, cloud):
        cloud.faults.append(Fault(cut=True, late=True, at="/messages"))
        with pytest.raises(NetworkFailure):
            await office.api.send_message(sms(office))
        states = [MessageState.SENT, MessageState.DELIVERED]
        await office.until(lambda: [s.state for s in moved(office)] == states)
        assert len({signal.message_id for signal in moved(office)}) == 1
        assert [path for path, _ in cloud.requests] == ["/v2/messages"]


async def test_written_message_is_received():
    async with an_office() as (office, cloud):
        await cloud.write(to="+1", writer="+52", text="Hola", kind="WHATSAPP")
        received = await office.told(MessageReceived)
        assert (received.kind, received.text) == (MessageKind.WHATSAPP, "Hola")
