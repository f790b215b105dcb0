"""Reading who belongs where. These work outside a tenant, by keys which the asker holds."""

from __future__ import annotations

from collections.abc import Iterator

from tenants.db import lookup
from tenants.models import ApiKey, Membership, Tenant, User
from tenants.models.api_key import parse_api_key


def memberships_of(user: User) -> list[Membership]:
    """The user's places in active tenants, the oldest first; none for an inactive user."""
    if not user.is_active:
        return []
    with lookup(Membership, "user", user.pk) as rows:
        return list(rows.filter(tenant__is_active=True).select_related("tenant").order_by("pk"))


def membership_of(user: User, tenant_id: int) -> Membership | None:
    """The user's place in that tenant, if they have one and it is active."""
    places = memberships_of(user)
    return next((place for place in places if place.tenant_id == tenant_id), None)


def api_key_for(text: str) -> ApiKey | None:
    """The usable key which this text opens, of an active tenant; None for anything else."""
    parts = parse_api_key(text)
    if parts is None:
        return None
    prefix, secret = parts
    with lookup(ApiKey, "prefix", prefix) as rows:
        key = rows.select_related("tenant").first()
    if key is None or not key.opens_with(secret):
        return None
    return key if key.is_usable() and key.tenant.is_active else None


def active_tenant_ids() -> Iterator[int]:
    """Every active tenant, for a periodic task that has to visit them all in turn."""
    return iter(Tenant.objects.filter(is_active=True).order_by("pk").values_list("pk", flat=True))
