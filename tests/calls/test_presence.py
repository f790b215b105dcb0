"""Processes know of each other: through Redis, for as long as they live, and never on the path."""

from __future__ import annotations

import asyncio
import signal
import uuid
from dataclasses import replace
from typing import Any
from unittest.mock import Mock
from xml.etree import ElementTree

import pytest
from django.conf import settings as project
from redis.exceptions import ConnectionError as RedisGone

from agents.brain.breaker import CircuitBreaker
from agents.brain.errors import ProviderDown
from agents.brain.llm.fallback import Track
from calls import webhooks
from calls.carriers import answering
from calls.line.live import LiveCalls
from calls.line.presence import (
    EXPIRY_SECONDS,
    HEARTBEAT_SECONDS,
    Presence,
    RedisBoard,
    anybody_accepts,
)
from calls.models import Call
from calls.providers import health
from tenants.db import run_in_tenant
from tests.calls.waiting import until


@pytest.fixture
async def board():
    """A board of this test's own in the real Redis."""
    found = RedisBoard(project.REDIS_URL, f"https://{uuid.uuid4()}.example")
    yield found
    await found.aclose()


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Unplugged:
    """A board whose Redis is away."""

    async def read(self) -> Any:
        raise RedisGone("connection refused")

    async def publish(self, status) -> None:
        raise RedisGone("connection refused")

    async def aclose(self) -> None:
        pass


def process(board, *, clock=None, takes_calls=True, limit=4) -> Presence:
    calls = LiveCalls(limit)
    calls.takes_calls = takes_calls
    return Presence(calls, lambda: board, **({"now": clock} if clock else {}))


async def exchange(board, *processes: Presence) -> None:
    """Everybody tells, then everybody has heard."""
    for _ in range(2):
        for each in processes:
            await each.beat(board)


# --- what a process knows ---------------------------------------------------------------------


async def test_processes_see_each_others_calls_and_capacity(board):
    web, media = process(board, takes_calls=False), process(board, limit=7)
    with media._live.on_the_line(uuid.uuid4(), object()):
        await exchange(board, web, media)
    (seen,) = web.others
    assert seen == replace(media.status(), live_calls=1)
    assert (seen.process, seen.live_calls, seen.capacity) == (media.process, 1, 7)
    assert [each.process for each in media.others] == [web.process]


async def test_web_takes_calls_for_as_long_as_one_media_process_does(board):
    web, first, second = process(board, takes_calls=False), process(board), process(board)
    await exchange(board, web, first, second)
    assert web.accepting()
    first._live.draining = True
    await exchange(board, web, first, second)
    assert web.accepting()
    second._live.limit = 0
    await exchange(board, web, first, second)
    assert not web.accepting()


async def test_web_without_any_media_process_takes_no_calls(board):
    web = process(board, takes_calls=False)
    await web.beat(board)
    assert not web.accepting()


async def test_process_alone_answers_for_itself_at_once(board):
    alone = process(board)
    assert alone.accepting()
    await alone.beat(board)
    alone._live.draining = True  # no heartbeat in between
    assert not alone.accepting()


async def test_full_process_sends_callers_to_the_others(board):
    full, free = process(board, limit=0), process(board)
    await exchange(board, full, free)
    assert full.accepting()


async def test_installations_on_one_redis_do_not_answer_for_one_another(board):
    other = RedisBoard(project.REDIS_URL, f"https://{uuid.uuid4()}.example")
    web, media = process(board, takes_calls=False), process(other)
    await media.beat(other)
    await web.beat(board)
    await other.aclose()
    assert web.others == ()


async def test_what_another_release_published_is_overlooked(board):
    web, media = process(board, takes_calls=False), process(board)
    await exchange(board, web, media)
    await board._redis.set(board.key(media.process), b'{"calls": 3}')
    await web.beat(board)
    assert web.others == ()


async def test_process_of_another_release_is_present_though_it_is_not_understood(board):
    media = process(board)
    await media.beat(board)
    await board._redis.set(board.key(media.process), b'{"calls": 3}')
    assert await board.present() == {media.process}
    await board._redis.pexpire(board.key(media.process), 0)
    assert await board.present() == frozenset()


# --- processes that end -----------------------------------------------------------------------


async def test_killed_process_is_gone_after_three_heartbeats(board):
    web, media = process(board, takes_calls=False), process(board)
    await exchange(board, web, media)
    left = await board._redis.pttl(board.key(media.process))
    assert 0 < left <= 3 * HEARTBEAT_SECONDS * 1000
    await board._redis.pexpire(board.key(media.process), 0)  # the clock is Redis's own
    await web.beat(board)
    assert web.others == ()
    assert not web.accepting()
    assert await board._redis.smembers(board._index) == {web.process.encode()}


async def test_process_that_ends_in_good_order_is_gone_at_once(board):
    web = process(board, takes_calls=False)
    media = process(RedisBoard(project.REDIS_URL, "unused"))
    media._open_board = lambda: _sharing(board)
    media.begin()
    await until(lambda: _sees(web, board, media))
    await media.end()
    await media.end()
    await web.beat(board)
    assert web.others == ()


def _sharing(board: RedisBoard) -> RedisBoard:
    """The same place over a connection of its own."""
    found = RedisBoard(project.REDIS_URL, "")
    found._index = board._index
    return found


async def _sees(web: Presence, board, media: Presence) -> bool:
    await web.beat(board)
    return [each.process for each in web.others] == [media.process]


async def test_drain_is_told_without_waiting_for_a_heartbeat(board, monkeypatch):
    monkeypatch.setattr("calls.line.presence.HEARTBEAT_SECONDS", 3600)
    web, media = process(board, takes_calls=False), process(board)
    media._open_board = lambda: _sharing(board)
    media.begin()
    await until(lambda: _sees(web, board, media))
    assert web.accepting()
    await media._live.drain(0)

    async def told() -> bool:
        await web.beat(board)
        return not web.accepting() and web.others[0].draining

    await until(told)
    await media.end()


@pytest.mark.django_db(transaction=True)
async def test_process_killed_for_good_disappears(serve):
    server = await asyncio.to_thread(serve, "uvicorn")
    board = RedisBoard(project.REDIS_URL, server.account.server)
    (found,) = await until(board.read)
    assert found.accepting
    server.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(server.process.wait)

    async def gone() -> bool:
        return await board.read() == []

    await until(gone, seconds=EXPIRY_SECONDS + 5)
    await board.aclose()


# --- without Redis ----------------------------------------------------------------------------


async def test_without_redis_calls_go_through_and_the_last_known_counts(board, caplog):
    clock = Clock()
    web, media = process(board, clock=clock, takes_calls=False), process(board)
    assert web.accepting(), "nothing is known yet"
    await exchange(board, web, media)
    media._live.limit = 0
    await exchange(board, media, web)
    assert not web.accepting()

    await web.beat(Unplugged())
    assert not web.accepting(), "what was said a moment ago still holds"
    clock.now += EXPIRY_SECONDS + 1
    assert not web.current
    assert web.accepting(), "that was too long ago"
    for _ in range(3):
        await web.beat(Unplugged())
    assert caplog.text.count("cannot be asked") == 1

    await web.beat(board)
    assert web.current
    assert not web.accepting()


async def test_without_redis_a_full_process_that_was_alone_stays_full():
    alone = process(Unplugged(), limit=0)
    await alone.beat(Unplugged())
    assert not alone.accepting()


async def test_redis_that_hangs_holds_up_nothing_but_the_heartbeat():
    class Hanging(Unplugged):
        async def publish(self, status) -> None:
            await asyncio.Event().wait()

        async def remove(self, process: str) -> None:
            raise TimeoutError

    media = process(Hanging())
    media.begin()
    await asyncio.sleep(0)
    assert media.accepting()
    await asyncio.wait_for(media.end(), 1)


# --- the webhook and the health page ----------------------------------------------------------


@pytest.fixture
def web(board, monkeypatch):
    """The process under test as one that leaves media to others."""
    found = process(board, takes_calls=False)
    for module in (answering, webhooks):
        monkeypatch.setattr(module, "presence", found)
    monkeypatch.setattr("config.health.presence", found)
    return found


@pytest.mark.django_db(transaction=True)
async def test_caller_hears_that_lines_are_busy_when_no_media_process_takes_calls(
    desk, ring, web, board
):
    media = process(board, limit=0)
    await exchange(board, web, media)
    said = ElementTree.fromstring((await ring(desk.number)).content).find("Say")  # noqa: S314
    assert "ocupadas" in said.text
    assert said.get("language") == "es-MX"
    (call,) = await run_in_tenant(desk.tenant.id, lambda: list(Call.objects.all()))
    assert call.end_reason == "refused_busy"
    media._live.limit = 1
    await exchange(board, web, media)
    answer = ElementTree.fromstring((await ring(desk.number, "CA2")).content)  # noqa: S314
    assert answer.find("Connect/Stream") is not None


@pytest.mark.django_db(transaction=True)
async def test_refusal_speaks_the_language_of_the_number(desk, other_desk, ring, web, board):
    await web.beat(board)
    for number, caller, language in (
        (desk.number, "+14155550100", "es-MX"),
        (other_desk.number, "+525598765432", "en-US"),
    ):
        root = ElementTree.fromstring(  # noqa: S314
            (await ring(number, f"CA{number}", From=caller)).content
        )
        assert root.find("Say").get("language") == language


@pytest.mark.django_db(transaction=True)
async def test_webhook_asks_memory_and_never_redis(desk, ring, web):
    web._board = None  # nobody to ask: an attempt would be an AttributeError
    answer = ElementTree.fromstring((await ring(desk.number)).content)  # noqa: S314
    assert answer.find("Connect/Stream") is not None


@pytest.mark.django_db(transaction=True)
async def test_health_sums_up_all_processes_and_shows_each(async_client, web, board):
    media = process(board, limit=7)
    with media._live.on_the_line(uuid.uuid4(), object()):
        await exchange(board, web, media)
    found = (await async_client.get("/health")).json()
    assert (found["live_calls"], found["capacity"], found["accepting_calls"]) == (1, 7, True)
    assert found["processes_known"] is True
    here, there = found["processes"]
    assert (here["process"], here["takes_calls"]) == (web.process, False)
    assert (there["process"], there["live_calls"], there["draining"]) == (media.process, 1, False)
    assert {"breakers", "loop_lag_p99_ms", "capacity", "accepting"} <= set(there)
    assert "tenants" not in there, "strangers read this page"


@pytest.mark.django_db(transaction=True)
async def test_health_says_how_each_provider_does_over_all_processes(
    async_client, web, board, monkeypatch
):
    monkeypatch.setattr(health, "_healths", {})
    media = process(board)
    voice = health.health_of("synthesiser", "azure", "one key")
    for latency in (100.0, 300.0, 200.0):
        voice.succeeded(latency)
    for _ in range(3):
        health.health_of("synthesiser", "azure", "another").failed(ProviderDown("azure", "503"))
    track = Track()
    track.latencies.append(412.0)
    track.errors["ProviderTimeout"] += 2
    models = [(CircuitBreaker("groq fast"), track)]
    monkeypatch.setattr("calls.line.presence.model_tracks", lambda: models)
    await exchange(board, web, media)
    found = (await async_client.get("/health")).json()["providers"]
    rows = {(each.pop("kind"), each.pop("name")): each for each in found}
    assert rows["synthesiser", "azure"] | {"available": None} == {
        "breaker": "open", "p50_ms": 200.0, "errors": {"ProviderDown": 6}, "available": None,
    }  # fmt: skip
    assert rows["model", "groq fast"] == {
        "breaker": "closed", "p50_ms": 412.0, "errors": {"ProviderTimeout": 4}, "available": True,
    }  # fmt: skip
    assert rows["model", "embedded"]["available"] is True
    assert rows["recogniser", "embedded"] == {
        "breaker": "closed", "p50_ms": None, "errors": {}, "available": True,
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
async def test_health_says_when_the_other_processes_cannot_be_asked(async_client, web):
    await web.beat(Unplugged())
    found = (await async_client.get("/health")).json()
    assert found["processes_known"] is False
    assert found["accepting_calls"] is True


async def test_a_worker_asks_the_board_whether_anybody_takes_calls(board):
    assert await anybody_accepts(_sharing(board))  # it knows of nobody
    full, free = process(board, limit=0), process(board)
    await board.publish(full.status())
    assert not await anybody_accepts(_sharing(board))
    await board.publish(free.status())
    assert await anybody_accepts(_sharing(board))
    assert await anybody_accepts(Unplugged())


def test_call_whose_next_stream_has_begun_stays_on_the_line_until_that_is_over():
    calls, call = LiveCalls(), uuid.uuid4()
    first, second = (calls.on_the_line(call, Mock()) for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert call in calls
    second.__exit__(None, None, None)
    assert call not in calls
