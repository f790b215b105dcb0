"""The suite's database: migrated once by the owner, copied for each worker, used as the app role.

`default` points at the copy with the application's role, exactly as in production, so a
test that can read another tenant's rows is a hole and not an artefact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql
from psycopg.conninfo import make_conninfo

_LOCK = 0x616E64726561  # one builder of the template at a time, over all workers
_KEPT = ["django_migrations", "django_content_type", "auth_permission"]
# Asked for their size, because row-level security hides their rows from the owner as well.
_FILLED = """
    SELECT relname, relrowsecurity FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND pg_relation_size(oid) > 0 AND relname <> ALL(%s)
"""


def owner_connection(database: str) -> psycopg.Connection[Any]:
    """A connection as the tables' owner, beside Django's, in autocommit."""
    wanted: Any = settings.DATABASES["owner"]
    given = {key.lower(): wanted[key] or None for key in ("HOST", "PORT", "USER", "PASSWORD")}
    address = make_conninfo("", dbname=database, options="-c lock_timeout=20s", **given)
    return psycopg.connect(address, autocommit=True)


@contextmanager
def owner_wrapper() -> Iterator[BaseDatabaseWrapper]:
    """A Django connection as the owner, which no test case forbids or wraps."""
    owner = connections["owner"]
    wrapper = type(owner)(dict(owner.settings_dict), alias="scratch")
    connections["scratch"] = wrapper
    try:
        yield wrapper
    finally:
        wrapper.close()
        del connections["scratch"]


@contextmanager
def test_database(worker: str) -> Iterator[str]:
    """A migrated database for this worker; both aliases point at it while the block runs."""
    original: dict[str, str] = {
        alias: connections[alias].settings_dict["NAME"] for alias in ("default", "owner")
    }
    name = f"test_{original['default']}_{worker}"
    template = f"test_{original['default']}_template_{_fingerprint()}"
    with owner_connection(original["owner"]) as maintenance:
        # The first worker migrates meanwhile, which takes its time on a busy machine.
        maintenance.execute("SET lock_timeout = '5min'")
        maintenance.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        _ensure_template(maintenance, template)
        _drop(maintenance, name)
        maintenance.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        # No power cut is tested. (A copy does not have the settings of its template.)
        maintenance.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name))
        )
        maintenance.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
        _point_at(name)
        try:
            yield name
        finally:
            connections.close_all()
            _owner_of(name).close()
            # A thread of asgiref's may still hold a connection that the owner may not cut;
            # then the next run drops the database.
            with suppress(psycopg.errors.InsufficientPrivilege):
                _drop(maintenance, name)
            for alias, database in original.items():
                connections[alias].settings_dict["NAME"] = database


def _fingerprint() -> str:
    """A name for the schema: it changes with any migration, or the way they are applied."""
    digest = hashlib.sha256()
    for config in sorted(apps.get_app_configs(), key=lambda config: config.label):
        for path in sorted(Path(config.path).glob("migrations/*.py")):
            digest.update(f"{config.label}/{path.name}".encode())
            digest.update(path.read_bytes())
    for name in ("rls.py", "roles.py"):
        digest.update((Path(apps.get_app_config("tenants").path) / name).read_bytes())
    return digest.hexdigest()[:12]


def _ensure_template(maintenance: psycopg.Connection[Any], template: str) -> None:
    known = [
        name
        for (name,) in maintenance.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s",
            [template.rsplit("_", 1)[0].replace("_", r"\_") + r"\_%"],
        )
    ]
    if template in known:
        return
    for stale in known:
        _drop(maintenance, stale)
    building = f"{template}_new"
    maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(building)))
    _point_at(building)
    call_command("migrate", verbosity=0, interactive=False)
    connections.close_all()
    maintenance.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(building), sql.Identifier(template)
        )
    )


def _point_at(name: str) -> None:
    connections.close_all()
    for alias in ("default", "owner"):
        connections[alias].settings_dict["NAME"] = name


def _drop(maintenance: psycopg.Connection[Any], name: str) -> None:
    maintenance.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )


@cache
def _owner_of(name: str) -> psycopg.Connection[Any]:
    return owner_connection(name)


FLUSH_ATTEMPTS = 10


def flush(name: str) -> None:
    """Empty every table that a test has filled, as the owner, once nobody writes to it.

    Rows are deleted, tenant by tenant as row-level security shows them: to TRUNCATE a table
    takes all along that refer to it, which is every table, with 600 files to make anew.
    Content types and permissions stay. A server that a test leaves behind may have rows that we
    wait for and wait for others that we have: then we are the ones to begin again.
    """
    owner = _owner_of(name)
    for _ in range(FLUSH_ATTEMPTS - 1):
        with suppress(psycopg.errors.DeadlockDetected):
            _flush_with(owner)
            return
    _flush_with(owner)


def _flush_with(owner: psycopg.Connection[Any]) -> None:
    filled = [
        (sql.Identifier(table), secured) for table, secured in owner.execute(_FILLED, [_KEPT])
    ]
    every = [table for table, _ in filled]
    with owner.transaction():
        # This waits for writers, and lets delete what is append-only or published.
        _on(owner, every, "ALTER TABLE {} DISABLE TRIGGER USER")
        for (tenant,) in owner.execute("SELECT id FROM tenants_tenant").fetchall():
            owner.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant)])
            _on(owner, [table for table, secured in filled if secured], "DELETE FROM {}")
        _on(owner, [table for table, secured in filled if not secured], "DELETE FROM {}")
        owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _on(owner, every, "ALTER TABLE {} ENABLE TRIGGER USER")


def _on(
    owner: psycopg.Connection[Any], tables: list[sql.Identifier], statement: LiteralString
) -> None:
    for table in tables:
        owner.execute(sql.SQL(statement).format(table))
