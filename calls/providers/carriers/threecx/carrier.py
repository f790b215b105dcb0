"""3CX's record in the registry."""

from __future__ import annotations

from calls.providers.carriers.bearer import MemoryTokens
from calls.providers.carriers.carrier import Carrier, NotAuthentic, Site, Webhook
from calls.providers.carriers.sentences import _
from calls.providers.carriers.signals import Event, MalformedEvent
from calls.providers.carriers.threecx import kept
from calls.providers.carriers.threecx.announcing import Announcer
from calls.providers.carriers.threecx.api import CAPABILITIES, ThreeCxApi
from calls.providers.carriers.threecx.attach import Streams
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.rest import ThreeCxRest
from calls.providers.carriers.threecx.trunk import ThreeCxTrunk


def _connect(credentials: ThreeCxCredentials, site: Site) -> ThreeCxApi:
    """For commands alone: without the events nobody can be asked whether they take a caller."""
    rest = ThreeCxRest(credentials, site.tokens or MemoryTokens())
    speak = Announcer(Streams(CallControl(rest)), site.voice) if site.voice is not None else None
    return ThreeCxApi(rest, tell=site.tell, speak=speak)


def _verify(_request: Webhook, _credentials: ThreeCxCredentials, _now: float) -> None:
    raise NotAuthentic(_("a 3CX sends no webhooks, so this came from somebody else"))


def _event(_request: Webhook, _now: float) -> Event:
    raise MalformedEvent("a 3CX sends no webhooks")


def _route_point_of(credentials: ThreeCxCredentials) -> str:
    return f"{credentials.client_id}@{credentials.host}"


CARRIER = Carrier(
    name="threecx",
    title="3CX",
    capabilities=CAPABILITIES,
    credentials=ThreeCxCredentials,
    external_id=_route_point_of,
    connect=_connect,
    verify=_verify,
    event=_event,
    signals=kept.signals,
    trunk=ThreeCxTrunk,
    told=kept.told,
    decides_hand_overs=True,
)
