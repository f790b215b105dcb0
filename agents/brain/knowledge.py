"""What the agent knows: the port through which the mind looks things up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

SURE = 0.6  # from here on an entry is the answer
UNSURE = 0.34  # from here on it is worth asking whether it was meant


@dataclass(frozen=True, slots=True)
class Found:
    """A knowledge entry that fits, with how well (0 to 1).

    `collect` names what to ask the caller for after the answer (`agents.brain.embedded.forms`),
    `closing` is said when all of it was given.
    """

    entry_id: str
    question: str
    answer: str
    score: float
    tags: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()
    closing: str = ""


class KnowledgePort(Protocol):
    """A search in one agent version's knowledge; the best entries come first."""

    async def search(self, text: str, language: str, /) -> Sequence[Found]: ...


class RememberedSearches:
    """Remembers one call's searches, so that no words are looked up twice.

    A reply is often asked for more than once (preemptively, then again; by one model, then by
    the next), always about the same words.
    """

    def __init__(self, port: KnowledgePort, size: int = 64) -> None:
        self._port = port
        self._size = size
        self._known: OrderedDict[tuple[str, str], Sequence[Found]] = OrderedDict()

    async def search(self, text: str, language: str) -> Sequence[Found]:
        key = (text.strip().casefold(), language)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = await self._port.search(text, language)
        self._known[key] = found
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return found


class NoKnowledge:
    """An agent that was told nothing."""

    async def search(self, _text: str, _language: str, /) -> Sequence[Found]:
        return ()
