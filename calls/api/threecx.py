"""What a 3CX's CRM integration asks: its template, who a caller is, and to keep what happened.

The API key that an administrator types into the template says which tenant asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import pydantic
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from calls.carriers.links import public_url
from calls.phone_numbers import readings
from calls.providers.carriers.threecx.crm import (
    Contact,
    JournalEntry,
    Lookup,
    found,
    template,
)
from calls.selectors.callers import KnownCaller, caller_of, home_country
from calls.services.journal import journal_note
from tenants.drf import TenantAPIView, actor_of
from tenants.permissions import Permission

API_PATH = "/api/v1"

Model = TypeVar("Model", bound=pydantic.BaseModel)


class NoPublicAddress(APIException):
    """A PBX elsewhere cannot be told how to reach us."""

    status_code = HTTPStatus.CONFLICT
    default_detail = _("PUBLIC_BASE_URL has to be an https address that the PBX can reach.")
    default_code = "no_public_address"


class TemplateView(TenantAPIView):
    """The XML that a 3CX administrator uploads."""

    permission = Permission.SETTINGS_MANAGE

    @extend_schema(
        responses={(200, "application/xml"): OpenApiTypes.STR, 409: OpenApiResponse(None)},
        operation_id="threecx_template",
    )
    def get(self, _request: Request) -> HttpResponse:
        """A CRM template with our address. The API key is typed in at the PBX."""
        try:
            document = template(
                name="Andrea",
                base_url=settings.PUBLIC_BASE_URL + API_PATH,
                country=home_country() or "US",
            )
        except ValueError:
            raise NoPublicAddress from None
        headers = {"Content-Disposition": 'attachment; filename="andrea-3cx.xml"'}
        return HttpResponse(document, content_type="application/xml", headers=headers)


class LookupView(TenantAPIView):
    """Who is calling?"""

    permission = Permission.CALLS_REPORT

    @extend_schema(
        parameters=[OpenApiParameter("number", required=True, description="As the PBX has it")],
        responses={200: OpenApiTypes.OBJECT, 400: OpenApiTypes.OBJECT},
        operation_id="threecx_lookup",
    )
    def get(self, request: Request) -> Response:
        """Somebody who called before, or an empty `contacts`."""
        asked = _read(Lookup, request.query_params.dict())
        numbers = readings(asked.number, home_country())
        caller = caller_of(numbers) if numbers else None  # an extension, or withheld
        contact = None if caller is None else _contact(caller)
        return Response(found(asked, contact), headers={"Cache-Control": "no-store"})


class JournalView(TenantAPIView):
    """A call at the PBX is over."""

    permission = Permission.CALLS_REPORT

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses={
            201: OpenApiTypes.OBJECT,
            200: OpenApiResponse(OpenApiTypes.OBJECT, "It was reported before."),
            400: OpenApiTypes.OBJECT,
        },
        operation_id="threecx_journal",
    )
    def post(self, request: Request) -> Response:
        """Keep the report, with the call of ours that it is about."""
        told = _read(JournalEntry, request.data)
        entry, created = journal_note(
            identity=told.identity,
            kind=told.type,
            number=told.number,
            started_at=told.start,
            established_at=told.established,
            ended_at=told.end,
            incoming=told.incoming,
            actor=actor_of(request),
            extension=told.agent,
            email=told.agent_email,
            name=told.name,
            queue=told.queue,
        )
        call = str(entry.call.public_id) if entry.call is not None else None
        status = HTTPStatus.CREATED if created else HTTPStatus.OK
        return Response({"id": str(entry.public_id), "call": call}, status=status)


def _read(model: type[Model], data: Any) -> Model:
    """What was sent. Raises DRF's ValidationError (400), which names the fields."""
    if not isinstance(data, Mapping):
        raise ValidationError(_("A JSON object is needed."))
    try:
        return model.model_validate(dict(data))
    except pydantic.ValidationError as error:
        problems = {".".join(map(str, each["loc"])): each["msg"] for each in error.errors()}
        raise ValidationError(problems) from None


def _contact(caller: KnownCaller) -> Contact:
    """The page of the latest call is theirs alone."""
    page = public_url(reverse("dashboard:call", args=[caller.latest.public_id]))
    return Contact(id=caller.number, url=page, first=caller.name or caller.number)
