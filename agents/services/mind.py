"""Composing the mind of one call: persona, models in order, knowledge and tools."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from groq import AsyncGroq

from agents.brain.breaker import CircuitBreaker
from agents.brain.functions import Functions, Target
from agents.brain.knowledge import RememberedSearches
from agents.brain.llm.fallback import Candidate, Failure, FallbackModel, Track
from agents.brain.llm.groq import DEFAULT_MODEL, GroqModel, GroqOptions, ModelCheck, groq_client
from agents.brain.llm.groq import check_model as check_groq_model
from agents.brain.llm.local import LocalModel
from agents.brain.mind import Mind, Observer, Persona
from agents.brain.notes import note_details
from agents.models import AgentVersion
from agents.profiles import ChannelProfile, FunctionSettings, ModelSettings
from agents.search import TenantKnowledge
from agents.selectors import knowledge_of
from tenants.models import Tenant

TOPICS = 5
FIRST_TOKEN_SHARE = 0.75  # of the loop's `first_token_timeout`: the rest is for the next model


@dataclass(frozen=True, slots=True)
class MindCredentials:
    """What the models need. An empty key: that provider is left out."""

    groq_key: str = ""
    groq_base_url: str = ""
    groq_model: str = DEFAULT_MODEL

    @classmethod
    def from_settings(cls) -> MindCredentials:
        """Those of this installation."""
        return cls(
            groq_key=getattr(settings, "GROQ_API_KEY", "") or "",
            groq_base_url=getattr(settings, "GROQ_BASE_URL", "") or "",
            groq_model=getattr(settings, "GROQ_MODEL", "") or DEFAULT_MODEL,
        )


def build_mind(
    version: AgentVersion,
    profile: ChannelProfile,
    *,
    language: str | None = None,
    context: Mapping[str, str] | None = None,
    credentials: MindCredentials | None = None,
    observer: Observer | None = None,
) -> Mind:
    """The mind for one call of a version over one channel.

    Runs inside the tenant's context and reads all it needs; after that it only searches
    knowledge, through the tenant bridge. `context` is what is known about a call that we
    place. `observer` gets `model_failed` too.
    """
    spoken = language or version.language
    now = timezone.now().astimezone(_time_zone(version))
    knowledge = RememberedSearches(
        TenantKnowledge(tenant_id=version.tenant_id, version_id=version.pk)
    )
    local = LocalModel(
        knowledge, name=version.agent.name, today=now.date(), topics=_topics(version, spoken)
    )
    remote = _remote(profile, credentials or MindCredentials.from_settings())
    first_token = profile.transcriber.turns.first_token_timeout / 1000 * FIRST_TOKEN_SHARE
    model = FallbackModel(
        [*remote, Candidate(local, CircuitBreaker(local.name))],
        first_token_timeout=first_token / max(1, len(remote)),
        stall_timeout=first_token,
    )
    persona = replace(_persona(version, profile, spoken, now), context=context or {})
    mind = Mind(model, persona, knowledge=knowledge, tools=[note_details()])
    if observer is not None:
        mind.observer = observer
    model.on_failure = partial(_report, mind)  # to whoever observes the mind at that time
    return mind


async def check_model(credentials: MindCredentials | None = None) -> ModelCheck:
    """Whether the language model can be used now, with the reason for people to read."""
    given = credentials or MindCredentials.from_settings()
    if not given.groq_key:
        return ModelCheck(False, "GROQ_API_KEY is not set; the embedded brain answers")
    client = groq_client(given.groq_key, given.groq_base_url)
    try:
        return await check_groq_model(client, given.groq_model)
    finally:
        await client.close()


# --- who it is ----------------------------------------------------------------------------


def _persona(
    version: AgentVersion, profile: ChannelProfile, language: str, now: datetime
) -> Persona:
    return Persona(
        prompt=version.prompt,
        language=language,
        now=now,
        history_window=profile.model.history_window,
        functions=_functions(profile.functions),
    )


def _functions(allowed: FunctionSettings) -> Functions:
    return Functions(
        hang_up=allowed.hang_up,
        dtmf=allowed.dtmf,
        targets=tuple(Target(t.name, t.description, t.warm) for t in allowed.transfer_targets),
        agents=allowed.hand_off_agents,
        messages=allowed.take_messages,
        call_backs=allowed.call_backs,
    )


def _time_zone(version: AgentVersion) -> ZoneInfo:
    tenant = Tenant.objects.get(pk=version.tenant_id)
    return ZoneInfo(str(getattr(tenant, "time_zone", "") or "UTC"))


def _topics(version: AgentVersion, language: str) -> tuple[str, ...]:
    """What the agent can say it knows about: the first tags of its first entries."""
    tags = [entry.tags[0] for entry in knowledge_of(version, language)[:40] if entry.tags]
    return tuple(Counter(tags))[:TOPICS]


# --- who thinks ---------------------------------------------------------------------------

_breakers: dict[tuple[str, str], CircuitBreaker] = {}
_tracks: dict[tuple[str, str], Track] = {}
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], AsyncGroq]] = (
    WeakKeyDictionary()
)


def _remote(profile: ChannelProfile, credentials: MindCredentials) -> list[Candidate]:
    """The models over the network, by wish of the profile and by key."""
    if profile.model.provider != "groq" or not credentials.groq_key:
        return []
    first = profile.model.model or credentials.groq_model
    wishes = dict.fromkeys((first, *profile.model.fallbacks))  # the installation may have it too
    return [_candidate(model, profile.model, credentials) for model in wishes]


def _candidate(model: str, wish: ModelSettings, credentials: MindCredentials) -> Candidate:
    options = GroqOptions(
        model=model,
        temperature=wish.temperature,
        max_tokens=wish.max_tokens,
        reasoning_effort=wish.reasoning_effort,
    )
    # one breaker per key and model: a wrong model of one agent must not stop the others
    return Candidate(
        GroqModel(partial(_shared_client, credentials), options),
        _breaker(credentials.groq_key, model),
        _tracks.setdefault((credentials.groq_key, model), Track()),
    )


def model_tracks() -> list[tuple[CircuitBreaker, Track]]:
    """Breaker and track record of every remote model so far, for health pages."""
    return [(_breakers[key], track) for key, track in _tracks.items()]


def _breaker(key: str, model: str) -> CircuitBreaker:
    return _breakers.setdefault((key, model), CircuitBreaker(f"groq {model}"))


def _shared_client(credentials: MindCredentials) -> AsyncGroq:
    """One client per event loop and key, so that calls share warm connections."""
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    key = (credentials.groq_key, credentials.groq_base_url)
    if key not in clients:
        clients[key] = groq_client(*key)
    return clients[key]


async def close_clients() -> None:
    """Close this event loop's connections: when the process ends."""
    for client in _clients.pop(asyncio.get_running_loop(), {}).values():
        await client.close()


def _report(mind: Mind, failure: Failure) -> None:
    mind.observer("model_failed", asdict(failure))
