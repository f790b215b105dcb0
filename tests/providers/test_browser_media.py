"""The page's media protocol: what is understood, what is overlooked, what ends the stream."""

from __future__ import annotations

import json

import pytest

from calls.providers.carriers.browser import BrowserMedia, PageStart
from calls.providers.carriers.errors import Fault, MediaFault, StreamGone
from calls.providers.carriers.socket import Limits
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.opening import Opening
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from tests.calls.sockets import Socket

FRAME = bytes(640)
HANGUP = {"type": "hangup"}


def stream_of(socket: Socket, **kwargs) -> BrowserMedia:
    return BrowserMedia(
        socket.receive, socket.send, limits=Limits(ahead_ms=60_000), now=lambda: 0.0, **kwargs
    )


async def read_start(socket: Socket, limits: Limits | None = None) -> PageStart:
    opening = Opening(socket.receive, socket.send, IceOptions(), "tests", limits or Limits())
    start, peer = await opening.start()
    assert peer is None
    return start


async def all_of(stream: BrowserMedia):
    return [event async for event in stream]


async def test_start_at_16_khz_is_taken():
    start = {"type": "start", "sample_rate": 16000}
    assert (await read_start(Socket([start]))).recognises


@pytest.mark.parametrize("has", [True, False])
async def test_page_says_whether_it_can_recognise(has):
    start = {"type": "start", "sample_rate": 16000, "speech_recognition": has}
    assert (await read_start(Socket([start]))).recognises is has


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ({"type": "start", "sample_rate": 48000}, Fault.WRONG_FORMAT),
        ({"type": "start"}, Fault.WRONG_FORMAT),
        ({"type": "played", "mark": "g1"}, Fault.MISSING_START),
        (FRAME, Fault.MISSING_START),
        ("x" * 70_000, Fault.MISSING_START),
        ("{", Fault.MALFORMED),
    ],
)
async def test_anything_but_the_start_is_refused(message, fault):
    with pytest.raises(MediaFault) as caught:
        await read_start(Socket([message]))
    assert caught.value.fault is fault


async def test_missing_start_is_not_waited_for_for_ever():
    with pytest.raises(MediaFault, match="no start within"):
        await read_start(Socket(), Limits(start_seconds=0.01))


async def test_page_that_goes_before_the_start_is_no_fault():
    socket = Socket()
    socket.disconnect()
    with pytest.raises(StreamGone):
        await read_start(socket)


async def test_sound_keys_and_acknowledgements_come_through():
    socket = Socket(
        [FRAME, {"type": "played", "mark": "g3-2"}, {"type": "dtmf", "digit": "5"}, FRAME, HANGUP]
    )
    assert await all_of(stream_of(socket)) == [
        Audio(FRAME, 16000, 0.0),
        Mark("g3-2"),
        Dtmf("5"),
        Audio(FRAME, 16000, 20.0),
        Closed("caller_hung_up"),
    ]


async def test_what_the_page_recognised_is_handed_on():
    heard: list[tuple[str, bool]] = []
    socket = Socket(
        [
            {"type": "transcript", "text": "ho", "final": False},
            {"type": "transcript", "text": "hola", "final": True},
            HANGUP,
        ]
    )
    stream = stream_of(socket, on_transcript=lambda text, final: heard.append((text, final)))
    await all_of(stream)
    assert heard == [("ho", False), ("hola", True)]


@pytest.mark.parametrize(
    "message",
    [
        bytes(641),
        "{",
        {"type": "transcript", "text": 7},
        {"type": "transcript", "text": "x" * 3000},
        {"type": "dtmf", "digit": "77"},
        {"type": "dtmf"},
    ],
)
async def test_malformed_message_is_overlooked(message):
    stream = stream_of(Socket([FRAME, message, FRAME, HANGUP]))
    assert [type(e) for e in await all_of(stream)] == [Audio, Audio, Closed]
    assert stream.malformed == 1


async def test_oversized_sound_ends_the_stream():
    stream = stream_of(Socket([bytes(70_000), FRAME]))
    assert await all_of(stream) == [Closed("media_lost")]
    assert stream.fault is not None
    assert stream.fault.fault is Fault.OVERSIZED


async def test_page_gets_sound_as_binary_and_the_rest_as_json():
    socket = Socket()
    stream = stream_of(socket)
    await stream.send(FRAME)
    await stream.mark("g3-2")
    await stream.clear()
    await stream.send_json({"type": "state", "agent": "listening"})
    assert socket.sent[0]["bytes"] == FRAME
    assert [json.loads(m["text"]) for m in socket.sent[1:]] == [
        {"type": "mark", "name": "g3-2"},
        {"type": "clear"},
        {"type": "state", "agent": "listening"},
    ]


async def test_keys_are_heard_by_the_caller():
    socket = Socket()
    await stream_of(socket).send_dtmf("12")
    assert len(socket.sent[0]["bytes"]) == 2 * 2 * 16 * 200
    with pytest.raises(ValueError, match="'X' is no key"):
        await stream_of(socket).send_dtmf("x")


async def test_server_that_cannot_close_with_a_code_breaks_nothing():
    async def refusing(message):
        raise Exception("invalid close code 1003")

    stream = BrowserMedia(Socket().receive, refusing)
    await stream.hang_up(1003)
    assert stream.gone


async def placed(arrivals: list[float]) -> tuple[list[float], float]:
    """The positions of frames that arrive at these ms, and how much counts as lost."""
    socket, clock = Socket([*([FRAME] * len(arrivals)), HANGUP]), iter([0.0])
    moments = iter(arrivals)

    async def receive():
        nonlocal clock
        clock = iter([next(moments, arrivals[-1]) / 1000.0] * 2)
        return await socket.receive()

    stream = BrowserMedia(receive, socket.send, now=lambda: next(clock))
    events = await all_of(stream)
    return [e.timestamp for e in events if isinstance(e, Audio)], stream.positions.lost_ms


def steadily(frames: int, begin: float = 0.0) -> list[float]:
    return [begin + 20.0 * n for n in range(frames)]


async def test_sound_that_a_stalled_page_never_sent_leaves_a_gap():
    positions, lost = await placed([*steadily(50), *steadily(50, 4000.0)])
    assert lost == 3000.0
    assert positions[49] == 980.0
    assert positions[59:] == steadily(41, 4180.0)


@pytest.mark.parametrize("apart", [0.0, 5.0, 15.0])
async def test_sound_that_was_held_up_and_comes_in_a_burst_leaves_none(apart):
    held_up = int(2000.0 / (20.0 - apart))
    burst = [3000.0 + apart * n for n in range(held_up)]
    arrivals = [*steadily(50), *burst, *steadily(50, 20.0 * (50 + held_up))]
    positions, lost = await placed(arrivals)
    assert lost == 0.0
    assert positions == steadily(len(arrivals))


async def test_jitter_leaves_no_gap():
    arrivals = [at + (150.0 if n % 7 < 3 else 0.0) for n, at in enumerate(steadily(300))]
    assert (await placed(arrivals))[1] == 0.0
