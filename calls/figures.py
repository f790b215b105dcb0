"""Who spoke how long: plain arithmetic over the turns of a call. Times in ms since the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn, as far as figures go."""

    role: str
    started: float
    ended: float
    interrupted: bool = False
    response_latency: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a call was like. `talk` counts the time when both spoke once."""

    duration_ms: int
    caller_talk_ms: int
    agent_talk_ms: int
    talk_ms: int
    silence_ms: int
    longest_silence_ms: int
    interruptions: int
    response_ms: int | None


def figures_of(turns: Sequence[Spoken], duration: float) -> Figures:
    """The figures of a call of `duration` ms. Turns may overlap and come in any order."""
    duration = max(duration, 0.0)
    stretches = _union((max(0.0, t.started), min(t.ended, duration)) for t in turns)
    silences = _between(stretches, duration)
    latencies = [t.response_latency for t in turns if t.response_latency is not None]
    talk_ms, duration_ms = round(_length(stretches)), round(duration)
    return Figures(
        duration_ms=duration_ms,
        caller_talk_ms=round(_talk_of("caller", turns, duration)),
        agent_talk_ms=round(_talk_of("agent", turns, duration)),
        talk_ms=talk_ms,
        silence_ms=duration_ms - talk_ms,  # the two add up, to the millisecond
        longest_silence_ms=round(max(silences, default=0.0)),
        interruptions=sum(t.interrupted for t in turns if t.role == "agent"),
        response_ms=round(median(latencies)) if latencies else None,
    )


def latency_in(metrics: Any) -> float | None:
    """`response_latency` out of a turn's stored metrics, if it has a usable one."""
    value = metrics.get("response_latency") if isinstance(metrics, dict) else None
    return float(value) if isinstance(value, int | float) and value >= 0 else None


Stretch = tuple[float, float]


def _talk_of(role: str, turns: Sequence[Spoken], duration: float) -> float:
    mine = (t for t in turns if t.role == role)
    return _length(_union((max(0.0, t.started), min(t.ended, duration)) for t in mine))


def _union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time without overlaps, in order."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _length(stretches: Iterable[Stretch]) -> float:
    return sum(end - start for start, end in stretches)


def _between(stretches: Sequence[Stretch], duration: float) -> list[float]:
    starts = [start for start, _ in stretches] + [duration]
    ends = [0.0] + [end for _, end in stretches]
    return [start - end for start, end in zip(starts, ends, strict=True)]
