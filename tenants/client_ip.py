"""Where a request comes from, behind as many proxies as the installation says it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

_current: ContextVar[str | None] = ContextVar("andrea_client_ip", default=None)


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address: what our outermost proxy saw, or the peer where there is none.

    `settings.TRUSTED_PROXY_COUNT` proxies each append to X-Forwarded-For; whatever stands
    before their entries was written by the caller and is not believed.
    """
    forwarded = request.headers.get("X-Forwarded-For", "")
    return _believed(forwarded, request.META.get("REMOTE_ADDR", ""))


def socket_ip(scope: Mapping[str, Any]) -> str | None:
    """The same for an ASGI scope."""
    forwarded = b",".join(
        value for name, value in scope.get("headers", ()) if name.lower() == b"x-forwarded-for"
    )
    client = scope.get("client")
    return _believed(forwarded.decode("latin-1"), client[0] if client else "")


def _believed(forwarded: str, peer: str) -> str | None:
    proxies = int(getattr(settings, "TRUSTED_PROXY_COUNT", 0))
    hops = [hop.strip() for hop in forwarded.split(",")]
    address = hops[-proxies] if 0 < proxies <= len(hops) else peer
    try:
        return str(ip_address(address))
    except ValueError:
        return None


@contextmanager
def use_client_ip(address: str | None) -> Iterator[None]:
    """Remember the address for the audit rows that are written inside the block."""
    token = _current.set(address)
    try:
        yield
    finally:
        _current.reset(token)


def current_client_ip() -> str | None:
    """The address of the request being answered, if there is one."""
    return _current.get()
