"""Changing agents. Every service is one transaction in the tenant, and leaves an audit entry."""

from agents.services.agents import agent_create, agent_update
from agents.services.diff import Difference, version_diff
from agents.services.knowledge import ImportResult, knowledge_import
from agents.services.seeds import seed_demo_agents
from agents.services.versions import (
    version_draft,
    version_publish,
    version_roll_back,
    version_save,
)

__all__ = [
    "Difference",
    "ImportResult",
    "agent_create",
    "agent_update",
    "knowledge_import",
    "seed_demo_agents",
    "version_diff",
    "version_draft",
    "version_publish",
    "version_roll_back",
    "version_save",
]
