"""Writing the audit trail: who did what to which object, with secrets masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from tenants.client_ip import current_client_ip
from tenants.models import ApiKey, AuditEntry, User

MASK = "•••"
_SECRET_NAME = re.compile(
    r"secret|password|passwd|token|api_?key|_key$|^key$|hash|credential", re.I
)
_UNWATCHED = {"created_at", "updated_at"}

Actor = User | ApiKey | str


def record(
    *,
    action: str,
    actor: Actor,
    target: models.Model | None = None,
    changes: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Add one entry to the current tenant's trail, in the transaction of the deed itself.

    `actor` is a user, an API key, or the name of a part of the system. `changes` maps a
    field to its [before, after], or any name to a value (see `difference`). Raises NoTenant
    outside a tenant.
    """
    user = actor if isinstance(actor, User) else None
    entry: AuditEntry = AuditEntry.objects.create(
        action=action,
        actor=user,
        actor_label=label_of(actor),
        is_operator=_acts_as_operator(user),
        changes=masked(dict(changes or {})),
        ip_address=current_client_ip(),
        **_target_fields(target),
    )
    return entry


def record_once(
    *,
    action: str,
    actor: Actor,
    target: models.Model,
    within: timedelta,
    changes: Mapping[str, Any] | None = None,
) -> AuditEntry | None:
    """Add an entry unless the same actor did just this to the target within this time."""
    known = AuditEntry.objects.filter(
        action=action,
        actor_label=label_of(actor),
        at__gt=timezone.now() - within,
        changes=masked(dict(changes or {})),
        **_target_key(target),
    )
    if known.exists():
        return None
    return record(action=action, actor=actor, target=target, changes=changes)


def label_of(actor: Actor) -> str:
    """Who acts, as the trail names them."""
    text = f"API key {actor}" if isinstance(actor, ApiKey) else str(actor)
    return text[:200]


def _acts_as_operator(user: User | None) -> bool:
    from tenants.operators import is_operating

    return user is not None and is_operating()


def _target_fields(target: models.Model | None) -> dict[str, str]:
    if target is None:
        return {}
    return {**_target_key(target), "target_label": str(target)[:200]}


def _target_key(target: models.Model) -> dict[str, str]:
    public_id = getattr(target, "public_id", None)
    return {"target_type": target._meta.label_lower, "target_id": str(public_id or "")}


def snapshot(instance: models.Model) -> dict[str, Any]:
    """The row's own columns as plain values, for `difference`."""
    encoder = DjangoJSONEncoder()
    values = {}
    for field in instance._meta.concrete_fields:
        if field.name not in _UNWATCHED and not field.primary_key:
            values[field.name] = _plain(field.value_from_object(instance), encoder)
    return values


def _plain(value: Any, encoder: DjangoJSONEncoder) -> Any:
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    try:
        return encoder.default(value)
    except TypeError:
        return str(value)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Field → [before, after] for every field that is not the same in both."""
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def masked(value: Any, name: str = "") -> Any:
    """The value with everything hidden that sits under a secret's name, at any depth.

    That a secret changed is still to be seen, and when; only what it is, is not.
    """
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, name) for item in value]
    if name and _SECRET_NAME.search(name) and value not in (None, ""):
        return MASK
    return value
