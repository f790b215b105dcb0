"""What the back office's header needs to show the tenant selector."""

from __future__ import annotations

from django import template
from django.db.models import QuerySet

from tenants.models import Tenant

register = template.Library()


@register.simple_tag
def selectable_tenants() -> QuerySet[Tenant]:
    """Every tenant, by name."""
    return Tenant.objects.order_by("name")
