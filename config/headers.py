"""Response headers that tell browsers what our pages never do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase

PERMISSIONS = "microphone=(self), camera=(), geolocation=(), payment=()"
_NEVER = "base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
# Recordings play from blobs, worklets of the test call may come from one, the QR code of a
# second factor is a data: image. Sockets are named: not every browser counts them as 'self'.
PORTAL = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'{sockets}; " + _NEVER
)
# Unfold's menus are Alpine expressions, and swagger starts itself from a script in its page.
BACK_OFFICE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'{sockets}; " + _NEVER
)
DESCRIPTION = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; " + _NEVER
)
_BY_PATH = {"/admin/": BACK_OFFICE, "/docs": DESCRIPTION}
Handler = Callable[[HttpRequest], HttpResponseBase]
AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class SecurityHeaders:
    """Adds the headers that Django's own security middleware does not know."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Handler | AsyncHandler) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        response = self._get_response(request)
        if isinstance(response, HttpResponseBase):
            return _with_headers(request, response)
        return self._later(request, response)

    async def _later(
        self, request: HttpRequest, response: Awaitable[HttpResponseBase]
    ) -> HttpResponseBase:
        return _with_headers(request, await response)


def _with_headers(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Content-Security-Policy", _policy(request))
    response.headers.setdefault("Permissions-Policy", PERMISSIONS)
    return response


def _policy(request: HttpRequest) -> str:
    found = (policy for path, policy in _BY_PATH.items() if request.path.startswith(path))
    return next(found, PORTAL).format(sockets=_sockets(request))


def _sockets(request: HttpRequest) -> str:
    """The addresses of this site's sockets; none for a host that is not ours."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return ""
    return f" wss://{host}" if request.is_secure() else f" ws://{host} wss://{host}"
