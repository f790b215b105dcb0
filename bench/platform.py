"""The whole product from outside: how soon it speaks, and how fast it answers a carrier."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bench.figures import Figure, percentile
from bench.server import HOST, ROOT, free_port
from calls.simulator.line import Line, level
from calls.simulator.twilio import SIGNATURE_HEADER, Account, TwilioStream, signature

NUMBER = "+15005550001"  # the demo's English agent
TOKEN = "0" * 32  # of an account that exists here alone
WEBHOOK = "/api/v1/twilio/incoming-call"
WEBHOOKS, WARM_UP = 200, 20
START_SECONDS = 120.0
VOICE_LEVEL = 700


async def measure() -> list[Figure]:
    """Start it on an empty data folder, telephone it, start it again, ring it many times."""
    with tempfile.TemporaryDirectory(prefix="andrea-bench-") as folder:
        async with running(Path(folder)) as first:
            word = await first_word(first)
        async with running(Path(folder)) as second:
            first_answer, *answers = await webhooks(second)
    return [
        Figure("first start, empty data folder, to ready", first.seconds, "s"),
        Figure("first start to the first word heard", word, "s"),
        Figure("second start to ready", second.seconds, "s", 6),
        Figure("first webhook after ready (cold)", first_answer, "ms"),
        Figure("webhook answered, p50", percentile(answers, 0.5), "ms"),
        Figure("webhook answered, p95", percentile(answers, 0.95), "ms", 50),
    ]


class Installation:
    """A running product: where it is, when it was started, how long it took to be ready."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{HOST}:{port}"
        self.account = Account(TOKEN, self.url, self.url)
        self.began = time.monotonic()
        self.seconds = float("nan")
        self.environment: dict[str, str] = {}


@asynccontextmanager
async def running(
    folder: Path, more: Mapping[str, str] | None = None
) -> AsyncIterator[Installation]:
    """What `make run` starts once its virtual environment is there; `more` are settings."""
    port = free_port()
    installation = Installation(port)
    installation.environment = {
        "DATA_DIR": str(folder / "data"),
        "MEDIA_DIR": str(folder / "media"),
        "PORT": str(port),
        "PUBLIC_BASE_URL": installation.url,
        "TWILIO_AUTH_TOKEN": TOKEN,
        **(more or {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "config.launcher",
        cwd=ROOT,
        env={**os.environ, **installation.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = asyncio.Event()
    reading = asyncio.create_task(_read(process.stdout, ready))
    try:
        await asyncio.wait_for(ready.wait(), START_SECONDS)
        installation.seconds = time.monotonic() - installation.began
        yield installation
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()
        await reading


async def _read(output: asyncio.StreamReader, ready: asyncio.Event) -> None:
    """Take the log until it ends; the banner says when a user may come."""
    async for line in output:
        if b"Andrea is ready" in line:
            ready.set()
    if not ready.is_set():
        raise RuntimeError("it ended before it was ready; see its messages above")


async def first_word(installation: Installation) -> float:
    """Seconds from the start of the product to the first voice that a caller hears."""
    account = installation.account
    form = account.incoming(to=NUMBER, caller="+14155550100")
    answer = await account.post(WEBHOOK, form)
    stream = await TwilioStream.open(account, answer, call_sid=form["CallSid"])
    heard = asyncio.get_running_loop().create_future()

    def listen(pcm: bytes) -> None:
        if level(pcm) > VOICE_LEVEL and not heard.done():
            heard.set_result(time.monotonic())

    stream.on_sound = listen
    await stream.start()
    talking = asyncio.create_task(Line(stream).run())
    try:
        at: float = await asyncio.wait_for(heard, 15)
        return at - installation.began
    finally:
        talking.cancel()
        await stream.stop()


async def webhooks(installation: Installation) -> list[float]:
    """Milliseconds that each of many incoming calls, one after the other, was answered in.

    The first comes to a product that has answered nothing yet; those that follow it and warm up
    what is made once are left out.
    """
    account, times = installation.account, []
    url = account.signed_url(WEBHOOK)
    async with httpx.AsyncClient(timeout=15) as client:
        for number in range(1 + WARM_UP + WEBHOOKS):
            form = account.incoming(to=NUMBER, caller="+14155550100")
            headers = {SIGNATURE_HEADER: signature(TOKEN, url, form)}
            started = time.perf_counter()
            answer = await client.post(url, data=form, headers=headers)
            if answer.status_code != 200 or "<Stream" not in answer.text:
                raise RuntimeError(f"webhook answered {answer.status_code}: {answer.text[:200]}")
            if number == 0 or number > WARM_UP:
                times.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.02)
    return times
