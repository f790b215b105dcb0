"""Tenants, the people who work for them, their keys, and what was done."""

from tenants.models.api_key import ApiKey
from tenants.models.audit import AuditEntry
from tenants.models.base import TenantForeignKey, TenantModel, TenantOwned
from tenants.models.membership import Membership, Role
from tenants.models.tenant import Tenant
from tenants.models.user import User

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Membership",
    "Role",
    "Tenant",
    "TenantForeignKey",
    "TenantModel",
    "TenantOwned",
    "User",
]
