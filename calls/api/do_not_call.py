"""The do-not-call list over HTTP: look, add, remove, and take a file in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api.csv_files import CsvParser, by_line
from calls.errors import FileFaults
from calls.models import DoNotCall
from calls.phone_numbers import NotANumber, e164
from calls.services.do_not_call import do_not_call_add, do_not_call_import, do_not_call_remove
from tenants.drf import TenantViewSet, actor_of
from tenants.permissions import Permission

_NUMBER = OpenApiParameter(
    "number", OpenApiTypes.STR, OpenApiParameter.PATH, description="Such as `+525512345678`."
)


class DoNotCallSerializer(serializers.ModelSerializer[DoNotCall]):
    """A number that is never called, nor written to: why, since when, and by whom."""

    class Meta:
        model = DoNotCall
        fields = ("number", "reason", "source", "added_by", "created_at")
        read_only_fields = fields


class DoNotCallRequestSerializer(serializers.Serializer[Any]):
    """A number that is to be on the list."""

    number = serializers.CharField(
        max_length=32, help_text="With country code, however it is spaced: `+52 55 1234 5678`."
    )
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")

    def validate_number(self, text: str) -> str:
        """In E.164 form."""
        try:
            return e164(text)
        except NotANumber as error:
            raise serializers.ValidationError(str(error)) from None


class ImportedSerializer(serializers.Serializer[Any]):
    """How many of a file's numbers were not in the list before."""

    new = serializers.IntegerField()


class DoNotCallPagination(CursorPagination):
    """The latest first."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering: Any = ("-created_at", "-id")


class DoNotCallViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Whom the tenant never calls."""

    permission = {
        "list": Permission.CALLS_VIEW,
        "retrieve": Permission.CALLS_VIEW,
        "create": Permission.CALLS_CONTROL,
        "destroy": Permission.SETTINGS_MANAGE,
        "import_file": Permission.SETTINGS_MANAGE,
    }
    pagination_class = DoNotCallPagination
    lookup_field = "number"
    lookup_value_converter = "str"
    serializer_class = DoNotCallSerializer

    def get_queryset(self) -> QuerySet[DoNotCall]:
        """All, or those of one source."""
        found: QuerySet[DoNotCall] = DoNotCall.objects.all()
        source = self.request.query_params.get("source") if self.action == "list" else None
        if not source:
            return found
        if source not in DoNotCall.Source.values:
            allowed = ", ".join(DoNotCall.Source.values)
            raise ValidationError({"source": f"{source!r} is none of {allowed}"})
        return found.filter(source=source)

    def get_object(self) -> DoNotCall:
        """By its number, however that is written."""
        try:
            self.kwargs["number"] = e164(self.kwargs["number"])
        except NotANumber:
            raise NotFound from None
        found: DoNotCall = super().get_object()
        return found

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "source", enum=DoNotCall.Source.values, description="Only those of this source"
            )
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """The list, the latest first, a page at a time."""
        return super().list(request, *args, **kwargs)

    @extend_schema(parameters=[_NUMBER])
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """One number's entry; 404 where it is not on the list."""
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(
        request=DoNotCallRequestSerializer,
        responses={
            201: DoNotCallSerializer,
            200: OpenApiResponse(DoNotCallSerializer, "It was on the list already."),
        },
    )
    def create(self, request: Request) -> Response:
        """Put a number on the list."""
        asked = DoNotCallRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        entry, is_new = do_not_call_add(
            actor=actor_of(request), source=DoNotCall.Source.ENTERED, **asked.validated_data
        )
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return Response(DoNotCallSerializer(entry).data, status=status)

    @extend_schema(parameters=[_NUMBER], responses={204: None})
    def destroy(self, request: Request, number: str) -> Response:  # noqa: ARG002 - in kwargs
        """Take a number off the list: it may be called and written to again."""
        do_not_call_remove(entry=self.get_object(), actor=actor_of(request))
        return Response(status=HTTPStatus.NO_CONTENT)

    @extend_schema(
        request={"text/csv": OpenApiTypes.STR},
        responses={
            200: ImportedSerializer,
            400: OpenApiResponse(None, "`lines`: each faulty line and why; nothing was taken in."),
        },
    )
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[CsvParser])
    def import_file(self, request: Request) -> Response:
        """Take in a CSV file's numbers (columns `number` and, if wanted, `reason`), or none."""
        body: Any = request.data
        try:
            new = do_not_call_import(text=body.get("text", ""), actor=actor_of(request))
        except FileFaults as error:
            raise by_line(error) from None
        return Response({"new": new})
