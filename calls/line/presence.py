"""Which processes take calls, as each of them tells the others through Redis.

Every server process publishes what it has on the line and reads what the others published, once
per heartbeat and behind everybody's back: a webhook or a page asks memory, never Redis. While
Redis is away the last that was known counts, and a process that knows nothing of the others
trusts that they are there: a caller is better put through in vain than turned away in vain.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import orjson
import redis.asyncio as redis
from django.conf import settings
from redis.exceptions import RedisError

from agents.services.mind import model_tracks
from calls.line.live import LiveCalls, live
from calls.providers.health import Figures, all_healths, summed

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
EXPIRY_SECONDS = 3 * HEARTBEAT_SECONDS
ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """One process as it sees itself. `tenants` counts live calls by tenant id, as text.

    `providers` are those that were used here, as `Figures` in plain values.
    """

    process: str
    takes_calls: bool
    accepting: bool
    draining: bool
    live_calls: int
    capacity: int
    loop_lag_p99_ms: float
    backlog: int
    store_failing: bool
    breakers: Mapping[str, str]
    tenants: Mapping[str, int]
    providers: Sequence[Mapping[str, Any]] = field(default_factory=list)


class Board(Protocol):
    """Where processes leave word for each other. Everything may raise OSError or RedisError."""

    async def publish(self, status: Status) -> None:
        """Show this for `EXPIRY_SECONDS`, or until the same process shows something else."""

    async def read(self) -> list[Status]:
        """Everything that is shown now, and is of our release."""

    async def present(self) -> frozenset[str]:
        """The processes of which anything is shown, of whatever release."""

    async def remove(self, process: str) -> None:
        """Show nothing of this process any more."""

    async def aclose(self) -> None:
        """Let go of the connection."""


class RedisBoard:
    """A board in Redis, whose clock takes away what a killed process left.

    Processes find each other by the public address that they serve: installations that share a
    Redis do not answer for one another.
    """

    def __init__(self, url: str, installation: str) -> None:
        name = hashlib.sha256(installation.encode()).hexdigest()[:12]
        self._index = f"andrea:presence:{name}"
        self._redis = redis.Redis.from_url(
            url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )

    def key(self, process: str) -> str:
        """Where a process is shown."""
        return f"{self._index}:{process}"

    async def publish(self, status: Status) -> None:
        """Show it; a set names all processes, so that nobody has to search the keys."""
        expiry = int(EXPIRY_SECONDS * 1000)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self.key(status.process), orjson.dumps(asdict(status)), px=expiry)
            pipe.sadd(self._index, status.process)
            pipe.pexpire(self._index, expiry)
            await pipe.execute()

    async def read(self) -> list[Status]:
        """Read all."""
        shown = await self._shown()
        return [status for value in shown.values() if (status := _parsed(value))]

    async def present(self) -> frozenset[str]:
        """The processes whose word has not expired."""
        return frozenset(await self._shown())

    async def _shown(self) -> dict[str, bytes | str]:
        """What is shown of each process; names of those that have expired leave the set."""
        found = await self._redis.smembers(self._index)
        names = sorted(name.decode() for name in found if isinstance(name, bytes))
        values = await self._redis.mget([self.key(name) for name in names]) if names else []
        gone = [name for name, value in zip(names, values, strict=True) if value is None]
        if gone:
            await self._redis.srem(self._index, *gone)
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    async def remove(self, process: str) -> None:
        """Take it away."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(self.key(process))
            pipe.srem(self._index, process)
            await pipe.execute()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _parsed(value: bytes | str) -> Status | None:
    """What a process of our release published; another release may say other things."""
    try:
        return Status(**orjson.loads(value))
    except (TypeError, ValueError):
        return None


class Presence:
    """What this process knows of all that take calls, itself among them."""

    def __init__(
        self,
        calls: LiveCalls,
        board: Callable[[], Board],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._live, self._now = calls, now
        self._open_board = board  # in the event loop, to which its connections belong
        self._board: Board | None = None
        self._others: Sequence[Status] = ()
        self._read_at: float | None = None
        self._failing = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> bool:
        """Whether what is known of the others is no older than their own expiry."""
        return self._read_at is not None and self._now() - self._read_at <= EXPIRY_SECONDS

    @property
    def others(self) -> Sequence[Status]:
        """The other processes, as of the last heartbeat that Redis answered."""
        return self._others

    def accepting(self) -> bool:
        """Whether anybody takes one more call. From memory alone."""
        if self._live.accepting:
            return True
        if self.current:
            return any(other.accepting for other in self._others)
        return any(other.takes_calls for other in self._others) or not self._live.takes_calls

    def status(self) -> Status:
        """This process, at this moment."""
        snapshot = self._live.snapshot()
        providers = provider_figures()
        return Status(
            process=self.process,
            takes_calls=self._live.takes_calls,
            accepting=snapshot.accepting,
            draining=self._live.draining,
            live_calls=snapshot.live_calls,
            capacity=self._live.limit,
            loop_lag_p99_ms=round(snapshot.loop_lag_p99_ms, 1),
            backlog=snapshot.backlog,
            store_failing=snapshot.store_failing,
            breakers={f"{each.kind} {each.name}": each.breaker for each in providers},
            tenants={str(key): count for key, count in self._live.writer.tenants().items()},
            providers=[asdict(each) for each in providers],
        )

    def begin(self) -> None:
        """Publish and read from now on. In the event loop of the calls."""
        if self._task is None:
            self._news = asyncio.Event()
            self._board = self._open_board()
            self._live.changed = self.tell
            self._task = asyncio.create_task(self._run(), name="calls.line.presence")

    def tell(self) -> None:
        """Something changed that the others should not wait a heartbeat for."""
        self._news.set()

    async def end(self) -> None:
        """Leave, and say so. Doing it twice, or without a beginning, is harmless."""
        task, self._task = self._task, None
        board, self._board = self._board, None
        if task is None or board is None:
            return
        self._news.set()  # should the client of Redis swallow the cancellation, this ends it too
        task.cancel()
        await asyncio.wait({task})
        try:
            await board.remove(self.process)
        except (RedisError, OSError) as error:
            log.warning("this process stays announced for %g s: %s", EXPIRY_SECONDS, error)
        finally:
            await board.aclose()

    async def _run(self) -> None:
        while self._board is not None:
            self._news.clear()
            await self.beat(self._board)
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def beat(self, board: Board) -> None:
        """One heartbeat: tell the others, and hear of them."""
        try:
            await board.publish(self.status())
            found = await board.read()
        except (RedisError, OSError) as error:
            if not self._failing:
                log.warning("the other processes cannot be asked, calls go on: %s", error)
            self._failing = True
            return
        if self._failing:
            log.info("the other processes answer again")
        self._failing = False
        self._others = tuple(each for each in found if each.process != self.process)
        self._read_at = self._now()


def provider_figures() -> list[Figures]:
    """How recognisers, voices and models did in this process, all accounts together."""
    found = [Figures.of(h.kind, h.name, h.breaker, h.latencies, h.errors) for h in all_healths()]
    for breaker, track in model_tracks():
        found.append(Figures.of("model", breaker.name, breaker, track.latencies, track.errors))
    return summed(found)


def open_board() -> RedisBoard:
    """This installation's board."""
    return RedisBoard(settings.REDIS_URL, settings.PUBLIC_BASE_URL)


async def anybody_accepts(board: Board | None = None) -> bool:
    """Whether a server takes one more call, for a process that is none; it asks Redis.

    Where Redis is away, or knows of nobody, they are trusted to be there.
    """
    asked = board or open_board()
    try:
        found = await asked.read()
    except (OSError, RedisError):
        return True
    finally:
        await asked.aclose()
    return not found or any(status.accepting for status in found)


async def present_processes() -> frozenset[str] | None:
    """Who is present, for a process that is not itself; None while that cannot be known.

    A board with nobody on it is a new Redis, or all are starting: that is not to know of anybody.
    """
    board = open_board()
    try:
        return await board.present() or None
    except (RedisError, OSError) as error:
        log.warning("it cannot be asked who is present: %s", error)
        return None
    finally:
        await board.aclose()


presence = Presence(live, open_board)
