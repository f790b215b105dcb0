"""The guard of background work: a task names its tenant first."""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from tenants.context import maybe_tenant_id, use_tenant
from tenants.db import tenant_transaction
from tenants.errors import WrongTenant
from tenants.selectors import active_tenant_ids

log = logging.getLogger(__name__)

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


def in_each_tenant(work: Callable[[int], int]) -> int:
    """Do `work` for each active tenant, by its id; the sum of what it says, which is how much.

    One tenant's defect is logged and keeps no other waiting. Who is first changes each time: they
    share what there is too little of.
    """
    tenants, done = list(active_tenant_ids()), 0
    random.shuffle(tenants)
    for tenant_id in tenants:
        try:
            done += work(tenant_id)
        except SoftTimeLimitExceeded:  # of the task: it is to end
            raise
        except Exception:
            log.exception("tenant %d: what is due there cannot be done", tenant_id)
    return done


def _bound(tenant_id: int) -> Any:
    outer = maybe_tenant_id()
    if outer is not None and outer != tenant_id:
        raise WrongTenant("This task", wanted=tenant_id, current=outer)
    return use_tenant(tenant_id)
