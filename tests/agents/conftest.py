"""An agent with a draft, ready to be published."""

from __future__ import annotations

import pytest

from agents.models import Agent, KnowledgeEntry
from agents.selectors import draft_version
from agents.services import agent_create, version_publish, version_save


def entry(version, question, answer="Yes.", **fields):
    return KnowledgeEntry.objects.create(
        version=version, language=version.language, question=question, answer=answer, **fields
    )


@pytest.fixture
def agent(in_tenant, owner) -> Agent:
    return agent_create(tenant=in_tenant, actor=owner, name="Andrea", slug="andrea", language="es")


@pytest.fixture
def draft(agent, owner):
    version = draft_version(agent)
    version_save(
        version=version, actor=owner, prompt="Eres Andrea.", greeting={"es": "Hola, soy Andrea."}
    )
    entry(version, "¿Cuánto cuesta?", "Cien pesos.", tags=["precio"])
    return version


@pytest.fixture
def published(draft, owner):
    return version_publish(version=draft, actor=owner)
