"""What is done besides speaking, and how the loop itself ends a call: its last words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from calls.voice.end_reasons import EndReason
from calls.voice.phrases import Phrases
from calls.voice.ports import Action, SendDtmf, ToolRan, Transfer


@dataclass(frozen=True, slots=True)
class Parting:
    """What is said, and why the call ends once it was heard; `transfer`: it goes on with them."""

    words: str
    reason: EndReason
    transfer: Transfer | None = None

    def unsaid(self) -> Parting:
        """No voice could say the words: a message that nobody hears was not left."""
        if self.reason is not EndReason.VOICEMAIL_LEFT:
            return self
        return replace(self, reason=EndReason.VOICEMAIL)


def without_words(phrases: Phrases, person: str, reason: EndReason) -> Parting:
    """The agent does not understand its caller: `person`, a transfer target, may; else goodbye."""
    if person:
        words = f"{phrases.not_understood} {phrases.putting_through}"
        return Parting(words, EndReason.TRANSFERRED, Transfer(person))
    return Parting(f"{phrases.not_understood} {phrases.goodbye}", reason)


def action_data(action: Action) -> Mapping[str, object]:
    """An action as the store is told of it: what is empty is left out, times are ISO 8601."""
    fields = {name: value for name, value in asdict(action).items() if value}
    times = {name: at.isoformat() for name, at in fields.items() if isinstance(at, datetime)}
    return {"action": type(action).__name__, **fields, **times}


def keys_sent(action: SendDtmf, at: float) -> ToolRan:
    """What the brain remembers of keys that it had pressed."""
    return ToolRan(f"keys-{at:.0f}", "send_dtmf", {"digits": action.digits}, {"done": True})
