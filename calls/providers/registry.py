"""Which recognisers and voices a call gets, in which order, and why not the others.

The wished provider comes first, then those that the profile names as its fallbacks, in its order,
or, where it names none, whatever else there is a key for; the embedded one last.
One whose circuit breaker is open goes behind the healthy ones; one that cannot do the language
is left out, except that a call never goes without any.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from calls.providers.health import health_of
from calls.providers.provider import (
    BackendT,
    Credentials,
    Kind,
    Provider,
    RecogniserOptions,
    RecogniserProvider,
    RecogniserRequest,
    RequestT,
    SynthesiserRequest,
)
from calls.providers.stt import azure, browser, embedded, whisper
from calls.providers.tls import shared_tls
from calls.providers.tts import SYNTHESISERS
from calls.voice.ports import Recogniser, Synthesiser

__all__ = [
    "Credentials",
    "ProviderStatus",
    "RecogniserOptions",
    "build_recognisers",
    "build_synthesisers",
    "describe",
    "first_recogniser",
    "warm_up",
]

log = logging.getLogger(__name__)

RECOGNISERS: tuple[RecogniserProvider, ...] = (
    azure.PROVIDER,
    whisper.GROQ,
    whisper.OPENAI,
    browser.PROVIDER,
    embedded.PROVIDER,
)


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A line of the start banner: what may be used, and why (not)."""

    kind: Kind
    name: str
    available: bool
    reason: str


def build_recognisers(
    *,
    provider: str = "",
    fallbacks: Sequence[str] = (),
    language: str,
    sample_rate: int,
    keyterms: Sequence[str] = (),
    phrases: Sequence[str] = (),
    credentials: Credentials,
    options: RecogniserOptions | None = None,
) -> list[Recogniser]:
    """Recognisers for one call, in order of preference; never empty, none opened yet.

    Without a wished `provider` they are those that there are keys for, the embedded one last.
    """
    wishes = (provider, *fallbacks)
    chain = _chain(RECOGNISERS, wishes=wishes, language=language, credentials=credentials)
    return [
        entry.build(
            RecogniserRequest(
                language=language,
                sample_rate=sample_rate,
                keyterms=tuple(keyterms),
                phrases=tuple(phrases),
                credentials=credentials,
                options=options or RecogniserOptions(),
                health=health_of(entry.kind, entry.name, credentials),
            )
        )
        for entry in chain
    ]


def build_synthesisers(
    *,
    provider: str,
    fallbacks: Sequence[str] = (),
    voice: str = "",
    language: str,
    speed: float = 1.0,
    pitch: float = 0.0,
    style: str = "",
    style_degree: float = 1.0,
    lexicon: Mapping[str, str] | None = None,
    sample_rate: int,
    credentials: Credentials,
) -> list[Synthesiser]:
    """Voices for one call, in order of preference; never empty, none opened yet."""
    wish = SynthesiserRequest(
        voice=voice,
        language=language,
        speed=speed,
        pitch=pitch,
        style=style,
        style_degree=style_degree,
        lexicon=dict(lexicon or {}),
        sample_rate=sample_rate,
        credentials=credentials,
        health=health_of("synthesiser", provider, credentials),
    )
    wishes = (provider, *fallbacks)
    chain = _chain(SYNTHESISERS, wishes=wishes, language=language, credentials=credentials)
    return [
        entry.build(replace(wish, health=health_of("synthesiser", entry.name, credentials)))
        for entry in chain
    ]


def _chain(
    providers: Sequence[Provider[RequestT, BackendT]],
    *,
    wishes: Sequence[str],
    language: str,
    credentials: Credentials,
) -> list[Provider[RequestT, BackendT]]:
    wished = wishes[0]
    met = any(entry.name == wished and not entry.missing(credentials) for entry in providers)
    if wished and not met:
        _log_unmet_wish(providers, wished, credentials)
    return _ranked(providers, wishes, language, credentials)


def _ranked(
    providers: Sequence[Provider[RequestT, BackendT]],
    wishes: Sequence[str],
    language: str,
    credentials: Credentials,
) -> list[Provider[RequestT, BackendT]]:
    """`wishes`: the chosen one, then its fallbacks; without fallbacks all others follow."""
    only_wished = len(wishes) > 1
    usable = [
        entry
        for entry in providers
        if not entry.missing(credentials)
        and (entry.name in wishes or entry.last_resort or not (only_wished or entry.on_request))
    ]
    able = [entry for entry in usable if not entry.cannot(language)]
    chosen = able or [entry for entry in usable if entry.last_resort]
    return sorted(chosen, key=lambda entry: _order(entry, wishes, credentials))


def _order(
    entry: Provider[RequestT, BackendT], wishes: Sequence[str], credentials: Credentials
) -> tuple[bool, int, bool]:
    """Healthy before failing, the wished ones first and in their order, the last resort last."""
    breaker = health_of(entry.kind, entry.name, credentials).breaker
    place = wishes.index(entry.name) if entry.name in wishes else len(wishes)
    return breaker.state == "open", place, entry.last_resort


def _log_unmet_wish(
    providers: Iterable[Provider[RequestT, BackendT]], wished: str, credentials: Credentials
) -> None:
    reasons = {entry.name: entry.missing(credentials) for entry in providers}
    reason = reasons.get(wished, f"there is none of that name, only {', '.join(reasons)}")
    _warn_of_unmet_wish(wished, reason)


@lru_cache(maxsize=256)
def _warn_of_unmet_wish(wished: str, reason: str) -> None:
    """Once for each process and provider, not for every call."""
    log.warning("provider %s was asked for but cannot be used: %s", wished, reason)


def describe(credentials: Credentials, language: str = "") -> list[ProviderStatus]:
    """What may be used with these credentials and, if given, for this language."""
    entries: list[Provider[RecogniserRequest, Recogniser]] = list(RECOGNISERS)
    return [_status(entry, credentials, language) for entry in entries] + [
        _status(entry, credentials, language) for entry in SYNTHESISERS
    ]


def first_recogniser(
    *, provider: str, fallbacks: Sequence[str] = (), language: str, credentials: Credentials
) -> ProviderStatus:
    """Who would listen if a call began now; not `available` if it cannot do the language."""
    first = _ranked(RECOGNISERS, (provider, *fallbacks), language, credentials)[0]
    return _status(first, credentials, language)


def _status(
    entry: Provider[RequestT, BackendT], credentials: Credentials, language: str
) -> ProviderStatus:
    obstacle = entry.missing(credentials) or (entry.cannot(language) if language else "")
    return ProviderStatus(entry.kind, entry.name, not obstacle, obstacle or entry.note)


def warm_up(credentials: Credentials) -> None:
    """Load what all calls share (models, voices, SDKs). Blocks: call it at start, in a thread."""
    shared_tls()
    for recogniser in RECOGNISERS:
        if not recogniser.missing(credentials):
            recogniser.warm_up()
    for synthesiser in SYNTHESISERS:
        if not synthesiser.missing(credentials):
            synthesiser.warm_up()
