"""The guard of the API: session or API key, one tenant, one transaction round the handler."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from tenants.context import maybe_tenant_id
from tenants.db import tenant_transaction
from tenants.models import ApiKey, User
from tenants.permissions import Permission, has_permission
from tenants.selectors import api_key_for
from tenants.services import touch_key


class KeyHolder:
    """Stands where DRF wants a user when a program calls with an API key."""

    is_authenticated = True
    is_active = True
    is_anonymous = False
    is_staff = False
    pk = None

    def __init__(self, key: ApiKey) -> None:
        self.api_key = key

    def __str__(self) -> str:
        return str(self.api_key)


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer andrea_<prefix>_<secret>`."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, ApiKey] | None:
        """The key's holder; None without the header. Raises AuthenticationFailed (401)."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _sep, text = header.partition(" ")
        key = api_key_for(text.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise AuthenticationFailed(_("This API key is unknown, revoked or expired."))
        return KeyHolder(key), key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """Makes DRF answer 401 and not 403."""
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the key appears in the OpenAPI document."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "andrea_<prefix>_<secret>"}


def actor_of(request: Request) -> User | ApiKey:
    """Who acts: the user or the API key, as services, audit and permissions want it.

    Raises NotAuthenticated (401) for nobody.
    """
    who = request.auth if isinstance(request.auth, ApiKey) else request.user
    if not isinstance(who, User | ApiKey):
        raise NotAuthenticated
    return who


class HasPermission(BasePermission):
    """Asks for the view's `permission`: one, or one for each HTTP method or view-set action.

    What the view does not name is refused.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the caller holds what this view asks for, in the current tenant."""
        needed = _needed(view, request)
        tenant_id = maybe_tenant_id()
        if needed is None or tenant_id is None:
            return False
        return has_permission(actor_of(request), tenant_id, needed)


def _needed(view: APIView, request: Request) -> Permission | None:
    declared = getattr(view, "permission", None)
    if declared is None:
        raise ImproperlyConfigured(f"{type(view).__name__} declares no `permission`.")
    if isinstance(declared, Permission):
        return declared
    by_name: Mapping[str | None, Permission] = declared
    return by_name.get(getattr(view, "action", None)) or by_name.get(request.method)


class TenantRateThrottle(SimpleRateThrottle):
    """Counts by API key or by user, so that one caller cannot starve another."""

    scope = "tenant"

    def get_cache_key(self, request: Request, view: APIView) -> str:  # noqa: ARG002
        """One bucket for each key or user."""
        who = actor_of(request)
        ident = f"key-{who.prefix}" if isinstance(who, ApiKey) else f"user-{who.pk}"
        return str(self.cache_format % {"scope": self.scope, "ident": ident})


class TenantGuard(APIView):
    """Mixin: everything from the permission check to the response happens in one tenant.

    The tenant is the key's, or the one that the session's user works in. A refusal or an
    error rolls back whatever the handler had written.
    """

    authentication_classes = (ApiKeyAuthentication, SessionAuthentication)
    permission_classes = (HasPermission,)
    throttle_classes = (TenantRateThrottle,)
    permission: ClassVar[Permission | Mapping[str, Permission] | None] = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """As DRF's; the tenant that `perform_authentication` enters is left here."""
        with ExitStack() as self._tenancy:
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        """Find out who calls, and enter their tenant."""
        super().perform_authentication(request)
        who = actor_of(request)
        tenant_id = who.tenant_id if isinstance(who, ApiKey) else _session_tenant(request)
        self._tenancy.enter_context(tenant_transaction(tenant_id))
        if isinstance(who, ApiKey):
            touch_key(who)

    def handle_exception(self, exc: Exception) -> Response:
        """As DRF's, and nothing that was written stays."""
        if transaction.get_connection().in_atomic_block and maybe_tenant_id() is not None:
            transaction.set_rollback(True)
        return super().handle_exception(exc)


def _session_tenant(request: Request) -> int:
    tenant = getattr(request._request, "tenant", None)
    if tenant is None:
        raise PermissionDenied(_("You do not work for any active company here."))
    return int(tenant.pk)


class TenantAPIView(TenantGuard):
    """An API view inside a tenant. Declare `permission`."""


class TenantViewSet(TenantGuard, GenericViewSet[Any]):
    """A view set inside a tenant. Declare `permission`, and `get_queryset` (not `queryset`:
    the manager refuses outside a tenant)."""
