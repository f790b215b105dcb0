"""The whole application on a real port, and a Telnyx that telephones it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from calls import outbox, webhooks
from calls.providers.carriers.telnyx import simulated
from config.asgi import application
from tests.calls.books import Books
from tests.calls.waiting import until
from tests.peers.serving import on_a_port
from tests.peers.telnyx import Leg, RudeCloud, RudeStream

CALLER = "+525598765432"
POST = outbox.post  # before tests keep orders in


@dataclass
class Telnyx(Books):
    """Telnyx, and what the application has of a desk's calls."""

    cloud: RudeCloud
    desk: Any

    async def dialled(self) -> Leg:
        """Somebody calls the desk, and hears it."""
        leg = await self.cloud.call(to=self.desk.number, caller=CALLER)
        await self.hears(leg)
        return leg

    async def hears(self, leg: Leg) -> RudeStream:
        """Wait until the leg's present stream has brought sound."""
        await until(lambda: leg.stream is not None and sound_on(leg.stream))
        assert isinstance(leg.stream, RudeStream)
        return leg.stream

    async def hang_up(self, leg: Leg) -> None:
        """The caller puts the receiver down."""
        await self.cloud.end(leg, "normal_clearing", "caller")

    def asked(self, action: str) -> list[dict[str, Any]]:
        """The bodies of this command's requests."""
        return [body for path, body in self.cloud.requests if path.endswith(f"/{action}")]


def sound_on(stream: Any) -> int:
    """How many pieces of sound the server sent."""
    return sum(message.event == "media" for message in stream.received)


@asynccontextmanager
async def telnyx_line(desk: Any, settings: Any, monkeypatch: Any) -> AsyncIterator[Telnyx]:
    """The installation's own account at a Telnyx that serves its API."""

    async def unprepared(_tenant_id: int, _public_id: Any, _sample_rate: int) -> None:
        """Greetings are spoken at once by the scripted voice."""

    async def unasked(_tenant_id: int, _unheard: Any) -> None:
        """Nobody's process dies, so no test has to wait for one that might have."""

    monkeypatch.setattr(webhooks, "prepare_greeting", unprepared)
    monkeypatch.setattr(webhooks, "listen_again", unasked)
    monkeypatch.setattr(outbox, "post", POST)
    key = simulated.private_key_of(settings.SECRET_KEY)
    async with application_on_a_port(settings) as url:
        async with RudeCloud(url, key=simulated.API_KEY, private_key=key).running() as cloud:
            settings.TELNYX_BASE_URL = cloud.url
            yield Telnyx(cloud, desk)


@asynccontextmanager
async def application_on_a_port(settings: Any) -> AsyncIterator[str]:
    """The whole application, in this process; gives its address."""
    async with on_a_port(application) as url:
        settings.PUBLIC_BASE_URL = url
        yield url
