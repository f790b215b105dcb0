"""Runs the parts, passes their output on with their name before it, and starts them again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from config.launcher import LauncherError
from config.processes import die_with_parent
from config.settings.env import BASE_DIR

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds before a part that died is started again
STEADY_SECONDS = 30.0  # a part that ran this long has recovered
MOST_FAILURES = 5  # in a row, then we give up
KILL_SECONDS = 5.0
LINE_LIMIT = 1024 * 1024
_RESET = "\x1b[0m"


@dataclass(frozen=True)
class Part:
    """One long-running program. `stop_seconds` is its time to end in good order."""

    name: str
    command: Sequence[str]
    colour: str
    pass_fds: tuple[int, ...] = ()
    stop_seconds: float = 15.0


class Console:
    """Writes whole lines, each with the name of the part that said it."""

    def __init__(self, *, coloured: bool, width: int = 6) -> None:
        self._coloured = coloured
        self._width = width

    def say(self, name: str, line: str, colour: str = "") -> None:
        """One line of one part."""
        label = f"{name:<{self._width}} │ "
        if self._coloured and colour:
            label = f"{colour}{label}{_RESET}"
        with suppress(OSError):  # `make run | head`, a closed terminal: go on without a reader
            sys.stdout.write(f"{label}{line}\n")
            sys.stdout.flush()


class Runner:
    """Keeps one part running until it is told to stop."""

    def __init__(self, part: Part, environment: Mapping[str, str], console: Console) -> None:
        self.part = part
        self._environment = dict(environment)
        self._console = console
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._last_words: deque[str] = deque(maxlen=3)

    async def run(self) -> None:
        """Start the part again whenever it ends. Raises LauncherError when it never holds."""
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            code = await self.run_once()
            if self._stopping:
                return
            ran = time.monotonic() - started
            failures = 1 if ran > STEADY_SECONDS else failures + 1
            if failures >= MOST_FAILURES:
                raise LauncherError(
                    f"{self.part.name} ended {MOST_FAILURES} times in a row: {self.last_word(code)}"
                )
            pause = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
            self._say(f"ended by itself ({_in_words(code)}); starting it again in {pause:g} s")
            await asyncio.sleep(pause)

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal to the part and all that it started; it is not started again."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)

    async def wait(self, seconds: float) -> None:
        """Let the part end within this time, then kill it."""
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self._say("does not end; killing it")
        with suppress(ProcessLookupError):  # what it started and left behind
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), KILL_SECONDS)

    async def run_once(self) -> int:
        """Start the part, pass on what it says, and return its exit code."""
        self._process = await asyncio.create_subprocess_exec(
            *self.part.command,
            cwd=BASE_DIR,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_LIMIT,
            pass_fds=self.part.pass_fds,
            start_new_session=True,  # the terminal's Ctrl-C is for the launcher alone
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        await self._pass_on(self._process)
        return await self._process.wait()

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for above
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # longer than LINE_LIMIT: dropped by asyncio
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._last_words.append(text)
            self._say(text)

    def _say(self, line: str) -> None:
        self._console.say(self.part.name, line, self.part.colour)

    def last_word(self, code: int) -> str:
        """The last thing that the part said before it ended with `code`."""
        words = (line.strip() for line in reversed(self._last_words) if line.strip())
        return next(words, _in_words(code))


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
