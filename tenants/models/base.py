"""What every row of a tenant has in common."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.context import current_tenant_id
from tenants.errors import WrongTenant
from tenants.forms import TenantChoiceField
from tenants.managers import TenantManager


class TenantOwned(models.Model):
    """A row which belongs to one tenant, and which nobody else's transaction can see.

    Every concrete subclass needs `EnableTenantRLS` in its migration, and
    `CompositeTenantForeignKey` for each foreign key to another tenant model;
    `manage.py check` fails without them.
    """

    tenant = models.ForeignKey(
        "tenants.Tenant",
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        verbose_name=_("tenant"),
    )

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        default_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.claim_tenant()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self.claim_tenant()
        return super().delete(*args, **kwargs)

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """With the tenant, which no form shows: Django skips what names an excluded field."""
        if self.tenant_id is None:
            self.claim_tenant()
        super().validate_constraints(exclude={*(exclude or ())} - {"tenant"})

    def _get_unique_checks(
        self, exclude: Collection[str] | None = None, include_meta_constraints: bool = False
    ) -> Any:
        """The same for the rows of one form that are compared with each other."""
        kept = {*(exclude or ())} - {"tenant"} if include_meta_constraints else exclude
        return super()._get_unique_checks(kept, include_meta_constraints)  # type: ignore[misc]

    def claim_tenant(self) -> None:
        """Take the current tenant, or raise WrongTenant if this row has another one.

        Objects that this row refers to are checked too, as far as they are at hand; the
        database checks them all.
        """
        current = current_tenant_id(self._meta.label)
        if self.tenant_id is None:
            self.tenant_id = current
        _require(self, current)
        for field in self._meta.concrete_fields:
            related = self._state.fields_cache.get(field.name)
            if isinstance(related, TenantOwned):
                _require(related, current)


def _require(row: TenantOwned, current: int) -> None:
    if row.tenant_id != current:
        raise WrongTenant(row._meta.label, wanted=row.tenant_id, current=current)


class TenantModel(TenantOwned):
    """A tenant's row with a public identifier and its times; what most models derive from.

    The public identifier is unique over all tenants: it is drawn at random, and a key that
    an outsider holds (a widget's agent) has to lead to one row.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta(TenantOwned.Meta):
        abstract = True


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A foreign key to another tenant model, usable in a form class made outside a tenant.

    A plain ForeignKey is as safe (the composite constraint is a migration operation), but
    Django asks the manager for its choices when a ModelForm is *defined*, where there is no
    tenant yet and the manager refuses.
    """

    def formfield(self, **kwargs: Any) -> Any:
        return super(models.ForeignKey, self).formfield(
            **{
                "form_class": TenantChoiceField,
                "model": self.remote_field.model,
                "to_field_name": self.remote_field.field_name,
                "blank": self.blank,
                **kwargs,
            },
        )
