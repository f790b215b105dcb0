"""AI agents, their versions, and what they know."""

from agents.models.agent import Agent
from agents.models.knowledge import KnowledgeEntry
from agents.models.version import AgentVersion, AgentVersionQuerySet, VersionState

__all__ = ["Agent", "AgentVersion", "AgentVersionQuerySet", "KnowledgeEntry", "VersionState"]
