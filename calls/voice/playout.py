"""Everything that goes down the line to the caller, and what of it was heard.

    track     |<------ one agent turn, all sentences in a row ------------->|
    sent      |####|####|####|                 chunks of 100 ms, at most 200 ms ahead
    far end        ^ now     ^ free_at
    marks     after the first chunk and at the end of each sentence, named g<generation>-<n>

The far end is assumed to start a chunk when it leaves, or when the far end is done with what it
holds. Each mark that comes back corrects that: how late it comes is the line's delay (`lag`).
What was heard is never more than the first mark still open allows, and never less than the last
one that came. A carrier that does not echo marks is found out after `MARK_GRACE`, and from then
on the clock is believed.

`clear` begins a new generation: echoes of older marks (carriers echo what they throw away) say
nothing about playout. Ambience, where there is one, runs under speech and through silence: after
a `clear` it goes on at once; ambience that still waits at the far end when speech begins is
cleared, so that it delays nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from calls.voice.clock import Timer
from calls.voice.line import Line
from calls.voice.ports import Clock, Recorder
from calls.voice.track import Track

CHUNK = 100.0
LEAD = 200.0
MARK_GRACE = 1000.0


class AmbienceSource(Protocol):
    """Background sound of a place, endless."""

    def mix(self, pcm: bytes) -> bytes:
        """Speech with the next stretch of background under it."""

    def take(self, samples: int) -> bytes:
        """The next stretch of background alone."""


@dataclass(slots=True)
class _Span:
    """A stretch of the track at the far end."""

    begin: int
    end: int
    at: float  # when the far end starts it, by our clock


@dataclass(slots=True)
class _Mark:
    name: str
    track: Track
    position: int  # byte of the track
    due: float  # when the far end is through with it, by our clock


class Playout:
    """Paces one call's outgoing sound. No method waits."""

    def __init__(
        self,
        line: Line,
        clock: Clock,
        recorder: Recorder,
        sample_rate: int,
        *,
        answered: float,
        ambience: AmbienceSource | None,
        on_played_out: Callable[[], None],
    ) -> None:
        self._line = line
        self._clock = clock
        self._recorder = recorder
        self._answered = answered
        self._ambience = ambience
        self._on_played_out = on_played_out
        self._bytes_per_ms = sample_rate * 2 / 1000
        self._chunk = int(CHUNK * self._bytes_per_ms)
        self._track: Track | None = None
        self._generation = 0
        self._free_at = 0.0  # when the far end runs dry
        self._backdrop_from: float | None = None  # start of the ambience it holds at its end
        self._spans: deque[_Span] = deque()
        self._marks: deque[_Mark] = deque()
        self._mark_count = 0
        self._begun = False  # the first chunk was sent, and marked
        self._marked = 0  # byte of the newest mark
        self._acknowledged = 0
        self._lag = 0.0
        self._marks_work = True
        self._pace = Timer(clock, self.pump)
        self._overdue = Timer(clock, self._mark_overdue)

    # --- what is played ---------------------------------------------------------------

    def play(self, track: Track) -> None:
        """Play this track from where it stands; its sound may still be growing."""
        self._track = track
        self._begun = False
        self._acknowledged = self._marked = track.sent
        self.pump()

    def stop(self) -> int:
        """Silence at once. Returns the heard position; the track is rewound to it."""
        heard = self.heard()
        if self._track is not None:
            self._track.sent = heard
            self._track = None
            self._clear()
        self.pump()
        return heard

    def release(self) -> None:
        """Let go of a track that was played out."""
        self._track = None
        self._forget()
        self.pump()

    def close(self) -> None:
        self._pace.cancel()
        self._overdue.cancel()

    @property
    def quiet(self) -> bool:
        """All sound of the track so far was sent and heard."""
        track = self._track
        return track is None or (track.sent == track.size == self._acknowledged)

    @property
    def lag(self) -> float:
        """Delay of the line in ms, by the last mark."""
        return self._lag

    def heard(self) -> int:
        """Bytes of the track that the caller has heard by now."""
        now = self._clock.now() - self._lag
        position = self._acknowledged
        for span in self._spans:
            if span.at >= now:
                break
            played = int((now - span.at) * self._bytes_per_ms + 0.01) & ~1
            position = max(position, min(span.end, span.begin + played))
        if self._marks and self._marks_work:
            position = min(position, self._marks[0].position)
        if self._track is not None:
            position = min(position, max(0, self._track.sent - self._line.backlog))
        return position

    def acknowledge(self, name: str) -> None:
        """The far end echoed a mark; one that is not open is stale and means nothing."""
        if not any(mark.name == name for mark in self._marks):
            return
        while (mark := self._marks.popleft()).name != name:
            pass
        self._lag = max(0.0, self._clock.now() - mark.due)
        self._marks_work = True
        self._passed(mark)

    # --- pacing -----------------------------------------------------------------------

    def pump(self) -> None:
        """Send what is due: call it whenever the track has grown."""
        now = self._clock.now()
        self._make_way(now)
        while self._free_at - now <= LEAD - CHUNK + 0.01:
            if not (self._send_speech(now) or self._send_ambience(now)):
                return
        self._pace.set(self._free_at - (LEAD - CHUNK))

    def _make_way(self, now: float) -> None:
        """Ambience that waits at the far end must not delay speech."""
        speech_waits = self._track is not None and self._track.available
        if speech_waits and self._backdrop_from is not None and self._backdrop_from <= now:
            self._clear()

    def _send_speech(self, now: float) -> bool:
        track = self._track
        if track is None:
            return False
        available = track.available
        if available:
            begin = track.sent
            pcm = track.read(min(self._chunk, available))
            self._spans.append(_Span(begin, track.sent, max(now, self._free_at)))
            self._send(self._ambience.mix(pcm) if self._ambience is not None else pcm, now)
            self._backdrop_from = None
        if track.sent > self._marked and (track.at_sentence_end or not self._begun):
            self._begun = True
            self._mark(track)
        return available > 0

    def _send_ambience(self, now: float) -> bool:
        if self._ambience is None:
            return False
        if self._backdrop_from is None:
            self._backdrop_from = max(now, self._free_at)
        self._send(self._ambience.take(self._chunk // 2), now)
        return True

    def _send(self, pcm: bytes, now: float) -> None:
        at = max(now, self._free_at)
        self._free_at = at + len(pcm) / self._bytes_per_ms
        self._recorder.agent(pcm, at - self._answered)
        self._line.media(pcm)

    # --- marks ------------------------------------------------------------------------

    def _mark(self, track: Track) -> None:
        self._mark_count += 1
        name = f"g{self._generation}-{self._mark_count}"
        due = max(self._free_at, self._clock.now())
        self._marks.append(_Mark(name, track, track.sent, due))
        self._marked = track.sent
        self._line.mark(name)
        if len(self._marks) == 1:
            self._watch_next_mark()

    def _watch_next_mark(self) -> None:
        if not self._marks:
            self._overdue.cancel()
            return
        grace = MARK_GRACE if self._marks_work else 0.0
        self._overdue.set(self._marks[0].due + self._lag + grace)

    def _mark_overdue(self) -> None:
        self._marks_work = False
        self._passed(self._marks.popleft())

    def _passed(self, mark: _Mark) -> None:
        self._acknowledged = max(self._acknowledged, mark.position)
        while self._spans and self._spans[0].end <= mark.position:
            self._spans.popleft()
        mark.track.forget(self._acknowledged)
        self._watch_next_mark()
        if self.quiet:
            self._on_played_out()

    def _clear(self) -> None:
        if self._track is not None:
            self._acknowledged = self._track.sent
        self._forget()
        now = self._clock.now()
        self._free_at = now
        self._line.clear()
        self._recorder.agent_cleared(now - self._answered)

    def _forget(self) -> None:
        self._generation += 1
        self._backdrop_from = None
        self._spans.clear()
        self._marks.clear()
        self._overdue.cancel()
