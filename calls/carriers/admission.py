"""Who may open a media socket, and for which call. Nothing is built before this has said yes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.db.models import ObjectDoesNotExist
from django.http.request import validate_host

from agents.models import Agent
from calls.carriers.installation import installation_account
from calls.carriers.tokens import (
    BadToken,
    StreamClaim,
    read_resume_token,
    read_stream_token,
    read_widget_token,
)
from calls.line.presence import presence
from calls.line.relaying import relay_of, relay_of_id
from calls.models import Call, Leg
from calls.providers.carriers.door import Start
from calls.providers.carriers.errors import BUSY, NO_SUCH_AGENT, NOT_ALLOWED
from calls.routing import NoPublishedAgent
from calls.services.carrier_recordings import recording_order
from calls.services.intake import (
    StreamRefused,
    TooManyCalls,
    call_connect,
    call_open_from_page,
)
from tenants.channels import SocketIdentity, identify
from tenants.db import run_in_tenant, run_unscoped, tenant_by_key
from tenants.models import Tenant, User
from tenants.permissions import Permission

TOKEN_PARAMETER = "token"  # noqa: S105 - the parameter's name


class Denied(Exception):
    """The socket is closed with `code`; the message says why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class TooManyPages(Denied):
    """One user's pages, or one widget's, have all the calls that they may have."""

    name = "too_many_calls"


async def admit_relay(start: Start) -> tuple[Call, str]:
    """The call that a carrier's text socket belongs to, and the dialect it begins in.

    Only calls whose agent wants the carrier to hear and speak are held in text. Raises Denied.
    """
    call = await admit_stream(start, in_text=True)
    relay = await run_in_tenant(call.tenant_id, relay_of, call)
    return call, relay.language if relay is not None else ""


async def admit_stream(start: Start, *, in_text: bool = False) -> Call:
    """The call that a carrier's stream belongs to, answered as of now. Raises Denied.

    The token among its parameters opens one stream; it has to be that of the carrier's leg, and
    of that one's account where the carrier names it.
    """
    try:
        claim = read_stream_token(start.parameters.get(TOKEN_PARAMETER, ""))
        tenant_id = await run_unscoped(tenant_by_key, Call, claim.call)
        if tenant_id is None:
            raise StreamRefused(f"there is no call {claim.call}")
        return await run_in_tenant(tenant_id, _connect, claim, start, in_text)
    except (BadToken, StreamRefused) as error:
        raise Denied(NOT_ALLOWED, str(error)) from None


def _connect(claim: StreamClaim, start: Start, in_text: bool) -> Call:
    if in_text and relay_of_id(claim.call) is None:
        raise StreamRefused(f"call {claim.call} is held in sound")
    told = start.account
    if told is not None and (expected := _account_of(claim.call)) not in {"", told}:
        raise StreamRefused(f"the stream is of account {told!r}, the call of {expected!r}")
    call = call_connect(
        public_id=claim.call, carrier_id=start.leg, after=claim.after, server=presence.process
    )
    recording_order(call=call)
    return call


def _account_of(call_id: uuid.UUID) -> str:
    """The carrier's name for the account of the customer's leg; empty for a simulated one."""
    legs = Leg.objects.select_related("account").filter(
        call__public_id=call_id, role=Leg.Role.CUSTOMER
    )
    leg = legs.first()
    if leg is None:
        return ""
    return str(leg.account.external_id) if leg.account else installation_account(leg.carrier)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a page who may talk to this agent."""

    tenant_id: int
    agent: uuid.UUID
    user_id: int | None = None
    call: uuid.UUID | None = None
    language: str = ""


async def admit_page(scope: Mapping[str, Any]) -> Visitor:
    """Whom a page's socket comes from: a widget's token, or a member. Raises Denied."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    token, agent = _first(query, TOKEN_PARAMETER), _first(query, "agent")
    visitor = await (_by_token(token) if token else _by_login(scope, agent))
    return replace(visitor, language=_first(query, "language"))


async def _by_token(token: str) -> Visitor:
    try:
        claim = read_widget_token(token)
    except BadToken as error:
        raise Denied(NOT_ALLOWED, str(error)) from None
    tenant_id = await run_unscoped(tenant_by_key, Agent, claim.agent)
    if tenant_id is None or not await run_unscoped(_is_open, tenant_id):
        raise Denied(NO_SUCH_AGENT, f"there is no agent {claim.agent}")
    return Visitor(tenant_id, claim.agent, call=claim.call)


async def _by_login(scope: Mapping[str, Any], agent: str) -> Visitor:
    if not _same_origin(scope):
        raise Denied(NOT_ALLOWED, "a page of another site may not use this site's login")
    identity: SocketIdentity | None = await identify(scope)
    if identity is None:
        raise Denied(NOT_ALLOWED, "nobody is logged in")
    if not identity.may(Permission.AGENTS_TEST):
        raise Denied(NOT_ALLOWED, f"{identity.label} may not talk to agents here")
    try:
        return Visitor(identity.tenant_id, uuid.UUID(agent), user_id=identity.user_id)
    except ValueError:
        raise Denied(NO_SUCH_AGENT, f"{agent[:40]!r} names no agent") from None


def resumes(scope: Mapping[str, Any]) -> str:
    """The token of a socket that comes back to a call of its page's; empty for a new one's."""
    return _first(parse_qs(scope.get("query_string", b"").decode("latin-1")), "resume")


def admit_resumed(token: str) -> uuid.UUID:
    """The call whose page comes back. Raises Denied."""
    try:
        return read_resume_token(token)
    except BadToken as error:
        raise Denied(NOT_ALLOWED, str(error)) from None


async def open_from_page(visitor: Visitor) -> Call:
    """Begin the visitor's call. Raises Denied; a widget's token works once."""
    try:
        return await run_in_tenant(visitor.tenant_id, _open, visitor)
    except (ObjectDoesNotExist, NoPublishedAgent) as error:
        raise Denied(NO_SUCH_AGENT, str(error)) from None
    except StreamRefused as error:
        raise Denied(NOT_ALLOWED, str(error)) from None
    except TooManyCalls as error:
        raise TooManyPages(BUSY, str(error)) from None


def _open(visitor: Visitor) -> Call:
    agent = Agent.objects.get(public_id=visitor.agent, is_active=True)
    user = User.objects.filter(pk=visitor.user_id).first() if visitor.user_id else None
    return call_open_from_page(
        agent=agent,
        user=user,
        public_id=visitor.call,
        language=visitor.language,
        server=presence.process,
    )


def _is_open(tenant_id: int) -> bool:
    return Tenant.objects.filter(pk=tenant_id, is_active=True).exists()


def _same_origin(scope: Mapping[str, Any]) -> bool:
    """Browsers name the page's origin; what names none is no browser and sends no stray cookie."""
    headers = {name.lower(): value for name, value in scope.get("headers", ())}
    origin = headers.get(b"origin")
    if origin is None:
        return True
    host = urlsplit(origin.decode("latin-1")).hostname or ""
    return validate_host(host, settings.ALLOWED_HOSTS)


def _first(query: Mapping[str, list[str]], name: str) -> str:
    return query.get(name, [""])[0]
