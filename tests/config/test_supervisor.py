from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from config.launcher import LauncherError, supervisor
from config.launcher.supervisor import Console, Part, Runner

PATIENCE = 15.0


class Heard(Console):
    """A console that remembers."""

    def __init__(self) -> None:
        super().__init__(coloured=False)
        self.lines: list[str] = []
        self.news = asyncio.Event()

    def say(self, name: str, line: str, colour: str = "") -> None:
        self.lines.append(f"{name}: {line}")
        self.news.set()

    async def until(self, text: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while sum(text in line for line in self.lines) < times:
                self.news.clear()
                await self.news.wait()


def runner(code: str, console: Console, stop_seconds: float = 5.0) -> Runner:
    part = Part("part", [sys.executable, "-uc", code], "", stop_seconds=stop_seconds)
    return Runner(part, os.environ, console)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)


async def test_a_part_that_dies_is_named_and_started_again(tmp_path):
    console = Heard()
    part = runner("import os, time; print('up', os.getpid()); time.sleep(60)", console)
    work = asyncio.create_task(part.run())
    await console.until("up")
    os.kill(int(console.lines[0].split()[-1]), signal.SIGKILL)
    await console.until("up", times=2)
    assert "part: ended by itself (signal SIGKILL); starting it again in 0.01 s" in console.lines
    part.signal(signal.SIGTERM)
    await part.wait(PATIENCE)
    await work


async def test_a_part_that_never_holds_ends_in_one_line_with_its_last_words():
    console = Heard()
    part = runner("import sys; sys.exit('the disk is full')", console)
    with pytest.raises(LauncherError) as caught:
        await part.run()
    assert str(caught.value) == "part ended 5 times in a row: the disk is full"
    assert sum("the disk is full" in line for line in console.lines) == 5


async def test_a_part_that_does_not_end_is_killed_with_its_children(tmp_path):
    console = Heard()
    code = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid)
time.sleep(60)
"""
    part = runner(code, console)
    work = asyncio.create_task(part.run())
    await console.until("child")
    child = psutil.Process(int(console.lines[0].split()[-1]))
    part.signal(signal.SIGTERM)
    await part.wait(0.2)
    await work
    assert "part: does not end; killing it" in console.lines
    psutil.wait_procs([child], timeout=PATIENCE)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_line_without_end_does_not_stop_the_log(monkeypatch):
    monkeypatch.setattr(supervisor, "LINE_LIMIT", 1000)
    console = Heard()
    part = runner("print('x' * 5000); print('after')", console)
    assert await part.run_once() == 0
    assert "part: after" in console.lines


def test_the_console_puts_the_name_before_each_line(capsys):
    Console(coloured=False).say("web", "hello", "\x1b[36m")
    Console(coloured=True).say("web", "hello", "\x1b[36m")
    plain, coloured = capsys.readouterr().out.splitlines()
    assert plain == "web    │ hello"
    assert coloured == "\x1b[36mweb    │ \x1b[0mhello"


def test_the_kernel_ends_a_part_whose_launcher_is_killed(tmp_path: Path):
    code = """
import asyncio, os, sys
from config.launcher.supervisor import Console, Part, Runner
sleep = "import os, time; print(os.getpid()); time.sleep(60)"
part = Part("part", [sys.executable, "-uc", sleep], "")
asyncio.run(Runner(part, os.environ, Console(coloured=False)).run())
"""
    launcher = psutil.Popen(
        [sys.executable, "-c", code], stdout=-1, text=True, cwd=Path(__file__).parents[2]
    )
    with launcher:
        assert launcher.stdout is not None
        part = psutil.Process(int(launcher.stdout.readline().split()[-1]))
        launcher.kill()
    gone, _ = psutil.wait_procs([part], timeout=PATIENCE)
    assert part in gone
