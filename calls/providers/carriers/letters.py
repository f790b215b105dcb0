"""One picture of a message of ours out of all that was told of it, in whatever order.

As with legs, it depends on the set of signals alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from calls.providers.carriers.signals import MessageMoved, MessageState

# The later one in this list counts. That it arrived is proof, whatever was told before or after.
_ORDER = (MessageState.SENT, MessageState.FAILED, MessageState.DELIVERED, MessageState.READ)


@dataclass(frozen=True, slots=True)
class LetterPicture:
    """How far a message has come, why it failed, and when each state was first reached."""

    state: MessageState | None = None
    error: str = ""
    at: dict[MessageState, datetime] = field(default_factory=dict)


def letter_picture(signals: Iterable[MessageMoved]) -> LetterPicture:
    """Fold a message's signals into what is known of it."""
    told = sorted(signals, key=lambda signal: (signal.at, signal.event_id))
    at: dict[MessageState, datetime] = {}
    for signal in told:
        at.setdefault(signal.state, signal.at)
    if not at:
        return LetterPicture()
    state = max(at, key=_ORDER.index)
    failed = state is MessageState.FAILED
    errors = (signal.error for signal in told if failed and signal.state is state)
    return LetterPicture(state, next(filter(None, errors), ""), at)
