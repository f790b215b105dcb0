"""The scripted world round a call: line, ears, brain, voices, store, recorder."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import pairwise

from calls.voice.ports import (
    AgentSaid,
    Audio,
    BrainEvent,
    Closed,
    Conversation,
    Dtmf,
    Final,
    Mark,
    MediaEvent,
    Partial,
    Speech,
    TextDelta,
    ToolFinished,
    ToolStarted,
    Turn,
    Word,
)
from calls.voice.testing.script import NEVER, CallsTool, Says, Script, Speaks, Step

RATE = 8000
FRAME = 0.02
CHUNK_SAMPLES = 80  # of the scripted detector: 10 ms, so that scripted times are met exactly
VOICE = b"\x00\x10"  # one sample of speech, by which the detector knows it
SOUND = b"\x00\x04"  # one sample of the agent's voice
_SILENCE = bytes(2)
_SPEAKING_PACE = 0.3  # seconds per word of phrases that the script says nothing of
_BACKUP_VOICE = 0.2
_INSTANT = 1e-6  # timers may ring that much early


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Sound:
    """What is kept of a piece of sound that was sent: its length, in bytes and in seconds."""

    size: int

    def __len__(self) -> int:
        return self.size

    @property
    def seconds(self) -> float:
        return self.size / (RATE * 2)


async def _until(at: float) -> None:
    if at == NEVER:
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(max(0.0, at - _now()))


class ScriptedLine:
    """A `MediaStream` that plays out without delay and acknowledges marks exactly."""

    sample_rate = RATE

    def __init__(self, script: Script, *, has_ambience: bool = False) -> None:
        self._script = script
        self._faults = script.faults
        self._loop = asyncio.get_running_loop()
        self._inbound: deque[MediaEvent] = deque()
        self._wake = asyncio.Event()
        self._held: list[Audio] = []
        self._free_at = 0.0
        self._pending: list[tuple[str, asyncio.TimerHandle]] = []
        self._speech = deque(sorted([(s.at, s.until) for s in script.says] + script.noises))
        self._has_ambience = has_ambience
        self.sent: list[tuple[object, ...]] = []
        self.heard: list[list[float]] = []  # stretches of the agent's voice, [from, until]
        self.closed = False

    def begin(self) -> None:
        """The call is answered: frames flow from now on."""
        self._frame(0)
        for at, digit in self._script.presses:
            self._loop.call_at(at, self._put, Dtmf(digit))
        if self._faults.stream_ends_at != NEVER:
            self._loop.call_at(self._faults.stream_ends_at, self._wake.set)
        if self._script.hangs_up_at != NEVER:
            after_frame = self._script.hangs_up_at + _INSTANT / 2
            self._loop.call_at(after_frame, self._put, Closed("caller_hung_up"))

    async def __aiter__(self) -> AsyncIterator[MediaEvent]:
        while True:
            while self._inbound:
                event = self._inbound.popleft()
                yield event
                if isinstance(event, Closed):
                    return
            if _now() >= self._faults.stream_ends_at - _INSTANT:
                return
            self._wake.clear()
            await self._wake.wait()

    async def send(self, pcm: bytes) -> None:
        await self._maybe_hang()
        now = _now() + self._faults.line_delay
        start = max(now, self._free_at)
        self._free_at = start + len(pcm) / (RATE * 2)
        self.sent.append((round(_now(), 6), "media", Sound(len(pcm))))
        if pcm.startswith(SOUND) or not self._has_ambience:
            self.heard.append([start, self._free_at])

    async def mark(self, name: str) -> None:
        self.sent.append((round(_now(), 6), "mark", name))
        if self._faults.marks_work:
            at = max(_now() + self._faults.line_delay, self._free_at)
            handle = self._loop.call_at(at, self._put, Mark(name))
            self._pending = [p for p in self._pending if p[1].when() > _now()]
            self._pending.append((name, handle))

    async def clear(self) -> None:
        now = _now()
        self.sent.append((round(now, 6), "clear"))
        self._free_at = now
        for stretch in reversed(self.heard):
            if stretch[1] <= now:
                break
            stretch[1] = max(stretch[0], now)
        for name, handle in self._pending:
            if handle.when() > now:
                handle.cancel()
                self._put(Mark(name))
        self._pending.clear()

    async def send_dtmf(self, digits: str) -> None:
        self.sent.append((round(_now(), 6), "dtmf", digits))

    async def close(self) -> None:
        self.closed = True
        self._inbound.clear()

    async def _maybe_hang(self) -> None:
        if _now() >= self._faults.send_fails_at - _INSTANT:
            raise ConnectionResetError("the socket is gone")
        if _now() >= self._faults.send_hangs_at - _INSTANT:
            await _until(NEVER)

    def _frame(self, number: int) -> None:
        begin = number * FRAME
        if self.closed or begin >= min(self._script.hangs_up_at, self._faults.stream_ends_at):
            return
        self._loop.call_at((number + 1) * FRAME, self._deliver, number)

    def _deliver(self, number: int) -> None:
        begin, end = number * FRAME, (number + 1) * FRAME
        audio = Audio(self._sound(begin, end), RATE, begin * 1000)
        if not any(since <= begin < until for since, until in self._faults.lost):
            self._held.append(audio)
        if not any(since <= end < until for since, until in self._faults.stalled):
            for held in self._held:
                self._put(held)
            self._held.clear()
        self._frame(number + 1)

    def _sound(self, begin: float, end: float) -> bytes:
        first, count = round(begin * RATE), round((end - begin) * RATE)
        pcm = _SILENCE * count
        while self._speech and self._speech[0][1] <= begin:
            self._speech.popleft()
        for since, until in self._speech:
            if since >= end:
                break
            a = min(max(round(since * RATE) - first, 0), count)
            b = min(max(round(until * RATE) - first, 0), count)
            if b > a:
                pcm = pcm[: a * 2] + VOICE * (b - a) + pcm[b * 2 :]
        return pcm

    def _put(self, event: MediaEvent) -> None:
        self._inbound.append(event)
        self._wake.set()


class ScriptedDetector:
    """Knows scripted speech by its samples."""

    sample_rate = RATE
    chunk_samples = CHUNK_SAMPLES

    def process(self, chunk: bytes) -> float:
        return 1.0 if chunk.count(VOICE[1]) * 2 >= CHUNK_SAMPLES else 0.0

    def reset(self) -> None:
        """Nothing is remembered."""


class ScriptedRecogniser:
    """Hears what the script says the caller says, at the times it says."""

    def __init__(self, script: Script, number: int, answered: list[Says]) -> None:
        self.name = f"recogniser-{number}"
        self._script = script
        self._answered = answered  # by any recogniser, at `finish_utterance`
        self._fails_at = script.faults.failing_recognisers.get(number, NEVER)
        self._out: asyncio.Queue[Partial | Final | Exception] = asyncio.Queue()
        self._handles: list[asyncio.TimerHandle] = []
        self.pushed = 0
        self.closed = False

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        if self._fails_at <= loop.time():
            raise ConnectionError("no recogniser here")
        for says in self._script.says:
            for at, heard in self._plan(says):
                if at >= loop.time() - _INSTANT:
                    self._handles.append(loop.call_at(at, self._put, heard))
        if self._fails_at != NEVER:
            error = ConnectionError("the recogniser broke")
            self._handles.append(loop.call_at(self._fails_at, self._out.put_nowait, error))

    def push(self, pcm: bytes) -> None:
        self.pushed += len(pcm)

    def start_utterance(self) -> None:
        """Times come from the script."""

    def finish_utterance(self) -> None:
        if not self._script.transcribes_at_finish:
            return
        now = _now()
        ended = [
            says
            for says in self._script.says
            if says.at < now and says not in self._answered and says.transcript_delay != NEVER
        ]
        self._answered.extend(ended)
        text = " ".join(says.text for says in ended)
        delay = ended[-1].transcript_delay if ended else 0.0
        handle = asyncio.get_running_loop().call_at(now + delay, self._out.put_nowait, Final(text))
        self._handles.append(handle)

    def _put(self, heard: tuple[Partial | Final, ...]) -> None:
        for transcript in heard:
            self._out.put_nowait(transcript)

    async def __aiter__(self) -> AsyncIterator[Partial | Final]:
        while True:
            heard = await self._out.get()
            if isinstance(heard, Exception):
                raise heard
            yield heard

    async def aclose(self) -> None:
        self.closed = True
        for handle in self._handles:
            handle.cancel()

    def _plan(self, says: Says) -> list[tuple[float, tuple[Partial | Final, ...]]]:
        """What comes when; what comes at one moment comes in this order."""
        hangs_up = self._script.hangs_up_at
        if says.transcript_delay == NEVER or self._script.transcribes_at_finish:
            return []
        if says.at >= hangs_up:
            return []
        end = min(says.until, hangs_up)
        last = len(says.partials)
        step = (says.until - says.at) / max(1, last)
        plan: dict[float, tuple[Partial | Final, ...]] = {}
        for count, words in enumerate(says.partials, 1):
            at = says.until if count == last else says.at + step * count
            if at <= end:
                plan[at] = (Partial(words),)
        at = end + says.transcript_delay
        plan[at] = (*plan.get(at, ()), Final(says.text))
        return list(plan.items())


class ScriptedJudge:
    """Certain, unless the script says otherwise."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def probability(self, transcript: str, language: str, question: str) -> float:  # noqa: ARG002
        return self._script.judgements.get(transcript, 1.0)


@dataclass(frozen=True)
class ToolRun:
    """A tool that really ran, in seconds; its result is None if it was broken off."""

    name: str
    started: float
    ended: float
    result: object


class ScriptedBrain:
    """Gives the script's replies, one per turn. A tool that ran is not run again."""

    def __init__(self, script: Script) -> None:
        self.name = "brain"
        self._script = script
        self._replies = deque(script.replies())
        self._last: list[Step] | None = None
        self._said_before = -1  # agent's turns in the history when the last reply was asked for
        self._calls: list[CallsTool] = []
        self.asked: list[float] = []
        self.tools: list[ToolRun] = []
        self.current: list[Speaks] = []  # everything given so far, newest first

    async def reply(
        self, conversation: Conversation, committed: asyncio.Event
    ) -> AsyncGenerator[BrainEvent, None]:
        self.asked.append(_now())
        if self._script.faults.mute_brains >= len(self.asked):
            await _until(NEVER)
        if self._script.faults.failing_brains >= len(self.asked):
            raise ConnectionError("no brain here")
        for step in self._pick(conversation):
            if isinstance(step, Speaks):
                self.current.insert(0, step)
                async with aclosing(self._tokens(step)) as tokens:
                    async for delta in tokens:
                        yield delta
            elif isinstance(step, CallsTool):
                if any(step is ran for ran in self._calls):
                    continue
                await committed.wait()
                self._calls.append(step)
                call_id = f"call-{len(self._calls)}"
                yield ToolStarted(call_id, step.name, step.arguments, step.filler)
                await self._run_tool(step)
                yield ToolFinished(call_id, step.name, step.result, step.error)
            else:
                await committed.wait()
                yield step.action

    async def aclose(self) -> None:
        """Nothing is held open."""

    async def _tokens(self, step: Speaks) -> AsyncGenerator[TextDelta, None]:
        begun = _now()
        tokens = re.findall(r"\S+\s*", step.text)
        if len(tokens) == 1:
            half = len(step.text) // 2
            tokens = [step.text[:half], step.text[half:]]
        pace = (step.last_token - step.first_token) / max(1, len(tokens) - 1)
        for number, token in enumerate(tokens):
            if number == self._script.faults.brain_breaks_after:
                raise ConnectionError("the brain broke")
            await _until(begun + step.first_token + pace * number)
            yield TextDelta(token)

    async def _run_tool(self, step: CallsTool) -> None:
        started, result = _now(), None
        try:
            await _until(started + step.seconds)
            result = step.result
        finally:
            self.tools.append(ToolRun(step.name, started, _now(), result))

    def _pick(self, conversation: Conversation) -> list[Step]:
        said = sum(isinstance(item, AgentSaid) for item in conversation.items)
        dropped = self._last if said == self._said_before else None
        self._said_before = said
        if dropped is not None and len(self._replies) <= self._turns_to_come():
            return dropped
        self._last = self._replies.popleft() if self._replies else []
        return self._last

    def _turns_to_come(self) -> int:
        now = _now()
        return sum(says.at > now for says in self._script.says)


class ScriptedVoice:
    """Speaks what the script's replies say in the time they say."""

    sample_rate = RATE

    def __init__(self, script: Script, brain: ScriptedBrain, number: int) -> None:
        self.name = f"voice-{number}"
        self._number = number
        self._script = script
        self._brain = brain
        self.opened = self.closed = False

    async def open(self) -> None:
        self.opened = True

    async def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        number = 0
        async for text in segments:
            delay, seconds = self._plan(text)
            if self._number in self._script.faults.mute_voices:
                delay = NEVER
            await _until(_now() + delay)
            breaks_after = self._script.faults.failing_voices.get(self._number)
            if breaks_after is not None:
                partial = min(breaks_after, seconds)
                yield Speech(SOUND * round(partial * RATE), number)
                raise ConnectionError("the voice broke")
            words = _timings(text, seconds) if self._script.word_timings else ()
            yield Speech(SOUND * round(seconds * RATE), number, words, last=True)
            number += 1

    async def aclose(self) -> None:
        self.closed = True

    def _plan(self, text: str) -> tuple[float, float]:
        """Delay and length of a sentence, in seconds."""
        words = len(text.split())
        for step in self._brain.current:
            if text in step.text:
                share = words / len(step.text.split())
                delay = step.first_audio if step.text.startswith(text) else 0.0
                if self._number > 0:
                    delay = min(delay, _BACKUP_VOICE)
                return delay, step.audio_seconds * share
        greeting = self._script.greeting
        if greeting and text in greeting:
            return 0.0, self._script.greeting_seconds * words / len(greeting.split())
        return 0.0, words * _SPEAKING_PACE


def _timings(text: str, seconds: float) -> tuple[Word, ...]:
    words = text.split()
    edges = [1000 * seconds * count / len(words) for count in range(len(words) + 1)]
    return tuple(
        Word(word, start, end) for word, (start, end) in zip(words, pairwise(edges), strict=True)
    )


class ScriptedStore:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str, Mapping[str, object]]] = []
        self.turns: list[Turn] = []

    def event(self, at: float, name: str, data: Mapping[str, object]) -> None:
        self.events.append((round(at / 1000, 6), str(name), dict(data)))

    def turn(self, turn: Turn) -> None:
        self.turns.append(turn)


class ScriptedRecorder:
    """Keeps positions: (ms since answer, bytes)."""

    def __init__(self) -> None:
        self.caller_pieces: list[tuple[float, int]] = []
        self.agent_pieces: list[tuple[float, int]] = []
        self.cleared: list[float] = []

    def caller(self, pcm: bytes, at: float) -> None:
        self.caller_pieces.append((at, len(pcm)))

    def agent(self, pcm: bytes, at: float) -> None:
        self.agent_pieces.append((at, len(pcm)))

    def agent_cleared(self, at: float) -> None:
        self.cleared.append(at)
