"""The matrix: every tenant model by owner, staff, outsider, another tenant's key, nobody.

Models come from the app registry, so a new one is in it without a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.utils import IntegrityError

from tenants.checks import tenant_models, tenant_references
from tenants.context import maybe_tenant_id
from tenants.db import tenant_transaction
from tenants.models import Membership, TenantOwned
from tenants.rls import composite_name
from tenants.selectors import api_key_for, memberships_of
from tests.rows import build_row, make_row

OUR_APPS = {"tenants", "agents", "calls", "dashboard"}
GLOBAL_MODELS = {
    "tenants.Tenant": "says that a tenant exists, and nothing of what it holds",
    "tenants.User": "a person may work for several tenants",
    "calls.StrayEvent": "a carrier's event that leads to no tenant",
    "calls.PlacingPace": "tenants share the pace of the installation's own accounts",
    "calls.RefusedCall": "a call to a number that belongs to nobody has no tenant",
}
MODELS = [pytest.param(model, id=model._meta.label) for model in tenant_models()]
REFERENCES = [
    pytest.param(model, field.name, id=f"{model._meta.label}.{field.name}")
    for model in tenant_models()
    for field in tenant_references(model)
]
ACTORS = {
    "owner": True,
    "staff": True,
    "own_key": True,
    "outsider": False,
    "other_key": False,
}


def test_every_model_of_ours_belongs_to_a_tenant_or_is_declared_global():
    unguarded = {
        model._meta.label
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in OUR_APPS
        and not issubclass(model, TenantOwned)
        and model._meta.label not in {"tenants.User_groups", "tenants.User_user_permissions"}
    }
    assert unguarded <= set(GLOBAL_MODELS)


@pytest.fixture
def person(request, tenant, other_tenant, make_api_key) -> Callable[[str], Any]:
    """`person("staff")`: each actor as what they bring to the door, a user or a key's text."""

    def bring(actor: str) -> Any:
        if actor.endswith("_key"):
            whose = tenant if actor == "own_key" else other_tenant
            return make_api_key(whose, ["calls.view"])
        return request.getfixturevalue(actor)

    return bring


def tenant_of(actor: Any) -> int:
    """The tenant that the guards find for this actor."""
    if isinstance(actor, str):
        key = api_key_for(actor)
        assert key is not None
        return key.tenant_id
    return memberships_of(actor)[0].tenant_id


def stored(row: TenantOwned) -> dict[str, Any]:
    """The row as its own tenant finds it in the database."""
    with tenant_transaction(row.tenant_id), connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{row._meta.db_table}" WHERE id = %s', [row.pk])
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        found = cursor.fetchone()
        assert found is not None
        return dict(zip(names, found, strict=True))


@pytest.fixture
def row_of(tenant):
    """`row_of(Model)`: a stored row of `tenant`."""

    def make(model: type[TenantOwned]) -> Any:
        with tenant_transaction(tenant.id):
            return make_row(model)

    return make


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("actor", "allowed"), ACTORS.items())
def test_only_the_tenants_own_people_and_keys_read_a_row(person, row_of, model, actor, allowed):
    row = row_of(model)
    with tenant_transaction(tenant_of(person(actor))):
        assert model.objects.filter(pk=row.pk).exists() is allowed
        assert model._base_manager.filter(pk=row.pk).count() == int(allowed)
        assert (row.pk in {found.pk for found in model.objects.iterator()}) is allowed
        assert sql_count(model, row) == int(allowed)


def sql_count(model: type[TenantOwned], row: TenantOwned) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count(*) FROM "{model._meta.db_table}" WHERE id = %s', [row.pk])
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("actor", [name for name, allowed in ACTORS.items() if not allowed])
@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE "{table}" SET tenant_id = tenant_id WHERE id = {id}',
        'UPDATE "{table}" SET tenant_id = {thief}',
        'DELETE FROM "{table}"',
        'DELETE FROM "{table}" WHERE id = {id}',
    ],
)
def test_no_foreign_hand_changes_a_row_by_sql(person, row_of, model, actor, statement):
    row = row_of(model)
    before = stored(row)
    thief = tenant_of(person(actor))
    sql = statement.format(table=model._meta.db_table, id=row.pk, thief=thief)
    with tenant_transaction(thief):
        run_or_be_refused(sql)
    assert stored(row) == before


def run_or_be_refused(sql: str) -> None:
    """Some tables refuse the statement outright (append-only); the others find no row."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    except DatabaseError:
        return


@pytest.mark.parametrize("model", MODELS)
def test_a_row_cannot_be_planted_in_another_tenant(person, row_of, model):
    row = row_of(model)
    with tenant_transaction(tenant_of(person("outsider"))), connection.cursor() as cursor:
        columns = [
            field.column for field in model._meta.local_concrete_fields if not field.primary_key
        ]
        values = [field_value(row, column) for column in columns]
        names = ", ".join(f'"{column}"' for column in columns)
        marks = ", ".join(["%s"] * len(columns))
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            cursor.execute(
                f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({marks})', values
            )


def field_value(row: TenantOwned, column: str) -> Any:
    field = next(field for field in row._meta.local_concrete_fields if field.column == column)
    return field.get_db_prep_save(field.value_from_object(row), connection)


@pytest.mark.parametrize("model", MODELS)
def test_outside_every_tenant_the_database_shows_nothing(row_of, model):
    row = row_of(model)
    assert maybe_tenant_id() is None
    assert sql_count(model, row) == 0


@pytest.mark.parametrize(("model", "name"), REFERENCES)
def test_a_forged_foreign_key_is_refused(tenant, other_tenant, model, name):
    field = model._meta.get_field(name)
    with tenant_transaction(other_tenant.id):
        foreign = make_row(field.related_model)
    with tenant_transaction(tenant.id):
        forged = build_row(model, **{field.attname: foreign.pk})
        constraint = composite_name(model._meta.db_table, field.column)
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            insert_unchecked(forged)
            connection.check_constraints()


def insert_unchecked(row: TenantOwned) -> None:
    """Past the model's own check, as a careless bulk loader would."""
    row.claim_tenant()
    type(row)._base_manager._insert(  # type: ignore[attr-defined]
        [row],
        fields=[f for f in row._meta.local_concrete_fields if not f.primary_key],
        using="default",
        raw=False,
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_app_role_may_not_truncate(db, model):
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f'TRUNCATE "{model._meta.db_table}" CASCADE')


def test_a_closed_tenants_people_and_keys_find_no_door(tenant, owner, make_api_key):
    key = make_api_key(tenant, ["calls.view"])
    tenant.is_active = False
    tenant.save()
    assert memberships_of(owner) == []
    assert api_key_for(key) is None


def test_the_lookup_shows_own_memberships_and_changes_none(tenant, owner, staff):
    places = memberships_of(owner)
    assert [place.user_id for place in places] == [owner.pk]
    with connection.cursor() as cursor:
        key = f"tenants_membership.user_id={owner.pk}"
        cursor.execute("SELECT set_config('app.lookup', %s, true)", [key])
        cursor.execute("SELECT user_id FROM tenants_membership")
        assert cursor.fetchall() == [(owner.pk,)]
        cursor.execute("UPDATE tenants_membership SET role = 'analyst'")
        assert cursor.rowcount == 0
        cursor.execute("DELETE FROM tenants_membership")
        assert cursor.rowcount == 0
    with tenant_transaction(tenant.id):
        assert Membership.objects.get(user=owner).role == "owner"
