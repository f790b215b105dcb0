"""Reading agents. All run inside the tenant's context: another tenant's object is not found."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from agents.models import Agent, AgentVersion, KnowledgeEntry


def agents() -> QuerySet[Agent]:
    """All agents of the tenant, by name."""
    found: QuerySet[Agent] = Agent.objects.order_by("name")
    return found


def agent_for(public_id: UUID | str) -> Agent:
    """The tenant's agent. Raises Agent.DoesNotExist."""
    agent: Agent = Agent.objects.get(public_id=public_id)
    return agent


def agent_by_slug(slug: str) -> Agent:
    """The tenant's agent of that name in addresses. Raises Agent.DoesNotExist."""
    agent: Agent = Agent.objects.get(slug=slug)
    return agent


def version_for(public_id: UUID | str) -> AgentVersion:
    """The tenant's version, with its agent. Raises AgentVersion.DoesNotExist."""
    version: AgentVersion = AgentVersion.objects.select_related("agent").get(public_id=public_id)
    return version


def published_version(agent: Agent) -> AgentVersion | None:
    """The version that takes the agent's calls, if one was published."""
    version: AgentVersion | None = (
        AgentVersion.objects.select_related("agent").of(agent).published().first()
    )
    return version


def callable_versions() -> QuerySet[AgentVersion]:
    """What callers can reach: the published version of every active agent, by name."""
    versions: QuerySet[AgentVersion] = (
        AgentVersion.objects.select_related("agent")
        .published()
        .filter(agent__is_active=True)
        .order_by("agent__name")
    )
    return versions


def draft_version(agent: Agent) -> AgentVersion | None:
    """The version that is being written, if there is one."""
    version: AgentVersion | None = (
        AgentVersion.objects.select_related("agent").of(agent).drafts().first()
    )
    return version


def knowledge_of(version: AgentVersion, language: str | None = None) -> QuerySet[KnowledgeEntry]:
    """A version's entries in order, of one language or of all."""
    entries: QuerySet[KnowledgeEntry] = KnowledgeEntry.objects.filter(version=version)
    return entries.filter(language=language) if language else entries


def recognition_hints(version: AgentVersion, language: str) -> tuple[list[str], list[str]]:
    """What callers are likely to say: (key terms, whole phrases), to prime a recogniser with.

    Phrases are the questions and their other phrasings; terms are the tags.
    """
    terms: dict[str, None] = {}
    phrases: dict[str, None] = {}
    for entry in knowledge_of(version, language):
        terms.update(dict.fromkeys(entry.tags))
        lines = [entry.question, *entry.phrasings.splitlines()]
        phrases.update(dict.fromkeys(line.strip() for line in lines if line.strip()))
    return list(terms), list(phrases)
