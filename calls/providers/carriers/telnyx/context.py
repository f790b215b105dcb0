"""What we have Telnyx carry for us: `client_state`, echoed in every later webhook of a leg.

It has to be base64 (telnyx.md, 3). On an ordinary leg it carries what our caller wants back with
each signal and what its stream's start has to say; on the leg of a person whom a caller is handed
to, what has to happen next with the two.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

import orjson

CODEC_PARAMETER = "stream_codec"  # ours among a stream's parameters: what we speak in
DEFAULT_CODEC: Final = "PCMU"
_HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Carried:
    """What an ordinary leg carries: `state` for its signals, `parameters` for its stream."""

    state: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def pack(self) -> str:
        """As `client_state`."""
        fields = {"state": self.state, "parameters": dict(self.parameters)}
        return pack(orjson.dumps(fields).decode())

    @classmethod
    def of(cls, client_state: str) -> Carried:
        """Read it out of an unpacked `client_state`; what is none is a mere state."""
        try:
            fields = orjson.loads(client_state)
            state, parameters = fields["state"], fields["parameters"]
            texts = {str(name): str(value) for name, value in parameters.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(client_state)
        return cls(str(state), texts)


class Stage(StrEnum):
    """How far handing a caller over has come, as seen from the person's leg."""

    BLIND = "blind"  # the two are joined by Telnyx itself as soon as the person picks up
    CALLING = "calling"
    JOINED = "joined"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class HandoverContext:
    """Whose caller a person is called for. `root` is what the steps' command ids come from."""

    caller_leg: str
    root: str
    stage: Stage
    language: str = "en"
    briefing: str = ""

    def command_id(self, step: str) -> uuid.UUID:
        """The id of a step's command: the same each time, so that Telnyx does it once."""
        return uuid.uuid5(uuid.UUID(self.root), step)

    def pack(self) -> str:
        """As `client_state`."""
        return pack(orjson.dumps({_HANDOVER: asdict(self)}).decode())

    @classmethod
    def of(cls, client_state: str) -> HandoverContext | None:
        """Read it out of an unpacked `client_state`; None for what is none."""
        try:
            fields = orjson.loads(client_state)[_HANDOVER]
            context = cls(**{**fields, "stage": Stage(fields["stage"])})
            uuid.UUID(context.root)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return context if all(isinstance(text, str) for text in fields.values()) else None


def pack(text: str) -> str:
    """`text` as Telnyx wants it; nothing for nothing."""
    return base64.b64encode(text.encode()).decode()


def unpack(client_state: object) -> str:
    """What `pack` was given. What is not base64 of text was not set by us: nothing."""
    if not isinstance(client_state, str):
        return ""
    try:
        return base64.b64decode(client_state, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
