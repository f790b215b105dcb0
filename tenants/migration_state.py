"""What the migrations on disk say about policies and constraints, read without a database."""

from __future__ import annotations

import functools
from typing import Any

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import DeleteModel, RenameField, RenameModel
from django.db.migrations.operations.base import Operation

from tenants.rls import CompositeTenantForeignKey, EnableTenantRLS

ModelKey = tuple[str, str]


class Ledger:
    """The table operations in force after every migration, by model; renames are followed."""

    def __init__(self) -> None:
        self.policies: dict[ModelKey, EnableTenantRLS] = {}
        self.composites: dict[ModelKey, set[str]] = {}

    def apply(self, app_label: str, operation: Operation) -> None:
        """Take one operation into account."""
        if isinstance(operation, EnableTenantRLS):
            self.policies[operation.target] = operation
        elif isinstance(operation, CompositeTenantForeignKey):
            self.composites.setdefault(operation.target, set()).add(operation.field)
        elif isinstance(operation, RenameModel):
            self._move((app_label, operation.old_name_lower), (app_label, operation.new_name_lower))
        elif isinstance(operation, DeleteModel):
            self._move((app_label, operation.name_lower), None)
        elif isinstance(operation, RenameField):
            fields = self.composites.get((app_label, operation.model_name_lower), set())
            if operation.old_name in fields:
                fields.remove(operation.old_name)
                fields.add(operation.new_name)

    def _move(self, old: ModelKey, new: ModelKey | None) -> None:
        tables: tuple[dict[ModelKey, Any], ...] = (self.policies, self.composites)
        for table in tables:
            entry = table.pop(old, None)
            if entry is not None and new is not None:
                table[new] = entry


def read_ledger(loader: MigrationLoader | None = None) -> Ledger:
    """Replay every migration on disk."""
    loader = loader or MigrationLoader(None, ignore_no_migrations=True)
    ledger = Ledger()
    seen: set[tuple[str, str]] = set()
    for leaf in loader.graph.leaf_nodes():
        for node in loader.graph.forwards_plan(leaf):
            if node not in seen:
                seen.add(node)
                for operation in loader.graph.nodes[node].operations:
                    ledger.apply(node[0], operation)
    return ledger


@functools.cache
def policies() -> dict[ModelKey, EnableTenantRLS]:
    """The policies in force, by model. Migrations do not change while a process runs."""
    return read_ledger().policies
