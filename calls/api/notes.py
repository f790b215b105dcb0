"""What agents kept for people, over HTTP: messages and call-backs, the latest first."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from calls.models import CallBack, TakenMessage
from calls.selectors.notes import call_backs, taken_messages
from tenants.drf import TenantViewSet
from tenants.permissions import Permission


class TakenMessageSerializer(serializers.ModelSerializer[TakenMessage]):
    """A message that a caller left with an agent."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    call = serializers.UUIDField(source="call.public_id", read_only=True)

    class Meta:
        model = TakenMessage
        fields = (
            "id", "call", "created_at", "text", "from_name", "number", "for_whom", "handled_at",
        )  # fmt: skip
        read_only_fields = fields


class CallBackSerializer(serializers.ModelSerializer[CallBack]):
    """A time at which a caller is to be called again; it was agreed on by `time_zone`.

    `placed` is the latest call that was placed for it. A `failed` one is left to people.
    """

    id = serializers.UUIDField(source="public_id", read_only=True)
    call = serializers.UUIDField(source="call.public_id", read_only=True)
    placed = serializers.UUIDField(source="placed.public_id", read_only=True, default=None)

    class Meta:
        model = CallBack
        fields = (
            "id", "call", "created_at", "due_at", "time_zone", "number", "reason", "state",
            "outcome", "tries", "not_before", "placed", "problem", "settled_at",
        )  # fmt: skip
        read_only_fields = fields


class MessagePagination(CursorPagination):
    """Pages that stay right while new ones come in."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering: Any = ("-created_at", "-id")


class CallBackPagination(MessagePagination):
    """The latest due first."""

    ordering: Any = ("-due_at", "-id")


class TakenMessageViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Messages that callers left with the tenant's agents."""

    permission = Permission.CALLS_VIEW
    pagination_class = MessagePagination
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    serializer_class = TakenMessageSerializer

    def get_queryset(self) -> QuerySet[TakenMessage]:
        """All, or those that nobody has dealt with."""
        found = taken_messages()
        if self.action != "list":
            return found
        wish = self.request.query_params.get("open", "")
        if wish not in {"", "true", "false"}:
            raise ValidationError({"open": f"{wish!r} is neither true nor false"})
        return found.filter(handled_at__isnull=wish == "true") if wish else found

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "open", OpenApiTypes.BOOL, description="Whether somebody still has to see to it"
            )
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Messages, the latest first, a page at a time."""
        return super().list(request, *args, **kwargs)


class CallBackViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Times at which callers are to be called again."""

    permission = Permission.CALLS_VIEW
    pagination_class = CallBackPagination
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    serializer_class = CallBackSerializer

    def get_queryset(self) -> QuerySet[CallBack]:
        """All, or those in one state."""
        found = call_backs()
        state = self.request.query_params.get("state") if self.action == "list" else None
        if not state:
            return found
        if state not in CallBack.State.values:
            allowed = ", ".join(CallBack.State.values)
            raise ValidationError({"state": f"{state!r} is none of {allowed}"})
        return found.filter(state=state)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "state", enum=CallBack.State.values, description="Only those in this state"
            )
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Call-backs, the latest due first, a page at a time."""
        return super().list(request, *args, **kwargs)
