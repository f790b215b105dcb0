"""`manage.py check`: no tenant model without a policy, no reference that can leave its tenant.

The static checks read models and migrations. The database ones (`check --database default`)
ask PostgreSQL what really holds, since a policy can be dropped by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, models

from tenants.managers import TenantManager
from tenants.migration_state import Ledger, read_ledger
from tenants.models.base import TenantOwned
from tenants.rls import TENANT_POLICY, composite_name
from tenants.roles import role_faults

TAG = "tenants"


def tenant_models(app_configs: Sequence[AppConfig] | None = None) -> list[type[TenantOwned]]:
    """Every concrete tenant model, of these apps or of all."""
    configs = apps.get_app_configs() if app_configs is None else app_configs
    return [
        model
        for config in configs
        for model in config.get_models(include_auto_created=True)
        if issubclass(model, TenantOwned) and not model._meta.proxy and model._meta.managed
    ]


def tenant_references(model: type[TenantOwned]) -> Iterator[models.Field[Any, Any]]:
    """The model's own foreign keys to tenant models."""
    for field in model._meta.local_concrete_fields:
        if isinstance(field, models.ForeignKey) and _is_tenant_model(field.related_model):
            yield field


def _is_tenant_model(model: object) -> bool:
    return isinstance(model, type) and issubclass(model, TenantOwned)


@register(TAG)
def check_migrations(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Every tenant model's migrations bring its policy and its composite foreign keys."""
    ledger = read_ledger()
    return [
        message
        for model in tenant_models(app_configs)
        for message in _migration_faults(model, ledger)
    ]


def _migration_faults(model: type[TenantOwned], ledger: Ledger) -> Iterator[CheckMessage]:
    label, name = model._meta.app_label, model.__name__
    key = (label, name.lower())
    if key not in ledger.policies:
        yield Error(
            f"{model._meta.label} has no row-level security: any tenant could read it.",
            hint=f'Add EnableTenantRLS("{label}", "{name}") to a migration of {label}.',
            obj=model,
            id="tenants.E001",
        )
    for field in tenant_references(model):
        if field.name not in ledger.composites.get(key, set()):
            yield Error(
                f"{model._meta.label}.{field.name} could point at another tenant's row.",
                hint=f'Add CompositeTenantForeignKey("{label}", "{name}", "{field.name}") '
                f"to a migration of {label}.",
                obj=model,
                id="tenants.E002",
            )


@register(TAG)
def check_models(app_configs: Sequence[AppConfig] | None, **_kwargs: Any) -> list[CheckMessage]:
    """Every tenant model reads through managers that fail closed."""
    return [message for model in tenant_models(app_configs) for message in _model_faults(model)]


def _model_faults(model: type[TenantOwned]) -> Iterator[CheckMessage]:
    managers = [*model._meta.managers, model._base_manager]
    for manager in managers:
        if not isinstance(manager, TenantManager):
            yield Error(
                f"{model._meta.label}.{manager.name} is a manager that does not fail closed.",
                hint="Derive it from tenants.managers.TenantManager.",
                obj=model,
                id="tenants.E003",
            )
    for field in model._meta.local_many_to_many:
        through = field.remote_field.through
        if not _is_tenant_model(through):
            yield Error(
                f"{model._meta.label}.{field.name} joins through a table without a tenant.",
                hint="Give it a `through` model that derives from TenantOwned.",
                obj=model,
                id="tenants.E004",
            )


@register(TAG, Tags.database)
def check_database(
    app_configs: Sequence[AppConfig] | None,
    databases: Iterable[str] | None = None,
    **_kwargs: Any,
) -> list[CheckMessage]:
    """The role, the policies and the constraints are really there."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        if alias == "default":
            messages += [
                Error(fault, hint=hint, id="tenants.E005") for fault, hint in role_faults(alias)
            ]
            messages += _table_faults(alias, tenant_models(app_configs))
    return messages


def _table_faults(alias: str, wanted: list[type[TenantOwned]]) -> list[CheckMessage]:
    """Only for tables that exist: a database before its migrations is no breach."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AND EXISTS ("
            "SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = %s) "
            "FROM pg_class c WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid)",
            [TENANT_POLICY],
        )
        secured: dict[str, bool] = dict(cursor.fetchall())
        cursor.execute("SELECT conname FROM pg_constraint WHERE contype = 'f'")
        constraints = {name for (name,) in cursor.fetchall()}
    return [
        message
        for model in wanted
        if model._meta.db_table in secured
        for message in _missing_in_database(model, secured, constraints)
    ]


def _missing_in_database(
    model: type[TenantOwned], secured: dict[str, bool], constraints: set[str]
) -> Iterator[CheckMessage]:
    table = model._meta.db_table
    if not secured[table]:
        yield Error(
            f"The table {table} has no forced row-level security in this database.",
            hint="Run the migrations; if they have run, somebody dropped the policy by hand.",
            obj=model,
            id="tenants.E006",
        )
    for field in tenant_references(model):
        name = composite_name(table, str(field.column))
        if name not in constraints:
            yield Error(
                f"The table {table} lacks the composite foreign key {name}.",
                hint="Run the migrations; if they have run, somebody dropped it by hand.",
                obj=model,
                id="tenants.E007",
            )
