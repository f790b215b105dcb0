"""The app's start: checks, and the refusal of a database role on which nothing would hold."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = _("Tenants and people")

    def ready(self) -> None:
        from tenants import checks  # noqa: F401 - registers them
        from tenants.roles import refuse_unsafe_role

        connection_created.connect(refuse_unsafe_role, dispatch_uid="tenants.refuse_unsafe_role")
