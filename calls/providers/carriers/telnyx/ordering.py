"""Puts the chunks of a stream in order: Telnyx does not promise any (telnyx.md, 5)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks that follow one another, after `missing` that never came."""

    coded: bytes
    missing: int


class Ordering:
    """Holds chunks back until those before them are there, for `patience` coded bytes at most.

    What came twice, or after it was given up, is `dropped` and counted.
    """

    def __init__(self, patience: int) -> None:
        self.next: int | None = None
        self.dropped = 0
        self._patience = patience
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0

    def put(self, number: int, coded: bytes) -> Run | None:
        """Take one chunk; gives what may be heard now, if anything."""
        if self.next is None or (number == self.next and not self._held):
            self.next = number + 1
            return Run(coded, 0)
        if number < self.next or number in self._held:
            self.dropped += 1
            return None
        self._held[number] = coded
        self._held_bytes += len(coded)
        if number != self.next and self._held_bytes <= self._patience:
            return None
        return self._release(min(self._held))

    def _release(self, first: int) -> Run:
        assert self.next is not None  # noqa: S101 - for the type checker
        missing, number, run = first - self.next, first, []
        while number in self._held:
            run.append(self._held.pop(number))
            number += 1
        self.next = number
        coded = b"".join(run)
        self._held_bytes -= len(coded)
        return Run(coded, missing)
