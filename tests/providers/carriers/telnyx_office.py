"""The office that has an account at Telnyx."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from calls.providers.carriers.signals import Ringing
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.telnyx import webhooks
from calls.providers.carriers.telnyx.api import TelnyxApi
from calls.providers.carriers.telnyx.client import Pace
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials
from calls.providers.carriers.telnyx.media import TelnyxMedia, read_start
from tests.peers.telnyx import RudeCloud
from tests.providers.carriers.office import Office, open_office

QUICK = Pace(patience=0.15, pause=0.01, limit=2.0)


class TelnyxOffice(Office):
    """Follows webhooks up and answers calls by commands."""

    api: TelnyxApi
    credentials: TelnyxCredentials

    @property
    def hooks(self) -> str:
        return f"{self.url}/signals"

    async def take(self, scope: dict[str, Any], body: bytes) -> tuple[int, str]:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        key = self.credentials.public_key_bytes
        try:
            webhooks.verify(headers, body, public_key=key, now=time.time())
        except webhooks.NotSigned:
            return 403, ""
        fresh = self.keep(webhooks.read(body))
        for step in webhooks.follow_ups(body):  # even twice: their ids have to make up for it
            await self.api.take(step)
        for signal in fresh:
            if self.answers and isinstance(signal, Ringing) and signal.incoming:
                await self.api.answer(signal.leg, self.target("secret"), uuid.uuid4())
        return 200, ""

    async def open_media(self, receive: Any, send: Any) -> CallMedia:
        start = await read_start(receive)
        start.check_format()
        self.starts.append(start)
        return TelnyxMedia(receive, send, start)


@contextlib.asynccontextmanager
async def an_office(pace: Pace = QUICK) -> AsyncIterator[tuple[TelnyxOffice, RudeCloud]]:
    """An office and the Telnyx that it has an account with."""
    office = TelnyxOffice()
    async with open_office(office) as url, RudeCloud(url).running() as cloud:
        office.credentials = credentials_of(cloud)
        office.api = TelnyxApi(office.credentials, base_url=cloud.url, pace=pace)
        yield office, cloud
        await office.api.aclose()


def credentials_of(cloud: RudeCloud, **changes: str) -> TelnyxCredentials:
    """What has to be entered for this account."""
    fields = {
        "api_key": cloud.key,
        "public_key": cloud.public_key,
        "connection_id": cloud.connection_id,
        **changes,
    }
    return TelnyxCredentials.model_validate(fields)
