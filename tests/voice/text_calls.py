"""Calls in text, in virtual time: the real loop between a scripted mind and a carrier that speaks.

Times are seconds. The carrier says ten letters a second, from when it gets them, and tells of each
word once it is over. An answer that begins silences the one before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calls.voice import Conversation, LoopClock, Phrases, Turn, TurnOptions
from calls.voice.ports import Action, Closed, Dtmf
from calls.voice.testing import Script, run_virtually
from calls.voice.testing.peers import ScriptedBrain, ScriptedJudge, ScriptedStore
from calls.voice.text import (
    CallerSpeaks,
    Heard,
    Interrupted,
    Spoken,
    TextEvent,
    TextPorts,
    TextSession,
)

LETTERS_PER_SECOND = 10.0


@dataclass(slots=True)
class Word:
    """One word that is said, or waits for it."""

    text: str
    ends: float
    interruptible: bool
    handle: asyncio.TimerHandle


class Carrier:
    """Implements `TextStream`. `tells_words` and `tells_speech` say what it reports."""

    def __init__(self, *, tells_words: bool = True, tells_speech: bool = True) -> None:
        self.tells_words, self.tells_speech = tells_words, tells_speech
        self.hangs = self.fails = False
        self.sent: list[tuple[Any, ...]] = []
        self.said: list[str] = []  # words that the caller heard
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._events: deque[TextEvent | None] = deque()
        self._news = asyncio.Event()
        self._words: list[Word] = []
        self._cycle: list[str] = []
        self._completed = True

    # --- the loop's side --------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[TextEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                if event is None:
                    return
                yield event
            self._news.clear()
            await self._news.wait()

    async def say(self, text: str, *, last: bool, interruptible: bool = True) -> None:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fails:
            raise ConnectionError("the socket is gone")
        self._note("say", text, last, interruptible)
        if self._completed and text:
            self._silence()
            self._cycle = []
        self._completed = last
        for word in text.split():
            self._queue(word, interruptible)

    async def switch_language(self, language: str) -> None:
        self._note("language", language)

    async def send_dtmf(self, digits: str) -> None:
        self._note("keys", digits)

    async def close(self) -> None:
        self.closed = True

    def _note(self, *what: Any) -> None:
        self.sent.append((round(self._loop.time(), 3), *what))

    def _queue(self, word: str, interruptible: bool) -> None:
        now = self._loop.time()
        begins = max(now, self._words[-1].ends if self._words else now)
        ends = begins + len(word) / LETTERS_PER_SECOND
        self._words.append(Word(word, ends, interruptible, self._loop.call_at(ends, self._spoken)))

    def _spoken(self) -> None:
        word = self._words.pop(0).text
        self.said.append(word)
        self._cycle.append(word)
        if self.tells_words:
            self.tell(Spoken(f"{word} "))

    def _silence(self) -> None:
        for word in self._words:
            word.handle.cancel()
        self._words = []

    # --- the caller's side ------------------------------------------------------------

    def tell(self, event: TextEvent | None) -> None:
        self._events.append(event)
        self._news.set()

    def speaks(self) -> None:
        """The caller begins to speak: what may be interrupted is."""
        if self.tells_speech:
            self.tell(CallerSpeaks(True))

    def breaks_in(self) -> None:
        """The carrier finds that to be an interruption."""
        if self._words and self._words[0].interruptible:
            self.falls_mute(" ".join(self._cycle))

    def falls_mute(self, heard: str) -> None:
        """For the caller, who is said to have heard that."""
        self._silence()
        self.tell(Interrupted(heard, None))

    def falls_silent(self) -> None:
        if self.tells_speech:
            self.tell(CallerSpeaks(False))

    def words(self, text: str, *, final: bool = True) -> None:
        self.tell(Heard(text, "es-MX", final))

    def presses(self, digits: str) -> None:
        for digit in digits:
            self.tell(Dtmf(digit))

    def hangs_up(self) -> None:
        self._silence()
        self.tell(Closed("caller_hung_up"))


@dataclass
class TextCall:
    """A call to be run: what the mind does is in `script`, what the caller does in `plan`."""

    script: Script
    plan: list[tuple[float, Callable[[Carrier, TextSession], None]]] = field(default_factory=list)
    options: TurnOptions = field(default_factory=TurnOptions)
    carrier: Mapping[str, bool] = field(default_factory=dict)
    session: Mapping[str, Any] = field(default_factory=dict)

    def at(self, seconds: float, name: str, *arguments: Any, **named: Any) -> TextCall:
        """The caller does this then."""

        def act(carrier: Carrier, _session: TextSession) -> None:
            getattr(carrier, name)(*arguments, **named)

        self.plan.append((seconds, act))
        return self

    def says(self, text: str, at: float, until: float, *, breaks_in: float | None = None) -> None:
        """The caller says that; the words come 0.2 s after it."""
        self.at(at, "speaks").at(until, "falls_silent").at(until + 0.2, "words", text)
        if breaks_in is not None:
            self.at(breaks_in, "breaks_in")
        self.script.caller_says(text, at=at, until=until)  # for the order of the mind's replies

    def run(self) -> Outcome:
        """To its end. Raises `Deadlock` where a real call would hang."""
        return run_virtually(self._run())

    async def _run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        carrier, store, brain = Carrier(**self.carrier), ScriptedStore(), ScriptedBrain(self.script)
        ports = TextPorts(carrier, brain, ScriptedJudge(self.script), store, LoopClock())
        session = TextSession(
            ports,
            self.options,
            language=self.script.language,
            greeting=self.script.greeting,
            **self.session,
        )
        for seconds, act in self.plan:
            loop.call_at(seconds, act, carrier, session)
        reason = await session.run()
        return Outcome(
            reason,
            carrier,
            sorted(store.turns, key=lambda turn: turn.started),
            store.events,
            session.conversation,
            session.outcome,
            brain,
            loop.time(),
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a call."""

    reason: str
    carrier: Carrier
    turns: list[Turn]
    events: list[tuple[float, str, Mapping[str, object]]]
    conversation: Conversation
    action: Action | None
    brain: ScriptedBrain
    ended: float

    def told(self, name: str) -> list[tuple[float, Mapping[str, object]]]:
        """When this happened, and how."""
        return [(at, data) for at, event, data in self.events if event == name]

    @property
    def states(self) -> list[tuple[float, str]]:
        return [(round(at, 3), str(data["state"])) for at, data in self.told("agent_state")]


PHRASES = Phrases.for_language("es")
