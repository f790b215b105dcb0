"""Which voice speaks: the first in line that works; one that failed is not tried again soon.

A voice that failed stays behind for the rest of the call, unless all did: then the line starts
from its head again, with the next reply.
"""

from __future__ import annotations

from collections.abc import Sequence

from calls.voice.ports import Synthesiser


class Voices:
    """The call's synthesisers, in order of preference."""

    def __init__(self, synthesisers: Sequence[Synthesiser]) -> None:
        self._all = tuple(synthesisers)
        self._index = 0

    @property
    def current(self) -> Synthesiser:
        return self._all[self._index]

    @property
    def has_next(self) -> bool:
        return self._index + 1 < len(self._all)

    def failed(self, voice: Synthesiser) -> bool:
        """Move on from a voice; False if it was the last in line."""
        if voice is not self.current:
            return True  # another reply has moved on already
        if self.has_next:
            self._index += 1
            return True
        self._index = 0
        return False
