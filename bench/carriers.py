"""The same load by every carrier: what is asked of each, and why it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench import load
from bench.callers.caller import Caller
from bench.callers.sockets import BrowserCaller, TelnyxCaller, TwilioCaller, WideTelnyxCaller
from bench.callers.threecx import ThreeCxCaller
from bench.callers.webrtc import WebRtcCaller
from bench.figures import Figure

THRESHOLD = 200  # ms of speech that count as an interruption


@dataclass(frozen=True, slots=True)
class Line:
    """A kind of caller and its goals."""

    caller: type[Caller[Any]]
    goals: load.Goals


LINES: Mapping[str, Line] = {
    "twilio": Line(TwilioCaller, load.Goals(150)),
    "telnyx": Line(TelnyxCaller, load.Goals(150)),
    # Twice the samples to decode, to judge and to record.
    "telnyx-l16": Line(WideTelnyxCaller, load.Goals(100, cpu=0.8)),
    "browser": Line(BrowserCaller, load.Goals(100, cpu=0.8)),
    # A PBX plays what it has: 200 ms at most, and what is left of the 250.
    "threecx": Line(ThreeCxCaller, load.Goals(100, bargein=THRESHOLD + 250, cpu=0.8)),
    # 40 ms of jitter buffer; no more peers fit on the callers' core, and no gap can be told from
    # a pause there.
    "webrtc": Line(
        WebRtcCaller,
        load.Goals(20, response=360, bargein=THRESHOLD + 40 + 40, gap=None, cpu=None, memory=None),
    ),
}


async def measure(line: Line, calls: int | None, seconds: float) -> list[Figure]:
    """Figures of one line under so many calls, by default its goal's."""
    return await load.measure(
        line.caller, line.goals, load.Load(calls or line.goals.calls, seconds)
    )
