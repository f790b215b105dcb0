"""What may be done in a tenant, and which role may do it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from tenants.models import ApiKey, Role, User
from tenants.selectors import membership_of


class Permission(StrEnum):
    """Something that a member or an API key may be allowed; the value is the key's scope."""

    CALLS_VIEW = "calls.view"
    CALLS_CONTROL = "calls.control"
    CALLS_REPORT = "calls.report"
    CAMPAIGNS_MANAGE = "campaigns.manage"
    MESSAGES_VIEW = "messages.view"
    MESSAGES_SEND = "messages.send"
    RECORDINGS_LISTEN = "recordings.listen"
    AGENTS_VIEW = "agents.view"
    AGENTS_TEST = "agents.test"
    AGENTS_EDIT = "agents.edit"
    AGENTS_PUBLISH = "agents.publish"
    NUMBERS_VIEW = "numbers.view"
    NUMBERS_MANAGE = "numbers.manage"
    ANALYTICS_VIEW = "analytics.view"
    SETTINGS_MANAGE = "settings.manage"
    MEMBERS_VIEW = "members.view"
    MEMBERS_MANAGE = "members.manage"
    API_KEYS_MANAGE = "api_keys.manage"
    AUDIT_VIEW = "audit.view"


LABELS: dict[Permission, Any] = {
    Permission.CALLS_VIEW: _("See calls and transcripts"),
    Permission.CALLS_CONTROL: _("Place, transfer and end calls"),
    Permission.CALLS_REPORT: _("Look callers up and report calls, as a PBX does"),
    Permission.CAMPAIGNS_MANAGE: _("Fill, start and stop campaigns"),
    Permission.MESSAGES_VIEW: _("Read SMS and WhatsApp messages"),
    Permission.MESSAGES_SEND: _("Write SMS and WhatsApp messages"),
    Permission.RECORDINGS_LISTEN: _("Listen to recordings"),
    Permission.AGENTS_VIEW: _("See agents"),
    Permission.AGENTS_TEST: _("Talk to agents in the browser"),
    Permission.AGENTS_EDIT: _("Edit agents and their knowledge"),
    Permission.AGENTS_PUBLISH: _("Publish agents and roll them back"),
    Permission.NUMBERS_VIEW: _("See telephone numbers"),
    Permission.NUMBERS_MANAGE: _("Route telephone numbers"),
    Permission.ANALYTICS_VIEW: _("See analytics"),
    Permission.SETTINGS_MANAGE: _("Change the tenant's settings"),
    Permission.MEMBERS_VIEW: _("See members"),
    Permission.MEMBERS_MANAGE: _("Invite and remove members"),
    Permission.API_KEYS_MANAGE: _("Create and revoke API keys"),
    Permission.AUDIT_VIEW: _("Read the audit trail"),
}

_ANALYST = frozenset(
    {
        Permission.CALLS_VIEW,
        Permission.MESSAGES_VIEW,
        Permission.AGENTS_VIEW,
        Permission.NUMBERS_VIEW,
        Permission.ANALYTICS_VIEW,
    }
)
_STAFF = frozenset(
    {
        Permission.CALLS_VIEW,
        Permission.CALLS_CONTROL,
        Permission.MESSAGES_VIEW,
        Permission.MESSAGES_SEND,
        Permission.RECORDINGS_LISTEN,
        Permission.AGENTS_VIEW,
        Permission.AGENTS_TEST,
        Permission.NUMBERS_VIEW,
        Permission.MEMBERS_VIEW,
    }
)
_MANAGER = (
    _ANALYST
    | _STAFF
    | {
        Permission.CAMPAIGNS_MANAGE,
        Permission.AGENTS_EDIT,
        Permission.AGENTS_PUBLISH,
        Permission.NUMBERS_MANAGE,
        Permission.SETTINGS_MANAGE,
        Permission.AUDIT_VIEW,
    }
)

ROLE_PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.MANAGER: _MANAGER,
    Role.STAFF: _STAFF,
    Role.ANALYST: _ANALYST,
}


def role_allows(role: str, permission: Permission) -> bool:
    """Whether the role carries the permission; an unknown role carries none."""
    return permission in ROLE_PERMISSIONS.get(role, frozenset())


def has_permission(who: object, tenant_id: int, permission: Permission) -> bool:
    """Whether a user, by membership, or an API key, by scope, may do this in that tenant.

    Anybody else may nothing. An operator has no rights in a tenant by being one: the back
    office is their place, and it is audited.
    """
    if isinstance(who, ApiKey):
        return who.tenant_id == tenant_id and who.is_usable() and permission.value in who.scopes
    if isinstance(who, User):
        membership = membership_of(who, tenant_id)
        return membership is not None and role_allows(membership.role, permission)
    return False
