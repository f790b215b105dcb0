"""What is known of a call whose sound comes again: where it was, and what was said until then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max
from django.utils import timezone

from calls import spoken
from calls.models import Call, CallEvent, Utterance
from calls.voice.ports import AgentSaid, CallerSaid, ConversationItem


@dataclass(frozen=True, slots=True)
class Past:
    """The call so far. `since` is in ms since the answer; the sequences are the next free ones."""

    since: float = 0.0
    said: Sequence[ConversationItem] = ()
    next_event: int = 0
    next_turn: int = 0
    opening: str = ""


def past_of(call: Call) -> Past:
    """Read it; nothing for a call that only begins. Inside its tenant."""
    if call.streams <= 1 or call.answered_at is None:
        return Past()
    turns = list(Utterance.objects.filter(call=call).order_by("sequence"))
    events = CallEvent.objects.filter(call=call).aggregate(last=Max("sequence"))["last"]
    line = spoken.NOBODY_TOOK_THE_CALL if call.transfer_to else spoken.BACK
    return Past(
        since=max(0.0, (timezone.now() - call.answered_at).total_seconds() * 1000),
        said=tuple(_item(turn) for turn in turns if turn.heard_text or turn.text),
        next_event=0 if events is None else events + 1,
        next_turn=turns[-1].sequence + 1 if turns else 0,
        opening=spoken.say(line, call.language),
    )


def _item(turn: Utterance) -> ConversationItem:
    if turn.role == Utterance.Role.CALLER:
        return CallerSaid(turn.text)
    return AgentSaid(turn.heard_text or turn.text, turn.interrupted)
