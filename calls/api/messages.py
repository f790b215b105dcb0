"""Written messages over HTTP: the list, one, what came with it, and writing one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import ObjectDoesNotExist, QuerySet
from django.http import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from calls.api.files import file_response
from calls.api.placing import HEADER, idempotency_key, number_named
from calls.api.serializers import named
from calls.carriers.message_files import file_path
from calls.jsontext import clean_text
from calls.message_errors import CannotBeWrittenTo, MessageNotSent
from calls.models import Direction, Message, MessageFile
from calls.selectors.messages import message_file, recent_messages
from calls.services.messages import Letter, message_send, writable
from tenants.drf import TenantAPIView, TenantViewSet, actor_of
from tenants.permissions import Permission

LONGEST_TEXT = 1600  # characters; Twilio's limit (twilio.md, 9)
MOST_MEDIA = 10
MOST_VALUES = 100


class MediaSerializer(serializers.Serializer[Any]):
    """Something attached. What came with a message can be fetched at `url` once it is ready."""

    url = serializers.URLField()
    state = serializers.ChoiceField(MessageFile.State.choices, allow_null=True)
    content_type = serializers.CharField()
    size_bytes = serializers.IntegerField(allow_null=True)


class MessageSerializer(serializers.ModelSerializer[Message]):
    """An SMS or WhatsApp message."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    from_number = serializers.SerializerMethodField()
    to_number = serializers.SerializerMethodField()
    media = serializers.SerializerMethodField()

    class Meta:
        model = Message
        fields = (
            "id", "direction", "kind", "from_number", "to_number", "party_name", "text", "media",
            "template", "template_values", "state", "error", "at", "sent_at", "delivered_at",
            "read_at", "failed_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_from_number(self, message: Message) -> str:
        """Who wrote."""
        ours = message.direction == Direction.OUTBOUND
        return str(message.own_number if ours else message.party)

    def get_to_number(self, message: Message) -> str:
        """Who is written to."""
        ours = message.direction == Direction.OUTBOUND
        return str(message.party if ours else message.own_number)

    @extend_schema_field(MediaSerializer(many=True))
    def get_media(self, message: Message) -> list[dict[str, Any]]:
        """What is attached, in its order."""
        files = {file.place: file for file in message.files.all()}
        return [
            self._file(message, files[place]) if place in files else _sent_along(url)
            for place, url in enumerate(message.media)
        ]

    def _file(self, message: Message, file: MessageFile) -> dict[str, Any]:
        address = reverse(
            "api:message-media",
            args=[message.public_id, file.place],
            request=self.context.get("request"),
        )
        return {
            "url": str(address),
            "state": file.state,
            "content_type": file.content_type,
            "size_bytes": file.size_bytes,
        }


def _sent_along(url: str) -> dict[str, Any]:
    return {"url": url, "state": None, "content_type": "", "size_bytes": None}


class MessageRequestSerializer(serializers.Serializer[Any]):
    """A message that is to be sent."""

    kind = serializers.ChoiceField(Message.Kind.choices)
    from_number = serializers.CharField(
        max_length=32, help_text="The tenant's number that writes, in E.164 form."
    )
    to_number = serializers.CharField(
        max_length=32, help_text="Whom to write to, in E.164 form: `+525512345678`."
    )
    text = serializers.CharField(max_length=LONGEST_TEXT, required=False)
    media = serializers.ListField(
        child=serializers.URLField(max_length=2000),
        max_length=MOST_MEDIA,
        required=False,
        help_text="Public `https` addresses from which the carrier fetches what is attached.",
    )
    template = serializers.CharField(
        max_length=200,
        required=False,
        help_text="WhatsApp only, needed when they have not written in the last 24 hours. Twilio: "
        "the ContentSid (`HX…`). Telnyx: `name/language`, such as `reminder/es_MX`, or its id.",
    )
    template_values = serializers.DictField(
        child=serializers.CharField(max_length=1000),
        required=False,
        help_text='By their names in the template: `{"1": "Ana"}`.',
    )

    def validate_media(self, media: list[str]) -> list[str]:
        """Carriers fetch over HTTPS."""
        for url in media:
            if urlsplit(url).scheme != "https":
                raise ValidationError(_("%(url)s is no https address.") % {"url": url})
        return media

    def validate_template_values(self, values: dict[str, str]) -> dict[str, str]:
        """Their names are texts as well, and no template has more."""
        if len(values) > MOST_VALUES:
            raise ValidationError(_("At most %(most)s values.") % {"most": MOST_VALUES})
        return named(values)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """There is something to send, and it fits together."""
        if attrs.get("template"):
            if attrs["kind"] != Message.Kind.WHATSAPP:
                raise ValidationError({"template": _("Only WhatsApp has templates.")})
            if attrs.get("text") or attrs.get("media"):
                raise ValidationError({"template": _("A template goes without text and media.")})
        elif not attrs.get("text") and not attrs.get("media"):
            raise ValidationError({"text": _("Give a text, media or a template.")})
        elif attrs.get("template_values"):
            raise ValidationError({"template_values": _("There is no template.")})
        elif attrs["kind"] == Message.Kind.WHATSAPP and len(attrs.get("media", ())) > 1:
            raise ValidationError({"media": _("WhatsApp takes one file a message.")})
        return attrs


class Refused(APIException):
    """The message is not sent; `code` names the cause."""

    status_code = HTTPStatus.CONFLICT

    def __init__(self, error: MessageNotSent) -> None:
        super().__init__({"detail": str(error), "code": error.code})


class MessagePagination(CursorPagination):
    """Pages that stay right while new messages come in."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = ("-at", "-id")


_CHOICES = {
    "kind": Message.Kind.values,
    "direction": Direction.values,
    "state": Message.State.values,
}


class MessageViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """The tenant's written messages, from and to its numbers."""

    permission = {
        "list": Permission.MESSAGES_VIEW,
        "retrieve": Permission.MESSAGES_VIEW,
        "create": Permission.MESSAGES_SEND,
    }
    pagination_class = MessagePagination
    lookup_field = "public_id"
    lookup_value_converter = "uuid"
    serializer_class = MessageSerializer

    def get_queryset(self) -> QuerySet[Message]:
        """All, or those that are asked for."""
        found = recent_messages()
        return _filtered(found, self.request) if self.action == "list" else found

    @extend_schema(
        parameters=[
            *(
                OpenApiParameter(name, enum=values, description="Only those")
                for name, values in _CHOICES.items()
            ),
            OpenApiParameter("with", OpenApiTypes.STR, description="Only from and to this number"),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Messages, the latest first, a page at a time."""
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request=MessageRequestSerializer,
        parameters=[
            OpenApiParameter(
                HEADER,
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="Yours for this message, of at most 200 characters. The same key with "
                "the same content gives the same message (200); with other content it is refused "
                "(409).",
            )
        ],
        responses={
            201: MessageSerializer,
            200: MessageSerializer,
            400: OpenApiResponse(
                None, "A number, the content or the key is not what it should be."
            ),
            409: OpenApiResponse(
                None,
                "Not sent; `code` says why: do_not_call, whatsapp_window_closed, cannot_send, "
                "idempotency_conflict.",
            ),
        },
    )
    def create(self, request: Request) -> Response:
        """Write a message. With an `Idempotency-Key` the same request sends it once.

        It is stored and answered at once; `state` then tells how far it has come.
        """
        asked = MessageRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        key = idempotency_key(request)
        try:
            letter = _letter(asked.validated_data)
            posted = message_send(letter=letter, actor=actor_of(request), key=key)
        except CannotBeWrittenTo as error:
            raise ValidationError({"to_number": [str(error)]}, code=error.code) from None
        except MessageNotSent as error:
            raise Refused(error) from None
        answer = MessageSerializer(posted.message, context=self.get_serializer_context())
        status = HTTPStatus.CREATED if posted.is_new else HTTPStatus.OK
        return Response(answer.data, status=status)


class MessageMediaView(TenantAPIView):
    """What came with a message."""

    permission = Permission.MESSAGES_VIEW

    @extend_schema(
        operation_id="messages_media_retrieve",
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            404: OpenApiResponse(None, "There is no such file, or it is not here yet."),
        },
    )
    def get(self, request: Request, public_id: UUID, place: int) -> HttpResponseBase:
        """The file, to be saved: it is from outside, whatever is in it."""
        try:
            file = message_file(public_id, place)
        except ObjectDoesNotExist:
            raise NotFound from None
        path = file_path(file)
        if not path.is_file():
            raise NotFound
        answer = file_response(request, path, content_type=file.content_type)
        answer["Content-Disposition"] = "attachment"
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


def _letter(data: dict[str, Any]) -> Letter:
    return Letter(
        kind=Message.Kind(data["kind"]),
        number=number_named(data["from_number"]),
        to_number=writable(data["to_number"]),
        text=data.get("text", ""),
        media=tuple(data.get("media", ())),
        template=data.get("template", ""),
        template_values=data.get("template_values", {}),
    )


def _filtered(messages: QuerySet[Message], request: Request) -> QuerySet[Message]:
    query = request.query_params
    for name, values in _CHOICES.items():
        if wish := query.get(name):
            if wish not in values:
                why = _("“%(wish)s” is none of %(values)s.")
                raise ValidationError({name: [why % {"wish": wish, "values": ", ".join(values)}]})
            messages = messages.filter(**{name: wish})
    party = clean_text(query.get("with", ""))
    return messages.filter(party=party) if party else messages
