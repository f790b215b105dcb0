"""Placing a call over HTTP: what is asked for, and each way of being refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request

from agents.models import Agent
from agents.selectors import agent_for
from calls.api.serializers import CallRequestSerializer
from calls.errors import CallNotPlaced, CannotBeCalled, OutsideWindow, TooManyAtOnce
from calls.models import Number
from calls.phone_numbers import NotANumber, e164
from calls.services.outbound import Placed, Wanted, call_place
from tenants.drf import actor_of

HEADER = "Idempotency-Key"
LONGEST_KEY = 200
RETRY_SECONDS = 10

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Yours for this call, of at most 200 characters. The same key with the same "
    "content gives the same call (200); with other content it is refused (409).",
)
REFUSALS: dict[int, Any] = {
    400: OpenApiResponse(None, "The number, the agent or the key is not what it should be."),
    409: OpenApiResponse(
        None,
        "Not placed; `code` says why: do_not_call, outside_hours (with retry_at), not_published, "
        "no_caller_number, idempotency_conflict.",
    ),
    429: OpenApiResponse(None, "As many calls as may be are on the line (too_many_calls)."),
}


class Refused(APIException):
    """The call is not placed; `code` names the cause."""

    def __init__(self, error: CallNotPlaced) -> None:
        told = {"detail": str(error), "code": error.code}
        if isinstance(error, OutsideWindow) and error.retry_at is not None:
            told["retry_at"] = error.retry_at.isoformat()
        super().__init__(told)
        self.status_code = HTTPStatus.CONFLICT
        if isinstance(error, TooManyAtOnce):
            self.status_code = HTTPStatus.TOO_MANY_REQUESTS
            self.wait = RETRY_SECONDS


def place(request: Request) -> Placed:
    """Place what the request asks for. Raises ValidationError (400) and Refused (409, 429)."""
    asked = CallRequestSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    key = idempotency_key(request)
    try:
        return call_place(wanted=_wanted(asked.validated_data), actor=actor_of(request), key=key)
    except CannotBeCalled as error:
        raise ValidationError({"to_number": str(error)}, code=error.code) from None
    except CallNotPlaced as error:
        raise Refused(error) from None


def _wanted(data: dict[str, Any]) -> Wanted:
    try:
        agent = agent_for(data["agent"])
    except Agent.DoesNotExist:
        raise ValidationError({"agent": f"there is no agent {data['agent']}"}) from None
    number = number_named(data["from_number"]) if "from_number" in data else None
    try:
        to_number = e164(data["to_number"], strict=True)
    except NotANumber as error:
        raise ValidationError({"to_number": str(error)}, code="invalid_number") from None
    return Wanted(to_number, agent, number, data.get("language", ""))


def number_named(text: str) -> Number:
    """The tenant's active number. Raises ValidationError."""
    try:
        number: Number = Number.objects.get(e164=e164(text), is_active=True)
    except NotANumber as error:
        raise ValidationError({"from_number": str(error)}) from None
    except Number.DoesNotExist:
        raise ValidationError({"from_number": f"{text} is no active number of yours"}) from None
    return number


def idempotency_key(request: Request) -> str:
    """What the request names itself by; empty if it does not. Raises ValidationError."""
    key = request.headers.get(HEADER)
    if key is None:
        return ""
    if not 0 < len(key.strip()) <= LONGEST_KEY:
        raise ValidationError({HEADER: f"1 to {LONGEST_KEY} characters"})
    return key.strip()
