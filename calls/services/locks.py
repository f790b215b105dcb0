"""Locks on what may have no row yet."""

from __future__ import annotations

from django.db import connection


def lock_until_commit(name: str) -> None:
    """Let nobody else go on with what is named so until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
