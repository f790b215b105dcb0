"""Twilio's record in the registry."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from calls.providers.carriers.carrier import Carrier, NotAuthentic, Simulated, Site, Webhook
from calls.providers.carriers.door import Door
from calls.providers.carriers.sentences import _
from calls.providers.carriers.signals import Event, MalformedEvent
from calls.providers.carriers.twilio import events, media, relay, signature, simulated, transfer
from calls.providers.carriers.twilio.api import CAPABILITIES, TwilioApi
from calls.providers.carriers.twilio.asking import ASKING
from calls.providers.carriers.twilio.credentials import TwilioCredentials


def _connect(credentials: TwilioCredentials, site: Site) -> TwilioApi:
    return TwilioApi(credentials, base_url=site.api_url, signals_url=site.webhook_url)


def _verify(request: Webhook, credentials: TwilioCredentials, _now: float) -> None:
    """Twilio signs no time: that a request is repeated is told by its event's identity."""
    headers = {name.title(): value for name, value in request.headers.items()}
    token = credentials.auth_token.get_secret_value()
    if not signature.is_signed(
        url=request.url, params=signature.Fields(request.form), headers=headers, auth_token=token
    ):
        missing = signature.SIGNATURE_HEADER.title() not in headers
        why = _("the signature is missing") if missing else _("the signature is wrong")
        raise NotAuthentic(why)


def _event(request: Webhook, now: float) -> Event:
    try:
        kind = events.Kind(request.kind)
    except ValueError:
        raise MalformedEvent(f"{request.kind[:40]!r} is no kind of Twilio's callbacks") from None
    query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
    return events.event(kind, request.fields, now=datetime.fromtimestamp(now, UTC), query=query)


def _account_of(credentials: TwilioCredentials) -> str:
    return credentials.account_sid


CARRIER = Carrier(
    name="twilio",
    title="Twilio",
    capabilities=CAPABILITIES,
    credentials=TwilioCredentials,
    external_id=_account_of,
    connect=_connect,
    verify=_verify,
    event=_event,
    signals=events.signals,
    steps=transfer.steps,
    media=Door(media.read_start, media.enter),
    text=Door(relay.read_setup, relay.enter),
    simulated=Simulated(simulated.API_URL, simulated.keys),
    asking=ASKING,
    asks_who_answers=True,
    asks_what_next=True,
    calls_per_second=1,  # twilio.md, 11
    entered=(events.Kind.INCOMING_CALL, events.Kind.CALL_STATUS, events.Kind.MESSAGE),
    tells_of_answers=False,  # of incoming calls only if the number is set up so
)
