"""Which of the caller's words were answered: a prompt or a request to repeat is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from calls.figures import latency_in
from calls.models import Utterance
from calls.simulator.conversation import Exchange


def is_reply(turn: Utterance) -> bool:
    """Whether the agent said this because of what the caller had said.

    Only such a turn has a latency: what the loop says of its own accord, the greeting, "are you
    still there?", "could you say it again?", waits for nobody's words.
    """
    return turn.role == Utterance.Role.AGENT and latency_in(turn.metrics) is not None


def answered(exchanges: Sequence[Exchange], turns: Sequence[Utterance]) -> list[Exchange]:
    """The exchanges during which the server stored a reply.

    The caller counts from the agent's first sound, the server from the answer of the call.
    """
    agents = [turn.started_ms for turn in turns if turn.role == Utterance.Role.AGENT]
    replies = [(turn.started_ms - agents[0]) / 1000 for turn in turns if is_reply(turn)]
    starts = [*(each.at for each in exchanges), inf]
    return [
        exchange
        for exchange, (begin, end) in zip(exchanges, pairwise(starts), strict=True)
        if any(begin <= reply < end for reply in replies)
    ]
