"""The whole application on a real port, and a Twilio that telephones it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from calls.carriers import answering, dispatch
from calls.carriers.installation import installation_keys
from tests.calls.carrier_line import CloudLine, application_on_a_port, at_work, settled
from tests.peers.twilio_cloud import Leg, Person, RudeCloud


@dataclass
class Twilio(CloudLine):
    """Twilio, and what the application has of a desk's calls."""

    cloud: RudeCloud
    carrier = "twilio"
    person = Person
    machine = Person(answered_by="machine_end_beep")

    async def hang_up(self, leg: Leg) -> None:
        await self.cloud.hang_up(leg)

    def instructed(self, leg: Leg) -> list[str]:
        """The documents that a live leg was given by command."""
        path = f"/Calls/{leg.sid}.json"
        forms = (form for _, url, form in self.cloud.requests if url.endswith(path))
        return [form["Twiml"][0] for form in forms if "Twiml" in form]

    def dials(self) -> list[dict[str, list[str]]]:
        """The forms of the calls that were ordered."""
        return [form for _, path, form in self.cloud.requests if path.endswith("/Calls.json")]


@asynccontextmanager
async def twilio_line(
    desk: Any, live: Any, settings: Any, monkeypatch: Any
) -> AsyncIterator[Twilio]:
    """The installation's own account at a Twilio that serves its API."""
    at_work(monkeypatch, answering)
    token = installation_keys("twilio")["auth_token"]
    async with application_on_a_port(settings) as url:
        async with RudeCloud(url, token=token).running() as cloud:
            monkeypatch.setattr(dispatch, "api_url", lambda _carrier, **_whose: cloud.url)
            yield Twilio(cloud, desk)
            await settled(live)
