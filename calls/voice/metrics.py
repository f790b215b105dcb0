"""Latencies of one turn, in ms, anchored to the acoustic end of the caller's speech.

    caller |====|
                |<-- transcript_delay -->|
                |<----- endpointing_delay ----->|<- llm_first_token ->|...|<- tts_first_audio ->|
                |<---------------------------- response_latency ------------------------------->|

Each provider's latency is its own: from the question to its first answer. `llm_first_token` counts
from the last tool's result where tools ran before any word (`tool_time`, up to the first sound);
`tts_first_audio` is that of the voice which spoke, after what a failed one cost (`voice_lost`).
What ran while the caller was not kept waiting by it, during the endpointing wait (a preemptive
reply) or after the first sound (a filler), or two stages at once, is counted in `overlapped`;
what is in no stage (a model finishing its first sentence, the loop itself) in `remainder`:

    response_latency = endpointing_delay + llm_first_token + tool_time + voice_lost
                       + tts_first_audio - overlapped + remainder

A part that is zero is left out, except `remainder`, which is never negative.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STAGES = ("llm_first_token", "tool_time", "voice_lost", "tts_first_audio")

Interval = tuple[float, float]


@dataclass(slots=True)
class TurnMetrics:
    """Moments of one turn on the loop's clock; None for what did not happen (yet)."""

    speech_ended: float | None = None
    transcript_came: float | None = None
    committed: float | None = None
    brain_asked: float | None = None
    first_token: float | None = None
    voice_asked: float | None = None
    first_sound: float | None = None
    first_sent: float | None = None
    bargein_stop: float | None = None
    tools: list[Interval] = field(default_factory=list)
    tools_running: dict[str, float] = field(default_factory=dict)  # since when, by call id
    voices_lost: list[Interval] = field(default_factory=list)

    def tool_started(self, call_id: str, now: float) -> None:
        self.tools_running[call_id] = now

    def tool_finished(self, call_id: str, now: float) -> None:
        self.tools.append((self.tools_running.pop(call_id, now), now))
        if self.first_token is None:
            self.brain_asked = now  # to go on with the result

    def voice_failed(self, now: float) -> None:
        """Another voice is given the text, if any is left."""
        if self.first_sound is None and self.voice_asked is not None:
            self.voices_lost.append((self.voice_asked, now))
            self.voice_asked = now

    def as_dict(self) -> dict[str, float]:
        """What is known, by the names of the house."""
        found = {
            "endpointing_delay": _between(self.speech_ended, self.committed),
            "transcript_delay": _between(self.speech_ended, self.transcript_came),
            "llm_first_token": _between(self.brain_asked, self.first_token),
            "tts_first_audio": _between(self.voice_asked, self.first_sound),
            "response_latency": _between(self.speech_ended, self.first_sent),
            "bargein_stop": self.bargein_stop,
        }
        known = {name: round(value, 3) for name, value in found.items() if value is not None}
        if "response_latency" in known:
            self._account(known)
        return known

    def _account(self, known: dict[str, float]) -> None:
        """Where the time to the first sound went."""
        spent = self._intervals()
        for name in ("tool_time", "voice_lost"):
            if time := round(_length(spent[name]), 3):
                known[name] = time
        stages = round(sum(known.get(name, 0.0) for name in STAGES), 3)
        begin = max(self.committed or 0.0, self.speech_ended or 0.0)
        at_work = [interval for name in STAGES for interval in spent[name]]
        waited = round(_length(_union(_clip(at_work, begin, self.first_sent or 0.0))), 3)
        if overlapped := round(stages - waited, 3):
            known["overlapped"] = overlapped
        rest = known["response_latency"] - known.get("endpointing_delay", 0.0) - waited
        known["remainder"] = round(rest, 3) + 0.0

    def _intervals(self) -> dict[str, list[Interval]]:
        """When which stage was at work; tools up to the first sound."""
        heard = self.first_sent or 0.0
        tools = [*self.tools, *((since, heard) for since in self.tools_running.values())]
        return {
            "llm_first_token": _interval(self.brain_asked, self.first_token),
            "tool_time": _clip(tools, 0.0, heard),
            "voice_lost": self.voices_lost,
            "tts_first_audio": _interval(self.voice_asked, self.first_sound),
        }


def _between(since: float | None, until: float | None) -> float | None:
    if since is None or until is None:
        return None
    return max(0.0, until - since)


def _interval(since: float | None, until: float | None) -> list[Interval]:
    return [] if since is None or until is None else [(since, max(since, until))]


def _clip(intervals: list[Interval], begin: float, end: float) -> list[Interval]:
    cut = [(max(since, begin), min(until, end)) for since, until in intervals]
    return [(since, until) for since, until in cut if until > since]


def _union(intervals: list[Interval]) -> list[Interval]:
    """The same time, nothing counted twice."""
    whole: list[Interval] = []
    for since, until in sorted(intervals):
        if whole and since <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], until))
        else:
            whole.append((since, until))
    return whole


def _length(intervals: list[Interval]) -> float:
    return sum(until - since for since, until in intervals)
