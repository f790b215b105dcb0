"""The whole application on a real port, and a Telnyx that telephones it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from calls import webhooks
from calls.providers.carriers.telnyx import simulated
from tests.calls.carrier_line import CloudLine, application_on_a_port, at_work, settled
from tests.peers.telnyx import Leg, Person, RudeCloud


@dataclass
class Telnyx(CloudLine):
    """Telnyx, and what the application has of a desk's calls."""

    cloud: RudeCloud
    carrier = "telnyx"
    person = Person
    machine = Person(detected="machine")

    async def hang_up(self, leg: Leg) -> None:
        await self.cloud.end(leg, "normal_clearing", "caller")

    def asked(self, action: str) -> list[dict[str, Any]]:
        """The bodies of this command's requests."""
        return [body for path, body in self.cloud.requests if path.endswith(f"/{action}")]


@asynccontextmanager
async def telnyx_line(
    desk: Any, live: Any, settings: Any, monkeypatch: Any
) -> AsyncIterator[Telnyx]:
    """The installation's own account at a Telnyx that serves its API."""

    async def unasked(_tenant_id: int, _unheard: Any) -> None:
        """Nobody's process dies, so no test has to wait for one that might have."""

    at_work(monkeypatch, webhooks)
    monkeypatch.setattr(webhooks, "listen_again", unasked)
    key = simulated.private_key_of(settings.SECRET_KEY)
    async with application_on_a_port(settings) as url:
        async with RudeCloud(url, key=simulated.API_KEY, private_key=key).running() as cloud:
            settings.TELNYX_BASE_URL = cloud.url
            yield Telnyx(cloud, desk)
            await settled(live)
