"""The caller's turn in the making: what was said since the agent was last heard."""

from __future__ import annotations

from dataclasses import dataclass, field

from calls.voice.ports import CallerPressed, CallerSaid, ConversationItem


@dataclass(slots=True)
class CallerTurn:
    """Utterances and keys that will be answered together. Times on the loop's clock."""

    started: float | None = None
    ended: float = 0.0  # acoustic end of the newest speech, or the last key
    finals: list[str] = field(default_factory=list)
    partial: str = ""
    digits: str = ""
    transcript_came: float | None = None
    told: int = 0  # finals that are in the history already

    @property
    def text(self) -> str:
        """The transcript so far, the utterance in flight included."""
        return " ".join([*self.finals, self.partial]).strip()

    @property
    def shown(self) -> str:
        """The text of the stored turn: words, then keys."""
        return " ".join(filter(None, (self.text, self.digits)))

    @property
    def is_empty(self) -> bool:
        return not self.shown

    def begin(self, at: float) -> None:
        if self.started is None or self.is_empty:
            self.started = at

    def add_final(self, text: str, came: float, began: float) -> None:
        """An utterance is transcribed; `began` is taken where no speech was noticed."""
        self.partial = ""
        if not text:
            return
        self.finals.append(text)
        self.transcript_came = came
        if self.started is None:
            self.started, self.ended = min(began, came), max(self.ended, came)

    def go_on(self, later: CallerTurn, told: bool) -> None:
        """The caller went on after all; `told`: the first words stay in the history."""
        if told:
            self.told, self.digits = len(self.finals), ""
        self.finals += later.finals
        self.partial = later.partial
        self.digits += later.digits
        self.ended = max(self.ended, later.ended)
        self.transcript_came = later.transcript_came or self.transcript_came

    def items(self) -> list[ConversationItem]:
        """What the brain is told."""
        items: list[ConversationItem] = []
        if words := " ".join([*self.finals[self.told :], self.partial]).strip():
            items.append(CallerSaid(words))
        if self.digits:
            items.append(CallerPressed(self.digits))
        return items
