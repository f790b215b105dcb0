"""Calls over HTTP: the list, one call, and its sound."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db.models import ObjectDoesNotExist, QuerySet
from django.http import HttpResponseBase
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api.files import file_response
from calls.api.placing import IDEMPOTENCY_KEY, REFUSALS, place, refused
from calls.api.serializers import CallDetailSerializer, CallRequestSerializer, CallSerializer
from calls.models import Call, Direction, Recording, State
from calls.recordings import recordings_folder
from calls.selectors.calls import call_details, call_for, recent_calls, recording_of
from tenants import audit
from tenants.drf import TenantAPIView, TenantViewSet, actor_of
from tenants.permissions import Permission

_FILTERS = [
    OpenApiParameter("state", enum=State.values, description="Only calls in this state"),
    OpenApiParameter("direction", enum=Direction.values, description="Only calls this way"),
    OpenApiParameter("agent", OpenApiTypes.UUID, description="Only calls with this agent"),
    OpenApiParameter("started_after", OpenApiTypes.DATETIME, description="Begun at or after"),
    OpenApiParameter("started_before", OpenApiTypes.DATETIME, description="Begun before"),
]


# A player fetches a recording in many ranges; so long they count as one listening.
_ONE_LISTENING = timedelta(minutes=10)


class CallPagination(CursorPagination):
    """Pages that stay right while new calls come in."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = ("-started_at", "-id")


class CallViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """The tenant's calls, the latest first, and each with all that was said in it."""

    permission = {
        "list": Permission.CALLS_VIEW,
        "retrieve": Permission.CALLS_VIEW,
        "create": Permission.CALLS_CONTROL,
    }
    pagination_class = CallPagination
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    serializer_class = CallSerializer

    def get_queryset(self) -> QuerySet[Call]:
        """The list is filtered; one call comes with everything."""
        if self.action == "list":
            return _filtered(recent_calls(), self.request)
        return call_details()

    def get_serializer_class(self) -> type[CallSerializer]:
        """One call is shown in full."""
        return CallDetailSerializer if self.action == "retrieve" else CallSerializer

    @extend_schema(parameters=_FILTERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Calls, the latest first, a page at a time."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=CallDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """One call with its turns, events and recording."""
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(
        request=CallRequestSerializer,
        parameters=[IDEMPOTENCY_KEY],
        responses={201: CallDetailSerializer, 200: CallDetailSerializer, **REFUSALS},
    )
    def create(self, request: Request) -> Response:
        """Place a call. With an `Idempotency-Key` the same request places it once."""
        placed = place(request)
        if placed.refusal is not None:
            return refused(placed.call, placed.refusal)
        shown = CallDetailSerializer(call_for(placed.call.public_id), context={"request": request})
        status = HTTPStatus.OK if placed.command is None else HTTPStatus.CREATED
        return Response(shown.data, status=status)


class RecordingView(TenantAPIView):
    """The sound of a call. Who listens to it is noted in the audit trail."""

    permission = Permission.RECORDINGS_LISTEN

    @extend_schema(
        responses={(200, "audio/wav"): OpenApiTypes.BINARY, 404: OpenApiResponse(None)},
        operation_id="calls_recording",
    )
    def get(self, request: Request, public_id: UUID) -> HttpResponseBase:
        """The first recording, as a two-channel WAV file, whole or by ranges."""
        return self._sound(request, public_id)

    def _sound(
        self, request: Request, public_id: UUID, wanted: UUID | None = None
    ) -> HttpResponseBase:
        try:
            recording = recording_of(public_id, wanted)
        except ObjectDoesNotExist:
            raise NotFound from None
        path = recordings_folder() / recording.path
        if recording.state == Recording.State.MISSING or not path.is_file():
            raise NotFound
        answer = file_response(request, path, content_type="audio/wav")
        if answer.status_code < HTTPStatus.BAD_REQUEST:
            audit.record_once(
                action="recording.listen",
                actor=actor_of(request),
                target=recording.call,
                within=_ONE_LISTENING,
                changes={"recording": str(recording.public_id)},
            )
        return answer


class OneRecordingView(RecordingView):
    """The sound of one of a call's recordings."""

    @extend_schema(
        responses={(200, "audio/wav"): OpenApiTypes.BINARY, 404: OpenApiResponse(None)},
        operation_id="calls_one_recording",
    )
    def get(  # type: ignore[override]
        self, request: Request, public_id: UUID, recording: UUID
    ) -> HttpResponseBase:
        """A WAV file, whole or by ranges."""
        return self._sound(request, public_id, recording)


def _filtered(calls: QuerySet[Call], request: Request) -> QuerySet[Call]:
    query = request.query_params
    if state := query.get("state"):
        if state not in State.values:
            allowed = ", ".join(State.values)
            raise ValidationError({"state": f"{state!r} is none of {allowed}"})
        calls = calls.filter(state=state)
    if direction := query.get("direction"):
        if direction not in Direction.values:
            allowed = ", ".join(Direction.values)
            raise ValidationError({"direction": f"{direction!r} is none of {allowed}"})
        calls = calls.filter(direction=direction)
    if agent := query.get("agent"):
        calls = calls.filter(agent__public_id=_uuid("agent", agent))
    for name, lookup in (("started_after", "gte"), ("started_before", "lt")):
        if moment := query.get(name):
            calls = calls.filter(**{f"started_at__{lookup}": _moment(name, moment)})
    return calls


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError({name: f"{text!r} is no UUID"}) from None


def _moment(name: str, text: str) -> Any:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or is_naive(moment):
        raise ValidationError({name: f"{text!r} is no time with a zone: 2026-11-21T09:00:00Z"})
    return moment
