"""The caller's turn in the making: what was said since the agent was last heard."""

from __future__ import annotations

from dataclasses import dataclass, field

from calls.voice.metrics import TurnMetrics
from calls.voice.ports import CallerPressed, CallerSaid, ConversationItem, Turn


@dataclass(slots=True)
class CallerTurn:
    """Utterances and keys that will be answered together. Times on the loop's clock."""

    started: float | None = None
    ended: float = 0.0  # acoustic end of the newest speech, or the last key
    parts: list[tuple[float, CallerSaid | CallerPressed]] = field(default_factory=list)
    partial: str = ""
    keyed: float | None = None  # the last key
    transcript_came: float | None = None
    told: int = 0  # parts that are in the history already
    terminator: str = ""  # the key that ends a turn, and is no part of what was entered

    @property
    def text(self) -> str:
        """The transcript so far, the utterance in flight included, without the keys."""
        said = [part.text for _, part in self.parts if isinstance(part, CallerSaid)]
        return " ".join([*said, self.partial]).strip()

    @property
    def shown(self) -> str:
        """The text of the stored turn: words and keys in their order."""
        return _in_words(self._entered(self.parts))

    @property
    def digits(self) -> str:
        """The keys that nobody was told of."""
        untold = (part for _, part in self.parts[self.told :])
        return "".join(part.digits for part in untold if isinstance(part, CallerPressed))

    @property
    def ends_with_key(self) -> bool:
        return self.keyed is not None and self.keyed >= self.ended

    @property
    def is_empty(self) -> bool:
        return not (self.parts or self.partial)

    def begin(self, at: float) -> None:
        if self.started is None or self.is_empty:
            self.started = at

    def add_final(self, text: str, came: float, began: float) -> None:
        """An utterance that began then is transcribed: it goes before keys pressed later."""
        if not text:
            return
        place = len(self.parts)
        while place > self.told and self.parts[place - 1][0] > began:
            place -= 1
        self.parts.insert(place, (began, CallerSaid(text)))
        self.transcript_came = came
        if self.started is None:  # no speech was noticed
            self.started, self.ended = min(began, came), max(self.ended, came)

    def add_key(self, digit: str, at: float) -> None:
        self.parts.append((at, CallerPressed(digit)))
        self.ended = self.keyed = at

    def settle_partial(self, came: float, began: float) -> None:
        """The partial words are all that will come."""
        text, self.partial = self.partial, ""
        self.add_final(text, came, began)

    def go_on(self, later: CallerTurn, told: bool) -> None:
        """The caller went on after all; `told`: the first words stay in the history."""
        if told:
            self.told = len(self.parts)
        self.parts += later.parts
        self.partial = later.partial
        self.keyed = later.keyed or self.keyed
        self.ended = max(self.ended, later.ended)
        self.transcript_came = later.transcript_came or self.transcript_came

    def items(self) -> list[ConversationItem]:
        """What the brain is told."""
        return [*self._entered(self.parts[self.told :])]

    def _entered(
        self, parts: list[tuple[float, CallerSaid | CallerPressed]]
    ) -> list[CallerSaid | CallerPressed]:
        """Words and keys as they count: without the key that only says that they are all."""
        joined = _joined([part for _, part in parts], self.partial)
        last = joined[-1] if joined else None
        if isinstance(last, CallerPressed) and self.terminator and len(last.digits) > 1:
            joined[-1] = CallerPressed(last.digits.removesuffix(self.terminator))
        return joined

    def stored(self, answered_at: float, metrics: TurnMetrics | None) -> Turn:
        """As the store takes it; a call answered then began it."""
        began = self.ended if self.started is None else self.started
        return Turn(
            "caller",
            self.shown,
            self.shown,
            False,
            began - answered_at,
            max(began, self.ended) - answered_at,
            metrics.as_dict() if metrics is not None else {},
        )


def _joined(
    parts: list[CallerSaid | CallerPressed], partial: str
) -> list[CallerSaid | CallerPressed]:
    """Neighbours of one kind made one."""
    joined: list[CallerSaid | CallerPressed] = []
    for part in [*parts, CallerSaid(partial)] if partial else parts:
        last = joined[-1] if joined else None
        if isinstance(part, CallerSaid) and isinstance(last, CallerSaid):
            joined[-1] = CallerSaid(f"{last.text} {part.text}")
        elif isinstance(part, CallerPressed) and isinstance(last, CallerPressed):
            joined[-1] = CallerPressed(last.digits + part.digits)
        else:
            joined.append(part)
    return joined


def _in_words(parts: list[CallerSaid | CallerPressed]) -> str:
    return " ".join(part.text if isinstance(part, CallerSaid) else part.digits for part in parts)
