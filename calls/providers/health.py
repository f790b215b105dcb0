"""How each provider is doing, as this process sees it: breaker, latencies, errors by class."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from agents.brain.breaker import BreakerState, CircuitBreaker
from agents.brain.errors import BadRequest, ProviderError, QuotaExceeded

_KEPT_LATENCIES = 256

Listener = Callable[[str, str, float | None, str], None]


@dataclass(slots=True)
class ProviderHealth:
    """What one provider did lately with one account. Adapters report each answer to it.

    `latencies` are the newest ones, in ms: for a recogniser from `finish_utterance` to its
    `Final`, for a voice from the text to the first sound.
    """

    kind: str
    name: str
    breaker: CircuitBreaker
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    errors: Counter[str] = field(default_factory=Counter)
    answers: int = 0

    def succeeded(self, latency: float | None = None) -> None:
        """An answer came, `latency` ms after it was asked for, or unasked."""
        self.answers += 1
        if latency is not None:
            self.latencies.append(latency)
        self.breaker.succeeded()
        _tell(self.kind, self.name, latency, "")

    def failed(self, error: ProviderError) -> None:
        """The provider failed. A request of ours that it refuses says nothing against it."""
        self.errors[error.code] += 1
        if isinstance(error, QuotaExceeded):
            self.breaker.failed(error.retry_after)
        elif not isinstance(error, BadRequest):
            self.breaker.failed()
        _tell(self.kind, self.name, None, error.code)


_SEVERITY: tuple[BreakerState, ...] = ("closed", "half_open", "open")


@dataclass(frozen=True, slots=True)
class Figures:
    """A provider in numbers: its breaker, the median latency in ms, errors by class."""

    kind: str
    name: str
    breaker: BreakerState
    p50_ms: float | None
    errors: Mapping[str, int]

    @classmethod
    def of(
        cls,
        kind: str,
        name: str,
        breaker: CircuitBreaker,
        latencies: Iterable[float],
        errors: Mapping[str, int],
    ) -> Figures:
        """As of now. A copy is taken first: calls go on adding meanwhile."""
        known = tuple(latencies)
        middle = round(median(known), 1) if known else None
        return cls(kind, name, breaker.state, middle, dict(errors))

    def __add__(self, other: Figures) -> Figures:
        """Both together: the worse breaker, the slower median, all errors."""
        medians = [each.p50_ms for each in (self, other) if each.p50_ms is not None]
        return Figures(
            self.kind,
            self.name,
            max(self.breaker, other.breaker, key=_SEVERITY.index),
            max(medians, default=None),
            dict(Counter(self.errors) + Counter(other.errors)),
        )


def summed(figures: Iterable[Figures]) -> list[Figures]:
    """One for each kind and name."""
    found: dict[tuple[str, str], Figures] = {}
    for each in figures:
        key = (each.kind, each.name)
        found[key] = found[key] + each if key in found else each
    return list(found.values())


_healths: dict[tuple[str, str, Hashable], ProviderHealth] = {}
_listeners: list[Listener] = []


def health_of(kind: str, name: str, account: Hashable = None) -> ProviderHealth:
    """The one record of this provider in this process.

    `account` keeps users of different keys apart: a bad key of one is not the other's trouble.
    """
    key = (kind, name, account)
    if key not in _healths:
        _healths[key] = ProviderHealth(kind, name, CircuitBreaker(f"{kind} {name}"))
    return _healths[key]


def all_healths() -> list[ProviderHealth]:
    """Everything known so far, for metrics pages."""
    return list(_healths.values())


def listen(listener: Listener) -> Callable[[], None]:
    """Call `listener(kind, name, latency_ms | None, error_code)` on each report.

    It runs on the event loop of the call, so it must not block. Returns how to stop.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def forget_all() -> None:
    """Start afresh (tests, and after a change of settings)."""
    _healths.clear()


def _tell(kind: str, name: str, latency: float | None, error: str) -> None:
    for listener in tuple(_listeners):
        listener(kind, name, latency, error)
