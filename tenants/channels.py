"""The guard of the sockets: who is there, found out without ORM work on the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user

from tenants.db import run_unscoped
from tenants.middleware import active_membership
from tenants.models import User
from tenants.permissions import ROLE_PERMISSIONS, Permission
from tenants.selectors import api_key_for

Scope = Mapping[str, Any]


@dataclass(frozen=True)
class SocketIdentity:
    """Who opened a socket, in which tenant, with which rights at that moment."""

    tenant_id: int
    label: str
    permissions: frozenset[Permission]
    user_id: int | None = None

    def may(self, permission: Permission) -> bool:
        """Whether this permission was held when the socket opened."""
        return permission in self.permissions


async def identify(scope: Scope) -> SocketIdentity | None:
    """Who the handshake says it is, by API key or by session cookie; None for nobody.

    Works in the bridge's threads. The origin of a browser is checked by the server's
    AllowedHostsOriginValidator, not here.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
    authorization = headers.get(b"authorization")
    if authorization is not None:
        return await run_unscoped(_by_api_key, authorization)
    session_key = _session_key(headers.get(b"cookie", ""))
    return await run_unscoped(_by_session, session_key) if session_key else None


def _by_api_key(authorization: str) -> SocketIdentity | None:
    scheme, _sep, text = authorization.partition(" ")
    key = api_key_for(text.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        return None
    known = {permission.value: permission for permission in Permission}
    granted = frozenset(known[scope] for scope in key.scopes if scope in known)
    return SocketIdentity(tenant_id=key.tenant_id, label=str(key), permissions=granted)


def _by_session(session_key: str) -> SocketIdentity | None:
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]
    if not isinstance(user, User):
        return None
    membership = active_membership(session, user)
    if membership is None:
        return None
    return SocketIdentity(
        tenant_id=membership.tenant_id,
        label=str(user),
        permissions=ROLE_PERMISSIONS[membership.role],
        user_id=user.pk,
    )


def _session_key(cookie_header: str) -> str | None:
    try:
        morsel = SimpleCookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return morsel.value if morsel else None
