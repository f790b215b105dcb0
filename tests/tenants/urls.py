"""Small pages and API views that show what the guards do."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import include, path
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import audit
from tenants.context import maybe_tenant_id
from tenants.drf import TenantAPIView, TenantViewSet, actor_of
from tenants.guards import member_required
from tenants.models import Membership
from tenants.permissions import Permission


def who(request: Any) -> HttpResponse:
    return JsonResponse(
        {
            "tenant": request.tenant and request.tenant.slug,
            "role": request.membership and request.membership.role,
            "current": maybe_tenant_id() is not None,
        }
    )


def lazy(request: HttpRequest) -> HttpResponse:
    """Its query runs while the template is rendered, after the view has returned."""
    template = engines["django"].from_string("{% for m in rows %}[{{ m.role }}]{% endfor %}")
    return TemplateResponse(request, template, {"rows": Membership.objects.all()})


def write(request: Any) -> HttpResponse:
    audit.record(action="page.written", actor=request.user)
    ending = request.GET.get("then")
    if ending == "error":
        raise RuntimeError("broken")
    if ending == "missing":
        raise Http404
    if ending == "redirect":
        return HttpResponseRedirect("/who/")
    return HttpResponse("written")


@member_required(Permission.AUDIT_VIEW)
def guarded(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("in")


class Members(TenantAPIView):
    permission = {"GET": Permission.MEMBERS_VIEW, "POST": Permission.MEMBERS_MANAGE}

    def get(self, request: Request) -> Response:
        return Response([place.user.email for place in Membership.objects.select_related("user")])

    def post(self, request: Request) -> Response:
        audit.record(action="api.written", actor=actor_of(request))
        if request.POST.get("then") == "invalid":
            raise ValidationError("no")
        if request.POST.get("then") == "error":
            raise RuntimeError("broken")
        return Response(status=201)


class Undeclared(TenantAPIView):
    def get(self, _request: Request) -> Response:
        return Response("never")


class ByAction(TenantViewSet):
    permission = {"list": Permission.CALLS_VIEW}

    def list(self, _request: Request) -> Response:
        return Response("listed")

    def create(self, _request: Request) -> Response:
        return Response("never")


urlpatterns = [
    path("who/", who),
    path("lazy/", lazy),
    path("write/", write),
    path("guarded/", guarded),
    path("api/members/", Members.as_view()),
    path("api/undeclared/", Undeclared.as_view()),
    path("api/by-action/", ByAction.as_view({"get": "list", "post": "create"})),
    path("", include("config.urls")),
]
