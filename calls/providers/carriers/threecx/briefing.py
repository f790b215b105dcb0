"""Tells a person whom they are about to get, on a leg of their own, and asks whether they want.

The interface joins no two legs, so this is a call before the call: when the person accepts, it
ends, and the caller is routed to their telephone, which rings again (threecx.md, 4).
"""

from __future__ import annotations

import asyncio
import logging

from agents.brain.errors import ProviderError
from calls.providers.carriers.carrier import Voice
from calls.providers.carriers.port import Handover
from calls.providers.carriers.threecx.announcing import say
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.entities import CONNECTED
from calls.providers.carriers.threecx.media import ThreeCxMedia
from calls.voice.ports import Dtmf, Mark

ACCEPT = "1"
LOOK_SECONDS = 0.25
LONGEST_SECONDS = 90.0  # no briefing takes longer
SAID = "said"

log = logging.getLogger(__name__)


class Briefer:
    """Implements `calls.providers.carriers.threecx.api.Brief`.

    `patience` is in seconds, from the end of the briefing to a key; any other key than
    `ACCEPT` declines. The voice's text has to say so.
    """

    def __init__(
        self, control: CallControl, streams: Streams, voice: Voice, patience: float = 15.0
    ) -> None:
        self._control, self._streams, self._voice = control, streams, voice
        self._patience = patience

    async def __call__(self, leg: str, handover: Handover) -> bool:
        """Whether the person on `leg` takes the caller. Raises LegGone if nobody picked up."""
        await self._picked_up(leg)
        media = await self._streams.open(leg)
        speaking = asyncio.create_task(self._speak(media, handover))
        try:
            return await self._accepted(media)
        except TimeoutError:
            return False
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            await media.hang_up(1000)

    async def _picked_up(self, leg: str) -> None:
        """The PBX ends a leg that is not picked up in time, so this ends too."""
        while (await self._control.own(leg)).status != CONNECTED:  # noqa: ASYNC110 - events go to intake
            await asyncio.sleep(LOOK_SECONDS)

    async def _speak(self, media: ThreeCxMedia, handover: Handover) -> None:
        """Say the briefing. A voice that fails leaves the person as much time to decide."""
        try:
            await say(media, self._voice(handover.briefing, handover.language))
        except ProviderError:
            log.exception("the briefing of %s broke off", handover.command_id)
        await media.mark(SAID)

    async def _accepted(self, media: ThreeCxMedia) -> bool:
        """The person's key. Raises TimeoutError when none came."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LONGEST_SECONDS) as limit:
            async for event in media:
                if isinstance(event, Dtmf):
                    return event.digit == ACCEPT
                if event == Mark(SAID):
                    limit.reschedule(loop.time() + self._patience)
        return False
