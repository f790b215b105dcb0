"""Placing a call over HTTP: what is asked for, and each way of being refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from agents.selectors import agent_for
from calls.api.serializers import CallRequestSerializer
from calls.errors import (
    CallNotPlaced,
    KeyUsedOtherwise,
    OutsideWindow,
    TooFast,
    TooManyAtOnce,
    refusal_codes,
)
from calls.models import Call, Number
from calls.phone_numbers import NotANumber, e164
from calls.services.outbound import Placed, Wanted, call_request
from tenants.drf import actor_of

HEADER = "Idempotency-Key"
LONGEST_KEY = 200

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Yours for this call, of at most 200 characters. The same key with the same "
    "content gives the same call (200), or the same refusal; with other content it is refused "
    "(409). A 429 does not use the key up.",
)


class RefusalSerializer(serializers.Serializer[Any]):
    """Why a call was not placed; it is in the call log as `call`."""

    code = serializers.ChoiceField(refusal_codes())
    detail = serializers.CharField()
    call = serializers.UUIDField(
        required=False, help_text="Not for idempotency_conflict and too_fast."
    )
    retry_at = serializers.DateTimeField(required=False, help_text="For outside_hours.")


REFUSALS: dict[int, Any] = {
    400: OpenApiResponse(None, "The number, the agent or the key is not what it should be."),
    409: OpenApiResponse(RefusalSerializer, "Not placed; `code` says why."),
    429: OpenApiResponse(
        RefusalSerializer,
        "As many calls as may be are on the line (too_many_calls), or the carrier dials no more "
        "of them in so short a time (too_fast).",
    ),
}


class KeyConflict(APIException):
    """The idempotency key came before, with something else."""

    status_code = HTTPStatus.CONFLICT


class AskAgain(APIException):
    """The carrier dials no more calls at this moment; the answer's `Retry-After` is `wait`."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    wait = TooFast.retry_seconds


def place(request: Request) -> Placed:
    """Place what the request asks for.

    Raises ValidationError (400), KeyConflict (409) and AskAgain (429).
    """
    asked = CallRequestSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    key = idempotency_key(request)
    wanted = _wanted(asked.validated_data)
    try:
        return call_request(wanted=wanted, actor=actor_of(request), key=key)
    except KeyUsedOtherwise as error:
        raise KeyConflict({"detail": str(error), "code": error.code}) from None
    except TooFast as error:
        raise AskAgain({"detail": str(error), "code": error.code}) from None


def refused(call: Call, why: CallNotPlaced) -> Response:
    """The answer for a call that was not placed. No exception: the call stays in the log."""
    told = {"detail": str(why), "code": why.code, "call": str(call.public_id)}
    if isinstance(why, OutsideWindow) and why.retry_at is not None:
        told["retry_at"] = why.retry_at.isoformat()
    if isinstance(why, TooManyAtOnce):
        wait = {"Retry-After": str(why.retry_seconds)}
        return Response(told, HTTPStatus.TOO_MANY_REQUESTS, headers=wait)
    return Response(told, HTTPStatus.CONFLICT)


def _wanted(data: dict[str, Any]) -> Wanted:
    try:
        agent = agent_for(data["agent"])
    except Agent.DoesNotExist:
        why = _("There is no agent %(agent)s.") % {"agent": data["agent"]}
        raise ValidationError({"agent": [why]}) from None
    number = number_named(data["from_number"]) if "from_number" in data else None
    try:
        to_number = e164(data["to_number"], strict=True)
    except NotANumber as error:
        raise ValidationError({"to_number": [str(error)]}, code="invalid_number") from None
    return Wanted(
        to_number, agent, number, data.get("language", ""), context=data.get("context", {})
    )


def number_named(text: str) -> Number:
    """The tenant's active number. Raises ValidationError."""
    try:
        number: Number = Number.objects.get(e164=e164(text), is_active=True)
    except NotANumber as error:
        raise ValidationError({"from_number": [str(error)]}) from None
    except Number.DoesNotExist:
        why = _("%(number)s is no active number of yours.") % {"number": text}
        raise ValidationError({"from_number": [why]}) from None
    return number


def idempotency_key(request: Request) -> str:
    """What the request names itself by; empty if it does not. Raises ValidationError."""
    key = request.headers.get(HEADER)
    if key is None:
        return ""
    if not 0 < len(key.strip()) <= LONGEST_KEY:
        why = _("It has 1 to %(longest)s characters.") % {"longest": LONGEST_KEY}
        raise ValidationError({HEADER: [why]})
    return key.strip()
