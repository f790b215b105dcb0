"""Makes one valid row of any tenant model, so that new models join the isolation tests.

Fields are filled by their type; what a type cannot tell is said in `SPECIAL`.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from agents.models import Agent, AgentVersion
from tenants.models import TenantOwned, User

_numbers = itertools.count(1)


def _special(given: Mapping[str, Any]) -> dict[str, Callable[[], dict[str, Any]]]:
    """Per model, values that its constraints want and its field types do not show."""
    return {
        "calls.number": lambda: {
            "e164": f"+52555{next(_numbers):07d}",
            "agent": None if "rule_id" in given else make_row(Agent),  # one of the two
        },
        "calls.callback": lambda: {"time_zone": "America/Mexico_City"},
        "calls.campaigncontact": lambda: {"number": f"+52557{next(_numbers):07d}"},
        "calls.retryrule": lambda: {"tries": 3},
        "calls.donotcall": lambda: {"number": f"+52556{next(_numbers):07d}"},
        "calls.openinghours": lambda: {"time_zone": "Europe/Madrid"},
        "calls.openinginterval": lambda: {"weekday": 0},
        "calls.routingchoice": lambda: {"caller_prefix": f"+52{next(_numbers)}"},
        "agents.agentversion": lambda: {"languages": ["es"]},
        "calls.call": lambda: {"version": make_row(AgentVersion), "channel": "twilio"},
        "calls.carrieraccount": lambda: {
            "carrier": "telnyx",
            "external_id": str(next(_numbers)),
        },
        "calls.message": lambda: {"state": "received"},
        "tenants.apikey": lambda: {"prefix": f"{next(_numbers):012x}", "secret_hash": "0" * 64},
    }


def build_row(model: type[TenantOwned], **given: Any) -> Any:
    """A valid unsaved row in the current tenant; rows that it needs are saved."""
    values = {**_special(given).get(model._meta.label_lower, dict)(), **given}
    for field in model._meta.local_concrete_fields:
        if field.name not in values and field.attname not in values and _wants_value(field):
            values[field.name] = _value(field)
    return model(**values)


def make_row(model: type[TenantOwned], **given: Any) -> Any:
    """A stored row in the current tenant."""
    row = build_row(model, **given)
    row.save()
    return row


def _wants_value(field: models.Field[Any, Any]) -> bool:
    return not (
        field.primary_key
        or field.name == "tenant"
        or field.has_default()
        or field.null
        or field.blank
        or getattr(field, "auto_now_add", False)
        or getattr(field, "auto_now", False)
    )


def _value(field: models.Field[Any, Any]) -> Any:
    if isinstance(field, models.ForeignKey):
        return _related(field.related_model)
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, ArrayField):
        return []
    for kind, make in _BY_TYPE:
        if isinstance(field, kind):
            return make()
    raise NotImplementedError(f"tests/rows.py cannot fill {field}: name a value in `_special`.")


def _related(model: Any) -> Any:
    if issubclass(model, TenantOwned):
        return make_row(model)
    if model is User:
        return User.objects.create_user(f"row{next(_numbers)}@rows.example")
    raise NotImplementedError(f"tests/rows.py cannot make a {model.__name__}.")


_BY_TYPE: list[tuple[type[models.Field[Any, Any]], Callable[[], Any]]] = [
    (models.BooleanField, lambda: False),
    (models.EmailField, lambda: f"row{next(_numbers)}@rows.example"),
    (models.CharField, lambda: f"row{next(_numbers)}"),
    (models.TextField, lambda: f"row {next(_numbers)}"),
    (models.IntegerField, lambda: next(_numbers)),
    (models.FloatField, lambda: float(next(_numbers))),
    (models.DateTimeField, timezone.now),
    (models.DateField, lambda: date(2026, 1, 1) + timedelta(days=next(_numbers))),
    (models.TimeField, lambda: time(9)),
    (models.UUIDField, uuid.uuid4),
    (models.JSONField, dict),
]
