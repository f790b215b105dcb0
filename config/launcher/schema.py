"""Whether the database already holds what this checkout wants, without starting Django.

A digest of the migrations and requirements is kept as the database's own comment, so it goes
where the database goes and is gone when the database is.
"""

from __future__ import annotations

import hashlib

import psycopg
from psycopg import sql

from config.environment import without_secrets
from config.launcher import LauncherError
from config.settings.env import BASE_DIR

_PREFIX = "andrea "


def digest() -> str:
    """Changes with every migration of ours and every version of a library."""
    result = hashlib.sha256()
    files = [BASE_DIR / "requirements.txt", *sorted(BASE_DIR.glob("*/migrations/*.py"))]
    for path in files:
        result.update(str(path.relative_to(BASE_DIR)).encode() + path.read_bytes())
    return result.hexdigest()[:32]


def is_current(owner_url: str) -> bool:
    """Whether `mark` was called on this database for this checkout. Raises LauncherError."""
    query = (
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
        "WHERE datname = current_database()"
    )
    try:
        with psycopg.connect(owner_url, connect_timeout=5) as connection:
            row = connection.execute(query).fetchone()
    except psycopg.OperationalError as error:
        raise LauncherError(
            f"PostgreSQL at DATABASE_URL={without_secrets(owner_url)} cannot be used: "
            f"{str(error).strip().splitlines()[-1]} Start it, or unset DATABASE_URL for the "
            "embedded server."
        ) from error
    return row is not None and row[0] == _PREFIX + digest()


def mark(owner_url: str) -> None:
    """Note that the database is migrated and seeded for this checkout."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        name = connection.info.dbname
        try:
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                    sql.Identifier(name), sql.Literal(_PREFIX + digest())
                )
            )
        except psycopg.errors.InsufficientPrivilege:
            return  # a managed database that is not ours: look again at every start
