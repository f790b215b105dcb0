"""Twilio's media protocol: what is understood, what is overlooked, what ends the stream."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from calls.providers.carriers.errors import Fault, MediaFault, StreamGone
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.twilio.media import TwilioMedia, read_start
from calls.voice.codecs import mulaw_decode
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from tests.calls.sockets import SILENT, Socket, connected, media, start, stop


class Stopwatch:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def stream_of(socket: Socket, clock: Stopwatch | None = None, **limits: float) -> TwilioMedia:
    bounds = Limits(**{"ahead_ms": 60_000, **limits})  # type: ignore[arg-type]
    return TwilioMedia(socket.receive, socket.send, "MZ1", bounds, now=clock or Stopwatch())


async def all_of(stream: TwilioMedia):
    return [event async for event in stream]


# --- the start ---------------------------------------------------------------------------


async def test_start_tells_whose_stream_it_is():
    socket = Socket([connected(), start("CA9", "secret")])
    found = await read_start(socket.receive)
    assert (found.stream_sid, found.leg, found.account) == ("MZ1", "CA9", "AC1")
    assert found.parameters == {"token": "secret"}
    found.check_format()


@pytest.mark.parametrize("rate", [8000, "8000"])
async def test_numbers_may_be_strings(rate):
    (await read_start(Socket([start(rate=rate)]).receive)).check_format()


@pytest.mark.parametrize("rate", [16000, "16000", None, "", [8000], 8000.5])
async def test_wrong_sample_rate_is_refused(rate):
    found = await read_start(Socket([start(rate=rate)]).receive)
    with pytest.raises(MediaFault, match="only audio/x-mulaw at 8000 Hz") as caught:
        found.check_format()
    assert caught.value.fault is Fault.WRONG_FORMAT
    assert caught.value.close_code == 4415


async def test_start_without_a_format_is_refused():
    found = await read_start(Socket([start(mediaFormat=None, customParameters=None)]).receive)
    assert found.parameters == {}
    with pytest.raises(MediaFault):
        found.check_format()


async def test_missing_start_is_not_waited_for_for_ever():
    socket = Socket([connected()])
    with pytest.raises(MediaFault, match="no start message within") as caught:
        await read_start(socket.receive, Limits(start_seconds=0.01))
    assert caught.value.fault is Fault.MISSING_START


async def test_media_before_the_start_is_refused():
    with pytest.raises(MediaFault, match="media came before"):
        await read_start(Socket([connected(), media(0)]).receive)


async def test_endless_chatter_before_the_start_is_refused():
    with pytest.raises(MediaFault, match="none was a start"):
        await read_start(Socket(["{}"] * 50).receive, Limits(malformed=10))


async def test_garbage_before_the_start_is_overlooked():
    socket = Socket(["{", b"\x00", "[]", '{"event":"start"}', connected(), start("CA7")])
    assert (await read_start(socket.receive)).leg == "CA7"


async def test_oversized_message_before_the_start_is_refused():
    with pytest.raises(MediaFault) as caught:
        await read_start(Socket(["x" * 70_000]).receive)
    assert caught.value.fault is Fault.OVERSIZED


async def test_socket_that_goes_before_the_start_is_no_fault():
    socket = Socket([connected()])
    socket.disconnect()
    with pytest.raises(StreamGone):
        await read_start(socket.receive)


# --- sound -------------------------------------------------------------------------------


async def test_sound_is_decoded_and_placed_by_its_timestamp():
    loud = bytes([0x80]) * 160
    events = await all_of(stream_of(Socket([media("0", loud), media("20"), stop()])))
    assert [type(e) for e in events] == [Audio, Audio, Closed]
    first, second, closed = events
    assert first.pcm == mulaw_decode(loud)
    assert (first.sample_rate, first.timestamp, second.timestamp) == (8000, 0.0, 20.0)
    assert closed == Closed("caller_hung_up")


@pytest.mark.parametrize("timestamp", [40, "40", 40.0, "40.0"])
async def test_timestamps_may_be_numbers_or_strings(timestamp):
    (audio, _) = await all_of(stream_of(Socket([media(timestamp), stop()])))
    assert audio.timestamp == 40.0


async def test_small_jitter_of_timestamps_moves_nothing():
    stamps = [0, 21, 39, 61, 80]
    stream = stream_of(Socket([*(media(at) for at in stamps), stop()]))
    assert [e.timestamp for e in await all_of(stream) if isinstance(e, Audio)] == [
        0.0, 20.0, 40.0, 60.0, 80.0,
    ]  # fmt: skip
    assert stream.positions.lost_ms == 0


async def test_absent_chunks_leave_a_gap():
    stream = stream_of(Socket([media(0), media(100), stop()]))
    positions = [e.timestamp for e in await all_of(stream) if isinstance(e, Audio)]
    assert positions == [0.0, 100.0]
    assert stream.positions.lost_ms == 80


async def test_out_of_order_chunk_is_dropped_and_counted():
    stream = stream_of(Socket([media(0), media(40), media(20), media(60), stop()]))
    positions = [e.timestamp for e in await all_of(stream) if isinstance(e, Audio)]
    assert positions == [0.0, 40.0, 60.0]
    assert stream.positions.late == 1
    assert stream.malformed == 0


async def test_sound_without_timestamps_is_placed_by_its_length():
    stream = stream_of(Socket([media(None), media(None, SILENT * 2), media(None), stop()]))
    assert [e.timestamp for e in await all_of(stream) if isinstance(e, Audio)] == [0.0, 20.0, 60.0]


async def test_outbound_track_and_empty_payload_are_passed_over():
    socket = Socket([media(0, track="outbound"), media(0, b""), stop()])
    assert await all_of(stream_of(socket)) == [Closed("caller_hung_up")]


async def test_marks_and_keys_come_through():
    socket = Socket(
        [
            {"event": "mark", "mark": {"name": "g1-2"}},
            {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "#"}},
            {"event": "telepathy"},
            stop(),
        ]
    )
    events = await all_of(stream_of(socket))
    assert events == [Mark("g1-2"), Dtmf("#"), Closed("caller_hung_up")]


# --- faults ------------------------------------------------------------------------------

BAD = {
    "no JSON": "{",
    "a list": "[1]",
    "a number": "7",
    "media that is text": '{"event":"media","media":"x"}',
    "media that is missing": '{"event":"media"}',
    "payload that is missing": '{"event":"media","media":{"timestamp":"1"}}',
    "payload that is a number": '{"event":"media","media":{"payload":7}}',
    "payload that is no base64": '{"event":"media","media":{"payload":"***"}}',
    "payload that is not ASCII": '{"event":"media","media":{"payload":"ñ"}}',
    "timestamp that is a word": json.dumps(media("soon")),
    "timestamp that is not a number": json.dumps(media("nan")),
    "timestamp that is infinite": json.dumps(media("inf")),
    "timestamp that is negative": json.dumps(media(-1)),
    "timestamp that lies in the far future": json.dumps(media(10**15)),
    "mark that is missing": '{"event":"mark"}',
    "key that no telephone has": '{"event":"dtmf","dtmf":{"digit":"7x"}}',
    "binary": b"\x00" * 160,
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD.keys())
async def test_malformed_message_is_overlooked(message):
    stream = stream_of(Socket([media(0), message, media(20), stop()]))
    events = await all_of(stream)
    assert [type(e) for e in events] == [Audio, Audio, Closed]
    assert stream.malformed == 1
    assert stream.fault is None


@pytest.mark.parametrize(("message", "fault"), [("{", Fault.MALFORMED), (b"\x00", Fault.BINARY)])
async def test_too_many_malformed_messages_end_the_stream(message, fault):
    stream = stream_of(Socket([media(0), *[message] * 11, media(20)]), malformed=10)
    events = await all_of(stream)
    assert [type(e) for e in events] == [Audio, Closed]
    assert events[-1] == Closed("media_lost")
    assert stream.fault is not None
    assert stream.fault.fault is fault


async def test_oversized_message_ends_the_stream_at_once():
    stream = stream_of(Socket([media(0, SILENT * 1000), media(20)]))
    assert await all_of(stream) == [Closed("media_lost")]
    assert stream.fault is not None
    assert (stream.fault.fault, stream.fault.close_code) == (Fault.OVERSIZED, 4413)


async def test_media_after_stop_is_never_heard():
    socket = Socket([stop(), media(0), media(20)])
    stream = stream_of(socket)
    assert await all_of(stream) == [Closed("caller_hung_up")]
    assert await all_of(stream) == []
    assert socket.inbound.qsize() == 2


async def test_more_sound_than_time_ends_the_stream():
    clock = Stopwatch()
    stream = stream_of(Socket([media(None, SILENT * 50)] * 40), clock, ahead_ms=5000)
    events = await all_of(stream)
    assert len(events) == 7
    assert events[-1] == Closed("media_lost")
    assert stream.fault is not None
    assert stream.fault.fault is Fault.FLOOD


async def test_sound_that_was_held_up_may_come_all_at_once():
    clock = Stopwatch()
    clock.seconds = 0.0
    stream = stream_of(Socket([*[media(None, SILENT * 50)] * 40, stop()]), clock, ahead_ms=5000)
    clock.seconds = 40.0
    assert len(await all_of(stream)) == 41


@pytest.mark.parametrize(("code", "reason"), [(1000, "caller_hung_up"), (1006, "media_lost")])
async def test_socket_that_goes_ends_the_stream(code, reason):
    socket = Socket([media(0)])
    socket.disconnect(code)
    stream = stream_of(socket)
    assert (await all_of(stream))[-1] == Closed(reason)
    await stream.send(bytes(320))
    await stream.clear()
    assert socket.sent == []


# --- towards Twilio ------------------------------------------------------------------------


async def test_what_twilio_gets_is_what_its_documentation_asks_for():
    socket = Socket()
    stream = stream_of(socket)
    pcm = (np.sin(np.arange(160) / 4) * 8000).astype("<i2").tobytes()
    await stream.send(pcm)
    await stream.mark('g1-"2"')
    await stream.clear()
    sound, mark, clear = socket.texts
    assert (sound["event"], sound["streamSid"]) == ("media", "MZ1")
    heard = np.frombuffer(mulaw_decode(base64.b64decode(sound["media"]["payload"])), "<i2")
    assert np.abs(heard - np.frombuffer(pcm, "<i2")).max() < 300
    assert mark == {"event": "mark", "streamSid": "MZ1", "mark": {"name": 'g1-"2"'}}
    assert clear == {"event": "clear", "streamSid": "MZ1"}


async def test_stream_sid_cannot_break_out_of_its_string():
    socket = Socket()
    hostile = 'MZ","event":"clear'
    await TwilioMedia(socket.receive, socket.send, hostile).send(bytes(320))
    assert socket.texts[0]["streamSid"] == hostile
    assert socket.texts[0]["event"] == "media"


async def test_keys_towards_twilio_are_tones():
    socket = Socket()
    await stream_of(socket).send_dtmf("1w#")
    sound = mulaw_decode(base64.b64decode(socket.texts[0]["media"]["payload"]))
    assert len(sound) == 2 * 8 * (200 + 500 + 200)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(sound, "<i2")[: 8 * 120]))
    loudest = sorted(np.argsort(spectrum)[-2:] * 8000 / (8 * 120))
    assert loudest == pytest.approx([697, 1209], abs=10)


async def test_sending_fails_quietly_once_the_server_lost_the_socket():
    async def broken(_message):
        raise RuntimeError("Unexpected ASGI message 'websocket.send', after closing")

    socket = Socket([stop()])
    stream = TwilioMedia(socket.receive, broken, "MZ1")
    await stream.send(bytes(320))
    assert stream.gone
    assert await all_of(stream) == [Closed("caller_hung_up")]


async def test_closing_twice_is_harmless():
    socket = Socket([media(0)])
    stream = stream_of(socket)
    await stream.close()
    await stream.close()
    assert await all_of(stream) == []
    await stream.hang_up(1000, "caller_hung_up")
    await stream.hang_up(1000, "caller_hung_up")
    assert [m["type"] for m in socket.sent] == ["websocket.close"]
