"""One 3CX, listened to and telephoned with by the one process that has it; implements `Trunk`."""

from __future__ import annotations

from calls.providers.carriers.bearer import MemoryTokens
from calls.providers.carriers.carrier import Site
from calls.providers.carriers.signals import Ended, Signal
from calls.providers.carriers.threecx.announcing import Announcer, ringing_tone
from calls.providers.carriers.threecx.api import ThreeCxApi
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.briefing import Briefer
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.entities import DnState
from calls.providers.carriers.threecx.events import Listener, ListenOptions
from calls.providers.carriers.threecx.media import ThreeCxMedia
from calls.providers.carriers.threecx.rest import ThreeCxRest
from calls.providers.carriers.trunk import Extension, News


class ThreeCxTrunk:
    """The event socket, the commands and the sound of one route point."""

    def __init__(
        self,
        credentials: ThreeCxCredentials,
        site: Site,
        news: News,
        options: ListenOptions | None = None,
    ) -> None:
        rest = ThreeCxRest(credentials, site.tokens or MemoryTokens(), carries=True)
        control = CallControl(rest)
        self._streams, self._news = Streams(control), news
        voice = site.voice
        self.api = ThreeCxApi(
            rest,
            tell=site.tell,
            brief=Briefer(control, self._streams, voice) if voice is not None else None,
            speak=Announcer(self._streams, voice) if voice is not None else None,
            waiting=lambda leg: ringing_tone(self._streams, leg),
        )
        self._listener = Listener(
            control, news.tell, observe=self._observe, known=news.known, options=options
        )

    @property
    def problem(self) -> str:
        return self._listener.problem

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._listener.run()

    async def open(self, leg: str) -> ThreeCxMedia:
        """Fetch the sound of a connected leg."""
        return await self._streams.open(leg)

    def pass_on(self, signal: Signal) -> None:
        """Bring an event to the sound of its leg, and an end to whoever is briefed for it."""
        self._streams.take(signal)
        if isinstance(signal, Ended):
            self.api.caller_left(signal.leg)

    def _observe(self, state: DnState) -> None:
        if state.is_reachable_person:
            self._news.observe(
                Extension(
                    number=state.dn,
                    kind=state.kind,
                    registered=state.is_registered,
                    busy=state.is_busy,
                )
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self.api.aclose()
