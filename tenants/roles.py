"""The database's roles: the owner, who migrates, and the application's, who owns nothing."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

OWNER_ALIAS = "owner"


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
