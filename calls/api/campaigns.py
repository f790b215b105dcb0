"""Campaigns over HTTP: make one, fill it, start and stop it, see how it is going."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from agents.selectors import agent_for
from calls.api.csv_files import CsvParser, by_line
from calls.api.placing import number_named
from calls.api.serializers import named
from calls.errors import CallNotPlaced, CampaignError, FileFaults
from calls.models import Campaign, Outcome, RetryRule
from calls.models.campaign import MOST_PER_MINUTE
from calls.models.outbound import MOST_AT_ONCE
from calls.number_files import (
    LONGEST_CELL,
    MOST_ROWS,
    NumberRow,
    number_entries,
    number_rows,
)
from calls.selectors.campaigns import campaigns, funnel
from calls.services.campaigns import (
    campaign_create,
    campaign_fill,
    campaign_start,
    campaign_stop,
)
from tenants.drf import TenantViewSet, actor_of
from tenants.permissions import Permission


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    """A campaign, with its live funnel where one is shown alone."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    agent = serializers.UUIDField(source="agent.public_id", read_only=True)
    from_number = serializers.CharField(source="number.e164", read_only=True, default=None)

    class Meta:
        model = Campaign
        fields = (
            "id", "name", "agent", "from_number", "state", "stop_reason", "calls_per_minute",
            "max_at_once", "breaker_sample", "breaker_share", "started_at", "ended_at",
        )  # fmt: skip
        read_only_fields = fields


class FunnelSerializer(serializers.Serializer[Any]):
    """Numbers of people, but `calls`; `outcomes` by the last one of each."""

    audience = serializers.IntegerField()
    waiting = serializers.IntegerField()
    ringing = serializers.IntegerField()
    talking = serializers.IntegerField()
    done = serializers.IntegerField()
    given_up = serializers.IntegerField()
    skipped = serializers.IntegerField()
    calls = serializers.IntegerField()
    outcomes = serializers.DictField(child=serializers.IntegerField())


class RetrySerializer(serializers.ModelSerializer[RetryRule]):
    """After this outcome somebody is called again: so often in all, so many minutes later."""

    class Meta:
        model = RetryRule
        fields = ("outcome", "tries", "after_minutes")


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign and how it is going at this moment."""

    funnel = serializers.SerializerMethodField()
    retries = RetrySerializer(many=True, read_only=True)

    class Meta(CampaignSerializer.Meta):
        fields = (*CampaignSerializer.Meta.fields, "retries", "funnel")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(FunnelSerializer)
    def get_funnel(self, campaign: Campaign) -> dict[str, Any]:
        """Counted now."""
        return asdict(funnel(campaign))


class CampaignRequestSerializer(serializers.Serializer[Any]):
    """A new campaign."""

    name = serializers.CharField(max_length=100)
    agent = serializers.UUIDField()
    from_number = serializers.CharField(max_length=32, required=False)
    calls_per_minute = serializers.IntegerField(
        min_value=1, max_value=MOST_PER_MINUTE, required=False
    )
    max_at_once = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, required=False)
    breaker_sample = serializers.IntegerField(min_value=5, max_value=500, required=False)
    breaker_share = serializers.IntegerField(min_value=1, max_value=100, required=False)
    retries = RetrySerializer(
        many=True,
        required=False,
        help_text="Whom to call again; an empty list: nobody. Without it: whoever was busy, did "
        "not answer or could not be reached.",
    )

    def validate_retries(self, rules: list[dict[str, Any]]) -> dict[Outcome, tuple[int, int]]:
        """One rule for an outcome."""
        found = {Outcome(rule["outcome"]): (rule["tries"], rule["after_minutes"]) for rule in rules}
        if len(found) < len(rules):
            raise serializers.ValidationError("there may be one rule for an outcome")
        return found


class AudienceSerializer(serializers.Serializer[Any]):
    """People to call: each a `number`, and what else the agent is told of them."""

    contacts = serializers.ListField(
        child=serializers.DictField(
            child=serializers.CharField(max_length=LONGEST_CELL, allow_blank=True)
        ),
        max_length=MOST_ROWS,
    )

    def validate_contacts(self, contacts: list[dict[str, str]]) -> list[dict[str, str]]:
        """Whose columns have names."""
        return [named(contact) for contact in contacts]


def _rows(request: Request) -> list[NumberRow]:
    """The people that a request names, in a file or in a list. Raises FileFaults."""
    body: Any = request.data
    if request.content_type.startswith(CsvParser.media_type):
        return number_rows(body.get("text", ""), strict=True)
    asked = AudienceSerializer(data=body)
    asked.is_valid(raise_exception=True)
    return number_entries(asked.validated_data["contacts"], strict=True)


class NotNow(APIException):
    """The campaign cannot do that in the state in which it is."""

    status_code = HTTPStatus.CONFLICT
    default_code = "not_now"


class CampaignPagination(CursorPagination):
    """The latest first."""

    page_size = 50
    ordering = "-id"


class CampaignViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """The tenant's campaigns."""

    permission = {
        "list": Permission.CALLS_VIEW,
        "retrieve": Permission.CALLS_VIEW,
        "create": Permission.CAMPAIGNS_MANAGE,
        "audience": Permission.CAMPAIGNS_MANAGE,
        "start": Permission.CAMPAIGNS_MANAGE,
        "stop": Permission.CAMPAIGNS_MANAGE,
    }
    pagination_class = CampaignPagination
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    serializer_class = CampaignDetailSerializer

    def get_queryset(self) -> QuerySet[Campaign]:
        """All of the tenant's."""
        return campaigns()

    def get_serializer_class(self) -> type[CampaignSerializer]:
        """The funnel is counted for one, not for a page of them."""
        return CampaignSerializer if self.action == "list" else CampaignDetailSerializer

    @extend_schema(request=CampaignRequestSerializer, responses={201: CampaignDetailSerializer})
    def create(self, request: Request) -> Response:
        """A draft, with nobody in its audience."""
        asked = CampaignRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        fields = dict(asked.validated_data)
        try:
            agent = agent_for(fields.pop("agent"))
        except Agent.DoesNotExist:
            raise ValidationError({"agent": "there is no such agent"}) from None
        shown = fields.pop("from_number", None)
        number = number_named(shown) if shown is not None else None
        campaign = campaign_create(agent=agent, number=number, actor=actor_of(request), **fields)
        return self._shown(campaign, HTTPStatus.CREATED)

    @extend_schema(
        request={"text/csv": OpenApiTypes.STR, "application/json": AudienceSerializer},
        responses={
            200: CampaignDetailSerializer,
            400: OpenApiResponse(None, "`lines`: each faulty line and why; nothing was taken in."),
            409: OpenApiResponse(None, "The campaign has begun."),
        },
    )
    @action(detail=True, methods=["post"], parser_classes=[CsvParser, JSONParser])
    def audience(self, request: Request, public_id: Any = None) -> Response:  # noqa: ARG002
        """Take the people of a CSV file or a list in as the audience, in place of those before."""
        campaign = self.get_object()
        try:
            campaign_fill(campaign=campaign, rows=_rows(request), actor=actor_of(request))
        except FileFaults as error:
            raise by_line(error) from None
        except CampaignError as error:
            raise NotNow(str(error)) from None
        return self._shown(campaign)

    @extend_schema(
        request=None,
        responses={200: CampaignDetailSerializer, 409: OpenApiResponse(None, "Not now, and why.")},
    )
    @action(detail=True, methods=["post"])
    def start(self, request: Request, public_id: Any = None) -> Response:  # noqa: ARG002
        """Let it call, from the beginning or on from where it stopped."""
        campaign = self.get_object()
        try:
            campaign_start(campaign=campaign, actor=actor_of(request))
        except (CampaignError, CallNotPlaced) as error:
            raise NotNow(str(error)) from None
        return self._shown(campaign)

    @extend_schema(request=None, responses={200: CampaignDetailSerializer})
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, public_id: Any = None) -> Response:  # noqa: ARG002
        """Place no more calls and hang up those that ring; conversations go on."""
        campaign = self.get_object()
        campaign_stop(campaign=campaign, actor=actor_of(request))
        return self._shown(campaign)

    def _shown(self, campaign: Campaign, status: HTTPStatus = HTTPStatus.OK) -> Response:
        fresh = campaigns().get(pk=campaign.pk)
        return Response(CampaignDetailSerializer(fresh).data, status=status)
