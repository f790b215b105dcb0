"""Making and renaming agents."""

from __future__ import annotations

from agents.models import Agent, AgentVersion
from agents.profiles import CHANNELS, Language, default_profile
from tenants import audit
from tenants.audit import Actor
from tenants.db import tenant_transaction
from tenants.models import Tenant, User


def agent_create(
    *,
    tenant: Tenant,
    actor: Actor,
    name: str,
    slug: str,
    language: Language = "es",
    languages: tuple[Language, ...] | None = None,
) -> Agent:
    """Create an agent with an empty first draft. Raises ValidationError."""
    with tenant_transaction(tenant.id):
        agent = Agent(tenant=tenant, name=name, slug=slug, language=language)
        agent.full_clean()
        agent.save()
        profile = default_profile(language).model_dump(mode="json")
        draft = AgentVersion(
            agent=agent,
            number=1,
            languages=list(languages or (language,)),
            profiles=dict.fromkeys(CHANNELS, profile),
            created_by=actor if isinstance(actor, User) else None,
        )
        draft.full_clean(exclude=["tenant"])
        draft.save()
        audit.record(
            action="agent.created",
            actor=actor,
            target=agent,
            changes={"name": name, "slug": slug, "language": language},
        )
    return agent


def agent_update(*, agent: Agent, actor: Actor, name: str, is_active: bool) -> Agent:
    """Rename an agent, or take it in or out of service. Raises ValidationError."""
    with tenant_transaction(agent.tenant_id):
        changes = {
            field: [before, after]
            for field, before, after in (
                ("name", agent.name, name),
                ("is_active", agent.is_active, is_active),
            )
            if before != after
        }
        agent.name, agent.is_active = name, is_active
        agent.full_clean()
        agent.save()
        audit.record(action="agent.updated", actor=actor, target=agent, changes=changes)
    return agent
