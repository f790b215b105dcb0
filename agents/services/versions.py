"""The life of a version: draft, saved, published, rolled back to."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from django.utils import timezone
from django.utils.translation import gettext

from agents.errors import NothingToRollBackTo, NotPublishable
from agents.models import Agent, AgentVersion, KnowledgeEntry, VersionState
from agents.profiles import CHANNELS, default_profile
from agents.selectors import draft_version, knowledge_of, published_version
from agents.services.diff import version_diff
from tenants import audit
from tenants.audit import Actor
from tenants.db import tenant_transaction
from tenants.models import User

COPIED = ("prompt", "languages", "greeting", "profiles")
COPIED_KNOWLEDGE = (
    "position", "language", "question", "phrasings", "answer", "tags", "collect", "closing",
)  # fmt: skip


class VersionContent(TypedDict, total=False):
    """What can be changed about a draft."""

    prompt: str
    languages: list[str]
    greeting: dict[str, str]
    profiles: dict[str, Any]
    notes: str


def version_draft(*, agent: Agent, actor: Actor) -> AgentVersion:
    """The agent's draft; if there is none, a new one, copied from what is published."""
    with tenant_transaction(agent.tenant_id):
        _lock(agent)
        draft = draft_version(agent)
        if draft is not None:
            return draft
        source = published_version(agent) or AgentVersion.objects.of(agent).first()
        draft = AgentVersion(
            agent=agent,
            number=_next_number(agent),
            created_by=actor if isinstance(actor, User) else None,
        )
        _copy_content(agent, source, draft)
        draft.full_clean(exclude=["tenant"])
        draft.save()
        if source is not None:
            _copy_knowledge(source, draft)
        audit.record(
            action="agent.version_drafted",
            actor=actor,
            target=draft,
            changes={"number": draft.number, "from": source.number if source else None},
        )
    return draft


def version_save(
    *, version: AgentVersion, actor: Actor, **content: Unpack[VersionContent]
) -> AgentVersion:
    """Change a draft. Raises VersionIsImmutable, or ValidationError with reasons by field."""
    with tenant_transaction(version.tenant_id):
        stored: AgentVersion = AgentVersion.objects.select_for_update().get(pk=version.pk)
        if not stored.is_draft:
            raise stored.refusal()
        before = {field: getattr(stored, field) for field in content}
        for field, value in content.items():
            setattr(version, field, value)
        version.full_clean(exclude=["tenant"])
        version.save()
        changed = [field for field in content if getattr(version, field) != before[field]]
        audit.record(
            action="agent.version_saved",
            actor=actor,
            target=version,
            changes={"fields": changed},
        )
    return version


def version_publish(*, version: AgentVersion, actor: Actor) -> AgentVersion:
    """Let a draft take the agent's calls from now on; the one before is retired.

    Calls in progress keep the version they began with. Raises NotPublishable with every
    fault, or VersionIsImmutable when the version is no draft.
    """
    with tenant_transaction(version.tenant_id):
        _lock(version.agent)
        version.refresh_from_db()
        if not version.is_draft:
            raise version.refusal()
        _require_publishable(version)
        before = _switch(version)
        audit.record(
            action="agent.version_published",
            actor=actor,
            target=version,
            changes=_published(before, version),
        )
    return version


def version_roll_back(*, version: AgentVersion, actor: Actor) -> AgentVersion:
    """Let a retired version take calls again. Raises NothingToRollBackTo."""
    with tenant_transaction(version.tenant_id):
        _lock(version.agent)
        version.refresh_from_db()
        if version.state != VersionState.RETIRED:
            raise NothingToRollBackTo(
                f"Version {version.number} is {version.state}; only a retired one can come back."
            )
        before = _switch(version)
        audit.record(
            action="agent.version_rolled_back",
            actor=actor,
            target=version,
            changes=_published(before, version),
        )
    return version


def _lock(agent: Agent) -> None:
    """One change of an agent's versions at a time."""
    Agent.objects.select_for_update().get(pk=agent.pk)


def _next_number(agent: Agent) -> int:
    latest = AgentVersion.objects.of(agent).order_by("-number").first()
    return 1 if latest is None else int(latest.number) + 1


def _copy_content(agent: Agent, source: AgentVersion | None, draft: AgentVersion) -> None:
    if source is not None:
        for field in COPIED:
            setattr(draft, field, getattr(source, field))
        return
    profile = default_profile("en" if agent.language == "en" else "es").model_dump(mode="json")
    draft.languages = [agent.language]
    draft.profiles = dict.fromkeys(CHANNELS, profile)


def _copy_knowledge(source: AgentVersion, draft: AgentVersion) -> None:
    KnowledgeEntry.objects.bulk_create(
        KnowledgeEntry(version=draft, **{name: getattr(entry, name) for name in COPIED_KNOWLEDGE})
        for entry in knowledge_of(source)
    )


def _require_publishable(version: AgentVersion) -> None:
    faults = [] if version.prompt.strip() else [gettext("the prompt is empty")]
    faults += [
        gettext("the greeting in %(language)s is missing") % {"language": repr(language)}
        for language in version.languages
        if language not in version.greeting
    ]
    if faults:
        raise NotPublishable(faults)
    version.full_clean(exclude=["tenant"])


def _switch(version: AgentVersion) -> AgentVersion | None:
    """Publish `version` instead of the one that is, which is returned."""
    before = published_version(version.agent)
    if before is not None:
        before.state = VersionState.RETIRED
        before.save(update_fields=["state", "updated_at"])
    first_time = version.is_draft
    version.mark_published(timezone.now())
    version.save(update_fields=None if first_time else ["state", "updated_at"])
    return before


def _published(before: AgentVersion | None, version: AgentVersion) -> dict[str, Any]:
    changes: dict[str, Any] = {"number": version.number}
    if before is not None:
        changes["instead_of"] = before.number
        changes["differences"] = [d.path for d in version_diff(before, version)][:200]
    return changes
