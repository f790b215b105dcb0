"""One picture of a telephone connection out of all that was told of it, in whatever order.

The picture depends on the set of signals alone: told twice, late or shuffled, it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from calls.providers.carriers.signals import (
    Answered,
    Answerer,
    Bridged,
    Detected,
    EndCause,
    Ended,
    Ringing,
    Signal,
    StreamStarted,
)


class LegState(StrEnum):
    """How far a leg has come; it only ever goes on in this order."""

    DIALLING = "dialling"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


_RANK = {state: rank for rank, state in enumerate(LegState)}


@dataclass(frozen=True, slots=True)
class LegPicture:
    """What is known of a leg."""

    state: LegState = LegState.DIALLING
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: EndCause | None = None
    detail: str = ""
    answerer: Answerer | None = None
    may_speak: bool = False
    greeted: bool = False
    bridged: bool = False


def picture(signals: Iterable[Signal]) -> LegPicture:
    """Fold a leg's signals, one for each event, into what is known of it."""
    unique = {signal.event_id: signal for signal in signals}
    found = LegPicture()
    for signal in sorted(unique.values(), key=_place):
        found = _with(found, signal)
    return found


def _place(signal: Signal) -> tuple[float, datetime, str]:
    """By the carrier's count where it counts, else by its clock; its id breaks a tie."""
    order = float("inf") if signal.order is None else signal.order
    return (order, signal.at, signal.event_id)


def _with(found: LegPicture, signal: Signal) -> LegPicture:
    match signal:
        case Ringing():
            return _at_least(found, LegState.RINGING)
        case Answered() | StreamStarted():  # no stream is opened before somebody picked up
            answered_at = found.answered_at or signal.at
            return _at_least(replace(found, answered_at=answered_at), LegState.ANSWERED)
        case Detected():
            return replace(
                found,
                answerer=signal.answerer,
                may_speak=found.may_speak or signal.may_speak,
                greeted=found.greeted or signal.greeted,
            )
        case Bridged():
            return replace(found, bridged=True)
        case Ended() if found.ended_at is None:
            ended = _at_least(found, LegState.ENDED)
            return replace(ended, ended_at=signal.at, cause=signal.cause, detail=signal.detail)
        case _:
            return found


def _at_least(found: LegPicture, state: LegState) -> LegPicture:
    return replace(found, state=state) if _RANK[state] > _RANK[found.state] else found
