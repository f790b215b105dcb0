"""Changing over: a member to another of their tenants, an operator to a tenant's data."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from tenants import audit
from tenants.middleware import ACTIVE_TENANT, OPERATOR_TENANT
from tenants.models import Tenant, User
from tenants.operators import operator_transaction
from tenants.selectors import memberships_of


@require_POST
@login_required
def switch_tenant(request: HttpRequest) -> HttpResponse:
    """POST `tenant` (public id): work in another of one's tenants. 404 for anybody else's."""
    user: User = request.user  # type: ignore[assignment]
    wanted = _public_id(request)
    for place in memberships_of(user):
        if place.tenant.public_id == wanted:
            request.session[ACTIVE_TENANT] = place.tenant_id
            return HttpResponseRedirect(_next(request))
    raise Http404("No such tenant.")


@require_POST
@login_required
def select_operator_tenant(request: HttpRequest) -> HttpResponse:
    """POST `tenant` (public id, or empty for none): which tenant the back office shows."""
    user: User = request.user  # type: ignore[assignment]
    if not user.is_staff:
        raise PermissionDenied
    if not request.POST.get("tenant"):
        request.session.pop(OPERATOR_TENANT, None)
        return HttpResponseRedirect(_next(request))
    tenant = Tenant.objects.filter(public_id=_public_id(request)).first()
    if tenant is None:
        raise Http404("No such tenant.")
    with operator_transaction(tenant.pk, operator=user):
        audit.record(action="operator.entered", actor=user, target=tenant)
    request.session[OPERATOR_TENANT] = tenant.pk
    return HttpResponseRedirect(_next(request))


def _public_id(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("tenant", ""))
    except ValueError:
        raise Http404("No such tenant.") from None


def _next(request: HttpRequest) -> str:
    """Where the form wants to go on, if that is on this site."""
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if safe else "/"
