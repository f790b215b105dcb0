"""Every route of the product, and what each caller gets there: the table of the access matrix.

A route that is not here fails `tests/tenants/test_routes.py` by name. Objects in a path
belong to the tenant of owner and staff; another tenant's people and keys must not find them.
Callers: nobody (not logged in), owner and staff of the tenant, the outsider (an owner
elsewhere), other_key (an API key of the outsider's tenant, with every scope).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agents.models import Agent
from calls.carriers.installation import installation_keys
from calls.models import (
    Call,
    CallBack,
    Campaign,
    CarrierAccount,
    DoNotCall,
    Leg,
    Message,
    TakenMessage,
)
from tests.rows import build_row, make_row

CALLERS = ("nobody", "owner", "staff", "outsider", "other_key")


@dataclass(frozen=True)
class Route:
    """The status for each caller, in the order of CALLERS; `path` makes the path's objects."""

    statuses: tuple[int, int, int, int, int]
    method: str = "GET"
    path: Callable[[], dict[str, Any]] = dict
    data: dict[str, Any] = field(default_factory=dict)


def everyone(status: int, **more: Any) -> Route:
    """A route that tells callers apart by nothing."""
    return Route((status,) * 5, **more)


def _call() -> dict[str, Any]:
    return {"public_id": make_row(Call).public_id}


def _account(carrier: str) -> dict[str, Any]:
    account = build_row(CarrierAccount, carrier=carrier)
    account.set_credentials(dict(installation_keys(carrier)))
    account.save()
    return {"account": account.public_id}


def _message_of(carrier: str) -> Callable[[], dict[str, Any]]:
    def path() -> dict[str, Any]:
        ours = {"direction": "outbound", "state": "sent", "carrier": carrier, "account": None}
        return {"message": make_row(Message, **ours).public_id}

    return path


def _call_at(carrier: str) -> dict[str, Any]:
    return {"call": make_row(Leg, carrier=carrier).call.public_id}


def _campaign() -> dict[str, Any]:
    return {"public_id": make_row(Campaign).public_id}


ROUTES: dict[str, Route] = {
    "health": everyone(200),
    "healthz": everyone(200),
    "readyz": everyone(200),
    "docs": everyone(200),
    "i18n/setlang/": everyone(302, method="POST", data={"language": "en"}),
    # The API: session or key; a foreign object is not found.
    "api/v1/schema/": everyone(200),
    "api/v1/calls/": Route((401, 200, 200, 200, 200)),
    "api/v1/calls/<uuid:public_id>/": Route((401, 200, 200, 404, 404), path=_call),
    "api/v1/calls/<uuid:public_id>/recording/": Route((401, 404, 404, 404, 404), path=_call),
    "api/v1/calls/<uuid:public_id>/recordings/<uuid:recording>/": Route(
        (401, 404, 404, 404, 404), path=lambda: {**_call(), "recording": uuid.uuid4()}
    ),
    "api/v1/messages/": Route((401, 200, 200, 200, 200)),
    "api/v1/messages/<uuid:public_id>/": Route(
        (401, 200, 200, 404, 404), path=lambda: {"public_id": make_row(Message).public_id}
    ),
    "api/v1/messages/<uuid:public_id>/media/<int:place>/": Route(
        (401, 404, 404, 404, 404), path=lambda: {"public_id": make_row(Message).public_id}
    ),
    "api/v1/taken-messages/": Route((401, 200, 200, 200, 200)),
    "api/v1/taken-messages/<uuid:public_id>/": Route(
        (401, 200, 200, 404, 404), path=lambda: {"public_id": make_row(TakenMessage).public_id}
    ),
    "api/v1/call-backs/": Route((401, 200, 200, 200, 200)),
    "api/v1/call-backs/<uuid:public_id>/": Route(
        (401, 200, 200, 404, 404), path=lambda: {"public_id": make_row(CallBack).public_id}
    ),
    "api/v1/campaigns/": Route((401, 200, 200, 200, 200)),
    "api/v1/campaigns/<uuid:public_id>/": Route((401, 200, 200, 404, 404), path=_campaign),
    "api/v1/campaigns/<uuid:public_id>/audience/": Route(
        (401, 400, 403, 404, 404), method="POST", path=_campaign
    ),
    "api/v1/campaigns/<uuid:public_id>/start/": Route(
        (401, 409, 403, 404, 404), method="POST", path=_campaign
    ),
    "api/v1/campaigns/<uuid:public_id>/stop/": Route(
        (401, 200, 403, 404, 404), method="POST", path=_campaign
    ),
    "api/v1/do-not-call/": Route((401, 200, 200, 200, 200)),
    "api/v1/do-not-call/<str:number>/": Route(
        (401, 200, 200, 404, 404), path=lambda: {"number": make_row(DoNotCall).number}
    ),
    "api/v1/do-not-call/import/": Route((401, 400, 403, 400, 400), method="POST"),
    "api/v1/3cx/template": Route((401, 409, 403, 409, 409)),
    "api/v1/3cx/lookup": Route((401, 400, 403, 400, 400)),
    "api/v1/3cx/journal": Route((401, 400, 403, 400, 400), method="POST"),
    "api/v1/widget-tokens/": Route(
        (401, 404, 404, 404, 404), method="POST", data={"agent": str(uuid.UUID(int=0))}
    ),
    "api/v1/hold-music.wav": everyone(200),
    # Carriers: their signature counts, not who is logged in.
    "api/v1/twilio/messages/<uuid:message>/<slug:kind>": everyone(
        403, method="POST", path=lambda: {**_message_of("twilio")(), "kind": "message-status"}
    ),
    "api/v1/telnyx/messages/<uuid:message>": everyone(
        403, method="POST", path=_message_of("telnyx")
    ),
    "api/v1/twilio/<slug:kind>": everyone(403, method="POST", path=lambda: {"kind": "call-status"}),
    "api/v1/twilio/accounts/<uuid:account>/<slug:kind>": everyone(
        403, method="POST", path=lambda: {**_account("twilio"), "kind": "call-status"}
    ),
    "api/v1/twilio/calls/<uuid:call>/<slug:kind>": everyone(
        403, method="POST", path=lambda: {**_call_at("twilio"), "kind": "call-status"}
    ),
    "api/v1/telnyx/call-control": everyone(403, method="POST"),
    "api/v1/telnyx/call-control/<uuid:account>": everyone(
        403, method="POST", path=lambda: _account("telnyx")
    ),
    "api/v1/telnyx/calls/<uuid:call>": everyone(
        403, method="POST", path=lambda: _call_at("telnyx")
    ),
    # The portal: sessions only, so a key is nobody there.
    "": Route((302, 200, 200, 200, 302)),
    "test-call/": Route((302, 200, 200, 200, 302)),
    "calls/latest/": Route((302, 200, 200, 200, 302)),
    "calls/<uuid:public_id>/": Route((302, 200, 200, 404, 302), path=_call),
    "accounts/tenant/": Route(
        (302, 404, 404, 404, 302), method="POST", data={"tenant": str(uuid.UUID(int=0))}
    ),
    "admin/tenant/": Route((302, 403, 403, 403, 302), method="POST", data={"tenant": ""}),
}

# Whole families of pages that Django or a library brings.
OPERATORS_ONLY = "admin/"
OWN_ACCOUNT_ONLY = "accounts/"

# Media sockets, by path: their handshakes are tested where they are built.
SOCKETS: dict[str, str] = {
    "/api/v1/ws/media-stream": "member of the agent's tenant, or a signed widget token",
    "/api/v1/ws/media-stream/telnyx": "single-use signed token",
    "/api/v1/ws/media-stream/twilio": "single-use signed token",
    "/api/v1/ws/relay/twilio": "single-use signed token, of an agent that wants it",
}

# Objects whose names must not be read on any page that another tenant's people can open.
SECRETS: dict[type[Any], str] = {Agent: "name"}
