"""`make run`, really: with a data folder and a port of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0  # seconds for a first start on a busy machine; nothing waits that long by itself


def environment(data_dir: Path, port: int, **more: str) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL"}
    }
    return ours | {"DATA_DIR": str(data_dir), "PORT": str(port)} | more


def launch(data_dir: Path, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a launcher that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "config.launcher"],
        cwd=ROOT, env=environment(data_dir, port, **more), text=True, capture_output=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("run")
    for parent in (path, path.parent, path.parent.parent):
        parent.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Running:
    """A launcher that has printed its banner."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.process = psutil.Popen(
            [sys.executable, "-m", "config.launcher"],
            cwd=ROOT, env=environment(data_dir, port), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.output = ""
        while "Ctrl-C ends everything" not in self.output:
            line = self.process.stdout.readline()
            assert line, f"it ended:\n{self.output}"
            self.output += line
        self.family = self._family(data_dir)

    def _family(self, data_dir: Path) -> list[psutil.Process]:
        """The launcher's children and the embedded servers, which are nobody's children."""
        servers = [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(data_dir) in " ".join(process.info["cmdline"] or [])
        ]
        return list({*self.process.children(recursive=True), *servers} - {self.process})

    def end(self, sign: signal.Signals) -> list[psutil.Process]:
        """Send a signal; return what is still there when the launcher and its family had time."""
        self.process.send_signal(sign)
        self.output += self.process.communicate(timeout=PATIENCE)[0]
        _, alive = psutil.wait_procs(self.family, timeout=15)
        return alive


def get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return answer.status, answer.read().decode()


def test_one_command_serves_everything_and_leaves_nothing(data_dir):
    port = free_port()
    first = Running(data_dir, port)
    try:
        assert f"http://localhost:{port}" in first.output
        assert re.search(r"owner@demo\.example +password \S{12}", first.output)
        assert get(port, "/healthz") == (200, '{"status": "ok"}')
        assert get(port, "/readyz")[0] == 200
        assert get(port, "/accounts/login/")[0] == 200
        second = launch(data_dir, free_port())
    finally:
        orphans = first.end(signal.SIGKILL)
    assert orphans == []
    assert second.returncode == 1
    already = f"Andrea cannot run: Andrea already runs from DATA_DIR={data_dir} (process "
    assert second.stderr.startswith(already)
    assert second.stderr.count("\n") == 1

    again = Running(data_dir, port)
    try:
        assert "migrating" not in again.output, "a second start has nothing to prepare"
        next(p for p in again.family if "config.serve" in p.cmdline()).kill()
        assert get(port, "/healthz")[0] == 200, "the socket is kept while the web server is not"
    finally:
        left = again.end(signal.SIGINT)
    assert left == []
    assert again.process.returncode == 0
    assert "ended by itself (signal SIGKILL); starting it again" in again.output


def test_a_port_in_use_is_named_with_a_way_out(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = launch(tmp_path, port)
    assert result.returncode == 1
    assert re.fullmatch(
        rf"Andrea cannot run: Port {port} is in use by \S+ \(process {os.getpid()}\)\. "
        rf"Stop that program, or choose another port: make run PORT={port + 1}\n",
        result.stderr,
    )


def test_an_address_of_another_machine_is_named(tmp_path):
    result = launch(tmp_path, free_port(), HOST="192.0.2.1")
    assert result.returncode == 1
    assert "HOST=192.0.2.1 is not an address of this machine" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "a-file"
    blocked.touch()
    result = launch(blocked, free_port())
    assert result.returncode == 1
    assert result.stderr.startswith(f"Andrea cannot run: DATA_DIR={blocked} cannot be written (")
    assert result.stderr.count("\n") == 1


def test_bad_variables_are_listed_together_without_a_traceback(tmp_path):
    result = launch(tmp_path, 0, LOG_LEVEL="LOUD", TWILIO_AUTH_TOKEN="not-shown-here")
    assert result.returncode == 1
    assert "PORT=0: expected a port number from 1 to 65535" in result.stderr
    assert "LOG_LEVEL=LOUD: expected one of DEBUG, INFO, WARNING, ERROR" in result.stderr
    assert "TWILIO_AUTH_TOKEN=*** (14 characters)" in result.stderr
    assert "not-shown-here" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path):
    url = f"postgresql://app:s3cr3t@127.0.0.1:{free_port()}/andrea"
    result = launch(tmp_path, free_port(), DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1/0")
    assert result.returncode == 1
    assert "PostgreSQL at DATABASE_URL=postgresql://app:***@127.0.0.1" in result.stderr
    assert "s3cr3t" not in result.stderr
    assert "Traceback" not in result.stderr
