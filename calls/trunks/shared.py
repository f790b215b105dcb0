"""What the processes that work with one account share through Redis: who holds it, its token.

Errors of Redis become errors of a provider, for they end a command and not a process.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import orjson
import redis.asyncio as redis
from django.conf import settings
from redis import Redis as BlockingRedis
from redis.exceptions import LockError, RedisError

from agents.brain.errors import NetworkFailure, ProviderTimeout
from calls.providers.carriers.bearer import Token
from calls.providers.carriers.trunk import Extension
from tenants.sealing import CannotUnseal, seal, unseal

ANSWER_SECONDS = 2.0
LEASE_SECONDS = 6.0
# Longer than a PBX takes to answer a request for a token, twice over.
MINTING_SECONDS = 25.0
EXTENSIONS_SECONDS = 24 * 3600
# Tokens are their client's; its name is in the key.
NO_TENANT = 0

_connections: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, redis.Redis] = (
    weakref.WeakKeyDictionary()
)

# Ours if it is nobody's or ours; nobody else can come in between.
_HOLD = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
"""
_LET_GO = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


def connection() -> redis.Redis:
    """This event loop's connection to Redis."""
    loop = asyncio.get_running_loop()
    if loop not in _connections:
        _connections[loop] = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )
    return _connections[loop]


async def close() -> None:
    """Close this event loop's connection."""
    found = _connections.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()


def key_of(kind: str, name: str) -> str:
    """A key that tells nobody what it is about; installations that share a Redis stay apart."""
    named = hashlib.sha256(f"{settings.SECRET_KEY} {name}".encode()).hexdigest()[:32]
    return f"andrea:trunk:{kind}:{named}"


def lease_name(carrier: str, account: str) -> str:
    """What the holder of an account's standing connection has the lease of."""
    return f"{carrier} {account}"


class Lease:
    """The right to hold something, for one holder at a time, who has to ask again and again.

    A holder that is delayed may be late to learn that it has lost it: what must not be done twice
    is fenced in the database (`calls.services.trunks`).
    """

    def __init__(self, name: str) -> None:
        self._key, self._owner = key_of("lease", name), secrets.token_hex(8)

    async def hold(self) -> bool:
        """Have it for `LEASE_SECONDS` from now; False if somebody else has. Raises RedisError."""
        expiry = str(int(LEASE_SECONDS * 1000))
        return bool(await connection().eval(_HOLD, 1, self._key, self._owner, expiry))

    async def let_go(self) -> None:
        """Leave it to somebody else. Raises RedisError."""
        await connection().eval(_LET_GO, 1, self._key, self._owner)


class RedisTokens:
    """A `TokenStore` for all processes of the installation."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier

    async def read(self, client: str) -> Token | None:
        """The token minted last, while it lives."""
        try:
            found = await connection().get(key_of("token", client))
        except (RedisError, OSError) as error:
            raise self._away(error) from None
        if found is None:
            return None
        sealed, expires_at = orjson.loads(found)
        try:
            return Token(unseal(sealed, tenant_id=NO_TENANT)["token"], expires_at)
        except CannotUnseal:  # the keys were changed since: another is minted
            return None

    async def write(self, client: str, token: Token) -> None:
        """This token is the live one from now on."""
        lives = max(1, int((token.expires_at - time.time()) * 1000))
        sealed = seal({"token": token.text}, tenant_id=NO_TENANT)
        value = orjson.dumps([sealed, token.expires_at])
        try:
            await connection().set(key_of("token", client), value, px=lives)
        except (RedisError, OSError) as error:
            raise self._away(error) from None

    def minting(self, client: str) -> AbstractAsyncContextManager[None]:
        """Held by the only process that may mint for this client now."""
        return self._minting(client)

    @asynccontextmanager
    async def _minting(self, client: str) -> AsyncIterator[None]:
        lock = connection().lock(key_of("minting", client), timeout=MINTING_SECONDS)
        try:
            if not await lock.acquire(blocking_timeout=MINTING_SECONDS):
                raise ProviderTimeout(self._carrier, "another process gets no token either")
        except (RedisError, OSError) as error:
            raise self._away(error) from None
        try:
            yield
        finally:
            await self._release(lock)

    async def _release(self, lock: Any) -> None:
        try:
            await lock.release()
        except LockError:  # it took so long that the lock was another's already
            return
        except (RedisError, OSError) as error:
            raise self._away(error) from None

    def _away(self, error: Exception) -> NetworkFailure:
        return NetworkFailure(self._carrier, f"Redis, where its token is, does not answer: {error}")


# --- who is at a PBX ---------------------------------------------------------------------------


async def show_extension(account: str, extension: Extension) -> None:
    """Let all processes see how an extension is now. Raises RedisError."""
    key = key_of("extensions", account)
    seen = [extension.kind, extension.registered, extension.busy]
    async with connection().pipeline(transaction=True) as pipe:
        pipe.hset(key, extension.number, orjson.dumps(seen).decode())
        pipe.expire(key, EXTENSIONS_SECONDS)
        await pipe.execute()


async def forget_extensions(account: str) -> None:
    """Begin anew: some of those that were seen may be gone. Raises RedisError."""
    await connection().delete(key_of("extensions", account))


@dataclass(frozen=True, slots=True)
class Present:
    """Who is at an account's PBX, by number; as last seen where nobody is `listening` now."""

    listening: bool
    extensions: Sequence[Extension]


def extensions_now(carrier: str, account: str) -> Present:
    """Ask for them. Blocks. Raises RedisError."""
    with BlockingRedis.from_url(settings.REDIS_URL, socket_timeout=ANSWER_SECONDS) as blocking:
        listening = bool(blocking.exists(key_of("lease", lease_name(carrier, account))))
        found = cast("dict[bytes, bytes]", blocking.hgetall(key_of("extensions", account)))
    read = [(number.decode(), *orjson.loads(value)) for number, value in found.items()]
    return Present(listening, [Extension(*each) for each in sorted(read)])
