"""What the mind asks of a language model, and what the model answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from agents.brain.events import ConversationItem


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function offered to the model; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a model.

    `system` stays the same over a call, so that providers can cache it; `context` holds what
    was looked up for the last words of the caller. `items` are oldest first, and include the
    tool runs of the reply in progress.
    """

    items: tuple[ConversationItem, ...]
    language: str
    system: str = ""
    context: str = ""
    tools: tuple[ToolSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Some more characters to speak."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model wants made. `arguments` is None when they were not a JSON object."""

    call_id: str
    name: str
    arguments: Mapping[str, object] | None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply cost, and who gave it."""

    provider: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    details: Mapping[str, object] = field(default_factory=dict)


ModelEvent: TypeAlias = Text | ToolCall | Usage


class LanguageModel(Protocol):
    """Answers one request at a time per generator; closing the generator cancels it.

    Errors are those of `agents.brain.errors`. Reasoning is never in a `Text`.
    """

    @property
    def name(self) -> str:
        """Who it is, as shown to people."""

    async def open(self) -> None:
        """Connect before the first request. May fail; `stream` then tries again."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]: ...

    async def aclose(self) -> None: ...
