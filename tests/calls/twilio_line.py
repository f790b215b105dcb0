"""The whole application on a real port, and a Twilio that telephones it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from calls import answering, dispatch, outbox
from calls.carrier_auth import installation_keys
from tests.calls.books import Books
from tests.calls.telnyx_line import POST, application_on_a_port, sound_on
from tests.calls.waiting import until
from tests.peers.twilio_cloud import Leg, RudeCloud, RudeStream

CALLER = "+525598765432"


@dataclass
class Twilio(Books):
    """Twilio, and what the application has of a desk's calls."""

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

    async def over(self, leg: Leg) -> None:
        """Wait until the leg has ended."""
        await asyncio.wait_for(leg.done.wait(), 10)

    def instructed(self, leg: Leg) -> list[str]:
        """The documents that a live leg was given by command."""
        path = f"/Calls/{leg.sid}.json"
        forms = (form for _, url, form in self.cloud.requests if url.endswith(path))
        return [form["Twiml"][0] for form in forms if "Twiml" in form]

    def dials(self) -> list[dict[str, list[str]]]:
        """The forms of the calls that were ordered."""
        return [form for _, path, form in self.cloud.requests if path.endswith("/Calls.json")]


@asynccontextmanager
async def twilio_line(desk: Any, settings: Any, monkeypatch: Any) -> AsyncIterator[Twilio]:
    """The installation's own account at a Twilio that serves its API."""

    async def unprepared(_tenant_id: int, _public_id: Any) -> None:
        """Greetings are spoken at once by the scripted voice."""

    monkeypatch.setattr(answering, "prepare_greeting", unprepared)
    monkeypatch.setattr(outbox, "post", POST)
    token = installation_keys("twilio")["auth_token"]
    async with application_on_a_port(settings) as url:
        async with RudeCloud(url, token=token).running() as cloud:
            monkeypatch.setattr(dispatch, "api_url", lambda _carrier, **_whose: cloud.url)
            yield Twilio(cloud, desk)
