"""A 3CX call's sound: PCM16 at 8 kHz, fetched by one endless GET and sent by one endless POST.

What the PBX leaves to us (threecx.md, 6): it flushes nothing and acknowledges nothing, so the
sound waits here until it is due (`pacing.py`); it numbers nothing, so lost sound is found by
the clock; keys come as events, from elsewhere, and go out as tones. When either way breaks the
stream is over as `media_lost`, and the call, which may live on, can be attached again.

Measured on one core for a 20 ms frame: 11 us in, 4 us out, most of it HTTP's chunks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from agents.brain.errors import ProviderError
from calls.providers.carriers.arrivals import Arrivals
from calls.providers.carriers.dtmf import tones
from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.inbox import Inbox
from calls.providers.carriers.positions import Positions
from calls.providers.carriers.threecx.pacing import LEAD, Pacer
from calls.providers.carriers.threecx.wire import Exchange, open_exchange
from calls.voice.clock import LoopClock, Timer
from calls.voice.ports import Audio, Dtmf, Mark, MediaEvent

log = logging.getLogger(__name__)

SAMPLE_RATE = 8000
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000
_LEAST = 10 * BYTES_PER_MS  # crumbs of the PBX's are gathered to this much
_KEYS = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """How to treat one call's streams.

    `lead` (ms) is how far the PBX is kept ahead of real time: a caller who interrupts hears
    that much more. `silence` sends zeros while there is nothing to say, should a PBX need it
    (its documents do not tell). No sound for `quiet_seconds` means that the line is dead;
    more than `ahead` ms before its time is a flood. `open_seconds` bounds attaching.
    """

    lead: float = LEAD
    silence: bool = False
    quiet_seconds: float = 20.0
    ahead: float = 5000.0
    open_seconds: float = 5.0


class ThreeCxMedia:
    """The media stream of one leg; implements `CallMedia`.

    Events of the leg are passed in by whoever listens to the PBX: `press` for keys, `hung_up`
    when the party left. `on_closed` is called once, when the streams are let go.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        has_left: Callable[[], Awaitable[bool]],
        *,
        options: MediaOptions | None = None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.fault: MediaFault | None = None
        self.malformed = 0
        self.positions = Positions()
        self.options = options or MediaOptions()
        self._has_left, self._on_closed = has_left, on_closed
        self._clock = LoopClock()
        self._began = self._heard_at = self._clock.now()
        self._arrivals = Arrivals()
        self._crumbs = b""
        self._inbox = Inbox()
        self._attached = self._ending = False
        self._asking: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ear = Exchange(on_response=self._answered, on_data=self.hear, on_over=self._ear_over)
        self._mouth = Exchange(
            on_response=self._mouth_answered,
            on_data=lambda _body: None,
            on_over=self._mouth_over,
            on_writable=self._set_writable,
        )
        self._quiet = Timer(self._clock, self._check_quiet)
        self._pacer = Pacer(
            self._clock,
            self._mouth.write,
            lambda name: self._inbox.put(Mark(name)),
            sample_rate=SAMPLE_RATE,
            lead=self.options.lead,
            silence=self.options.silence,
        )

    async def attach(self, url: str, token: str) -> int:
        """Open both ways; the HTTP status with which the PBX gives the sound, 0 for none.

        Anything but 200 leaves the stream unused. Raises OSError.
        """
        headers = [("Authorization", f"Bearer {token}")]
        await open_exchange(url, self._ear)
        self._ear.request("GET", url, headers)
        status = await self._answer
        if status != 200:
            return status
        await open_exchange(url, self._mouth)
        body = [("Content-Type", "application/octet-stream"), ("Transfer-Encoding", "chunked")]
        self._mouth.request("POST", url, headers + body)
        self._mouth.limit_backlog(int(self.options.lead * BYTES_PER_MS))
        self._pacer.open()
        self._quiet.set(self._clock.now() + self.options.quiet_seconds * 1000)
        self._attached = True
        if self._ear.over:
            self._lost("the PBX ended the sound at once")
        return status

    def _answered(self, status: int) -> None:
        if not self._answer.done():
            self._answer.set_result(status)

    # --- what comes -----------------------------------------------------------------------

    def __aiter__(self) -> ThreeCxMedia:
        return self

    async def __anext__(self) -> MediaEvent:
        return await anext(self._inbox)

    def hear(self, data: bytes) -> None:
        """A piece of the caller's sound, cut anywhere, even inside a sample."""
        self._heard_at = self._clock.now()
        sound = self._crumbs + data if self._crumbs else data
        whole = len(sound) & ~1
        if whole < _LEAST:
            self._crumbs = sound
            return
        self._crumbs = sound[whole:]
        self._place(sound[:whole] if self._crumbs else sound)

    def _place(self, pcm: bytes) -> None:
        """Lay the sound behind what came before, or after the gap that the clock shows."""
        arrived = self._clock.now() - self._began
        expected = self.positions.expected
        if expected > arrived + self.options.ahead:
            detail = f"{expected:.0f} ms of sound in {arrived:.0f} ms"
            self.fault = MediaFault(Fault.FLOOD, detail)
            self._close("media_lost")
            return
        missing = self._arrivals.missing(expected, arrived)
        timestamp = expected + missing if missing else None
        position = self.positions.place(timestamp, len(pcm) / BYTES_PER_MS)
        if position is not None:
            self._inbox.put(Audio(pcm, SAMPLE_RATE, position))

    def press(self, keys: str) -> None:
        """The caller pressed keys: the PBX tells that by an event."""
        for key in keys.upper():
            if key in _KEYS:
                self._inbox.put(Dtmf(key))
            else:
                self.malformed += 1

    def hung_up(self) -> None:
        """The party left: the PBX tells that by an event."""
        self._close("caller_hung_up")

    # --- what goes ------------------------------------------------------------------------

    async def send(self, pcm: bytes) -> None:
        """Have the PBX play PCM16 at 8 kHz; waits while it does not read."""
        await self._writable.wait()
        self._pacer.send(pcm)

    async def mark(self, name: str) -> None:
        """Tell when all sent so far has been played, by our own clock."""
        self._pacer.mark(name)

    async def clear(self) -> None:
        """Throw away what has not been written; the caller hears at most `lead` more."""
        self._pacer.clear()

    async def send_dtmf(self, digits: str) -> None:
        """Play the keys as tones: the API has no action for keys."""
        await self.send(tones(digits, SAMPLE_RATE))

    @property
    def ahead(self) -> float:
        """How many ms of sound the PBX still holds, by the clock."""
        return self._pacer.ahead

    def _set_writable(self, ready: bool) -> None:
        self._pacer.block(not ready)
        if ready:
            self._writable.set()
        else:
            self._writable.clear()

    # --- the end --------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop listening; the streams are let go by `hang_up`."""
        self._inbox.stop()

    async def hang_up(self, code: int, reason: str = "") -> None:  # noqa: ARG002 - no socket
        """Let go of both streams. The leg itself is dropped by a command."""
        self._inbox.stop()
        self._release()

    def _check_quiet(self) -> None:
        due = self._heard_at + self.options.quiet_seconds * 1000
        if due > self._clock.now() + 0.01:
            self._quiet.set(due)
        else:
            self._lost("the PBX fell silent")

    def _ear_over(self, why: str) -> None:
        self._answered(0)
        self._lost(why or "the PBX ended the sound")

    def _mouth_answered(self, status: int) -> None:
        if status >= 300:
            self._lost(f"the PBX takes no sound: HTTP {status}")

    def _mouth_over(self, why: str) -> None:
        self._lost(why or "the PBX ended our sound")

    def _lost(self, why: str) -> None:
        """A way broke: because the caller left, or by itself? The PBX is asked."""
        if self._attached and not self._ending:
            self._ending = True
            self._asking = asyncio.ensure_future(self._ask(why))

    async def _ask(self, why: str) -> None:
        left = False
        with suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(self.options.open_seconds):
                left = await self._has_left()
        log.info("a call's sound ended (%s); the caller %s", why, "left" if left else "is there")
        self._close("caller_hung_up" if left else "media_lost")

    def _close(self, reason: str) -> None:
        self._ending = True
        self._inbox.close(reason)
        self._release()

    def _release(self) -> None:
        """Give up both streams and what belongs to them; twice is harmless."""
        self._ending = True
        self._quiet.cancel()
        self._pacer.close()
        self._ear.finish()
        self._mouth.finish()
        self._writable.set()
        closed, self._on_closed = self._on_closed, lambda: None
        closed()
