"""Latencies of one turn, in ms, anchored to the acoustic end of the caller's speech.

    caller |====|
                |<-- transcript_delay -->|
                |<----- endpointing_delay ----->|<- llm_first_token ->|...|<- tts_first_audio ->|
                |<---------------------------- response_latency ------------------------------->|

Each provider's latency is its own: from the question to its first answer. What is not in any
stage (`remainder`: a model finishing its first sentence, the loop itself) makes the sum whole;
it is negative when a preemptive reply ran ahead of the endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("endpointing_delay", "llm_first_token", "tts_first_audio")


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
            stages = sum(known.get(stage, 0.0) for stage in STAGES)
            known["remainder"] = round(known["response_latency"] - stages, 3)
        return known


def _between(since: float | None, until: float | None) -> float | None:
    if since is None or until is None:
        return None
    return max(0.0, until - since)
