"""Several models in order: when one is late or fails, the next one answers.

    request -> [breaker lets it?] -> model 1 -- first token in time --> its reply
                                       | late, error or empty reply
                                       v
                                     model 2 ... -> the embedded brain, which always answers

Before the first token nobody has heard anything, so the next model simply takes over. After
it the reply is on the air: an error ends it with what was said and a short apology.
All times are seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from agents.brain.breaker import CircuitBreaker
from agents.brain.errors import (
    BadKey,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from agents.brain.llm.base import (
    LanguageModel,
    ModelEvent,
    ModelRequest,
    Text,
    Usage,
)
from agents.brain.phrases import phrases_for

BAD_KEY_PAUSE = 300.0  # a refused key is not tried again for this long
DEFAULT_PAUSE = 20.0  # after a 429 that does not say how long to wait


@dataclass(slots=True)
class Track:
    """How a model did lately: ms to the first token of its newest replies, errors by class."""

    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=256))
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model, with the breaker and the track record that all calls share for it."""

    model: LanguageModel
    breaker: CircuitBreaker
    track: Track = field(default_factory=Track)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model was passed over: for events and metrics."""

    model: str
    code: str
    reason: str
    after_first_token: bool
    seconds: float


OnFailure = Callable[[Failure], None]


def _ignore(failure: Failure) -> None:
    """The listener of a chain that nobody watches."""


class FallbackModel:
    """Asks the candidates in order, each within `first_token_timeout` and `stall_timeout`.

    The last candidate is asked whatever its breaker says: something must answer.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        first_token_timeout: float = 3.0,
        stall_timeout: float = 3.0,
        on_failure: OnFailure = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not candidates:
            raise ValueError("a fallback chain needs at least one model")
        self._candidates = tuple(candidates)
        self._first_token_timeout = first_token_timeout
        self._stall_timeout = stall_timeout
        self.on_failure = on_failure
        self._clock = clock

    @property
    def name(self) -> str:
        """The model that would answer now."""
        for candidate in self._candidates[:-1]:
            if candidate.breaker.state != "open":
                return candidate.model.name
        return self._candidates[-1].model.name

    async def open(self) -> None:
        """Connect to all of them; one that fails to is found out again when it is asked."""
        results = await asyncio.gather(
            *(candidate.model.open() for candidate in self._candidates), return_exceptions=True
        )
        for candidate, result in zip(self._candidates, results, strict=True):
            if isinstance(result, ProviderError):
                self._note(candidate, result, after_first_token=False, started=self._clock())

    async def aclose(self) -> None:
        """Close all of them."""
        await asyncio.gather(
            *(candidate.model.aclose() for candidate in self._candidates), return_exceptions=True
        )

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The first reply that begins in time. Raises the last candidate's error, if all fail."""
        for candidate in self._candidates[:-1]:
            if not candidate.breaker.allow():
                continue
            attempt = _Attempt()
            async with aclosing(self._attempt(candidate, request, attempt)) as events:
                async for event in events:
                    yield event
            if attempt.answered:
                return
        async with aclosing(self._candidates[-1].model.stream(request)) as events:
            async for event in events:
                yield event

    async def _attempt(
        self, candidate: Candidate, request: ModelRequest, attempt: _Attempt
    ) -> AsyncGenerator[ModelEvent, None]:
        started = self._clock()
        try:
            async with aclosing(candidate.model.stream(request)) as events:
                while (event := await self._next(candidate, events, attempt)) is not None:
                    if not isinstance(event, Usage) and not attempt.answered:
                        attempt.answered = True
                        candidate.track.latencies.append((self._clock() - started) * 1000)
                    yield event
            if not attempt.answered:
                raise ProviderDown(candidate.model.name, "the reply was empty")
        except ProviderError as error:
            self._note(candidate, error, after_first_token=attempt.answered, started=started)
            if attempt.answered:
                yield Text(" " + phrases_for(request.language).cut_short)
        else:
            candidate.breaker.succeeded()

    async def _next(
        self,
        candidate: Candidate,
        events: AsyncGenerator[ModelEvent, None],
        attempt: _Attempt,
    ) -> ModelEvent | None:
        """The next event, or None at the end. Late ones raise ProviderTimeout."""
        limit = self._stall_timeout if attempt.answered else self._first_token_timeout
        try:
            async with asyncio.timeout(limit):
                return await anext(events, None)
        except TimeoutError:
            what = "stood still" if attempt.answered else "said nothing"
            raise ProviderTimeout(candidate.model.name, f"{what} for {limit:g} s") from None

    def _note(
        self, candidate: Candidate, error: ProviderError, *, after_first_token: bool, started: float
    ) -> None:
        candidate.breaker.failed(_pause(error))
        candidate.track.errors[error.code] += 1
        seconds = self._clock() - started
        self.on_failure(
            Failure(candidate.model.name, error.code, error.message, after_first_token, seconds)
        )


@dataclass(slots=True)
class _Attempt:
    answered: bool = False  # text or a tool call came: the reply is this model's


def _pause(error: ProviderError) -> float | None:
    """For how long to leave a provider alone at once; None: only after several failures."""
    if isinstance(error, BadKey):
        return BAD_KEY_PAUSE
    if isinstance(error, QuotaExceeded):
        return error.retry_after if error.retry_after is not None else DEFAULT_PAUSE
    return None
