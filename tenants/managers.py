"""A manager that fails closed: no current tenant, no query.

It raises where every query starts, in `get_queryset`, so that `.exists()`, aggregates,
asynchronous iteration, bulk operations and related managers need no case of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models

from tenants.context import current_tenant_id

M = TypeVar("M", bound=models.Model)  # in truth a TenantOwned, which is made of this


class TenantQuerySet(models.QuerySet[M]):
    """Rows of the current tenant. Derive an app's own querysets from it."""

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Django's; every object takes the current tenant or is refused (WrongTenant)."""
        objects = list(objs)
        for item in objects:
            item.claim_tenant()
        return super().bulk_create(objects, *args, **kwargs)

    def bulk_update(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> int:
        """As Django's; an object of another tenant is refused (WrongTenant)."""
        objects = list(objs)
        for item in objects:
            item.claim_tenant()
        return super().bulk_update(objects, *args, **kwargs)

    bulk_create.alters_data = True  # type: ignore[attr-defined]
    bulk_update.alters_data = True  # type: ignore[attr-defined]


class TenantManager(models.Manager[M]):
    """`objects` of every tenant model. Raises NoTenant outside a tenant.

    With a queryset of your own: `objects = TenantManager.from_queryset(CallQuerySet)()`.
    """

    _queryset_class = TenantQuerySet

    def get_queryset(self) -> models.QuerySet[M]:
        tenant_id = current_tenant_id(self.model._meta.label)
        return super().get_queryset().filter(tenant_id=tenant_id)
