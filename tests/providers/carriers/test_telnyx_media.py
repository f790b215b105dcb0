"""Telnyx's media protocol: order, codings, what is overlooked, what ends the stream."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.telnyx.codecs import codec_of, likely_rate
from calls.providers.carriers.telnyx.context import Carried, pack
from calls.providers.carriers.telnyx.media import StreamStart, TelnyxMedia, read_start
from calls.voice.codecs import alaw_encode, mulaw_decode, mulaw_encode
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from tests.calls.sockets import Socket

FRAME_BYTES = 160  # 20 ms of PCMU, PCMA and G722 alike
TONE = (np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000) * 8000).astype("<i2").tobytes()


def start_message(**changes):
    start = {
        "user_id": "u",
        "call_control_id": "v3:leg",
        "call_session_id": "session",
        "from": "+1",
        "to": "+2",
        "client_state": "",
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        **changes,
    }
    return {"event": "start", "sequence_number": "1", "stream_id": "32DE", "start": start}


def media(chunk, payload: bytes = b"\xff" * FRAME_BYTES, **changes):
    fields = {"track": "inbound", "chunk": str(chunk), "timestamp": "5",
              "payload": base64.b64encode(payload).decode(), **changes}  # fmt: skip
    return {"event": "media", "sequence_number": "4", "stream_id": "32DE", "media": fields}


STOP = {"event": "stop", "stream_id": "32DE", "stop": {"call_control_id": "v3:leg"}}
GONE = Closed("caller_hung_up")


def started(encoding="PCMU", rate="8000", outgoing="PCMU") -> StreamStart:
    return StreamStart("32DE", "v3:leg", "session", {}, encoding, rate, "1", outgoing)


def stream_of(socket: Socket, start: StreamStart | None = None, **kwargs) -> TelnyxMedia:
    limits = kwargs.pop("limits", Limits(ahead_ms=60_000))
    return TelnyxMedia(
        socket.receive, socket.send, start or started(), limits, now=lambda: 0.0, **kwargs
    )


def numbered(chunk: int) -> bytes:
    """20 ms whose sound tells which they are."""
    return bytes([chunk]) * FRAME_BYTES


async def heard(
    *chunks: int | dict[str, Any], start=None
) -> tuple[list[tuple[int, float]], TelnyxMedia]:
    """Which chunks are heard when these arrive, each with its position in ms."""
    messages = [media(c, numbered(c)) if isinstance(c, int) else c for c in chunks]
    stream = stream_of(Socket([*messages, STOP]), start)
    found = []
    async for event in stream:
        if isinstance(event, Audio):
            coded = mulaw_encode(event.pcm)
            places = range(0, len(coded), FRAME_BYTES)
            found += [(coded[at], event.timestamp + at / 8) for at in places]
    return found, stream


# --- the start ---------------------------------------------------------------------------


async def test_start_tells_whose_stream_it_is():
    socket = Socket([{"event": "connected", "version": "1.0.0"}, start_message()])
    found = await read_start(socket.receive)
    assert (found.leg, found.session, found.stream_id) == ("v3:leg", "session", "32DE")
    assert (found.encoding, found.sample_rate, found.outgoing) == ("PCMU", "8000", "PCMU")
    found.check_format()


async def test_parameters_come_by_client_state_and_by_name():
    state = Carried("mine", {"token": "old", "stream_codec": "G722"}).pack()
    message = start_message(client_state=state, custom_parameters={"token": "new"})
    found = await read_start(Socket([message]).receive)
    assert (found.parameters, found.outgoing) == ({"token": "new"}, "G722")


@pytest.mark.parametrize("state", [None, 7, "%%", pack("call-17"), pack("[]")])
async def test_client_state_of_somebody_else_gives_no_parameters(state):
    found = await read_start(Socket([start_message(client_state=state)]).receive)
    assert found.parameters == {}


@pytest.mark.parametrize(
    ("encoding", "rate"),
    [("OPUS", 16000), ("AMR-WB", 16000), ("PCMU", 16000), ("L16", 44100), ("", "")],
)
async def test_coding_that_is_not_spoken_is_refused_by_name(encoding, rate):
    kind = {"encoding": encoding, "sample_rate": rate, "channels": 1}
    found = await read_start(Socket([start_message(media_format=kind)]).receive)
    with pytest.raises(MediaFault, match=f"{encoding} at {rate} Hz") as caught:
        found.check_format()
    assert caught.value.fault is Fault.WRONG_FORMAT


async def test_two_channels_and_an_unknown_voice_are_refused():
    kind = {"encoding": "PCMU", "sample_rate": "8000", "channels": "2"}
    found = await read_start(Socket([start_message(media_format=kind)]).receive)
    with pytest.raises(MediaFault, match="2 channels"):
        found.check_format()
    with pytest.raises(MediaFault, match="OPUS"):
        started(outgoing="OPUS").check_format()


async def test_media_before_the_start_is_refused():
    with pytest.raises(MediaFault, match="media came before"):
        await read_start(Socket([media(1)]).receive)


# --- order -------------------------------------------------------------------------------


async def test_sound_in_order_goes_through_at_once():
    found, stream = await heard(1, 2, 3)
    assert found == [(1, 0.0), (2, 20.0), (3, 40.0)]
    assert stream.positions.lost_ms == 0


@pytest.mark.parametrize("order", [(1, 3, 2, 4), (1, 4, 3, 2), (1, 3, 4, 2), (1, 2, 4, 3)])
async def test_shuffled_chunks_are_heard_in_order(order):
    found, stream = await heard(*order)
    assert [chunk for chunk, _ in found] == sorted(order)
    assert [at for _, at in found] == [20.0 * n for n in range(len(order))]
    assert (stream.positions.lost_ms, stream.positions.late) == (0, 0)


async def test_late_chunk_is_waited_for_no_longer_than_60_ms():
    found, stream = await heard(1, 3, 4, 5, 6, 2, 7)
    assert [chunk for chunk, _ in found] == [1, 3, 4, 5, 6, 7]
    assert found[1] == (3, 40.0)
    assert (stream.positions.lost_ms, stream.positions.late) == (20, 1)


async def test_after_one_gap_another_is_waited_for_anew():
    found, stream = await heard(1, 3, 5, 6, 7, 4, 8)
    assert [chunk for chunk, _ in found] == [1, 3, 4, 5, 6, 7, 8]
    assert [at for _, at in found] == [0.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0]
    assert stream.positions.lost_ms == 20


async def test_duplicates_are_heard_once():
    found, stream = await heard(1, 1, 2, 4, 4, 3, 3)
    assert [chunk for chunk, _ in found] == [1, 2, 3, 4]
    assert stream.positions.late == 3
    assert stream.malformed == 0


async def test_first_chunk_need_not_be_the_first():
    found, _ = await heard(2, 3)
    assert found == [(2, 0.0), (3, 20.0)]


async def test_number_from_the_future_does_not_make_the_rest_late():
    found, stream = await heard(1, media(10**9), 2, 3)
    assert [chunk for chunk, _ in found] == [1, 2, 3]
    assert stream.malformed == 1


async def test_other_track_and_empty_payload_are_passed_over():
    found, _ = await heard(1, media(2, track="outbound"), media(2, b""), 2)
    assert [chunk for chunk, _ in found] == [1, 2]


# --- codings -----------------------------------------------------------------------------


async def decoded(encoding: str, rate: str, coded: bytes, size: int) -> list[Audio]:
    pieces = [coded[at : at + size] for at in range(0, len(coded), size)]
    socket = Socket([*(media(n, piece) for n, piece in enumerate(pieces, 1)), STOP])
    stream = stream_of(socket, started(encoding, rate))
    return [event async for event in stream if isinstance(event, Audio)]


def likeness(left: bytes, right: bytes) -> float:
    """Correlation of two sounds, at the best of the first shifts."""
    a, b = (np.frombuffer(pcm, "<i2").astype(float) for pcm in (left, right))
    return max(
        float(np.corrcoef(a[shift : shift + 4000], b[:4000])[0, 1]) for shift in range(40)
    )  # fmt: skip


async def test_a_law_is_heard():
    telephone = TONE[: 2 * 8000]
    frames = await decoded("PCMA", "8000", alaw_encode(telephone), 160)
    assert likeness(b"".join(f.pcm for f in frames), telephone) > 0.99


async def test_linear_sound_is_little_endian():
    frames = await decoded("L16", "16000", TONE, 640)
    assert b"".join(frame.pcm for frame in frames) == TONE
    assert (frames[0].sample_rate, frames[1].timestamp) == (16000, 20.0)


@pytest.mark.parametrize("rate", ["8000", "16000"])
async def test_g722_is_heard_at_16_khz(rate):
    coded = codec_of("G722", "16000").encode(TONE)
    assert len(coded) == len(TONE) // 4
    frames = await decoded("G722", rate, coded, 160)
    assert {frame.sample_rate for frame in frames} == {16000}
    assert frames[-1].timestamp == 980.0
    assert likeness(b"".join(frame.pcm for frame in frames), TONE) > 0.99


# --- everything else from Telnyx ---------------------------------------------------------


async def test_marks_and_keys_come_through_and_complaints_are_counted(caplog):
    error = {"code": "100005", "title": "rate_limit_reached", "detail": "Too many requests"}
    complaint = {"event": "error", "error": error}
    socket = Socket([
        {"event": "mark", "mark": {"name": "g3-1"}},
        {"event": "dtmf", "occurred_at": "2026-11-20T10:00:00Z", "dtmf": {"digit": "1"}},
        complaint, complaint, {"event": "telepathy"}, STOP,
    ])  # fmt: skip
    stream = stream_of(socket)
    assert [event async for event in stream] == [Mark("g3-1"), Dtmf("1"), GONE]
    assert stream.errors == {"rate_limit_reached": 2}
    assert caplog.text.count("rate_limit_reached") == 1


BAD = {
    "no JSON": "{",
    "media that is missing": '{"event":"media"}',
    "payload that is missing": '{"event":"media","media":{"chunk":"2"}}',
    "payload that is no base64": '{"event":"media","media":{"chunk":"2","payload":"***"}}',
    "chunk that is missing": '{"event":"media","media":{"payload":"AAA="}}',
    "chunk that is a word": json.dumps(media("two")),
    "chunk beyond all numbers": json.dumps(media("9" * 400)),
    "half a sample": json.dumps(media(2, b"\x00" * 3)),
    "error that is missing": '{"event":"error"}',
    "key that no telephone has": '{"event":"dtmf","dtmf":{"digit":"x"}}',
    "binary": b"\x00" * 160,
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD.keys())
async def test_malformed_message_is_overlooked(message):
    socket = Socket([media(1, bytes(320)), message, media(3, bytes(320)), STOP])
    stream = stream_of(socket, started("L16", "8000"))
    events = [event async for event in stream]
    assert events[-1] == GONE
    assert stream.malformed == 1
    assert stream.fault is None


async def test_too_many_malformed_messages_end_the_stream():
    stream = stream_of(Socket(["{"] * 11))
    assert [event async for event in stream] == [Closed("media_lost")]
    assert stream.fault is not None


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006])
async def test_socket_that_goes_without_a_stop_is_lost(code):
    socket = Socket()
    socket.disconnect(code)
    assert [event async for event in stream_of(socket)] == [Closed("media_lost")]


# --- towards Telnyx ----------------------------------------------------------------------


async def test_what_telnyx_gets_is_what_its_documentation_asks_for():
    socket = Socket()
    stream = stream_of(socket)
    await stream.send(TONE[:1600])
    await stream.mark('g1-"2"')
    await stream.clear()
    sound, mark, clear = socket.texts
    assert sound == {
        "event": "media",
        "media": {"payload": base64.b64encode(mulaw_encode(TONE[:1600])).decode()},
    }
    assert mark == {"event": "mark", "mark": {"name": 'g1-"2"'}}
    assert clear == {"event": "clear"}


def sizes(socket: Socket) -> list[int]:
    """Of the media that were sent, in bytes."""
    return [len(base64.b64decode(m["media"]["payload"])) for m in socket.texts if "media" in m]


async def test_message_holds_20_ms_at_least_and_the_rest_waits_for_the_mark():
    socket = Socket()
    stream = stream_of(socket)
    await stream.send(bytes(300))
    assert socket.texts == []
    await stream.send(bytes(100))
    await stream.mark("end")
    assert sizes(socket) == [160, 160]
    payload = base64.b64decode(socket.texts[1]["media"]["payload"])
    assert set(mulaw_decode(payload)) == {0}


async def test_what_waits_is_cleared_with_the_rest():
    socket = Socket()
    stream = stream_of(socket)
    await stream.send(TONE[:300])
    await stream.clear()
    await stream.mark("m")
    assert [m["event"] for m in socket.texts] == ["clear", "mark"]


async def test_message_holds_30_s_at_most():
    socket = Socket()
    await stream_of(socket).send(bytes(2 * 8000 * 61))
    assert sizes(socket) == [240_000, 240_000, 8000]


async def test_agent_speaks_in_the_coding_that_was_asked_for():
    socket = Socket()
    stream = stream_of(socket, started("L16", "16000", outgoing="PCMU"))
    await stream.send(TONE)
    await stream.mark("m")
    assert sum(sizes(socket)) == pytest.approx(8000, abs=160)
    payload = b"".join(base64.b64decode(m["media"]["payload"]) for m in socket.texts[:-1])
    slower = np.frombuffer(TONE, "<i2")[::2].tobytes()
    assert likeness(mulaw_decode(payload), slower) > 0.99


async def test_agent_speaks_g722():
    socket = Socket()
    await stream_of(socket, started("G722", "8000", outgoing="G722")).send(TONE)
    coded = base64.b64decode(socket.texts[0]["media"]["payload"])
    assert likeness(codec_of("G722", "16000").decode(coded), TONE) > 0.99


@pytest.mark.parametrize(
    ("offered", "rate"),
    [
        ("G722,PCMA,PCMU", 16_000), ("PCMA,G722", 8_000), ("OPUS, l16", 16_000), ("OPUS", 8_000),
        ("", 8_000),
    ],
)  # fmt: skip
def test_rate_of_a_stream_is_that_of_the_first_coding_that_is_offered(offered, rate):
    assert likely_rate(offered) == rate


async def test_keys_are_pressed_by_command_or_played():
    pressed: list[str] = []

    async def press(digits: str) -> None:
        pressed.append(digits)

    socket = Socket()
    await stream_of(socket, press=press).send_dtmf("12#")
    assert (pressed, socket.texts) == (["12#"], [])
    await stream_of(socket).send_dtmf("1")
    assert sizes(socket) == [1600]
