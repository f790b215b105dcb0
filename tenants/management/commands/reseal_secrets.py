"""`manage.py reseal_secrets`: encrypt every stored secret with the newest key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models

from tenants.db import tenant_transaction
from tenants.models import Tenant
from tenants.models.base import TenantOwned
from tenants.sealing import CannotUnseal, SealedField, reseal


class Command(BaseCommand):
    help = "Encrypts all stored secrets with the first of SECRETS_KEYS; run it after adding one."

    def handle(self, *_args: Any, **_options: Any) -> None:
        done, lost = 0, 0
        for tenant_id in Tenant.objects.order_by("pk").values_list("pk", flat=True):
            with tenant_transaction(tenant_id):
                for model, field in _sealed_columns():
                    resealed, broken = _reseal_column(model, field)
                    done, lost = done + resealed, lost + broken
        self.stdout.write(f"{done} secrets are sealed with the newest key.")
        if lost:
            raise CommandError(
                f"{lost} secrets open with none of SECRETS_KEYS and were left as they are."
            )


def _sealed_columns() -> Iterator[tuple[type[TenantOwned], str]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, SealedField) and issubclass(model, TenantOwned):
                yield model, field.name


def _reseal_column(model: type[TenantOwned], field: str) -> tuple[int, int]:
    """Reseal the current tenant's rows; how many were, and how many cannot be opened."""
    rows: models.QuerySet[TenantOwned] = model.objects.exclude(**{field: ""})
    done = lost = 0
    for key, sealed in list(rows.select_for_update().values_list("pk", field)):
        try:
            model.objects.filter(pk=key).update(**{field: reseal(sealed)})
        except CannotUnseal:
            lost += 1
        else:
            done += 1
    return done, lost
