"""Letting a visitor of the tenant's own site call an agent from a page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from agents.models import Agent
from agents.selectors import published_version
from calls.carriers.tokens import WIDGET_SECONDS, read_widget_token, widget_token
from calls.routing import NoPublishedAgent
from tenants import audit


@dataclass(frozen=True, slots=True)
class WidgetPass:
    """What a page needs for one call: the token, until when it works, and the call's id."""

    token: str
    expires_at: datetime
    call: uuid.UUID


def widget_pass_issue(*, agent_id: uuid.UUID, actor: audit.Actor) -> WidgetPass:
    """Let whoever holds the token call this agent of the current tenant, once.

    Raises Agent.DoesNotExist and NoPublishedAgent.
    """
    agent = Agent.objects.get(public_id=agent_id, is_active=True)
    if published_version(agent) is None:
        raise NoPublishedAgent(f"agent {agent.public_id} has no published version")
    token = widget_token(agent.public_id)
    call = read_widget_token(token).call
    audit.record(
        action="widget_token.issue", actor=actor, target=agent, changes={"call": str(call)}
    )
    return WidgetPass(token, timezone.now() + timedelta(seconds=WIDGET_SECONDS), call)
