"""The guard of background work: a task names its tenant first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from celery import shared_task

from tenants.context import maybe_tenant_id, use_tenant
from tenants.db import tenant_transaction
from tenants.errors import WrongTenant

P = ParamSpec("P")
R = TypeVar("R")


def tenant_task(
    *, atomic: bool = True, **options: Any
) -> Callable[[Callable[Concatenate[int, P], R]], Any]:
    """A Celery task whose first argument is the tenant's id, and which runs inside it.

    With `atomic` the body is one `tenant_transaction`. A task that talks to the network must
    not hold a transaction meanwhile: it says `atomic=False`, has its tenant in the context
    (for logs), and opens short transactions itself. Acknowledged late, so the body has to be
    idempotent.
    """

    def decorate(body: Callable[Concatenate[int, P], R]) -> Any:
        @functools.wraps(body)
        def guarded(tenant_id: int, *args: P.args, **kwargs: P.kwargs) -> R:
            if not isinstance(tenant_id, int) or isinstance(tenant_id, bool):
                raise TypeError(f"{body.__name__} wants a tenant's id first, not {tenant_id!r}.")
            with tenant_transaction(tenant_id) if atomic else _bound(tenant_id):
                return body(tenant_id, *args, **kwargs)

        return shared_task(acks_late=True, **options)(guarded)

    return decorate


def _bound(tenant_id: int) -> Any:
    outer = maybe_tenant_id()
    if outer is not None and outer != tenant_id:
        raise WrongTenant("This task", wanted=tenant_id, current=outer)
    return use_tenant(tenant_id)
