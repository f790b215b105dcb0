"""Decorators for the portal's views: log in, have a tenant, have the permission."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from tenants.permissions import Permission, role_allows

P = ParamSpec("P")
View = Callable[Concatenate[Any, P], HttpResponseBase]


def member_required(permission: Permission | None = None) -> Callable[[View[P]], View[P]]:
    """Let members of an active tenant in, and of those who hold the permission.

    Somebody not logged in is sent to the login; a member without the permission, or a user
    without a tenant, is refused (403). The view finds `request.tenant` and
    `request.membership`.
    """

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            _require(request, permission)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def operators_to_back_office(view: View[P]) -> View[P]:
    """Send operators who work for no company to the back office, where their work is."""

    @functools.wraps(view)
    def guarded(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.user.is_staff and request.membership is None:
            return redirect("admin:index")
        return view(request, *args, **kwargs)

    return guarded


def _require(request: Any, permission: Permission | None) -> None:
    if request.membership is None:
        raise PermissionDenied(_("You do not work for any active company here."))
    if permission is not None and not role_allows(request.membership.role, permission):
        raise PermissionDenied(_("Your role does not allow this."))
