"""Signals of a 3CX as they are stored, and back.

The PBX's own events say only that something changed, so what is kept of them is what was seen
when it was looked at. Keys are not kept: they may be a card's number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from calls.providers.carriers.signals import (
    Answered,
    Bridged,
    EndCause,
    Ended,
    Event,
    HandoverEnded,
    MalformedEvent,
    Ringing,
    Signal,
)


def told(signal: Signal) -> Event:
    """The event that a signal is stored as. Raises MalformedEvent for what is not kept."""
    match signal:
        case Ringing():
            payload: dict[str, Any] = {
                "incoming": signal.incoming,
                "from": signal.from_number,
                "to": signal.to_number,
                "session": signal.session,
            }
        case Ended():
            payload = {"cause": signal.cause.value, "detail": signal.detail}
        case HandoverEnded():
            payload = {"cause": signal.cause.value, "reached": signal.reached}
        case Answered() | Bridged():
            payload = {}
        case _:
            raise MalformedEvent(f"{type(signal).__name__} of a 3CX is not kept")
    return Event(
        event_id=signal.event_id,
        kind=_KINDS[type(signal)],
        account="",
        leg=signal.leg,
        at=signal.at,
        payload=payload,
        session=str(payload.get("session", "")),
    )


def signals(event: Event) -> list[Signal]:
    """What a stored event says. Raises MalformedEvent."""
    read = _READ.get(event.kind)
    if read is None:
        raise MalformedEvent(f"{event.kind[:40]!r} is no kind of event of a 3CX")
    identity = {"event_id": event.event_id, "leg": event.leg, "at": event.at}
    try:
        return [read(identity, event.payload)]
    except (KeyError, ValueError) as error:
        raise MalformedEvent(f"{event.kind} lacks or garbles {error}") from None


def _ringing(identity: Mapping[str, Any], payload: Mapping[str, Any]) -> Signal:
    return Ringing(
        **identity,
        incoming=bool(payload["incoming"]),
        from_number=str(payload["from"]),
        to_number=str(payload["to"]),
        session=str(payload.get("session", "")),
    )


def _answered(identity: Mapping[str, Any], _payload: Mapping[str, Any]) -> Signal:
    return Answered(**identity)


def _ended(identity: Mapping[str, Any], payload: Mapping[str, Any]) -> Signal:
    return Ended(**identity, cause=EndCause(payload["cause"]), detail=str(payload["detail"]))


def _bridged(identity: Mapping[str, Any], _payload: Mapping[str, Any]) -> Signal:
    return Bridged(**identity)


def _handover_ended(identity: Mapping[str, Any], payload: Mapping[str, Any]) -> Signal:
    cause = EndCause(payload["cause"])
    return HandoverEnded(**identity, reached=bool(payload["reached"]), cause=cause)


_KINDS: Mapping[type[Signal], str] = {
    Ringing: "ringing",
    Answered: "answered",
    Ended: "ended",
    Bridged: "bridged",
    HandoverEnded: "handover_ended",
}
_READ: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Signal]] = {
    "ringing": _ringing,
    "answered": _answered,
    "ended": _ended,
    "bridged": _bridged,
    "handover_ended": _handover_ended,
}
