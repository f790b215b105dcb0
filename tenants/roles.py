"""The database's roles: the owner, who migrates, and the application's, who owns nothing.

Row-level security does not hold for a superuser, nor for a role with BYPASSRLS, nor for one
that can become such a role or the tables' owner. So the application refuses to work as one.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

OWNER_ALIAS = "owner"

_FAULTS_SQL = """
SELECT
    current_user,
    EXISTS (SELECT FROM pg_roles r WHERE r.rolsuper AND pg_has_role(r.oid, 'MEMBER')),
    EXISTS (SELECT FROM pg_roles r WHERE r.rolbypassrls AND pg_has_role(r.oid, 'MEMBER')),
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
            AND pg_has_role(c.relowner, 'MEMBER'))
"""


class UnsafeRole(ImproperlyConfigured):
    """The application is connected as a role on which row-level security would not hold."""


def role_faults(alias: str = DEFAULT_DB_ALIAS) -> list[tuple[str, str]]:
    """What is wrong with the role behind this alias, as (fault, what to do) pairs.

    One role may own and use the database, as on a managed server, where both addresses name
    it: FORCE ROW LEVEL SECURITY binds the owner too.
    """
    with connections[alias].cursor() as cursor:
        cursor.execute(_FAULTS_SQL)
        role, superuser, bypasses, owns = cursor.fetchone()
    two_roles = connections[OWNER_ALIAS].settings_dict["USER"] != role
    found = [
        (superuser, "is, or can become, a superuser"),
        (bypasses, "has, or can take, BYPASSRLS"),
        (owns and two_roles, "owns tables, although another role is there to own them"),
    ]
    hint = (
        "Name a role in DATABASE_URL that is NOSUPERUSER NOBYPASSRLS and owns nothing, and the "
        "tables' owner in DATABASE_OWNER_URL."
    )
    return [(f"The database role “{role}” {what}.", hint) for bad, what in found if bad]


_approved: set[tuple[str, str, str, str]] = set()


def refuse_unsafe_role(*, connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
    """Called on every new connection: raise UnsafeRole unless the application's role is safe.

    Each role is looked at once in a process. The owner's own connections are not the
    application's.
    """
    if connection.alias != DEFAULT_DB_ALIAS:
        return
    address = tuple(
        str(connection.settings_dict[part]) for part in ("HOST", "PORT", "NAME", "USER")
    )
    if address in _approved:
        return
    faults = role_faults(connection.alias)
    if faults:
        connection.close()
        raise UnsafeRole(" ".join(f"{fault} {hint}" for fault, hint in faults))
    _approved.add(address)  # type: ignore[arg-type]


def grant_future_tables(owner: BaseDatabaseWrapper, app_role: str) -> None:
    """Let the application's role use every table that the owner creates from now on.

    It may not TRUNCATE, which row-level security does not cover. Nothing to do where one
    role does both.
    """
    with owner.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if cursor.fetchone() == (app_role,):
            return
        role = owner.ops.quote_name(app_role)
        for statement in (
            f"GRANT USAGE ON SCHEMA public TO {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
        ):
            cursor.execute(statement)
