"""Keeps a recogniser which decides itself when an utterance ends to the port's contract.

Azure and the browser send finals by their own ear: early, late, or never if they took the sound
for noise. The loop wants one `Final` for each utterance, in time.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable

from calls.voice.ports import Final, Partial

Emit = Callable[[Partial | Final], None]


class OwnEar:
    """Counts the finals that are owed, and makes one up when patience (ms) is over.

        start … partial … partial … finish ……… final          answered, latency known
        start … partial … final … finish                       answered already
        start … partial … finish ……………………… (patience)       the last partial must do
        start … finish …………………………………… (patience)           empty, and `silent()` is told

    A final that comes after it was made up from its partials is dropped, even when the next
    utterance has begun: nothing is said twice.
    """

    def __init__(self, emit: Emit, patience: float, silent: Callable[[], None]) -> None:
        self._emit = emit
        self._patience = patience / 1000
        self._silent = silent
        self._owed: deque[float] = deque()
        self._partial = ""
        self._heard_final = False
        self._made_up = ""
        self._idle = False  # between a made-up final and the next utterance
        self._timer: asyncio.TimerHandle | None = None

    @property
    def owes(self) -> bool:
        """Whether an utterance was finished and its final has not come."""
        return bool(self._owed)

    def started(self) -> None:
        """The loop heard an utterance begin."""
        self._heard_final = False
        self._idle = False

    def finished(self) -> None:
        """The loop heard it end: from now on a final is owed, unless it came early."""
        if self._heard_final and not self._partial:
            return
        self._owed.append(time.perf_counter())
        self.close()
        self._timer = asyncio.get_running_loop().call_later(self._patience, self._lose_patience)

    def partial(self, text: str) -> None:
        """Words so far of the utterance in flight."""
        if self._idle:
            return
        self._partial = text
        self._emit(Partial(text))

    def final(self, final: Final) -> float | None:
        """A finished utterance. Returns ms since it was asked for, or None if it was not."""
        made_up, self._made_up = self._made_up, ""
        if made_up and _begins_with(final.text, made_up):
            return None
        if not final.text and not self._owed:
            return None  # noise which the loop did not take for speech either
        self._partial = ""
        self._heard_final = True
        self._emit(final)
        if not self._owed:
            return None
        latency = (time.perf_counter() - self._owed.popleft()) * 1000
        if not self._owed:
            self.close()
        return latency

    def close(self) -> None:
        """Wait for nothing more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _lose_patience(self) -> None:
        nothing_heard = not self._partial and not self._heard_final
        self._made_up = self._partial
        self._idle = True
        while self._owed:
            self._owed.popleft()
            self._emit(Final(self._partial))
            self._partial = ""
        if nothing_heard:
            self._silent()


def _begins_with(text: str, start: str) -> bool:
    """Whether its words are those, or those and more, whatever the case and punctuation."""
    words, first = (re.findall(r"\w+", part.casefold()) for part in (text, start))
    return words[: len(first)] == first
