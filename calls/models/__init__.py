"""Telephone calls and what is left of them."""

from calls.models.call import Call, CallQuerySet, Channel, Direction, State
from calls.models.event import CallEvent, RefusedCall
from calls.models.number import Number
from calls.models.recording import Recording
from calls.models.utterance import Utterance

__all__ = [
    "Call",
    "CallEvent",
    "CallQuerySet",
    "Channel",
    "Direction",
    "Number",
    "Recording",
    "RefusedCall",
    "State",
    "Utterance",
]
