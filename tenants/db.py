"""The only doors to a tenant's rows: for synchronous code, and the bridge for coroutines.

Row-level security shows a transaction the rows of `app.tenant` and nothing else. The setting
is made for the running transaction only, so a connection never carries a tenant into its next
use; a block inside a block gives the outer one its value back.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections, models, transaction

from tenants.context import maybe_tenant_id, use_tenant
from tenants.errors import WrongTenant
from tenants.rls import lookup_key

if TYPE_CHECKING:
    from tenants.models.base import TenantOwned

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound="TenantOwned")

_THREADS_DEFAULT = 8
_CLOSE_SECONDS = 30.0
_pool_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


@contextmanager
def tenant_transaction(tenant_id: int, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """One transaction in which `tenant_id` is current, in Python and in the database.

    Nests inside itself as a savepoint. Raises WrongTenant inside another tenant: the way in
    chose the tenant, and nothing after it may choose again (an operator's way is
    `tenants.operators.operator_transaction`).
    """
    outer = maybe_tenant_id()
    if outer is not None and outer != tenant_id:
        raise WrongTenant("This block", wanted=tenant_id, current=outer)
    with switch_tenant(tenant_id, using=using):
        yield


@contextmanager
def switch_tenant(tenant_id: int, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """As `tenant_transaction`, but also out of another tenant. For `tenants.operators` only."""
    with (
        use_tenant(tenant_id),
        transaction.atomic(using=using),
        _transaction_setting("app.tenant", str(int(tenant_id)), using),
    ):
        yield


@contextmanager
def _transaction_setting(name: str, value: str, using: str) -> Iterator[None]:
    """Set a variable until the block ends.

    Leaving by an exception needs no care: the savepoint's rollback takes the value back.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting(%s, true), ''), set_config(%s, %s, true)",
            [name, name, value],
        )
        (previous, _) = cursor.fetchone()
    yield
    if not connection.needs_rollback:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [name, previous])


@contextmanager
def lookup(
    model: type[M], field: str, value: object, *, using: str = DEFAULT_DB_ALIAS
) -> Iterator[models.QuerySet[M]]:
    """The rows of any tenant whose `field` has that value, for reading only.

    Works for the field that the model's EnableTenantRLS names as `lookup`, and those of its
    AllowLookups; for any other the database shows nothing. An empty key finds nothing.
    """
    column = model._meta.get_field(field).column  # type: ignore[union-attr]
    key = lookup_key(model._meta.db_table, str(column), value)
    rows: models.QuerySet[M] = models.QuerySet(model, using=using).filter(**{field: value})
    with transaction.atomic(using=using), _transaction_setting("app.lookup", key, using):
        yield rows


def tenant_by_key(
    model: type[TenantOwned], value: object, *, field: str | None = None
) -> int | None:
    """The id of the tenant whose row holds this key, or None.

    The field is the one named `lookup` in the model's EnableTenantRLS operation.
    """
    name = field or lookup_field(model)
    with lookup(model, name, value) as rows:
        return rows.values_list("tenant_id", flat=True).first()


@functools.cache
def lookup_field(model: type[TenantOwned]) -> str:
    """The field by which rows of the model may be found outside their tenant."""
    from tenants.migration_state import policies

    operation = policies().get((model._meta.app_label, str(model._meta.model_name)))
    if operation is None or operation.lookup is None:
        raise LookupError(f"{model._meta.label} has no EnableTenantRLS with a lookup field.")
    return operation.lookup


async def run_in_tenant(
    tenant_id: int, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run `fn` in a thread of the bridge inside `tenant_transaction(tenant_id)`.

    The only way from a coroutine to a tenant's rows. Context variables are carried over. If
    the awaiting task is cancelled the function still runs to its end, and commits.
    """
    return await _in_pool(_in_tenant, tenant_id, fn, args, kwargs)


async def run_unscoped(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `fn` in a thread of the bridge with no tenant: for global tables and look-ups."""
    return await _in_pool(_in_no_tenant, fn, args, kwargs)


def _in_tenant(
    tenant_id: int, fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> R:
    with tenant_transaction(tenant_id):
        return fn(*args, **kwargs)


def _in_no_tenant(fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    with use_tenant(None):
        return fn(*args, **kwargs)


async def _in_pool(fn: Callable[..., R], *args: Any) -> R:
    context = contextvars.copy_context()
    call = functools.partial(context.run, _with_fresh_connections, fn, *args)
    return await asyncio.get_running_loop().run_in_executor(bridge_pool(), call)


def _with_fresh_connections(fn: Callable[..., R], *args: Any) -> R:
    """What Django does round a request: drop connections that are too old or broken."""
    close_old_connections()
    try:
        return fn(*args)
    finally:
        close_old_connections()


def bridge_pool() -> ThreadPoolExecutor:
    """The bridge's own threads, `settings.TENANT_BRIDGE_THREADS` of them.

    Not asgiref's thread-sensitive one: there a slow query would hold up every other.
    """
    global _pool  # noqa: PLW0603 - one per process, made on first use
    with _pool_lock:
        if _pool is None:
            size = getattr(settings, "TENANT_BRIDGE_THREADS", _THREADS_DEFAULT)
            _pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="tenant-bridge")
        return _pool


def close_bridge() -> None:
    """Wait for the bridge's work, close its connections and end its threads."""
    global _pool
    with _pool_lock:
        pool, _pool = _pool, None
    if pool is not None:
        _close_connections_of(pool)
        pool.shutdown(wait=True)


def _close_connections_of(pool: ThreadPoolExecutor) -> None:
    """Every thread has its own connections, so every thread has to close them itself.

    They meet at a barrier, so that none does it twice and another not at all.
    """
    barrier = threading.Barrier(pool._max_workers)

    def close() -> None:
        connections.close_all()
        barrier.wait(_CLOSE_SECONDS)

    for future in [pool.submit(close) for _ in range(pool._max_workers)]:
        future.result()
