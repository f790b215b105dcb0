"""Opens the sound of legs, one stream for each at a time, and brings it their events."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

from agents.brain.errors import BadRequest, NetworkFailure, ProviderTimeout
from calls.providers.carriers.bearer import Token
from calls.providers.carriers.port import LegGone
from calls.providers.carriers.signals import Ended, KeysPressed, Signal
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.entities import participant_of
from calls.providers.carriers.threecx.media import MediaOptions, ThreeCxMedia
from calls.providers.carriers.threecx.rest import NAME, error_of, leg_gone

# So long a stream is waited for that its holder is about to let go.
HANDED_ON_SECONDS = 3.0


class StreamInUse(BadRequest):
    """The leg has a stream; the PBX allows one each way."""


class Streams:
    """The media streams of one route point. While one is open no token is minted lightly."""

    def __init__(self, control: CallControl, options: MediaOptions | None = None) -> None:
        self._control, self._options = control, options or MediaOptions()
        self._open: dict[str, ThreeCxMedia] = {}
        self._let_go = asyncio.Event()

    async def open(self, leg: str) -> ThreeCxMedia:
        """Attach to a connected leg, also again after its stream was lost.

        Raises StreamInUse, LegGone, and what else ProviderErrors tell.
        """
        await self._free(participant_of(leg))
        tokens = self._control.rest.tokens
        token = await tokens.current()
        media, status = await self._attempt(leg, token)
        if status == 401:
            media, status = await self._attempt(leg, await tokens.after_refusal(token))
        _judge(status, leg)
        return media

    def take(self, signal: Signal) -> None:
        """Pass an event on to the sound of its leg, if that is open."""
        media = self._open.get(participant_of(signal.leg))
        if media is None:
            return
        if isinstance(signal, KeysPressed):
            media.press(signal.keys)
        elif isinstance(signal, Ended):
            media.hung_up()

    async def _free(self, participant: str) -> None:
        """Wait a little for the stream to be let go by who has it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HANDED_ON_SECONDS):
                while participant in self._open:
                    self._let_go.clear()
                    await self._let_go.wait()

    async def _attempt(self, leg: str, token: Token) -> tuple[ThreeCxMedia, int]:
        """A stream and how the PBX answered; it is of use at 200 only."""
        media = self._claim(leg)
        status = 0
        try:
            async with asyncio.timeout(self._options.open_seconds):
                status = await media.attach(self._url(leg), token.text)
        except TimeoutError:
            raise ProviderTimeout(NAME, f"the sound of {leg} did not open") from None
        except OSError as error:
            raise NetworkFailure(NAME, f"the sound of {leg} did not open: {error}") from None
        finally:
            if status != 200:
                await media.hang_up(1000)
        return media, status

    def _claim(self, leg: str) -> ThreeCxMedia:
        """A new stream, which is the leg's only one until it is let go."""
        participant = participant_of(leg)
        if participant in self._open:
            raise StreamInUse(NAME, f"the sound of {leg} is taken")
        held = ExitStack()
        media = ThreeCxMedia(
            lambda: self._has_left(leg), options=self._options, on_closed=held.close
        )
        self._open[participant] = media
        held.callback(self._let_go.set)
        held.callback(self._open.pop, participant, None)
        held.enter_context(self._control.rest.tokens.streaming())
        return media

    async def _has_left(self, leg: str) -> bool:
        try:
            await self._control.own(leg)
        except LegGone:
            return True
        return False

    def _url(self, leg: str) -> str:
        return self._control.rest.credentials.base_url + self._control.stream_path(leg)


def _judge(status: int, leg: str) -> None:
    if status == 404:
        raise leg_gone(leg)
    if status == 0:
        raise NetworkFailure(NAME, f"the PBX closed the sound of {leg} without an answer")
    if status != 200:
        raise error_of(status)
