"""ConversationRelay: what is understood, what is overlooked, what ends the conversation."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from calls.providers.carriers.errors import Fault, MediaFault, StreamGone
from calls.providers.carriers.port import Relay, StreamTarget
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.twilio import twiml
from calls.providers.carriers.twilio.relay import (
    TwilioRelay,
    read_setup,
)
from calls.voice.ports import Closed, Dtmf
from calls.voice.text import CallerSpeaks, Heard, Interrupted, Spoken
from tests.calls.sockets import Socket

SETUP = {
    "type": "setup",
    "sessionId": "VX1",
    "accountSid": "AC1",
    "callSid": "CA1",
    "from": "+52",
    "to": "+1",
    "direction": "inbound",
    "customParameters": {"token": "secret"},
}


def prompt(text: object = "Hola", **more: object) -> dict[str, object]:
    return {"type": "prompt", "voicePrompt": text, "lang": "es-MX", "last": True, **more}


def relay_of(socket: Socket, **limits: int) -> TwilioRelay:
    return TwilioRelay(socket.receive, socket.send, limits=Limits(**limits))


async def told(*messages: object, **limits: int) -> tuple[list[object], TwilioRelay]:
    """All that comes of these messages, after which the socket is closed in order."""
    socket = Socket(messages)  # type: ignore[arg-type]
    socket.disconnect(1000)
    relay = relay_of(socket, **limits)
    return [event async for event in relay], relay


# --- the setup ---------------------------------------------------------------------------


async def test_setup_tells_whose_conversation_it_is():
    found = await read_setup(Socket([SETUP]).receive)
    assert (found.session_id, found.leg, found.account) == ("VX1", "CA1", "AC1")
    assert (found.from_number, found.to_number, found.incoming) == ("+52", "+1", True)
    assert found.parameters == {"token": "secret"}


@pytest.mark.parametrize("parameters", [None, [], "x", 7])
async def test_odd_parameters_are_none(parameters):
    found = await read_setup(Socket([{**SETUP, "customParameters": parameters}]).receive)
    assert found.parameters == {}


@pytest.mark.parametrize("early", [prompt(), {"type": "interrupt"}, {"type": "dtmf", "digit": "1"}])
async def test_talk_before_the_setup_is_refused(early):
    with pytest.raises(MediaFault, match="before the setup"):
        await read_setup(Socket([early, SETUP]).receive)


async def test_setup_that_does_not_come_is_not_waited_for():
    with pytest.raises(MediaFault, match="no start message") as caught:
        await read_setup(Socket([{"type": "info"}]).receive, Limits(start_seconds=0.01))
    assert caught.value.fault is Fault.MISSING_START


async def test_socket_that_closes_before_the_setup_is_gone():
    socket = Socket()
    socket.disconnect()
    with pytest.raises(StreamGone):
        await read_setup(socket.receive)


# --- what Twilio tells -------------------------------------------------------------------


async def test_caller_is_heard_bit_by_bit():
    events, _ = await told(prompt("Ho", last=False), prompt())
    assert events == [
        Heard("Ho", "es-MX", final=False),
        Heard("Hola", "es-MX", final=True),
        Closed("caller_hung_up"),
    ]


@pytest.mark.parametrize(
    ("after", "ms"),
    [("460", 460.0), (460, 460.0), (None, None), ("soon", None), ("nan", None), ("-1", None)],
)
async def test_interruption_tells_what_was_heard(after, ms):
    message = {
        "type": "interrupt",
        "utteranceUntilInterrupt": "Buenos días, le",
        "durationUntilInterruptMs": after,
    }
    events, _ = await told(message)
    assert events[0] == Interrupted("Buenos días, le", ms)


async def test_keys_and_spoken_words_are_told():
    events, _ = await told(
        {"type": "dtmf", "digit": "5"},
        {"type": "info", "name": "tokensPlayed", "value": "Buenos"},
        {"type": "info", "name": "agentSpeaking", "value": "on"},
        {"type": "info", "name": "clientSpeaking", "value": "on"},
        {"type": "info", "name": "clientSpeaking", "value": "off"},
        {"type": "info", "name": "clientSpeaking", "value": "perhaps"},
        {"type": "info"},
        {"type": "telepathy"},
    )
    assert events == [
        Dtmf("5"),
        Spoken("Buenos"),
        CallerSpeaks(True),
        CallerSpeaks(False),
        Closed("caller_hung_up"),
    ]


async def test_complaints_are_counted_and_logged(caplog):
    events, relay = await told({"type": "error", "description": "Invalid message"})
    assert (events, relay.complaints) == ([Closed("caller_hung_up")], 1)
    assert "Invalid message" in caplog.text


@pytest.mark.parametrize(
    "message",
    ["{", "[]", "7", prompt(None), prompt(7), {"type": "dtmf", "digit": "x"}, {"type": "dtmf"},
     b"\x00"],
)  # fmt: skip
async def test_a_few_messages_that_make_no_sense_are_overlooked(message):
    events, relay = await told(message, prompt())
    assert events == [Heard("Hola", "es-MX", final=True), Closed("caller_hung_up")]
    assert relay.malformed == 1
    events, relay = await told(*[message] * 3, prompt(), malformed=2)
    assert events == [Closed("media_lost")]
    assert relay.fault is not None


async def test_an_oversized_message_ends_it():
    events, relay = await told(prompt("x" * 200), message_bytes=100)
    assert events == [Closed("media_lost")]
    assert relay.fault is not None
    assert relay.fault.fault is Fault.OVERSIZED


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "caller_hung_up"), (1005, "media_lost"), (1006, "media_lost")]
)
async def test_how_the_socket_ends_tells_why(code, reason):
    socket = Socket()
    socket.disconnect(code)
    assert [event async for event in relay_of(socket)] == [Closed(reason)]


# --- what we tell ------------------------------------------------------------------------


async def test_what_we_say_is_as_twilio_takes_it():
    socket = Socket()
    relay = relay_of(socket)
    await relay.say("Buenos ", last=False)
    await relay.say("días.", last=True, interruptible=False)
    await relay.switch_language("en-US")
    await relay.send_dtmf("1w2")
    await relay.end({"why": "transfer"})
    await relay.end()
    assert socket.texts == [
        {"type": "text", "token": "Buenos ", "last": False},
        {"type": "text", "token": "días.", "last": True, "interruptible": False},
        {"type": "language", "ttsLanguage": "en-US", "transcriptionLanguage": "en-US"},
        {"type": "sendDigits", "digits": "1w2"},
        {"type": "end", "handoffData": '{"why":"transfer"}'},
        {"type": "end"},
    ]


async def test_nothing_is_said_to_a_socket_that_is_gone():
    socket = Socket()
    socket.disconnect()
    relay = relay_of(socket)
    assert [event async for event in relay] == [Closed("caller_hung_up")]
    await relay.say("Hola", last=True)
    await relay.hang_up(1000)
    assert socket.sent == []


async def test_orderly_end_is_told_and_left_to_twilio_to_carry_out():
    socket = Socket([prompt("Una cosa más")])
    socket.disconnect(1000)
    await relay_of(socket).hang_up(1000, "transferred")
    assert socket.texts == [{"type": "end", "handoffData": '{"reason":"transferred"}'}]
    assert socket.close is None


async def test_socket_that_twilio_does_not_close_after_the_end_is_closed(monkeypatch, caplog):
    monkeypatch.setattr("calls.providers.carriers.twilio.relay.PARTING_SECONDS", 0.01)
    socket = Socket()
    await relay_of(socket).hang_up(1000, "agent_hung_up")
    assert (socket.close or {})["code"] == 1000
    assert "did not close" in caplog.text


async def test_hanging_up_closes_the_socket_once():
    socket = Socket()
    relay = relay_of(socket)
    await relay.hang_up(4429, "busy")
    await relay.hang_up(4429)
    assert socket.sent == [{"type": "websocket.close", "code": 4429, "reason": "busy"}]


# --- its document ------------------------------------------------------------------------


def document(relay: Relay, **target: object) -> ElementTree.Element:
    where = StreamTarget("wss://h/relay", {"token": "a<b"}, relay=relay, **target)  # type: ignore[arg-type]
    return ElementTree.fromstring(twiml.stream(where))  # noqa: S314 - our own


def test_call_is_connected_to_the_relay():
    wishes = Relay("es", "es-MX-Standard-A", "Google", "Deepgram", hints=("Aviónica", "a,b"))
    connect = document(wishes, signals_url="https://h/hooks")[0]
    action = "https://h/hooks/after-stream?after=1"
    assert connect.attrib == {"action": action, "method": "POST"}
    assert connect[0].tag == "ConversationRelay"
    assert connect[0].attrib == {
        "url": "wss://h/relay",
        "language": "es-MX",
        "voice": "es-MX-Standard-A",
        "ttsProvider": "Google",
        "transcriptionProvider": "Deepgram",
        "hints": "Aviónica,a b",
        "interruptible": "any",
        "preemptible": "true",
        "dtmfDetection": "true",
        "events": "speaker-events tokens-played",
    }
    assert connect[0][0].attrib == {"name": "token", "value": "a<b"}


def test_what_is_not_wished_for_is_left_to_twilio():
    connect = document(Relay("en", interruptible="none"))[0]
    assert connect.attrib == {}
    assert set(connect[0].attrib) == {
        "url", "language", "interruptible", "preemptible", "dtmfDetection", "events",
    }  # fmt: skip
    assert connect[0].get("interruptible") == "none"


def test_hints_are_as_many_as_a_command_has_room_for():
    hints = tuple(f"palabra{number}" for number in range(1000))
    noun = document(Relay("es", hints=hints))[0][0]
    found = noun.get("hints", "").split(",")
    assert found == list(hints[: len(found)])
    assert 100 < len(found) < 1000
    target = StreamTarget("wss://h/relay", {"token": "x" * 400}, relay=Relay("es", hints=hints))
    assert len(twiml.stream(target)) < twiml.LONGEST
