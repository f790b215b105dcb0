"""The guard of the portal and the back office: a whole view runs inside one tenant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.urls import NoReverseMatch, reverse

from tenants.client_ip import client_ip, use_client_ip
from tenants.db import tenant_transaction
from tenants.models import Membership, Tenant, User
from tenants.operators import operator_transaction
from tenants.selectors import memberships_of

BAD_REQUEST = 400
ACTIVE_TENANT = "active_tenant"
OPERATOR_TENANT = "operator_tenant"


class TenantRequest(HttpRequest):
    """What a request looks like behind the middleware (for annotations; none is ever made)."""

    tenant: Tenant | None
    membership: Membership | None
    has_failed: bool


class TenantMiddleware:
    """Sets `request.tenant` and `request.membership` (None for whoever has none).

    A member works in the tenant that their session chose among their memberships; an
    operator, in the back office, in the one that they selected there. The view and its
    template run inside that tenant's transaction, which an exception rolls back. Requests
    that bring their own credentials (`Authorization`) are left to the API's guard.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: TenantRequest) -> HttpResponseBase:
        request.tenant = None
        request.membership = None
        request.has_failed = False
        with use_client_ip(client_ip(request)), _door_for(request):
            response = self.get_response(request)
            if request.has_failed and response.status_code >= BAD_REQUEST:
                transaction.set_rollback(True)
            return response

    def process_exception(self, request: TenantRequest, exception: Exception) -> None:  # noqa: ARG002
        """Django turns the exception into a response, so nobody else will see it.

        If that response is an error, what the view wrote must not stay. Some exceptions are
        only a library's way to redirect; and whoever handles one may still ask the database.
        """
        request.has_failed = request.tenant is not None


def _door_for(request: TenantRequest) -> AbstractContextManager[Any]:
    if "Authorization" in request.headers or not request.user.is_authenticated:
        return nullcontext()
    user = request.user
    if is_back_office(request):
        return _operators_door(request, user)
    return _members_door(request, user)


def _members_door(request: TenantRequest, user: User) -> AbstractContextManager[Any]:
    membership = active_membership(request.session, user)
    if membership is None:
        return nullcontext()
    request.membership, request.tenant = membership, membership.tenant
    return tenant_transaction(membership.tenant_id)


def _operators_door(request: TenantRequest, user: User) -> AbstractContextManager[Any]:
    chosen = request.session.get(OPERATOR_TENANT)
    if not user.is_staff or chosen is None:
        return nullcontext()
    request.tenant = Tenant.objects.filter(pk=chosen).first()
    if request.tenant is None:
        return nullcontext()
    return operator_transaction(request.tenant.pk, operator=user)


def active_membership(session: Any, user: User) -> Membership | None:
    """The membership that the session chose, or the oldest where that choice is gone."""
    places = memberships_of(user)
    chosen = session.get(ACTIVE_TENANT)
    return next((place for place in places if place.tenant_id == chosen), None) or next(
        iter(places), None
    )


def is_back_office(request: HttpRequest) -> bool:
    """Whether the request goes to Django's admin."""
    prefix = _admin_prefix(getattr(request, "urlconf", None))
    return bool(prefix) and request.path.startswith(prefix)


@functools.cache
def _admin_prefix(urlconf: str | None) -> str:
    try:
        return reverse("admin:index", urlconf=urlconf)
    except NoReverseMatch:
        return ""
