"""The one token of an API client, whoever asks for it.

3CX keeps one token alive for each client: minting another ends the one before, and with it the
audio streams that it opened (threecx.md, 2). So nobody mints but the manager here, it mints one
at a time across all processes that share its store, and not while a call's sound flows, unless
the token is as good as dead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from calls.providers.carriers.bearer import Token, TokenStore

# So long before its end a token is replaced; ...
EARLY_SECONDS = 600.0
# ... but only so long before it where audio streams would die with it.
LAST_SECONDS = 30.0


class Tokens:
    """Gives out the live token of one client.

    `mint` asks the PBX for a new token's text; its errors are passed on. Only the process that
    `carries` the client's sound knows when a new token would cut it, so only that renews early.
    `now` is in seconds since 1970.
    """

    def __init__(
        self,
        client: str,
        mint: Callable[[], Awaitable[str]],
        store: TokenStore,
        now: Callable[[], float] = time.time,
        *,
        carries: bool = False,
    ) -> None:
        self._client, self._mint, self._now = client, mint, now
        self._store = store
        self._token: Token | None = None
        self._renewing: asyncio.Task[Token] | None = None
        self._carries, self._streams = carries, 0

    async def current(self) -> Token:
        """The live token; a new one shortly before it ends."""
        token = self._token
        if token is not None and self._is_fresh(token):
            return token
        return await self._renewed(refused=None)

    async def after_refusal(self, refused: Token) -> Token:
        """A token other than this one, which the PBX answered with 401.

        Somebody else's newer one if there is one, else a new one.
        """
        token = self._token
        if token is not None and token != refused and self._is_fresh(token):
            return token
        return await self._renewed(refused=refused)

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """While this is held audio flows that a new token would cut."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def _is_fresh(self, token: Token) -> bool:
        early = self._carries and not self._streams
        margin = EARLY_SECONDS if early else LAST_SECONDS
        return token.expires_at - self._now() > margin

    async def _renewed(self, refused: Token | None) -> Token:
        """All who ask meanwhile wait for the one renewal.

        It goes on when an asker is cancelled: a token that was minted must become known.
        """
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(refused))
            self._renewing.add_done_callback(self._renewal_over)
        return await asyncio.shield(self._renewing)

    def _renewal_over(self, task: asyncio.Task[Token]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # an asker that is gone must not leave it unretrieved

    async def _renew(self, refused: Token | None) -> Token:
        async with self._store.minting(self._client):
            token = await self._store.read(self._client)
            if token is None or token == refused or not self._is_fresh(token):
                token = Token.received(await self._mint(), self._now())
                await self._store.write(self._client, token)
        self._token = token
        return token
