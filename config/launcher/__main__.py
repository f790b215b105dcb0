"""`python -m config.launcher`: see the package."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from config import embedded
from config.launcher import LauncherError
from config.launcher.banner import LOGIN_FILE, banner
from config.launcher.preflight import claim_folder, listen
from config.launcher.preparing import preparing
from config.launcher.supervisor import Console, Part, Runner
from config.settings.env import ENV

READY_SECONDS = 60.0
COLOURS = {"web": "\x1b[36m", "worker": "\x1b[35m", "setup": "\x1b[32m"}


def main() -> None:
    """Run everything; end with one line if something cannot be had."""
    try:
        asyncio.run(launch())
    except (LauncherError, embedded.EmbeddedError) as error:
        sys.exit(f"Andrea cannot run: {error}")


async def launch() -> None:
    """Start in the order that makes the page come soonest, then supervise until told to end."""
    started = time.monotonic()
    address = ENV.PUBLIC_BASE_URL or f"http://localhost:{ENV.PORT}"
    claim_folder(ENV.DATA_DIR, address)
    ended = end_on_signal()
    console = Console(coloured=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    try:
        with listen(ENV.HOST, ENV.PORT) as listener:
            environment = servers()
            supervisor = Supervisor(environment, console, listener)
            try:
                with preparing(ENV.DATA_DIR):
                    supervisor.start_web()  # it reads code for seconds before it needs the database
                    await prepare(environment, console, ended)
                await supervisor.start_others(ended)
                if not ended.is_set():
                    greet(address, time.monotonic() - started)
                await supervisor.watch(ended)
            finally:
                await supervisor.stop(ended)
    finally:
        embedded.leave(ENV.DATA_DIR)


def greet(address: str, seconds: float) -> None:
    """Print the banner in one piece."""
    with suppress(OSError):
        sys.stdout.write(banner(address, ENV, ENV.DATA_DIR, seconds) + "\n")
        sys.stdout.flush()


class Ending(asyncio.Event):
    """Set by the first signal; `sign` says how to end, `hurry` is set by the second."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = signal.SIGINT
        self.hurry = asyncio.Event()

    def on(self, sign: signal.Signals) -> None:
        """Take note of a signal: SIGTERM lets live calls finish, Ctrl-C does not."""
        if self.is_set():
            self.hurry.set()
        elif sign == signal.SIGTERM:
            self.sign = sign
        self.set()


def end_on_signal() -> Ending:
    """An event that SIGINT, SIGTERM or a closed terminal sets."""
    ending = Ending()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sign, ending.on, sign)
    return ending


def servers() -> dict[str, str]:
    """The environment of the parts, with addresses of the servers that run for them."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # Celery warns root at every start; here the worker runs nothing that it is not given.
    environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker")
    environment.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    if ENV.DATABASE_URL and ENV.REDIS_URL:
        return environment
    found = embedded.join(ENV.DATA_DIR)
    if not ENV.DATABASE_URL:
        environment |= {"DATABASE_URL": found.app, "DATABASE_OWNER_URL": found.owner}
    if not ENV.REDIS_URL:
        environment["REDIS_URL"] = found.redis
    return environment


async def prepare(environment: Mapping[str, str], console: Console, ended: asyncio.Event) -> None:
    """Migrate and seed, unless the database says that this has been done."""
    from config.launcher.schema import is_current, mark  # psycopg loads while the web server does

    owner_url = (
        environment.get("DATABASE_OWNER_URL") or ENV.DATABASE_OWNER_URL
        or environment.get("DATABASE_URL") or ENV.DATABASE_URL
    )  # fmt: skip
    if is_current(owner_url) and (ENV.DATA_DIR / LOGIN_FILE).exists():
        return
    console.say("setup", "migrating the database and seeding the demo ...", COLOURS["setup"])
    part = Part("setup", [sys.executable, "-m", "config.launcher.prepare"], COLOURS["setup"])
    runner = Runner(part, environment, console)
    work = asyncio.create_task(runner.run_once())
    end = asyncio.create_task(ended.wait())
    await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
    end.cancel()
    if not work.done():
        runner.signal(signal.SIGTERM)
        await runner.wait(part.stop_seconds)
    elif code := work.result():
        raise LauncherError(f"the database could not be prepared: {runner.last_word(code)}")
    else:
        mark(owner_url)


class Supervisor:
    """The web server, and the worker with its clock, from first start to last word."""

    def __init__(
        self, environment: Mapping[str, str], console: Console, listener: socket.socket
    ) -> None:
        descriptor = str(listener.fileno())
        parts = [
            Part(
                "web",
                [sys.executable, "-m", "config.serve", "--server", "daphne", "--fd", descriptor],
                COLOURS["web"],
                pass_fds=(listener.fileno(),),
                stop_seconds=ENV.DRAIN_SECONDS + 30,
            ),
            Part("worker", [sys.executable, "-m", "config.launcher.work"], COLOURS["worker"]),
        ]  # fmt: skip
        self._runners = [Runner(part, environment, console) for part in parts]
        self._tasks: list[asyncio.Task[None]] = []

    def start_web(self) -> None:
        """Begin with the one that takes longest."""
        self._start(self._runners[0])

    def _start(self, runner: Runner) -> None:
        self._tasks.append(asyncio.create_task(runner.run(), name=runner.part.name))

    async def start_others(self, ended: asyncio.Event) -> None:
        """Start the rest when the web server answers. Raises LauncherError if it does not."""
        ready = asyncio.create_task(answers(ENV.HOST, ENV.PORT))
        end = asyncio.create_task(ended.wait())
        done, _ = await asyncio.wait(
            {ready, end, *self._tasks},
            timeout=READY_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        ready.cancel()
        end.cancel()
        for task in done & set(self._tasks):
            task.result()
        if not done:
            raise LauncherError(f"web did not answer within {READY_SECONDS:g} s; see above.")
        if not ended.is_set():
            for runner in self._runners[1:]:
                self._start(runner)

    async def watch(self, ended: asyncio.Event) -> None:
        """Wait for the end. Raises LauncherError when a part cannot be kept running."""
        end = asyncio.create_task(ended.wait())
        done, _ = await asyncio.wait({end, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        for task in done - {end}:
            task.result()

    async def stop(self, ended: Ending) -> None:
        """End every part in good order: with SIGTERM live calls may finish, with Ctrl-C not."""
        for task, runner in zip(self._tasks, self._runners, strict=False):
            runner.signal(ended.sign if task.get_name() == "web" else signal.SIGTERM)
        hurry = asyncio.create_task(self._hurry(ended))
        await asyncio.gather(*(runner.wait(runner.part.stop_seconds) for runner in self._runners))
        hurry.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, hurry, return_exceptions=True)

    async def _hurry(self, ended: Ending) -> None:
        """Pass a second Ctrl-C on."""
        await ended.hurry.wait()
        for runner in self._runners:
            runner.signal(signal.SIGINT)


async def answers(host: str, port: int) -> None:
    """Return when the web server answers; it may take any number of tries."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound to
    while True:
        try:
            reader, writer = await asyncio.open_connection(local, port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                return
        except OSError:
            pass  # it is just being started again
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    main()
