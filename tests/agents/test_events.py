"""The mind's items and events mirror the voice loop's ports, name by name."""

import dataclasses

import pytest

from agents.brain import events
from calls.voice import ports

MIRRORED = [
    "CallerSaid", "CallerPressed", "AgentSaid", "ToolRan", "TextDelta", "ToolStarted",
    "ToolFinished", "HangUp", "Transfer", "SendDtmf", "HandOff",
    "TakeMessage", "CallBack",
]  # fmt: skip


def shape(cls):
    return [(f.name, f.type, f.default) for f in dataclasses.fields(cls)]


@pytest.mark.parametrize("name", MIRRORED)
def test_an_item_or_event_has_the_same_fields_on_both_sides(name):
    assert shape(getattr(events, name)) == shape(getattr(ports, name))


def test_no_item_or_event_is_missing_on_either_side():
    both = (ports.ConversationItem | ports.BrainEvent).__args__
    ours = (events.ConversationItem | events.ReplyEvent).__args__
    assert {c.__name__ for c in both} == {c.__name__ for c in ours} == set(MIRRORED)
