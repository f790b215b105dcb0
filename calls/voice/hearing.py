"""The caller's side: frames in; speech starts and stops, transcripts and their absence out.

    frame -> recorder; cleaner -> recogniser.push, speech detector    plain calls: no queue

    caller      |=========|
    utterance   start      .. finish -> one Final from the recogniser
                          |<----- transcript_timeout ----->| none: the recogniser is replaced

A recogniser with an ear of its own may send its `Final` before we say `finish`; then it owes
none, unless more partial words have come since (`utterances`). One that fails is replaced and
hears the utterance again from its start; one that stays mute to speech of real length is replaced
without that. A cough proves nothing.

Moments of the sender's sample clock become moments of ours by the least delay seen so far, so
a frame that a stall held up does not move the end of speech.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from calls.voice.bargein import plain
from calls.voice.clock import Timer, guarded
from calls.voice.events import Event
from calls.voice.options import TurnOptions
from calls.voice.ports import Audio, Final, Partial, Ports, Recogniser
from calls.voice.utterances import Utterance, Utterances
from calls.voice.vad import SpeechChange, SpeechStarted, VoiceActivity
from calls.voice.watchdog import CLOSING_LIMIT, Tasks

OPENING_LIMIT = 10_000.0
KEPT_UTTERANCE = 30_000.0  # ms of it that a replacement hears again
REAL_SPEECH = 600.0  # ms of it that a working recogniser finds words in
CLOCK_DRIFT = 0.0002  # the sender's clock may be that much slower than ours


class Listener(Protocol):
    """What the floor is told. Times are on the loop's clock."""

    def speech_started(self, at: float) -> None: ...

    def speech_stopped(self, at: float) -> None: ...

    def voiced(self, duration: float) -> None: ...

    def partial(self, text: str) -> None: ...

    def final(self, final: Final, spoken: Utterance, rest: str) -> None:
        """`rest`: partial words of later speech."""

    def no_more_words(self) -> None:
        """None are likely to come any more of the speech that is over."""

    def no_transcript(self, spoken: Utterance) -> None: ...

    def deaf(self) -> None: ...

    def record(self, event: Event, data: Mapping[str, object]) -> None: ...


class Hearing:
    """One per call. `hear` is the whole path of a frame."""

    def __init__(
        self, ports: Ports, options: TurnOptions, tasks: Tasks, listener: Listener, answered: float
    ) -> None:
        self._clock = ports.clock
        self._recorder = ports.recorder
        self._cleaner = ports.cleaner
        self._tasks = tasks
        self._options = options
        self._listener = listener
        self._answered = answered
        self._bytes_per_ms = ports.media.sample_rate * 2 / 1000
        self._activity = VoiceActivity(ports.detector, options)
        self._candidates = deque(ports.recognisers)
        self._recogniser = self._candidates.popleft()
        self._task: asyncio.Task[None] | None = None
        self._delay: float | None = None  # least arrival delay against the sender's clock
        self._last_frame = 0.0
        self._base = 0.0  # of the recording: our time of the sender's time zero
        self._kept: deque[bytes] = deque()
        self._kept_ms = 0.0
        self._deaf = False  # no recogniser is left
        self._broken_at: float | None = None  # when one failed last
        self._utterances = Utterances(options.transcript_timeout)
        self._written_off = ""  # words that were used before their final came
        self._voiced = 0.0  # ms of speech in the last utterance
        self._timeout = Timer(ports.clock, self._transcript_late)
        self._hope = Timer(ports.clock, listener.no_more_words)

    @property
    def recogniser(self) -> Recogniser:
        return self._recogniser

    @property
    def speaking(self) -> bool:
        """The caller speaks, or has not been silent for long enough."""
        return self._activity.speaking

    @property
    def silent_now(self) -> bool:
        return self._activity.silent_now

    @property
    def voiced(self) -> float:
        """Ms of speech in the present utterance, or in the last."""
        return self._activity.voiced or self._voiced

    @property
    def awaiting(self) -> bool:
        """Words may be on their way: speech is over, or a partial has come, and no final yet."""
        return self._utterances.waiting and not self._deaf

    @property
    def expecting(self) -> bool:
        """Words are likely on their way: a turn should wait for them."""
        due = self._utterances.due
        return not self._deaf and due is not None and due > self._clock.now() + 0.01

    @property
    def streams(self) -> bool | None:
        """Whether the recogniser sends partial words; None while that is not known."""
        return self._utterances.streams

    @property
    def broken(self) -> bool:
        """A recogniser has failed, and no words have come since."""
        return self._broken_at is not None and self._utterances.words_came <= self._broken_at

    @property
    def onset(self) -> bool:
        """The newest sound may be the beginning of speech."""
        return self._activity.onset

    @property
    def voiced_until(self) -> float:
        """End of the newest voice, on the loop's clock."""
        return self._activity.voiced_until + (self._delay or 0.0)

    def start(self) -> None:
        self._task = self._tasks.spawn(self._listen(self._recogniser), "recogniser")

    def stop(self) -> None:
        self._timeout.cancel()
        self._hope.cancel()

    # --- the path of a frame ----------------------------------------------------------

    def hear(self, audio: Audio) -> None:
        """Take one frame."""
        pcm = audio.pcm
        length = len(pcm) / self._bytes_per_ms
        self._follow_clock(audio.timestamp, length)
        self._recorder.caller(pcm, audio.timestamp + self._base)
        began = audio.timestamp
        if self._cleaner is not None:
            pcm = self._cleaner.process(pcm)
            began -= self._cleaner.delay_ms
        self._keep(pcm, length)
        self._tell(self._recogniser.push, pcm)
        for change in self._activity.process(pcm, began):
            self._changed(change)
        if self._activity.speaking:
            self._listener.voiced(self._activity.voiced + self._activity.grain)

    def _follow_clock(self, timestamp: float, length: float) -> None:
        now = self._clock.now()
        delay = now - (timestamp + length)
        if self._delay is None:
            self._delay = delay
            self._base = max(0.0, delay - self._answered)
        else:
            self._delay = min(delay, self._delay + (now - self._last_frame) * CLOCK_DRIFT)
        self._last_frame = now

    def _keep(self, pcm: bytes, length: float) -> None:
        self._kept.append(pcm)
        self._kept_ms += length
        busy = self._activity.speaking or self._utterances.waiting
        limit = KEPT_UTTERANCE if busy else self._options.vad_prefix
        while self._kept_ms > limit:
            self._kept_ms -= len(self._kept.popleft()) / self._bytes_per_ms

    def _changed(self, change: SpeechChange) -> None:
        at = change.at + (self._delay or 0.0)
        if isinstance(change, SpeechStarted):
            self._utterances.begin(at)
            self._hope.cancel()
            self._tell(self._recogniser.start_utterance)
            self._listener.speech_started(at)
            return
        self._voiced = change.voiced
        self._utterances.end(at, change.voiced)
        self._tell(self._recogniser.finish_utterance)
        self._watch()
        self._listener.speech_stopped(at)

    # --- transcripts ------------------------------------------------------------------

    def _watch(self) -> None:
        """Set the alarms for words that do not come."""
        self._timeout.cancel()
        self._hope.cancel()
        if self._deaf:
            return
        if (deadline := self._utterances.deadline) is not None:
            self._timeout.set(deadline)
        due = self._utterances.due
        if due is not None and self._clock.now() < due < float("inf"):
            self._hope.set(due)

    def split_utterance(self) -> None:
        """The speech that goes on shall count anew; what was said so far is used already."""
        self._written_off = self._utterances.partial
        self._utterances.forget()
        self._watch()
        self._tell(self._recogniser.finish_utterance)
        self._tell(self._recogniser.start_utterance)

    def last_words(self) -> None:
        """The stream is over: ask for what was said in the last moment."""
        for change in self._activity.finish():
            self._changed(change)

    def _take(self, heard: Partial | Final) -> None:
        text, used = self._what_is_new(heard.text)
        now = self._clock.now()
        if isinstance(heard, Partial):
            if self._utterances.heard(text, now):
                self._watch()
                self._listener.partial(self._utterances.partial)
            return
        if used and not text:
            self._written_off = " ".join(self._written_off.split()[len(heard.text.split()) :])
            return
        self._written_off = ""
        spoken = self._utterances.settle(text.strip(), now, self.voiced_until)
        self._watch()
        if spoken is not None:
            self._finish(replace(heard, text=text) if used else heard, spoken)

    def _finish(self, final: Final, spoken: Utterance) -> None:
        self._listener.final(final, spoken, self._utterances.partial)

    def _what_is_new(self, text: str) -> tuple[str, bool]:
        """A transcript without the words that were used already; whether it had them."""
        words, used = text.split(), self._written_off.split()
        shared = min(len(words), len(used))
        if not shared or plain(" ".join(words[:shared])) != plain(" ".join(used[:shared])):
            return text, False
        return " ".join(words[shared:]), True

    def _transcript_late(self) -> None:
        """A final is overdue: partial words stand for it; without any, who is mute must go."""
        overdue = self._utterances.late(self._clock.now())
        self._watch()
        if not overdue:
            return
        waited = {"recogniser": self._recogniser.name, "waited": self._options.transcript_timeout}
        self._listener.record(Event.TRANSCRIPT_TIMEOUT, waited)
        for spoken in overdue:
            if spoken.partial:
                text, spoken.partial = spoken.partial, ""
                self._written_off = " ".join(filter(None, (self._written_off, text)))
                self._finish(Final(text), spoken)
            elif not self._activity.speaking:  # or the present utterance will show what is wrong
                self._no_transcript(spoken)

    def _no_transcript(self, spoken: Utterance) -> None:
        if spoken.voiced >= REAL_SPEECH and self._utterances.words_came <= spoken.began:
            self._replace()
        self._listener.no_transcript(spoken)

    # --- recognisers ------------------------------------------------------------------

    async def _listen(self, recogniser: Recogniser) -> None:
        try:
            async with asyncio.timeout(OPENING_LIMIT / 1000):
                await recogniser.open()
            async for heard in recogniser:
                guarded(self._take, heard)
        except Exception as error:  # a vendor's client: the next recogniser
            self._failed(error)
            return
        self._failed(ConnectionError("the recogniser's stream ended"))

    def _tell(self, call: Callable[..., None], *arguments: bytes) -> None:
        try:
            call(*arguments)
        except Exception as error:  # a vendor's client: the next recogniser
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        name, self._broken_at = self._recogniser.name, self._clock.now()
        data = {"kind": "recogniser", "provider": name, "error": repr(error)}
        self._listener.record(Event.PROVIDER_FAILED, data)
        if not self._candidates:
            self._deaf = True
            self._watch()
            self._listener.deaf()
            return
        self._replace()
        self._hear_again()

    def _replace(self) -> None:
        """The next in line; the last one is kept, there is nothing better."""
        if not self._candidates:
            return
        old, self._recogniser = self._recogniser, self._candidates.popleft()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self.start()
        self._tasks.spawn(close_quietly(old), "recogniser.close")
        name = self._recogniser.name
        self._listener.record(Event.PROVIDER_REPLACED, {"kind": "recogniser", "provider": name})

    def _hear_again(self) -> None:
        if not (self._activity.speaking or self._utterances.waiting):
            return
        self._utterances.merge()
        self._tell(self._recogniser.start_utterance)
        for pcm in list(self._kept):
            self._tell(self._recogniser.push, pcm)
        if not self._activity.speaking:
            self._tell(self._recogniser.finish_utterance)


async def close_quietly(provider: Closable) -> None:
    """Close something that may be broken already; a fault or a hang changes nothing more."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSING_LIMIT / 1000):
            await provider.aclose()


class Closable(Protocol):
    async def aclose(self) -> None: ...
