"""The office that has an account at Twilio: it is asked, and answers with TwiML."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from calls.providers.carriers.carrier import NotAuthentic, Webhook
from calls.providers.carriers.port import Relay
from calls.providers.carriers.signals import Event, HandoverEnded
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.twilio import transfer, twiml
from calls.providers.carriers.twilio.api import TwilioApi
from calls.providers.carriers.twilio.asking import write
from calls.providers.carriers.twilio.carrier import CARRIER
from calls.providers.carriers.twilio.client import Pace
from calls.providers.carriers.twilio.credentials import TwilioCredentials
from calls.providers.carriers.twilio.events import Kind, signals
from calls.providers.carriers.twilio.media import TwilioMedia, read_start
from calls.providers.carriers.twilio.relay import TwilioRelay, read_setup
from tests.peers.twilio_cloud import RudeCloud
from tests.providers.carriers.office import Office, open_office

QUICK = Pace(pause=0.01, limit=0.5, patience=2.0)
HOOKS = "/hooks"


class TwilioOffice(Office):
    """Answers calls in the answer to their webhook.

    `goes_on` takes a caller back whose stream was lost; `holds` has one whom the agent let go
    wait so many seconds; `relays` has Twilio hear and speak.
    """

    content_type = b"text/xml"
    api: TwilioApi
    credentials: TwilioCredentials
    goes_on = False
    holds: int | None = None
    relays = False

    def __init__(self) -> None:
        super().__init__()
        self.relays_open: list[TwilioRelay] = []

    @property
    def hooks(self) -> str:
        return self.url + HOOKS

    async def take(self, scope: dict[str, Any], body: bytes) -> tuple[int, str]:
        query = scope["query_string"].decode()
        request = Webhook(
            kind=scope["path"].removeprefix(f"{HOOKS}/"),
            url=self.url + scope["path"] + (f"?{query}" if query else ""),
            headers={name.decode(): value.decode() for name, value in scope["headers"]},
            body=body,
            form=parse_qs(body.decode(), keep_blank_values=True),
        )
        try:
            CARRIER.verify(request, self.credentials, time.time())
        except NotAuthentic:
            return 403, ""
        told = CARRIER.event(request, time.time())
        fresh = self.is_new(told)
        self.keep(CARRIER.signals(told))
        if fresh:
            for step in CARRIER.steps(told):
                await self.api.take(step)
        return 200, self._answer(told)

    def _answer(self, told: Event) -> str:
        match told.kind:
            case Kind.INCOMING_CALL if not self.answers:
                return twiml.refuse(busy=True)
            case Kind.INCOMING_CALL:
                target = self.target("secret", self.hooks)
                return twiml.stream(replace(target, relay=Relay("es")) if self.relays else target)
            case Kind.AFTER_STREAM if self.holds is not None:
                back = f"{self.hooks}/after-dial?handover=1"
                return twiml.hold(self.music, seconds=self.holds, action_url=back)
            case Kind.AFTER_STREAM if self.goes_on:
                return twiml.stream(self.target("again", self.hooks))
            case Kind.AFTER_DIAL if not self._reached(told):
                return twiml.stream(self.target("back", self.hooks))
            case Kind.ANSWERED:
                return twiml.stream(self.target("secret", self.hooks))
            case Kind.PERSON_KEY:
                return write(transfer.answer(told))
        return twiml.hang_up()

    @staticmethod
    def _reached(told: Event) -> bool:
        return any(isinstance(said, HandoverEnded) and said.reached for said in signals(told))

    async def _carry(self, receive: Any, send: Any) -> None:
        if not self.relays:
            await super()._carry(receive, send)
            return
        self.starts.append(await read_setup(receive))
        relay = TwilioRelay(receive, send)
        self.relays_open.append(relay)
        async for event in relay:
            self.events.append(event)

    async def open_media(self, receive: Any, send: Any) -> CallMedia:
        start = await read_start(receive)
        start.check_format()
        self.starts.append(start)
        return TwilioMedia(receive, send, start.stream_sid)


@contextlib.asynccontextmanager
async def an_office(pace: Pace = QUICK) -> AsyncIterator[tuple[TwilioOffice, RudeCloud]]:
    """An office and the Twilio that it has an account with."""
    office = TwilioOffice()
    async with open_office(office) as url, RudeCloud(url, HOOKS).running() as cloud:
        office.credentials = credentials_of(cloud)
        office.api = TwilioApi(
            office.credentials, base_url=cloud.url, signals_url=office.hooks, pace=pace
        )
        yield office, cloud
        await office.api.aclose()


def credentials_of(cloud: RudeCloud, **changes: str) -> TwilioCredentials:
    """What has to be entered for this account."""
    fields = {"account_sid": cloud.sid, "auth_token": cloud.account.auth_token, **changes}
    return TwilioCredentials.model_validate(fields)
