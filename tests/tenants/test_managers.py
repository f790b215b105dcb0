"""Without a current tenant nothing can be asked; with one, nobody else's row can be written."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.models import Count

from tenants.context import use_tenant
from tenants.db import run_in_tenant, run_unscoped, tenant_transaction
from tenants.errors import NoTenant, WrongTenant
from tenants.models import ApiKey, AuditEntry, Membership, Role, Tenant, User
from tests.rows import build_row, make_row

READS = {
    "all": lambda objects: objects.all(),
    "filter": lambda objects: objects.filter(role="owner"),
    "get": lambda objects: objects.get(pk=1),
    "first": lambda objects: objects.first(),
    "exists": lambda objects: objects.exists(),
    "count": lambda objects: objects.count(),
    "aggregate": lambda objects: objects.aggregate(Count("id")),
    "values": lambda objects: list(objects.values("id")),
    "iterator": lambda objects: list(objects.iterator()),
    "in_bulk": lambda objects: objects.in_bulk(),
    "raw": lambda objects: list(objects.raw("SELECT * FROM tenants_membership")),
    "select_related": lambda objects: objects.select_related("user"),
    "none": lambda objects: objects.none(),
}
WRITES = {
    "create": lambda objects: objects.create(role="staff"),
    "update": lambda objects: objects.update(role="analyst"),
    "delete": lambda objects: objects.all().delete(),
    "bulk_create": lambda objects: objects.bulk_create([Membership(role="staff")]),
    "bulk_update": lambda objects: objects.bulk_update([Membership(pk=1)], ["role"]),
    "get_or_create": lambda objects: objects.get_or_create(role="staff"),
    "update_or_create": lambda objects: objects.update_or_create(role="staff"),
}
ASYNC = {
    "aexists": lambda objects: objects.aexists(),
    "acount": lambda objects: objects.acount(),
    "aget": lambda objects: objects.aget(pk=1),
    "afirst": lambda objects: objects.afirst(),
    "acreate": lambda objects: objects.acreate(role="staff"),
}


@pytest.mark.parametrize("manager", ["objects", "_base_manager", "_default_manager"])
@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_no_operation_starts_outside_a_tenant(owner, tenant, manager, operation):
    with pytest.raises(NoTenant, match=r"tenants\.Membership"):
        {**READS, **WRITES}[operation](getattr(Membership, manager))
    with tenant_transaction(tenant.id):
        assert [place.role for place in Membership.objects.all()] == [Role.OWNER]


@pytest.mark.parametrize("operation", ASYNC)
async def test_no_asynchronous_operation_starts_outside_a_tenant(operation):
    with pytest.raises(NoTenant):
        await ASYNC[operation](Membership.objects)


async def test_no_asynchronous_iteration_starts_outside_a_tenant():
    with pytest.raises(NoTenant):
        async for _row in Membership.objects.all():
            pytest.fail("a row came out")


@pytest.mark.django_db(transaction=True)
async def test_asynchronous_iteration_without_a_transaction_finds_nothing(tenant, owner):
    """The context alone opens no way: the database has not been told the tenant."""
    with use_tenant(tenant.id):
        assert [row async for row in Membership.objects.all()] == []
    await sync_to_async(connections.close_all)()  # asgiref's thread would keep its own


def test_related_managers_fail_closed(owner):
    with pytest.raises(NoTenant):
        owner.memberships.exists()


def test_a_loaded_row_cannot_be_saved_refreshed_or_deleted_outside(tenant, owner):
    with tenant_transaction(tenant.id):
        row = Membership.objects.get()
    row.role = Role.ANALYST
    for act in (row.save, row.refresh_from_db, row.delete, row.full_clean):
        with pytest.raises(NoTenant):
            act()
    with tenant_transaction(tenant.id):
        assert Membership.objects.get().role == Role.OWNER


def test_a_new_row_takes_the_current_tenant(in_tenant):
    key = make_row(ApiKey)
    assert key.tenant_id == in_tenant.id


def test_a_row_of_another_tenant_is_neither_saved_nor_deleted(tenant, other_tenant, owner):
    with tenant_transaction(tenant.id):
        row = Membership.objects.get()
    row.role = Role.ANALYST
    with tenant_transaction(other_tenant.id):
        for act in (row.save, row.delete):
            with pytest.raises(WrongTenant):
                act()
        with pytest.raises(WrongTenant):
            Membership.objects.bulk_update([row], ["role"])
        with pytest.raises(WrongTenant):
            Membership.objects.bulk_create([Membership(tenant=tenant, user=owner)])
        assert not Membership.objects.exists()
    with tenant_transaction(tenant.id):
        assert Membership.objects.get().role == Role.OWNER


def test_bulk_operations_stay_inside_the_tenant(tenant, other_tenant):
    for each in (tenant, other_tenant):
        with tenant_transaction(each.id):
            ApiKey.objects.bulk_create([build_row(ApiKey, name="old") for _ in range(3)])
    with tenant_transaction(tenant.id):
        assert ApiKey.objects.update(name="new") == 3
        assert ApiKey.objects.all().delete()[0] == 3
    with tenant_transaction(other_tenant.id):
        assert [key.name for key in ApiKey.objects.all()] == ["old"] * 3


def test_a_join_shows_no_other_tenants_rows(tenant, other_tenant, owner):
    """One person in two tenants: joins ask no manager, the database has to hold."""
    with tenant_transaction(other_tenant.id):
        Membership.objects.create(user=owner, role=Role.ANALYST)
    with tenant_transaction(tenant.id):
        joined = User.objects.filter(pk=owner.pk).values_list("memberships__role", flat=True)
        assert list(joined) == [Role.OWNER]
        prefetched = User.objects.prefetch_related("memberships").get(pk=owner.pk)
        assert [place.role for place in prefetched.memberships.all()] == [Role.OWNER]
        place = Membership.objects.select_related("tenant", "user").get()
        assert place.tenant == tenant
    assert list(User.objects.filter(memberships__role=Role.ANALYST)) == []


def test_a_tenant_with_rows_cannot_be_deleted_from_inside_another(tenant, other_tenant, owner):
    with tenant_transaction(other_tenant.id):
        with pytest.raises(IntegrityError, match="violates foreign key"), transaction.atomic():
            Tenant.objects.filter(pk=tenant.pk)._raw_delete("default")
            connection.check_constraints()
    assert Tenant.objects.filter(pk=tenant.pk).exists()


def test_the_audit_trail_cannot_be_rewritten(in_tenant):
    entry = make_row(AuditEntry, action="call.ended")
    for act in (
        lambda: AuditEntry.objects.update(action="nothing"),
        lambda: AuditEntry.objects.all().delete(),
        entry.delete,
        entry.save,
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            act()
    assert AuditEntry.objects.get().action == "call.ended"


@pytest.mark.django_db(transaction=True)
async def test_the_bridge_to_global_tables_carries_no_tenant(tenant, owner):
    assert await run_unscoped(Tenant.objects.count) == 1
    with use_tenant(tenant.id), pytest.raises(NoTenant):
        await run_unscoped(Membership.objects.count)
    assert await run_in_tenant(tenant.id, Membership.objects.count) == 1
