"""Tokens with which a visitor of a tenant's own site calls an agent from a page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from calls.carriers.admission import TOKEN_PARAMETER
from calls.routing import NoPublishedAgent
from calls.services.widgets import widget_pass_issue
from calls.sockets import BROWSER_PATH
from tenants.drf import TenantAPIView, actor_of
from tenants.permissions import Permission

_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$"


class WidgetTokenRequest(serializers.Serializer[Any]):
    """Who is to be called, and in which language the call is to begin."""

    agent = serializers.UUIDField()
    language = serializers.RegexField(
        _LANGUAGE, required=False, help_text="Such as `en` or `es-MX`, if the agent speaks it."
    )


class WidgetTokenAnswer(serializers.Serializer[Any]):
    """What a page opens its socket with; `call` is the id that the call will have."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()
    socket_path = serializers.CharField(help_text="With the token: open it with `wss://`.")
    call = serializers.UUIDField()


class NotPublished(APIException):
    """The agent is there, but nobody can call it yet."""

    status_code = HTTPStatus.CONFLICT
    default_detail = _("This agent has no published version.")
    default_code = "not_published"


class WidgetTokenView(TenantAPIView):
    """Issues tokens for calls from pages; each opens one call, and is noted in the audit trail."""

    permission = Permission.AGENTS_TEST

    @extend_schema(
        request=WidgetTokenRequest,
        responses={
            201: WidgetTokenAnswer,
            404: OpenApiResponse(None, "There is no such agent."),
            409: OpenApiResponse(None, "The agent has no published version."),
        },
        operation_id="widget_tokens_create",
    )
    def post(self, request: Request) -> Response:
        """A token for one call with an agent, which works once and for ten minutes."""
        asked = WidgetTokenRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            issued = widget_pass_issue(
                agent_id=asked.validated_data["agent"], actor=actor_of(request)
            )
        except Agent.DoesNotExist:
            raise NotFound from None
        except NoPublishedAgent:
            raise NotPublished from None
        query = {TOKEN_PARAMETER: issued.token}
        if language := asked.validated_data.get("language"):
            query["language"] = language
        answer = WidgetTokenAnswer(
            {
                "token": issued.token,
                "expires_at": issued.expires_at,
                "socket_path": f"{BROWSER_PATH}?{urlencode(query)}",
                "call": issued.call,
            }
        )
        headers = {"Cache-Control": "no-store"}
        return Response(answer.data, status=HTTPStatus.CREATED, headers=headers)
