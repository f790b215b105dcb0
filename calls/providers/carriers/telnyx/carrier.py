"""Telnyx's record in the registry."""

from __future__ import annotations

from datetime import timedelta

from calls.providers.carriers.carrier import Carrier, NotAuthentic, Simulated, Site, Webhook
from calls.providers.carriers.door import Door
from calls.providers.carriers.port import Capability
from calls.providers.carriers.signals import Event, MessageKind
from calls.providers.carriers.telnyx import media, simulated, webhooks
from calls.providers.carriers.telnyx.api import TelnyxApi
from calls.providers.carriers.telnyx.client import BASE_URL
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials


def _connect(credentials: TelnyxCredentials, site: Site) -> TelnyxApi:
    return TelnyxApi(credentials, base_url=site.api_url or BASE_URL, webhook_url=site.webhook_url)


def _verify(request: Webhook, credentials: TelnyxCredentials, now: float) -> None:
    key = credentials.public_key_bytes
    try:
        webhooks.verify(request.headers, request.body, public_key=key, now=now)
    except webhooks.NotSigned as error:
        raise NotAuthentic(str(error)) from None


def _event(request: Webhook, _now: float) -> Event:
    return webhooks.event(request.body)


def _connection_of(credentials: TelnyxCredentials) -> str:
    return credentials.connection_id


CARRIER = Carrier(
    name="telnyx",
    title="Telnyx",
    capabilities=frozenset(
        {
            Capability.OUTBOUND,
            Capability.MACHINE_DETECTION,
            Capability.TRANSFER,
            Capability.WARM_TRANSFER,
            Capability.RECORDING,
            Capability.SMS,
            Capability.WHATSAPP,
        }
    ),
    credentials=TelnyxCredentials,
    external_id=_connection_of,
    connect=_connect,
    verify=_verify,
    event=_event,
    signals=webhooks.signals,
    steps=webhooks.steps,
    webhook_path="call-control",
    media=Door(media.read_fit_start, media.enter),
    simulated=Simulated(simulated.API_URL, simulated.keys),
    repeats=frozenset({MessageKind.WHATSAPP}),  # the only one whose request takes a key
    remembers_commands=timedelta(seconds=60),  # telnyx.md, 3
)
