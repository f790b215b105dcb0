"""The transaction that carries the tenant, and the bridge from coroutines."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import suppress

import pytest
from django.db import DatabaseError, connection, connections, transaction

from tenants.context import current_tenant_id, maybe_tenant_id, use_tenant
from tenants.db import (
    bridge_pool,
    close_bridge,
    lookup_field,
    run_in_tenant,
    tenant_by_key,
    tenant_transaction,
)
from tenants.errors import NoTenant, WrongTenant
from tenants.models import ApiKey, AuditEntry, Membership
from tests.rows import make_row


def setting(name: str = "app.tenant") -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [name])
        return str(cursor.fetchone()[0])


def forge(tenant_id: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant_id)])


def test_the_tenant_is_current_in_python_and_in_the_database(tenant):
    with tenant_transaction(tenant.id):
        assert current_tenant_id() == tenant.id
        assert setting() == str(tenant.id)
    assert maybe_tenant_id() is None
    assert setting() == ""


def test_a_nested_block_gives_the_outer_one_its_tenant_back(tenant):
    with tenant_transaction(tenant.id):
        with tenant_transaction(tenant.id):
            assert setting() == str(tenant.id)
        assert current_tenant_id() == tenant.id
        assert setting() == str(tenant.id)


def test_a_nested_block_of_another_tenant_is_refused(tenant, other_tenant):
    with tenant_transaction(tenant.id):
        with pytest.raises(WrongTenant), tenant_transaction(other_tenant.id):
            pytest.fail("got in")
        assert setting() == str(tenant.id)


@pytest.mark.parametrize("how", ["left", "exception", "rollback", "database error"])
def test_a_tenant_forged_inside_a_nested_block_ends_with_it(tenant, other_tenant, owner, how):
    with tenant_transaction(other_tenant.id):
        stranger = make_row(Membership)
    with tenant_transaction(tenant.id):
        try:
            with tenant_transaction(tenant.id):
                forge(other_tenant.id)
                assert not Membership.objects.filter(pk=stranger.pk).exists()
                leave(how)
        except (RuntimeError, DatabaseError):
            pass
        assert setting() == str(tenant.id)
        assert [place.user for place in Membership.objects.all()] == [owner]


def leave(how: str) -> None:
    if how == "exception":
        raise RuntimeError(how)
    if how == "rollback":
        transaction.set_rollback(True)
    if how == "database error":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["left", "exception", "rollback", "database error"])
def test_a_connection_carries_no_tenant_into_its_next_use(tenant, owner, how):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()
    try:
        with tenant_transaction(tenant.id):
            leave(how)
    except (RuntimeError, DatabaseError):
        pass
    assert maybe_tenant_id() is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == backend
        cursor.execute("SELECT count(*) FROM tenants_membership")
        assert cursor.fetchone() == (0,)
    assert setting() == ""


@pytest.mark.parametrize("value", ["", "0", "-1", "1 OR true", "abc"])
def test_a_senseless_tenant_shows_nothing(tenant, owner, value):
    forge(value)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tenants_membership")
            shown = cursor.fetchone()
    except DatabaseError:
        return
    assert shown == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE andrea_owner",
        "SET SESSION AUTHORIZATION andrea_owner",
        "SET row_security = off; SELECT * FROM tenants_membership",
        "ALTER TABLE tenants_membership DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE tenants_membership NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON tenants_membership",
        "CREATE POLICY hole ON tenants_membership USING (true)",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "CREATE FUNCTION hole() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "TRUNCATE tenants_membership",
        "DROP TABLE tenants_membership",
        "ALTER TABLE tenants_auditentry DISABLE TRIGGER append_only",
        "SET session_replication_role = replica",
    ],
)
def test_the_app_role_cannot_lift_the_floor(tenant, owner, statement):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tenants_membership")
        assert cursor.fetchone() == (0,)
    with tenant_transaction(tenant.id):
        assert Membership.objects.count() == 1


@pytest.mark.parametrize("statement", ["RESET ROLE", "RESET SESSION AUTHORIZATION", "RESET ALL"])
def test_resetting_the_session_gains_nothing(tenant, owner, statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute("SELECT count(*) FROM tenants_membership")
        assert cursor.fetchone() == (0,)


def test_a_key_leads_to_its_tenant_and_a_wrong_one_nowhere(tenant, make_api_key):
    prefix = make_api_key(tenant, []).split("_")[1]
    assert tenant_by_key(ApiKey, prefix) == tenant.id
    assert tenant_by_key(ApiKey, "000000000000") is None
    assert tenant_by_key(ApiKey, "") is None
    assert setting("app.lookup") == ""


def test_only_the_declared_field_opens_a_row(tenant, make_api_key):
    make_api_key(tenant, [])
    assert tenant_by_key(ApiKey, "test", field="name") is None
    with pytest.raises(LookupError, match="AuditEntry"):
        lookup_field(AuditEntry)


def test_a_lookup_of_one_table_opens_no_other(tenant, owner):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.lookup', %s, true)", [f"tenants_apikey.user_id={owner.pk}"]
        )
        cursor.execute("SELECT count(*) FROM tenants_membership")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db(transaction=True)
async def test_forty_coroutines_of_two_tenants_never_meet(tenant, other_tenant):
    """Each writes under its name, waits for the others, and reads only its own tenant's."""
    start = asyncio.Event()

    def write_and_read(name: str) -> set[str]:
        key = ApiKey(name=name)
        key.draw_secret()
        key.save()
        return set(ApiKey.objects.values_list("name", flat=True))

    async def one(number: int) -> tuple[str, set[str]]:
        mine = tenant if number % 2 else other_tenant
        await start.wait()
        seen: set[str] = set()
        for step in range(5):
            seen |= await run_in_tenant(mine.id, write_and_read, f"{mine.slug}-{number}-{step}")
        return mine.slug, seen

    tasks = [asyncio.create_task(one(number)) for number in range(40)]
    start.set()
    for slug, seen in await asyncio.gather(*tasks):
        assert {name.split("-")[0] for name in seen} == {slug}
    assert await run_in_tenant(tenant.id, ApiKey.objects.count) == 100


@pytest.mark.django_db(transaction=True)
async def test_the_bridge_carries_context_and_runs_off_the_loop(tenant):
    marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker")
    marker.set("carried")

    def look() -> tuple[str, int, str]:
        return marker.get(), current_tenant_id(), threading.current_thread().name

    value, tenant_id, thread = await run_in_tenant(tenant.id, look)
    assert (value, tenant_id) == ("carried", tenant.id)
    assert thread.startswith("tenant-bridge")
    assert maybe_tenant_id() is None


@pytest.mark.django_db(transaction=True)
async def test_a_failed_function_is_rolled_back_and_its_thread_is_clean(tenant):
    def write_and_fail() -> None:
        make_row(ApiKey)
        raise RuntimeError("broken")

    for _ in range(bridge_pool()._max_workers * 2):
        with pytest.raises(RuntimeError, match="broken"):
            await run_in_tenant(tenant.id, write_and_fail)
    assert await run_in_tenant(tenant.id, ApiKey.objects.count) == 0


@pytest.mark.django_db(transaction=True)
async def test_a_cancelled_caller_does_not_cut_the_function_short(tenant):
    started, finish = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        finish.wait(10)
        make_row(ApiKey)

    task = asyncio.create_task(run_in_tenant(tenant.id, slow))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finish.set()
    await asyncio.to_thread(close_bridge)
    assert await run_in_tenant(tenant.id, ApiKey.objects.count) == 1


async def test_the_bridge_refuses_to_change_tenants_midway(tenant, other_tenant):
    with use_tenant(tenant.id), pytest.raises(WrongTenant):
        await run_in_tenant(other_tenant.id, maybe_tenant_id)


def test_the_bridge_is_bounded_by_its_setting(settings):
    assert bridge_pool()._max_workers == settings.TENANT_BRIDGE_THREADS


def test_an_unknown_tenant_holds_nothing_and_takes_nothing(owner, tenant):
    with tenant_transaction(tenant.id + 999):
        assert not Membership.objects.exists()
        with pytest.raises(DatabaseError), transaction.atomic():
            make_row(ApiKey)
            connection.check_constraints()


def test_no_tenant_names_what_was_wanted():
    with pytest.raises(NoTenant, match="the weather"):
        current_tenant_id("the weather")


@pytest.fixture
def pool(db):
    """The application's connections as production has them: out of a pool, here of one."""
    plain = connections["default"].settings_dict
    options = {**plain["OPTIONS"], "pool": {"min_size": 0, "max_size": 1}}
    settings_dict = {**plain, "OPTIONS": options, "CONN_MAX_AGE": 0}
    connections["pooled"] = wrapper = type(connections["default"])(settings_dict, alias="pooled")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()
    del connections["pooled"]


@pytest.mark.parametrize("how", ["left", "exception"])
def test_a_pooled_connection_carries_no_tenant_to_its_next_user(pool, how):
    def backend_and_tenant() -> tuple[int, str]:
        with pool.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), current_setting('app.tenant', true)")
            return tuple(cursor.fetchone())

    with suppress(RuntimeError), tenant_transaction(7, using="pooled"):
        first = backend_and_tenant()
        if how == "exception":
            raise RuntimeError(how)
    pool.close()
    assert first[1] == "7"
    assert backend_and_tenant() == (first[0], "")
