"""Migration operations which make the database itself keep tenants apart.

`app.tenant` names the tenant of a transaction; `app.lookup` names one value of one column, as
`table.column=value`, and lets the rows with that value be read, and nothing else. Where the
column is a key (EnableTenantRLS's `lookup`), that is the one row whose key the asker already
holds. AllowLookup opens more: a carrier account's `carrier` is no secret, and by it the accounts
of all tenants there can be read, whole, for the process that keeps their connections; who asks
takes only the columns it needs (`calls.services.trunks`). Credentials are sealed all the same.
Both settings are made by `tenants.db` and nowhere else.
"""

from __future__ import annotations

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

TENANT_POLICY = "tenant_isolation"
LOOKUP_POLICY = "tenant_lookup"
_TENANT_SQL = "tenant_id = nullif(current_setting('app.tenant', true), '')::bigint"


def lookup_key(table: str, column: str, value: object) -> str:
    """The value of `app.lookup` that opens the row of `table` whose `column` is `value`."""
    return f"{table}.{column}={value}"


class TableOperation(Operation):
    """SQL on one model's table. It leaves Django's model state alone and can be reversed."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, app_label: str, model_name: str) -> None:
        self.app_label = app_label
        self.model_name = model_name

    @property
    def target(self) -> tuple[str, str]:
        """(app label, lower-case model name), as migrations key their models."""
        return self.app_label, self.model_name.lower()

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing: policies and triggers are no part of Django's model state."""

    def database_forwards(
        self,
        app_label: str,  # noqa: ARG002 - Django's signature, here and below
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(self.app_label, self.model_name)
        for statement in self.forwards(model, schema_editor):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self,
        app_label: str,  # noqa: ARG002
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        model = from_state.apps.get_model(self.app_label, self.model_name)
        for statement in self.backwards(model, schema_editor):
            schema_editor.execute(statement, params=None)

    def forwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        """The statements which apply the operation."""
        raise NotImplementedError

    def backwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        """The statements which undo it."""
        raise NotImplementedError

    def describe(self) -> str:
        return f"{type(self).__name__} on {self.app_label}.{self.model_name}"


class EnableTenantRLS(TableOperation):
    """Row-level security by tenant, forced on the table's owner too.

    `lookup` names a field by whose value a row may be read outside its tenant, to find out
    which tenant it is (see `tenants.db.tenant_by_key`).
    """

    def __init__(self, app_label: str, model_name: str, lookup: str | None = None) -> None:
        super().__init__(app_label, model_name)
        self.lookup = lookup

    def forwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        table = editor.quote_name(model._meta.db_table)
        statements = [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY {TENANT_POLICY} ON {table} "
            f"USING ({_TENANT_SQL}) WITH CHECK ({_TENANT_SQL})",
        ]
        if self.lookup:
            statements.append(_lookup_policy(model, editor, self.lookup, LOOKUP_POLICY))
        return statements

    def backwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        table = editor.quote_name(model._meta.db_table)
        return [
            f"DROP POLICY IF EXISTS {LOOKUP_POLICY} ON {table}",
            f"DROP POLICY {TENANT_POLICY} ON {table}",
            f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        ]


class AllowLookup(TableOperation):
    """One more field by whose value rows may be read outside their tenant (`tenants.db.lookup`).

    For work of the whole installation that would have to visit every tenant otherwise.
    """

    def __init__(self, app_label: str, model_name: str, field: str) -> None:
        super().__init__(app_label, model_name)
        self.field = field

    def forwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        return [_lookup_policy(model, editor, self.field, self._name)]

    def backwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        return [f"DROP POLICY {self._name} ON {editor.quote_name(model._meta.db_table)}"]

    @property
    def _name(self) -> str:
        return f"{LOOKUP_POLICY}_by_{self.field}"

    def describe(self) -> str:
        return f"{super().describe()} by {self.field}"


class CompositeTenantForeignKey(TableOperation):
    """A second foreign key, `(tenant_id, x_id)`, beside Django's `x_id`.

    A plain foreign key lets a row point at another tenant's row even under row-level
    security, because PostgreSQL checks it with the table owner's eyes. This one cannot.
    Adds UNIQUE (tenant_id, id) to the target where it is missing. DEFERRABLE INITIALLY
    DEFERRED, as Django's own.
    """

    def __init__(self, app_label: str, model_name: str, field: str) -> None:
        super().__init__(app_label, model_name)
        self.field = field

    def forwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        column, target, name = self._parts(model)
        key = _unique_name(target)
        quote = editor.quote_name
        return [
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = '{key}' "
            f"AND conrelid = '{quote(target)}'::regclass) THEN "
            f"ALTER TABLE {quote(target)} ADD CONSTRAINT {quote(key)} UNIQUE (tenant_id, id); "
            f"END IF; END $$",
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(name)} "
            f"FOREIGN KEY (tenant_id, {quote(column)}) "
            f"REFERENCES {quote(target)} (tenant_id, id) DEFERRABLE INITIALLY DEFERRED",
        ]

    def backwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        _column, target, name = self._parts(model)
        key = _unique_name(target)
        quote = editor.quote_name
        return [
            f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(name)}",
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' "  # noqa: S608
            f"AND conindid = (SELECT conindid FROM pg_constraint WHERE conname = '{key}' "
            f"AND conrelid = '{quote(target)}'::regclass)) THEN "
            f"ALTER TABLE {quote(target)} DROP CONSTRAINT {quote(key)}; END IF; END $$",
        ]

    def _parts(self, model: type[models.Model]) -> tuple[str, str, str]:
        field = model._meta.get_field(self.field)
        column = str(field.column)  # type: ignore[union-attr]
        target = field.related_model._meta.db_table  # type: ignore[union-attr]
        return column, target, composite_name(model._meta.db_table, column)

    def describe(self) -> str:
        return f"Composite tenant foreign key {self.app_label}.{self.model_name}.{self.field}"


class AppendOnly(TableOperation):
    """Rows of the table can be added and read, and neither changed nor removed.

    A trigger, so that it also holds where one role owns and uses the database.
    """

    def forwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        table = editor.quote_name(model._meta.db_table)
        return [
            "CREATE OR REPLACE FUNCTION andrea_append_only() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME "
            "USING ERRCODE = 'insufficient_privilege'; END $$",
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION andrea_append_only()",
        ]

    def backwards(self, model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> list[str]:
        return [f"DROP TRIGGER append_only ON {editor.quote_name(model._meta.db_table)}"]


def _lookup_policy(
    model: type[models.Model], editor: BaseDatabaseSchemaEditor, field: str, name: str
) -> str:
    """The policy by which `app.lookup` opens the rows whose field has the value that it names."""
    table = model._meta.db_table
    column = str(model._meta.get_field(field).column)  # type: ignore[union-attr]
    return (
        f"CREATE POLICY {name} ON {editor.quote_name(table)} FOR SELECT "
        f"USING (current_setting('app.lookup', true) = "
        f"'{lookup_key(table, column, '')}' || {editor.quote_name(column)}::text)"
    )


def composite_name(table: str, column: str) -> str:
    """The name of the composite foreign key on that column (PostgreSQL allows 63 bytes)."""
    return f"{table[:28]}_{column[:24]}_tenant_fk"


def _unique_name(table: str) -> str:
    return f"{table[:48]}_tenant_id_uq"
