"""The application, and a carrier that telephones it: what is the same with every carrier."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from calls.carriers import dispatch, outbox
from calls.models import Number, Utterance
from calls.services import outbound
from calls.services.outbound import Wanted, call_place
from config.asgi import application
from tenants.db import run_in_tenant
from tests.calls.books import Books
from tests.calls.waiting import until
from tests.peers.serving import on_a_port

CALLER = "+525598765432"
POST = outbox.post  # before tests keep orders in


class CarrierLine(Books):
    """What the application has of a desk's calls at one carrier."""

    carrier: ClassVar[str]

    async def place(self, to: str, **number: Any) -> None:
        """The agent calls somebody from the desk's number, of which this is so."""

        def order() -> None:
            fields = {"carrier": self.carrier, **number}
            Number.objects.filter(e164=self.desk.number).update(**fields)
            call_place(wanted=Wanted(to, self.desk.agent), actor="tests")

        await run_in_tenant(self.desk.tenant.id, order)


@dataclass
class CloudLine(CarrierLine, ABC):
    """A carrier that is asked over its API and tells by webhooks.

    `person` makes whoever is at a number; `machine` is one that beeps.
    """

    cloud: Any
    desk: Any
    person: ClassVar[type[Any]]
    machine: ClassVar[Any]

    async def dialled(self) -> Any:
        """Somebody calls the desk, and hears it."""
        leg = await self.cloud.call(to=self.desk.number, caller=CALLER)
        await self.hears(leg)
        return leg

    async def hears(self, leg: Any) -> Any:
        """The leg's present stream, once it has brought sound."""
        await until(lambda: leg.stream is not None and sound_on(leg.stream))
        return leg.stream

    async def press(self, leg: Any) -> None:
        """The caller presses a key once the agent has greeted; that is a turn."""
        await until(lambda: self.rows(Utterance, role="agent"))
        for digit in "1#":
            await leg.stream.dtmf(digit)

    @abstractmethod
    async def hang_up(self, leg: Any) -> None:
        """The one at the other end puts the receiver down."""

    async def over(self, leg: Any) -> None:
        """Wait until the leg has ended."""
        await asyncio.wait_for(leg.done.wait(), 10)


def sound_on(stream: Any) -> int:
    """How many pieces of sound the server sent."""
    return sum(message.event == "media" for message in stream.received)


def at_work(monkeypatch: Any, greeter: ModuleType) -> None:
    """Orders go out, at any time of day, and the scripted voice greets without preparing."""

    async def unprepared(*_call: Any) -> None:
        """Greetings are spoken at once."""

    monkeypatch.setattr(greeter, "prepare_greeting", unprepared)
    monkeypatch.setattr(outbox, "post", POST)
    monkeypatch.setattr(outbound, "may_be_called", lambda *_args: None)


async def settled(live: Any) -> None:
    """Wait for what the application still does once the calls are over."""
    await until(lambda: not live._background)
    await dispatch.close_all()


@asynccontextmanager
async def application_on_a_port(settings: Any) -> AsyncIterator[str]:
    """The whole application, in this process; gives its address."""
    async with on_a_port(application) as url:
        settings.PUBLIC_BASE_URL = url
        yield url
