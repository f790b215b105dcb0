"""The two agents of the demo tenant: a tour operator's, in Spanish and in English."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.models import Agent
from agents.profiles import CHANNELS, Language, default_profile
from agents.selectors import draft_version, published_version
from agents.services.agents import agent_create
from agents.services.knowledge import knowledge_import
from agents.services.versions import version_draft, version_publish, version_save
from tenants.db import tenant_transaction
from tenants.models import Tenant

DATA = Path(__file__).resolve().parent.parent / "data" / "demo"
ACTOR = "demo data"


@dataclass(frozen=True, slots=True)
class DemoAgent:
    """What one of them is. Its prompt and its knowledge are files, by language."""

    slug: str
    name: str
    language: Language
    greeting: str
    keyterms: tuple[str, ...]


DEMO_AGENTS = (
    DemoAgent(
        "andrea",
        "Andrea",
        "es",
        "Hola, gracias por llamar a Spirit Tours. Soy Andrea, su asistente virtual. "
        "¿En qué le puedo ayudar?",
        ("Spirit Tours", "avistamiento de ballenas", "tour del desierto", "calle Marina"),
    ),
    DemoAgent(
        "grace",
        "Grace",
        "en",
        "Hello, thank you for calling Spirit Tours. I am Grace, your virtual assistant. "
        "How can I help you?",
        ("Spirit Tours", "whale watching", "desert tour", "Marina Street"),
    ),
)


def seed_demo_agents(tenant: Tenant) -> list[Agent]:
    """Make and publish the demo agents once; an agent that exists is left as it is."""
    with tenant_transaction(tenant.id):
        return [_seed(tenant, demo) for demo in DEMO_AGENTS]


def _seed(tenant: Tenant, demo: DemoAgent) -> Agent:
    agent = Agent.objects.filter(slug=demo.slug).first()
    if agent is None:
        agent = agent_create(
            tenant=tenant, actor=ACTOR, name=demo.name, slug=demo.slug, language=demo.language
        )
    if published_version(agent) is None:
        _publish(agent, demo)
    found: Agent = agent
    return found


def _publish(agent: Agent, demo: DemoAgent) -> None:
    draft = draft_version(agent) or version_draft(agent=agent, actor=ACTOR)
    version_save(
        version=draft,
        actor=ACTOR,
        prompt=(DATA / f"{demo.language}.md").read_text(encoding="utf-8"),
        greeting={demo.language: demo.greeting},
        profiles=_profiles(demo),
    )
    knowledge = (DATA / f"{demo.language}.yaml").read_text(encoding="utf-8")
    knowledge_import(version=draft, actor=ACTOR, text=knowledge, file_format="yaml")
    version_publish(version=draft, actor=ACTOR)


def _profiles(demo: DemoAgent) -> dict[str, Any]:
    """Telephone lines get a quiet office behind the voice; the browser stays clean.

    Nothing that is embedded understands Spanish, so a page without any key on the server listens
    with its own recogniser.
    """
    base = default_profile(demo.language).model_dump(mode="json")
    base["transcriber"]["keyterms"] = list(demo.keyterms)
    base["functions"] |= {"take_messages": True, "call_backs": True}
    telephone = {**base, "advanced": {**base["advanced"], "ambience": "office"}}
    if demo.language == "es":
        ears = {**base["transcriber"], "fallbacks": ["groq", "openai", "browser"]}
        base = {**base, "transcriber": ears}
    return {channel: base if channel == "browser" else telephone for channel in CHANNELS}
