"""PostgreSQL and Redis from wheels, for a machine that has neither.

Both are real servers, so there is one code path and one SQL dialect. A small keeper process
(`keeper.py`) runs them for one data folder. Whoever uses them holds a connection to the keeper;
the kernel closes it however its holder ends, and the keeper ends with its last user.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 90.0  # the first start writes a new database cluster, perhaps on a slow disk
LONGEST_SOCKET_PATH = 107  # bytes: sockaddr_un's limit
_LONGEST_NAME = "/pg/.s.PGSQL.5432"


class EmbeddedError(Exception):
    """An embedded server cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses of the running servers; `app` and `owner` are the two database roles' URLs."""

    app: str
    owner: str
    redis: str


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the servers of one data folder keep their files and their sockets."""

    home: Path
    runtime: Path

    @property
    def keeper_socket(self) -> Path:
        """Where users of the servers register."""
        return self.runtime / "keeper.sock"

    @property
    def postgres_sockets(self) -> Path:
        """A folder of its own: PostgreSQL may run as another user than Redis."""
        return self.runtime / "pg"

    @property
    def log(self) -> Path:
        """What the keeper says; the servers have logs of their own beside it."""
        return self.home / "keeper.log"


_leases: dict[Path, tuple[socket.socket, Servers]] = {}


def join(data_dir: Path) -> Servers:
    """Start the servers of this data folder, or join those that run, until this process ends.

    Raises EmbeddedError with one line that says what to do.
    """
    data_dir = data_dir.resolve()
    if data_dir not in _leases:
        folders = make_folders(data_dir)
        _leases[data_dir] = _register(folders, data_dir)
    return _leases[data_dir][1]


def leave(data_dir: Path, *, seconds: float = 20.0) -> None:
    """Give the servers up now; if nobody else uses them, return when they have stopped."""
    lease = _leases.pop(data_dir.resolve(), None)
    if lease is None:
        return
    connection, _ = lease
    with connection:
        connection.settimeout(seconds)
        try:
            connection.sendall(b"leave\n")
            connection.recv(1)
        except OSError:
            return  # the keeper is gone, or goes too slowly to wait for


@atexit.register
def _let_go() -> None:
    """Close what the kernel would close anyway, so that Python does not complain."""
    while _leases:
        _leases.popitem()[1][0].close()


def make_folders(data_dir: Path) -> Folders:
    """The folders of this data folder, created; sockets go where their paths are short enough."""
    home = data_dir / "embedded"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(home))
        folders = Folders(home, _runtime_folder(home))
        folders.postgres_sockets.mkdir(mode=0o711, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"DATA_DIR={data_dir} cannot be written ({error.strerror}: {error.filename}). "
            "Give this user the right to write there, or set DATA_DIR to another folder."
        ) from error
    return folders


def _runtime_folder(home: Path) -> Path:
    inside = home / "run"
    if len(os.fsencode(inside)) + len(_LONGEST_NAME) <= LONGEST_SOCKET_PATH:
        inside.mkdir(mode=0o711, exist_ok=True)
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    short = Path(f"/tmp/andrea-{os.geteuid()}-{digest}")  # noqa: S108 - checked below
    short.mkdir(mode=0o711, exist_ok=True)
    if short.is_symlink() or short.stat().st_uid != os.geteuid():
        raise PermissionError(13, "Belongs to another user", str(short))
    return short


def _register(folders: Folders, data_dir: Path) -> tuple[socket.socket, Servers]:
    """Connect to the keeper, started if need be; it answers when the servers are ready."""
    keeper: int | None = None
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lease = _connect(folders.keeper_socket)
        if lease is not None:
            return lease
        if keeper is None:
            keeper = _start_keeper(folders, data_dir)
        elif (code := _exit_code(keeper)) == 0:
            keeper = None  # another keeper was faster, or the one before was just ending
        elif code is not None:
            raise EmbeddedError(_last_line(folders.log))
        time.sleep(0.02)
    raise EmbeddedError(f"The embedded servers did not start in time; see {folders.log}.")


def _connect(path: Path) -> tuple[socket.socket, Servers] | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(START_SECONDS)
        connection.connect(str(path))
        line = connection.makefile("rb").readline()
        if line:
            return connection, Servers(**json.loads(line))
    except OSError:
        pass  # nobody listens there, or no longer
    connection.close()
    return None


def _start_keeper(folders: Folders, data_dir: Path) -> int:
    """Start the keeper, which goes its own way: it may outlive us, so it is no Popen of ours."""
    log = (str(folders.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "config.embedded.keeper", str(data_dir)],
        {**os.environ, "PYTHONPATH": str(ROOT)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, *log),
            (os.POSIX_SPAWN_OPEN, 2, *log),
        ],
    )


def _exit_code(pid: int) -> int | None:
    """How a child ended, None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"The embedded servers ended without a word; see {log}."


def as_line(servers: Servers) -> bytes:
    """What the keeper sends to each of its users."""
    return json.dumps(asdict(servers)).encode() + b"\n"
