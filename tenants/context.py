"""The current tenant, as a context variable: set once at each way in, fixed after that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tenants.errors import NoTenant

_current: ContextVar[int | None] = ContextVar("andrea_tenant", default=None)


def maybe_tenant_id() -> int | None:
    """The current tenant's id, or None outside every tenant."""
    return _current.get()


def current_tenant_id(what: str = "tenant data") -> int:
    """The current tenant's id.

    Raises NoTenant outside every tenant; `what` names the thing that was wanted.
    """
    tenant_id = _current.get()
    if tenant_id is None:
        raise NoTenant(what)
    return tenant_id


@contextmanager
def use_tenant(tenant_id: int | None) -> Iterator[None]:
    """Bind the context variable alone: for logs, and for `tenants.db`.

    This opens no way to the data: the database hands out a tenant's rows only inside
    `tenants.db.tenant_transaction`.
    """
    token = _current.set(tenant_id)
    try:
        yield
    finally:
        _current.reset(token)
