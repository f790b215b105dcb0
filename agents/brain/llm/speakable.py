"""Keeps a model's thoughts out of its speech."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class SpeakableText:
    """Drops `<think>…</think>` from text that comes in pieces cut anywhere.

    Some reasoning models write their thoughts into the text instead of a field of its own.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._thinking = False
        self._thought = False  # the space after a thought is no speech either

    def feed(self, text: str) -> str:
        """Take some more text; return what is certain to be speech."""
        self._pending += text
        if self._thought:
            self._pending = self._pending.lstrip()
            self._thought = not self._pending
        speech = []
        while self._pending:
            tag = CLOSE if self._thinking else OPEN
            before, found, after = self._pending.partition(tag)
            if found:
                speech.append("" if self._thinking else before)
                self._pending = after.lstrip() if self._thinking else after
                self._thought = self._thinking and not self._pending
                self._thinking = not self._thinking
                continue
            kept = _possible_start(self._pending, tag)
            if not self._thinking:
                speech.append(self._pending[: len(self._pending) - kept])
            self._pending = self._pending[len(self._pending) - kept :]
            break
        return "".join(speech)

    def flush(self) -> str:
        """The end of the text: what was held back was no tag after all."""
        rest, self._pending = self._pending, ""
        return "" if self._thinking else rest


def _possible_start(text: str, tag: str) -> int:
    """How many characters at the end of `text` could be the start of `tag`."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if tag.startswith(text[-length:]):
            return length
    return 0
