"""The guard of the command line: a command that works in one tenant says which."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.db import tenant_transaction
from tenants.models import Tenant


class TenantCommand(BaseCommand):
    """`manage.py <command> --tenant <slug>`: `handle_tenant` runs inside that tenant."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="The tenant's short name (slug).")

    def handle(self, *args: Any, **options: Any) -> str | None:
        tenant = self._tenant(options.pop("tenant"))
        with tenant_transaction(tenant.pk):
            return self.handle_tenant(tenant, *args, **options)

    def handle_tenant(self, tenant: Tenant, *args: Any, **options: Any) -> str | None:
        """The command's work."""
        raise NotImplementedError

    def _tenant(self, slug: str) -> Tenant:
        tenant = Tenant.objects.filter(slug=slug).first()
        if tenant is None:
            known = ", ".join(Tenant.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no tenant “{slug}”. Known: {known}.")
        return tenant
