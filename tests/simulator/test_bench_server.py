"""`manage.py bench_server`, as any Twilio Media Streams load generator would meet it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.exceptions import InvalidStatus

from bench.server import HOST, ROOT, free_port
from calls.simulator import clips
from calls.simulator.bench_paths import MEDIA_PATH
from calls.simulator.line import Line
from calls.simulator.scripted import TONE_SECONDS
from calls.simulator.twilio import Account, Answer, TwilioStream


@asynccontextmanager
async def served(kind: str) -> AsyncIterator[Account]:
    """A bench server where neither a database nor Redis could be reached."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "manage.py", "bench_server", f"--port={port}", f"--server={kind}",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            async for line in process.stdout:
                if line.strip() == b"ready":
                    break
        yield Account("", f"http://{HOST}:{port}")
    finally:
        process.terminate()
        await process.wait()


async def metrics(account: Account) -> dict[str, object]:
    def get() -> dict[str, object]:
        with urllib.request.urlopen(f"{account.server}/bench/metrics", timeout=10) as response:  # noqa: S310
            found: dict[str, object] = json.load(response)
            return found

    return await asyncio.to_thread(get)


async def opened(account: Account, path: str = MEDIA_PATH) -> TwilioStream:
    answer = Answer(200, "", 0.0, account.server + path)
    return await TwilioStream.open(account, answer, call_sid="CA" + "1" * 32, signed_with="")


def seconds_heard(stream: TwilioStream) -> float:
    return sum(len(stretch.sound) for stretch in stream.playout.stretches) / 8000


@pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
async def test_a_caller_is_heard_and_answered_with_two_seconds_of_tone(kind):
    async with served(kind) as account:
        stream = await opened(account)
        await stream.start()
        line = Line(stream)
        words = line.say(clips.find("how-much").pcm())
        talking = asyncio.create_task(line.run())
        async with asyncio.timeout(20):
            await words.done.wait()
            while seconds_heard(stream) < TONE_SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        found = await metrics(account)
        assert found["live_calls"] == 1
        assert seconds_heard(stream) == TONE_SECONDS
        talking.cancel()
        await stream.stop()
        async with asyncio.timeout(10):
            while not (counts := (await metrics(account))["counts"]).get("recorded.calls"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert counts["recorded.ms"] > TONE_SECONDS * 1000
        assert counts["recorded.failures"] == 0

        with pytest.raises(InvalidStatus):
            await opened(account, "/api/v1/ws/elsewhere")
