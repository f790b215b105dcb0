"""The real servers, each test with a data folder and users (processes) of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config import embedded
from config.embedded import servers
from config.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
USER = """
import sys
from pathlib import Path
from config import embedded
try:
    print(embedded.join(Path(sys.argv[1])).app, flush=True)
except embedded.EmbeddedError as error:
    sys.exit(str(error))
sys.stdin.read()
"""
PATIENCE = 20.0  # seconds; each wait ends as soon as what it waits for is there


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def processes_of(folder: Path) -> list[psutil.Process]:
    """What runs for a data folder: the keeper and the servers, without the users."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if str(folder) in " ".join(line) and "-c" not in line[1:2]:
            found.append(process)
    return found


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short, empty data folder that every user may enter; its servers end with the test."""
    path = tmp_path_factory.mktemp("d")
    for parent in (path, path.parent, path.parent.parent):
        parent.chmod(0o755)
    yield path
    embedded.leave(path)
    until(lambda: not processes_of(path))


@pytest.fixture
def use(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process that uses the servers of the folder, ready when this returns."""
    with ExitStack() as stack:

        def start(data_dir: Path = folder, uid: int | None = None) -> subprocess.Popen[str]:
            user = subprocess.Popen(
                [sys.executable, "-c", USER, str(data_dir)],
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=die_with_parent(signal.SIGKILL, as_uid=uid),
            )
            stack.callback(user.communicate)
            stack.callback(user.kill)
            assert user.stdout is not None
            user.first_line = user.stdout.readline()  # type: ignore[attr-defined]
            return user

        yield start


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def test_the_servers_start_for_the_first_and_stop_after_the_last(folder, use):
    found = embedded.join(folder)
    assert embedded.join(folder) is found
    assert query(found.app, "SELECT current_user") == "andrea_app"
    assert redis.Redis.from_url(found.redis).ping()
    other = use()
    embedded.leave(folder)
    assert query(found.app, "SELECT 1") == 1, "the other one still uses them"
    other.communicate()
    until(lambda: not processes_of(folder))


def test_leaving_returns_when_the_servers_have_stopped(folder):
    embedded.join(folder)
    embedded.leave(folder)
    names = {process.name() for process in processes_of(folder)}
    assert not names & {"postgres", "redis-server"}


def test_the_roles_are_as_weak_as_they_should_be(folder):
    found = embedded.join(folder)
    roles = (
        "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles "
        "WHERE rolname LIKE 'andrea%' AND NOT rolsuper AND NOT rolbypassrls"
    )
    assert query(found.app, roles) == "andrea_app andrea_owner"
    owned = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'andrea'"
    assert query(found.app, owned) == "andrea_owner"
    assert query(found.owner, "SELECT extname FROM pg_extension WHERE extname = 'vector'")
    assert query(found.app, "SELECT lower('ÁÉÑ')") == "áéñ"


def test_a_killed_user_leaves_nothing_running(folder, use):
    user = use()
    assert processes_of(folder)
    user.kill()
    until(lambda: not processes_of(folder))


def test_data_survives_a_killed_keeper_and_its_servers_do_not(folder, use):
    first = use()
    with psycopg.connect(first.first_line.strip().replace("andrea_app", "andrea_owner")) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    keeper = next(p for p in processes_of(folder) if "config.embedded.keeper" in p.cmdline())
    keeper.kill()
    found = embedded.join(folder)
    assert query(found.owner, "SELECT answer FROM kept") == 42
    assert len([p for p in processes_of(folder) if "-D" in p.cmdline()]) == 1


def test_a_server_that_dies_is_started_again(folder):
    found = embedded.join(folder)
    client = redis.Redis.from_url(found.redis)
    killed = client.info("server")["process_id"]
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return client.info("server")["process_id"] != killed
        except redis.ConnectionError:
            return False

    until(is_back)


def test_what_a_killed_server_left_writing_to_a_slow_disk_is_waited_for(folder):
    found = embedded.join(folder)
    postmaster = next(p for p in processes_of(folder) if "-D" in p.cmdline())
    writer = next(p for p in postmaster.children() if "checkpointer" in " ".join(p.cmdline()))
    log = folder / "embedded" / "postgres.log"
    writer.suspend()
    postmaster.kill()
    until(lambda: "still in use" in log.read_text())
    writer.kill()
    until(lambda: _answers(found.app))


def _answers(url: str) -> bool:
    try:
        return query(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_a_postmaster_file_of_another_program_is_forgotten(folder):
    embedded.join(folder)
    embedded.leave(folder)
    until(lambda: not processes_of(folder))
    pid_file = folder / "embedded" / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    assert query(embedded.join(folder).app, "SELECT 1") == 1


def test_a_long_path_gets_short_sockets(folder):
    deep = folder / ("x" * 120)
    found = embedded.join(deep)
    try:
        assert found.redis.startswith("unix:///tmp/andrea-")
        assert query(found.app, "SELECT 1") == 1
    finally:
        embedded.leave(deep)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_sockets_in_a_folder_of_another_user_are_not_trusted(folder):
    deep = folder / ("x" * 120)
    runtime = embedded.make_folders(deep).runtime
    os.chown(runtime, 4242, -1)
    try:
        with pytest.raises(embedded.EmbeddedError, match="Belongs to another user"):
            embedded.make_folders(deep)
    finally:
        shutil.rmtree(runtime)


@pytest.mark.skipif(os.geteuid() != 0, reason="already an ordinary user")
@pytest.mark.skipif(sys.platform != "linux", reason="user namespaces are Linux's")
def test_an_ordinary_user_runs_them_too(folder, use):
    user = use(uid=1000)
    assert user.first_line.startswith("postgresql://andrea_app@/andrea"), user.stderr.read()
    assert query(user.first_line.strip(), "SELECT current_user") == "andrea_app"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can close a folder to itself as nobody")
def test_root_runs_them_where_nobody_may_enter(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    try:
        found = embedded.join(closed)
        assert query(found.app, "SELECT current_user") == "andrea_app"
    finally:
        embedded.leave(closed)
    assert closed.stat().st_mode & 0o777 == 0o700, "no folder's rights are widened"


def test_a_folder_that_cannot_be_written_is_named(folder):
    blocked = folder / "a-file"
    blocked.touch()
    with pytest.raises(embedded.EmbeddedError, match=r"DATA_DIR=.*/a-file cannot be written"):
        embedded.join(blocked)


def test_a_cluster_of_another_version_is_refused_in_one_line(folder, use):
    cluster = folder / "embedded" / "postgres"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("16\n")
    user = use()
    _, said = user.communicate()
    assert "was written by PostgreSQL 16" in said
    assert "Traceback" not in said


def test_users_who_come_at_once_share_one_keeper(folder, use):
    users = [use() for _ in range(3)]
    assert len({user.first_line for user in users}) == 1
    keepers = [p for p in processes_of(folder) if "config.embedded.keeper" in p.cmdline()]
    assert len(keepers) == 1


def test_strangers_on_the_keepers_socket_do_no_harm(folder):
    found = embedded.join(folder)
    path = embedded.make_folders(folder).keeper_socket
    for noise in (b"", b"leave", b"\x00" * 1000):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(path))
            stranger.sendall(noise)
    assert query(found.app, "SELECT 1") == 1


def test_a_wheel_that_is_not_installed_is_named():
    with pytest.raises(embedded.EmbeddedError, match="no_such_wheel is not installed"):
        servers.wheel_folder("no_such_wheel")
