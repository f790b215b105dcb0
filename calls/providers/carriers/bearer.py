"""Bearer tokens of which a client has only one alive, and where all its processes know it."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import orjson

# The documented lifetime, for a token that does not tell its own.
DOCUMENTED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and when it ends, in seconds since 1970 by our own clock."""

    text: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Token(…, expires_at={self.expires_at:.0f})"  # never in a log by accident

    @classmethod
    def received(cls, text: str, now: float) -> Token:
        """A token that was just minted.

        How long it lives is the difference of its own claims, so that the PBX's clock need not
        be ours. The `expires_in` beside it says 60 for an hour, and is not believed.
        """
        return cls(text, now + _lifetime(text))


def _lifetime(text: str) -> float:
    try:
        body = text.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        seconds = float(claims["exp"]) - float(claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError):
        return DOCUMENTED_SECONDS
    return seconds if seconds > 0 else DOCUMENTED_SECONDS


class TokenStore(Protocol):
    """Where the live token of each client is known to all who need it."""

    async def read(self, client: str) -> Token | None:
        """The token minted last, by whichever process."""

    async def write(self, client: str, token: Token) -> None:
        """This token is the live one from now on."""

    def minting(self, client: str) -> AbstractAsyncContextManager[None]:
        """Held by the only one who may mint for this client now."""


class MemoryTokens:
    """A `TokenStore` for one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def read(self, client: str) -> Token | None:
        """The token minted last."""
        return self._tokens.get(client)

    async def write(self, client: str, token: Token) -> None:
        """Keep it."""
        self._tokens[client] = token

    def minting(self, client: str) -> AbstractAsyncContextManager[None]:
        """A lock of this process."""
        return self._locks.setdefault(client, asyncio.Lock())
