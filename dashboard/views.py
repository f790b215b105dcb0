"""The portal's pages. Each parses, reads through a selector, renders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from agents.selectors import callable_versions
from calls.models import Call
from calls.selectors.calls import call_for, recent_calls, with_campaigns
from calls.selectors.notes import called_back_for, open_call_backs, open_messages
from dashboard.hearing import hearing_of, notice_for
from dashboard.texts import TEST_CALL
from tenants.guards import member_required, operators_to_back_office
from tenants.permissions import Permission, role_allows

if TYPE_CHECKING:
    from tenants.middleware import TenantRequest

LATEST = 20


@require_safe
@operators_to_back_office
@member_required(Permission.CALLS_VIEW)
def home(request: TenantRequest) -> HttpResponse:
    """The agents that take calls, what they kept for people, and the latest calls."""
    context = {
        "tenant": request.tenant,
        "agents": [(version, notice_for(version)) for version in callable_versions()],
        "calls": with_campaigns(recent_calls())[:LATEST],
        "taken_messages": open_messages()[:LATEST],
        "call_backs": open_call_backs()[:LATEST],
    }
    return render(request, "dashboard/home.html", context)


@require_safe
@member_required(Permission.CALLS_VIEW)
def latest_calls(request: TenantRequest) -> HttpResponse:
    """The call log alone, as the first page fetches it every moment."""
    context = {"calls": with_campaigns(recent_calls())[:LATEST]}
    return render(request, "dashboard/_latest_calls.html", context)


@require_safe
@member_required(Permission.AGENTS_TEST)
def test_call(request: TenantRequest) -> HttpResponse:
    """Talk to an agent in the browser; `?agent=` chooses which."""
    versions = list(callable_versions())
    context: dict[str, Any] = {
        "versions": versions,
        "hearing": {str(each.agent.public_id): hearing_of(each) for each in versions},
        "chosen": request.GET.get("agent", ""),
        "socket_path": "/api/v1/ws/media-stream?client=browser",
        "texts": TEST_CALL,
    }
    return render(request, "dashboard/test_call.html", context)


@require_safe
@member_required(Permission.CALLS_VIEW)
def call(request: TenantRequest, public_id: UUID) -> HttpResponse:
    """One call: what was said, when, and how quick the answers were."""
    try:
        found = call_for(public_id)
    except Call.DoesNotExist as missing:
        raise Http404 from missing
    role = request.membership.role if request.membership else ""
    context = {
        "call": found,
        "called_back_for": called_back_for(found),
        "utterances": found.utterances.all(),
        "taken_messages": found.taken_messages.all(),
        "call_backs": found.call_backs.all(),
        "recordings": found.recordings.all(),
        "may_listen": role_allows(role, Permission.RECORDINGS_LISTEN),
        "changes": found.finalised_at is None,
    }
    return render(request, "dashboard/call.html", context)
