"""What the voice loop asks of the world: its only view of carriers, vendors and databases.

All times are milliseconds on the loop's one monotonic clock. All audio is signed 16-bit
little-endian mono PCM at the call's one sample rate (`MediaStream.sample_rate`: 8000 Hz on
telephone lines, 16000 Hz in the browser). Adapters convert at the edge.

An exception out of a recogniser, brain or synthesiser means that this provider failed: the loop
records it and moves to the next in line. It never ends a call by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

# --- the media stream ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Audio:
    """A stretch of the caller's sound.

    `timestamp` is the position of its first sample since the stream began, in ms, by the
    sender's sample clock: a gap between two of them is lost sound, never lateness.
    """

    pcm: bytes
    sample_rate: int
    timestamp: float


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key pressed by the caller: one of `0-9 * # A-D`."""

    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The far end has played everything that was sent before the mark of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is over: `caller_hung_up` (an orderly stop) or `media_lost`."""

    reason: str


MediaEvent: TypeAlias = Audio | Dtmf | Mark | Closed


class MediaStream(Protocol):
    """Both directions of one call's sound.

    Iterating ends after `Closed`. `send`, `mark`, `clear` may take long on a half-dead
    socket: the loop bounds each by `TurnOptions.send_timeout`.
    """

    sample_rate: int

    def __aiter__(self) -> AsyncIterator[MediaEvent]: ...

    async def send(self, pcm: bytes) -> None:
        """Queue sound at the far end, which plays it in order and in real time."""

    async def mark(self, name: str) -> None:
        """Ask to be told, by `Mark(name)`, when all that was sent so far has been played."""

    async def clear(self) -> None:
        """Throw away what the far end has not played; pending marks may be echoed at once."""

    async def send_dtmf(self, digits: str) -> None:
        """Press keys towards the far end."""

    async def close(self) -> None:
        """Hang up this stream. Doing it twice is harmless."""


# --- hearing ------------------------------------------------------------------------------


class SpeechDetector(Protocol):
    """Tells how likely it is that a chunk of sound holds speech. One instance per call."""

    sample_rate: int
    chunk_samples: int

    def process(self, chunk: bytes) -> float:
        """Probability of speech, 0 to 1, in exactly `chunk_samples` samples."""

    def reset(self) -> None:
        """Forget what was heard so far."""


class Cleaner(Protocol):
    """Takes the noise out of the caller's sound, once for all who listen; one instance per call.

    The recording keeps the sound as it came.
    """

    @property
    def delay_ms(self) -> float:
        """How much later the sound comes out."""

    def process(self, pcm: bytes) -> bytes:
        """As many samples as were given, the sound of `delay_ms` before."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word and when it sounds, in ms from the start of its utterance or segment."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What the recogniser takes the utterance in flight for, so far (the whole of it)."""

    text: str


@dataclass(frozen=True, slots=True)
class Final:
    """One finished utterance. An empty text means that nothing was understood."""

    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    language: str | None = None


class Recogniser(Protocol):
    """A stream of sound in, transcripts out. It knows nothing of turns.

    The loop pushes every frame of the caller, speech or not; it also says when its speech
    detector saw an utterance start (that start lies up to `vad_prefix` ms before the newest
    push, so recognisers that work by utterance keep that much) and finish. A recogniser
    answers every `finish_utterance()` with one `Final`, empty if there were no words; one
    with an ear of its own may send a `Final` earlier. None of the three calls blocks.
    """

    name: str

    async def open(self) -> None:
        """Connect before the first word. Called once; `push` may come before it is done."""

    def push(self, pcm: bytes) -> None: ...

    def start_utterance(self) -> None: ...

    def finish_utterance(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[Partial | Final]: ...

    async def aclose(self) -> None: ...


class TurnJudge(Protocol):
    """Tells from the words whether a caller is done. Must answer in well under 1 ms."""

    def probability(self, transcript: str, language: str, question: str) -> float:
        """Probability that the turn is over; `question` is the agent's last sentence."""


# --- thinking -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerSaid:
    text: str


@dataclass(frozen=True, slots=True)
class CallerPressed:
    digits: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """What the caller heard of an agent's turn, never what was merely generated."""

    text: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class ToolRan:
    """A tool that ran, once, whatever happened to the speech around it."""

    call_id: str
    name: str
    arguments: Mapping[str, object]
    result: object
    error: str | None = None


ConversationItem: TypeAlias = CallerSaid | CallerPressed | AgentSaid | ToolRan


@dataclass(frozen=True, slots=True)
class Conversation:
    """An immutable snapshot of the call so far, oldest first."""

    items: tuple[ConversationItem, ...]
    language: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more characters of what the agent says."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call_id: str
    name: str
    arguments: Mapping[str, object]
    filler: str = ""  # what to say while it runs, if it takes longer than `filler_after`


@dataclass(frozen=True, slots=True)
class ToolFinished:
    call_id: str
    name: str
    result: object
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call once the caller has heard everything said so far."""

    reason: str = "agent_hung_up"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the caller to a person: `target` is the name of one of the version's targets.

    `warm`: the person hears the `briefing` first, and takes the call or does not.
    """

    target: str
    warm: bool = False
    briefing: str = ""


@dataclass(frozen=True, slots=True)
class SendDtmf:
    digits: str


@dataclass(frozen=True, slots=True)
class HandOff:
    """Let another AI agent go on with the conversation."""

    agent: str


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Keep a message for the people of the company; `for_whom` may be anybody of them."""

    text: str
    from_name: str = ""
    number: str = ""
    for_whom: str = ""


@dataclass(frozen=True, slots=True)
class CallBack:
    """Call the caller again then. `when` has a time zone; no `number`: the one of this call."""

    when: datetime
    number: str = ""
    reason: str = ""


Note: TypeAlias = TakeMessage | CallBack
Action: TypeAlias = HangUp | Transfer | SendDtmf | HandOff | Note
BrainEvent: TypeAlias = TextDelta | ToolStarted | ToolFinished | Action


class Brain(Protocol):
    """Answers a conversation. Closing the generator cancels the reply at any point."""

    def reply(
        self, conversation: Conversation, committed: asyncio.Event
    ) -> AsyncGenerator[BrainEvent, None]:
        """Stream the reply to the last items of `conversation`.

        The loop may ask before it is sure that the caller is done (`preemptive`): text may
        stream at once, but nothing with an effect (tool, action) may happen before
        `committed` is set; a reply that is not kept is closed instead.
        """

    async def aclose(self) -> None: ...


# --- speaking -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Viseme:
    """A mouth shape (Azure's ids, 0 to 21) at a time in ms from the start of its segment."""

    id: int
    at: float


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of the voice's sound.

    `segment` counts the texts taken from the input, from 0; pieces come in order. `words`
    and `visemes` are those learned with this piece, in ms from the start of the segment's
    sound. `last` closes a segment (its `pcm` may be empty).
    """

    pcm: bytes
    segment: int
    words: tuple[Word, ...] = ()
    visemes: tuple[Viseme, ...] = ()
    last: bool = False


class Synthesiser(Protocol):
    """Text in, sound out, at the sample rate it was made for."""

    name: str
    sample_rate: int

    async def open(self) -> None:
        """Connect before the first word."""

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        """Speak whole sentences or clauses as they come; closing the generator stops at once."""

    async def aclose(self) -> None: ...


# --- remembering --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """One side's floor, in ms since the call was answered.

    `text` is all that was said or generated; `heard_text` is what reached the other side
    (for the caller both are the transcript). `metrics` holds the latencies of house.md.
    """

    role: Literal["caller", "agent"]
    text: str
    heard_text: str
    interrupted: bool
    started: float
    ended: float
    metrics: Mapping[str, float] = field(default_factory=dict)


class Store(Protocol):
    """Takes what happened. Both calls only put it into memory and return at once."""

    def event(self, at: float, name: str, data: Mapping[str, object]) -> None:
        """Something happened `at` ms into the call; names are listed in `events.py`."""

    def turn(self, turn: Turn) -> None:
        """A turn is over."""


class Recorder(Protocol):
    """Two-channel recording by sample clock. Only puts into memory and returns at once."""

    def caller(self, pcm: bytes, at: float) -> None:
        """Sound of the caller whose first sample lies `at` ms after the call was answered."""

    def agent(self, pcm: bytes, at: float) -> None:
        """Sound of the agent as it is played out, likewise."""

    def agent_cleared(self, at: float) -> None:
        """Nothing that was given for times after `at` was ever heard."""


class Clock(Protocol):
    """One monotonic clock, in ms."""

    def now(self) -> float: ...

    async def sleep_until(self, at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything one call is made of. Sequences are in order of preference."""

    media: MediaStream
    detector: SpeechDetector
    recognisers: Sequence[Recogniser]
    judge: TurnJudge
    brain: Brain
    synthesisers: Sequence[Synthesiser]
    store: Store
    recorder: Recorder
    clock: Clock
    cleaner: Cleaner | None = None
