"""`manage.py check` and the database's own answer."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.contrib import admin
from django.contrib.admin import sites
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.test.utils import isolate_apps

from tenants.checks import check_database, check_migrations, check_models
from tenants.managers import TenantManager
from tenants.migration_state import Ledger, read_ledger
from tenants.models import TenantForeignKey, TenantModel, TenantOwned
from tenants.rls import (
    AllowLookup,
    AppendOnly,
    CompositeTenantForeignKey,
    EnableTenantRLS,
    composite_name,
)
from tests.databases import owner_connection, owner_wrapper

MODELS_PY = """
from django.db import models
from tenants.models import TenantModel

class Leak(TenantModel):
    text = models.TextField()
    class Meta(TenantModel.Meta):
        app_label = "unguarded"
"""


def ids(messages):
    return sorted(message.id for message in messages)


def test_the_product_itself_passes(db):
    assert run_checks(tags=["tenants"], databases=["default"]) == []


@pytest.fixture
def same_back_office(monkeypatch):
    """Populating the apps anew makes unfold put an empty back office in the place of ours."""
    monkeypatch.setattr(admin, "site", admin.site)
    monkeypatch.setattr(sites, "site", sites.site)


@pytest.mark.usefixtures("same_back_office")
def test_manage_check_fails_for_a_tenant_model_without_a_policy(tmp_path, monkeypatch, settings):
    app = tmp_path / "unguarded"
    app.mkdir()
    (app / "__init__.py").write_text("")
    (app / "models.py").write_text(MODELS_PY)
    monkeypatch.syspath_prepend(str(tmp_path))
    call_command("check")
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "unguarded"]
    with pytest.raises(SystemCheckError) as refused:
        call_command("check")
    assert "unguarded.Leak has no row-level security" in str(refused.value)
    assert 'EnableTenantRLS("unguarded", "Leak")' in str(refused.value)


def test_a_model_without_a_policy_or_composite_key_is_named():
    with isolate_apps("tenants") as apps:

        class Parent(TenantModel):
            class Meta(TenantModel.Meta):
                app_label = "tenants"

        class Child(TenantModel):
            parent = TenantForeignKey(Parent, on_delete=models.CASCADE)

            class Meta(TenantModel.Meta):
                app_label = "tenants"

        messages = check_migrations(list(apps.get_app_configs()))
        assert ids(messages) == ["tenants.E001", "tenants.E001", "tenants.E002"]
        assert "tenants.Child.parent" in messages[-1].msg


def test_managers_that_do_not_fail_closed_are_named():
    with isolate_apps("tenants") as apps:

        class Open(TenantOwned):
            objects = TenantManager()
            everything = models.Manager()

            class Meta:
                app_label = "tenants"
                base_manager_name = "everything"

        messages = check_models(list(apps.get_app_configs()))
        assert ids(messages) == ["tenants.E003", "tenants.E003"]


def test_a_join_table_without_a_tenant_is_named():
    with isolate_apps("tenants") as apps:

        class Left(TenantModel):
            class Meta(TenantModel.Meta):
                app_label = "tenants"

        class Right(TenantModel):
            lefts = models.ManyToManyField(Left)

            class Meta(TenantModel.Meta):
                app_label = "tenants"

        assert ids(check_models(list(apps.get_app_configs()))) == ["tenants.E004"]


@pytest.fixture
def as_owner(db, django_db_setup):
    """A connection as the owner to this test's own database; the test undoes what it does."""
    with owner_connection(connection.settings_dict["NAME"]) as owner:
        yield owner


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("harm", "repair"),
    [
        (
            "ALTER TABLE tenants_apikey NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE tenants_apikey FORCE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE tenants_apikey DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE tenants_apikey ENABLE ROW LEVEL SECURITY",
        ),
        (
            "ALTER POLICY tenant_isolation ON tenants_apikey RENAME TO gone",
            "ALTER POLICY gone ON tenants_apikey RENAME TO tenant_isolation",
        ),
    ],
)
def test_a_policy_taken_away_by_hand_is_noticed(as_owner, harm, repair):
    as_owner.execute(harm)
    try:
        messages = check_database(None, databases=["default"])
    finally:
        as_owner.execute(repair)
    assert ids(messages) == ["tenants.E006"]
    assert "tenants_apikey" in messages[0].msg
    assert check_database(None, databases=["default"]) == []


def test_the_ledger_follows_renames_and_removals():
    ledger = Ledger()
    for operation in (
        EnableTenantRLS("shop", "Order"),
        CompositeTenantForeignKey("shop", "Order", "buyer"),
        migrations.RenameField("Order", "buyer", "customer"),
        migrations.RenameModel("Order", "Sale"),
    ):
        ledger.apply("shop", operation)
    assert ("shop", "order") not in ledger.policies
    assert ledger.policies["shop", "sale"].model_name == "Order"
    assert ledger.composites["shop", "sale"] == {"customer"}
    ledger.apply("shop", migrations.DeleteModel("Sale"))
    assert ledger.policies == {}
    assert ledger.composites == {}


def test_the_ledger_reads_the_migrations_on_disk():
    assert read_ledger().policies["tenants", "apikey"].lookup == "prefix"


def make_tables(owner):
    """Parent and child as the owner would have migrated them, without the operations."""
    owner.execute(
        "CREATE TABLE x_parent (id bigint PRIMARY KEY, tenant_id bigint NOT NULL);"
        "CREATE TABLE x_child (id bigint PRIMARY KEY, tenant_id bigint NOT NULL,"
        " parent_id bigint REFERENCES x_parent (id))"
    )


@pytest.fixture
def scratch(as_owner):
    make_tables(as_owner)
    yield as_owner
    as_owner.execute("DROP TABLE x_child; DROP TABLE x_parent")


def scratch_state():
    """Django's migration state for the two scratch tables."""
    state = MigrationLoader(None).project_state()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("tenant", models.BigIntegerField()),
    ]
    state.add_model(
        migrations.state.ModelState("agents", "XParent", fields, {"db_table": "x_parent"})
    )
    parent = models.ForeignKey("agents.XParent", models.CASCADE)
    state.add_model(
        migrations.state.ModelState(
            "agents", "XChild", [*fields, ("parent", parent)], {"db_table": "x_child"}
        )
    )
    return state


@contextmanager
def owner_editor():
    """Django's schema editor as the owner, beside the test's own connections."""
    with owner_wrapper() as wrapper, wrapper.schema_editor(atomic=False) as editor:
        yield editor


def flags(owner, table):
    return owner.execute(
        "SELECT relrowsecurity, relforcerowsecurity, "
        "(SELECT count(*) FROM pg_policy WHERE polrelid = c.oid), "
        "(SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal), "
        "ARRAY(SELECT conname::text FROM pg_constraint WHERE conrelid = c.oid "
        "AND contype IN ('f', 'u') ORDER BY 1) "
        "FROM pg_class c WHERE relname = %s",
        [table],
    ).fetchone()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("operation", "table", "applied"),
    [
        (EnableTenantRLS("agents", "XParent"), "x_parent", (True, True, 1, 0, [])),
        (EnableTenantRLS("agents", "XParent", lookup="id"), "x_parent", (True, True, 2, 0, [])),
        (AllowLookup("agents", "XParent", "id"), "x_parent", (False, False, 1, 0, [])),
        (AppendOnly("agents", "XParent"), "x_parent", (False, False, 0, 1, [])),
        (
            CompositeTenantForeignKey("agents", "XChild", "parent"),
            "x_parent",
            (False, False, 0, 0, ["x_parent_tenant_id_uq"]),
        ),
        (
            CompositeTenantForeignKey("agents", "XChild", "parent"),
            "x_child",
            (
                False,
                False,
                0,
                0,
                sorted([composite_name("x_child", "parent_id"), "x_child_parent_id_fkey"]),
            ),
        ),
    ],
)
def test_an_operation_can_be_applied_reversed_and_applied_again(scratch, operation, table, applied):
    state = scratch_state()
    before = flags(scratch, table)
    for _round in range(2):
        with owner_editor() as editor:
            operation.database_forwards("agents", editor, state, state)
        assert flags(scratch, table) == applied
        with owner_editor() as editor:
            operation.database_backwards("agents", editor, state, state)
        assert flags(scratch, table) == before


def test_operations_describe_themselves_and_deconstruct():
    assert "ApiKey" in EnableTenantRLS("tenants", "ApiKey").describe()
    assert "Call by state" in AllowLookup("calls", "Call", "state").describe()
    assert "calls.Call.agent" in CompositeTenantForeignKey("calls", "Call", "agent").describe()
    name, args, kwargs = EnableTenantRLS("tenants", "ApiKey", lookup="prefix").deconstruct()
    assert (name, args, kwargs) == ("EnableTenantRLS", ("tenants", "ApiKey"), {"lookup": "prefix"})
