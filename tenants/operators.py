"""How an operator of the installation reaches a tenant's data: explicitly, and on the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.core.exceptions import PermissionDenied

from tenants.db import switch_tenant
from tenants.models import User

_operating: ContextVar[bool] = ContextVar("andrea_operating", default=False)


def is_operating() -> bool:
    """Whether the running code reached its tenant by the operators' way."""
    return _operating.get()


@contextmanager
def operator_transaction(tenant_id: int, *, operator: User) -> Iterator[None]:
    """As `tenant_transaction`, for an operator, who may also be inside another tenant.

    What is audited inside carries the operator's mark. Raises PermissionDenied for anybody
    who is no active operator.
    """
    if not (operator.is_active and operator.is_staff):
        raise PermissionDenied(f"{operator} is no operator.")
    token = _operating.set(True)
    try:
        with switch_tenant(tenant_id):
            yield
    finally:
        _operating.reset(token)
