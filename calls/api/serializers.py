"""How calls look to programs. Identifiers are public ones, times are ISO 8601 or ms."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from agents.brain.prompt import LONGEST_FACT, LONGEST_NAME, MOST_FACTS
from calls.api.notes import CallBackSerializer, TakenMessageSerializer
from calls.models import Call, CallEvent, Recording, Utterance


class UtteranceSerializer(serializers.ModelSerializer[Utterance]):
    """One turn: what was said, and what of it reached the other side."""

    class Meta:
        model = Utterance
        fields = (
            "sequence", "role", "text", "heard_text", "interrupted", "started_ms", "ended_ms",
            "metrics",
        )  # fmt: skip
        read_only_fields = fields


class CallEventSerializer(serializers.ModelSerializer[CallEvent]):
    """Something that happened in the call."""

    class Meta:
        model = CallEvent
        fields = ("sequence", "at_ms", "name", "data")
        read_only_fields = fields


class RecordingSerializer(serializers.ModelSerializer[Recording]):
    """The recording's figures, and where to fetch it."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Recording
        fields = ("state", "sample_rate", "duration_ms", "size_bytes", "url")
        read_only_fields = fields

    @extend_schema_field(serializers.URLField())
    def get_url(self, recording: Recording) -> str:
        """The address; asking it needs the permission to listen, and is noted."""
        return str(
            reverse(
                "api:call-recording",
                args=[recording.call.public_id],
                request=self.context.get("request"),
            )
        )


class OneRecordingSerializer(RecordingSerializer):
    """One of a call's recordings, with an address of its own."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    seconds = serializers.SerializerMethodField()

    class Meta(RecordingSerializer.Meta):
        fields = (  # type: ignore[assignment]
            "id", "source", "state", "seconds", "channels", "sample_rate", "size_bytes", "url",
        )  # fmt: skip
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(serializers.FloatField(allow_null=True))
    def get_seconds(self, recording: Recording) -> float | None:
        """How long it is, once that is known."""
        return None if recording.duration_ms is None else recording.duration_ms / 1000

    @extend_schema_field(serializers.URLField())
    def get_url(self, recording: Recording) -> str:
        """The address; asking it needs the permission to listen, and is noted."""
        return str(
            reverse(
                "api:call-one-recording",
                args=[recording.call.public_id, recording.public_id],
                request=self.context.get("request"),
            )
        )


class CallSerializer(serializers.ModelSerializer[Call]):
    """A call as it appears in a list."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    agent = serializers.SerializerMethodField()

    class Meta:
        model = Call
        fields = (
            "id", "agent", "channel", "direction", "from_number", "to_number", "language",
            "state", "started_at", "answered_at", "ended_at", "end_reason", "transfer_to",
            "recording_consent", "providers", "duration_ms", "caller_talk_ms", "agent_talk_ms",
            "talk_ms", "silence_ms", "longest_silence_ms", "interruptions", "response_ms",
            "summary",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(
        {
            "type": "object",
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "name": {"type": "string"},
                "version": {"type": "integer", "nullable": True},
            },
            "required": ["id", "name", "version"],
        }
    )
    def get_agent(self, call: Call) -> dict[str, Any]:
        """Who answered, in which version; null for a call that was refused."""
        return {
            "id": str(call.agent.public_id),
            "name": call.agent.name,
            "version": call.version.number if call.version is not None else None,
        }


def named(texts: dict[str, str]) -> dict[str, str]:
    """The same; ValidationError for a name that is none."""
    name_field = serializers.CharField(max_length=LONGEST_NAME)
    for name in texts:
        name_field.run_validation(name)
    return texts


class CallRequestSerializer(serializers.Serializer[Any]):
    """A call that is to be placed."""

    to_number = serializers.CharField(
        max_length=32, help_text="Whom to call, in E.164 form: `+525512345678`."
    )
    agent = serializers.UUIDField(help_text="Who talks.")
    from_number = serializers.CharField(
        max_length=32,
        required=False,
        help_text="The tenant's number that is shown; without it one of the agent's.",
    )
    language = serializers.RegexField(
        r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$",
        required=False,
        help_text="Such as `en` or `es-MX`, if the agent speaks it.",
    )
    context = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(max_length=LONGEST_FACT, allow_blank=True),
        required=False,
        help_text="What the agent is told about whom it calls and why: names and texts.",
    )

    def validate_context(self, context: dict[str, str]) -> dict[str, str]:
        """Refuse what the agent would not be told."""
        if len(context) > MOST_FACTS:
            raise serializers.ValidationError(f"at most {MOST_FACTS} texts")
        return named(context)


class CallDetailSerializer(CallSerializer):
    """A call with everything that was said and done in it."""

    utterances = UtteranceSerializer(many=True, read_only=True)
    events = CallEventSerializer(many=True, read_only=True)
    recording = serializers.SerializerMethodField()
    recordings = serializers.SerializerMethodField()
    taken_messages = TakenMessageSerializer(many=True, read_only=True)
    call_backs = CallBackSerializer(many=True, read_only=True)

    class Meta(CallSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *CallSerializer.Meta.fields, "context", "outline", "utterances", "events", "recording",
            "recordings", "taken_messages", "call_backs",
        )  # fmt: skip
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(RecordingSerializer(allow_null=True))
    def get_recording(self, call: Call) -> dict[str, Any] | None:
        """The first recording, if the call was recorded."""
        recording = next(iter(call.recordings.all()), None)
        if recording is None:
            return None
        recording.call = call
        return dict(RecordingSerializer(recording, context=self.context).data)

    @extend_schema_field(OneRecordingSerializer(many=True))
    def get_recordings(self, call: Call) -> list[dict[str, Any]]:
        """All recordings, ours before the carrier's, which go on after a hand-over."""
        recordings = list(call.recordings.all())
        for recording in recordings:
            recording.call = call
        return list(OneRecordingSerializer(recordings, many=True, context=self.context).data)
