"""The back office's pages of agents."""

from agents.admin.agents import AgentAdmin
from agents.admin.versions import AgentVersionAdmin

__all__ = ["AgentAdmin", "AgentVersionAdmin"]
