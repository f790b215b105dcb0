"""Groq's chat models through its own SDK: streaming, with tools.

Wire facts: protocols/llm.md section 1. The SDK's retries are off; `fallback.py` decides what
happens after an error. All times are seconds here, as in the SDK.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import groq
import httpx
from groq import AsyncGroq, DefaultAsyncHttpxClient
from groq.types.chat import ChatCompletionChunk

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from agents.brain.llm.base import ModelEvent, ModelRequest, Text, ToolCall, ToolSpec, Usage
from agents.brain.llm.speakable import SpeakableText
from agents.brain.prompt import chat_messages

NAME = "groq"
DEFAULT_MODEL = "openai/gpt-oss-120b"  # llama-3.3-70b-versatile was retired on 2026-08-16


@dataclass(frozen=True, slots=True)
class GroqOptions:
    """How to ask. `read_timeout` is the longest silence between two pieces of a reply."""

    model: str = DEFAULT_MODEL
    temperature: float = 0.4
    max_tokens: int = 600
    reasoning_effort: Literal["low", "medium", "high"] = "low"
    connect_timeout: float = 2.0
    read_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """Whether a model can be used, and if not, why: a sentence for the person who set it."""

    ok: bool
    reason: str


def groq_client(api_key: str, base_url: str | None = None) -> AsyncGroq:
    """A client to be shared by all calls of one event loop; it keeps connections open."""
    return AsyncGroq(
        api_key=api_key,
        base_url=base_url or None,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(verify=_tls()),
    )


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients: making it reads every root certificate, which takes 20 to 80 ms."""
    return httpx.create_ssl_context()


class GroqModel:
    """One call's view of Groq. The client is shared and not closed here."""

    name = NAME

    def __init__(
        self,
        client: Callable[[], AsyncGroq],
        options: GroqOptions = GroqOptions(),
    ) -> None:
        self._client_of_loop = client
        self._options = options

    async def open(self) -> None:
        """Do the DNS, TCP and TLS work now; the model list is the cheapest request there is."""
        async with _typed_errors():
            await self._client().models.list()

    async def aclose(self) -> None:
        """Nothing of ours is open: the client belongs to the process."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream a reply. Tool calls come complete, after the text; then what it cost."""
        reading = _Reading(self._options.model)
        async with _typed_errors():
            create: Coroutine[Any, Any, Any] = self._client().chat.completions.create(
                **self._body(request)
            )
            stream = await create
            try:
                async for chunk in _chunks(stream):
                    text = reading.take(chunk)
                    if text:
                        yield Text(text)
            finally:
                await stream.close()
        for event in reading.end():
            yield event

    def _client(self) -> AsyncGroq:
        timeout = httpx.Timeout(self._options.read_timeout, connect=self._options.connect_timeout)
        return self._client_of_loop().with_options(timeout=timeout, max_retries=0)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        options = self._options
        body: dict[str, Any] = {
            "model": options.model,
            "messages": chat_messages(request),
            "temperature": options.temperature,
            "max_completion_tokens": options.max_tokens,
            "stream": True,
            **_reasoning(options),
        }
        if request.tools:
            body["tools"] = [_tool(spec) for spec in request.tools]
            body["tool_choice"] = "auto"
        return body


def _reasoning(options: GroqOptions) -> dict[str, Any]:
    """How to keep reasoning short and off the wire; models differ in what they accept."""
    if options.model.startswith("openai/gpt-oss"):
        return {"reasoning_effort": options.reasoning_effort, "include_reasoning": False}
    if options.model.startswith("qwen/"):
        return {"reasoning_effort": "none"}
    return {}


def _tool(spec: ToolSpec) -> dict[str, Any]:
    function = {
        "name": spec.name,
        "description": spec.description,
        "parameters": dict(spec.parameters),
    }
    return {"type": "function", "function": function}


# --- reading the stream -------------------------------------------------------------------


@dataclass(slots=True)
class _PartialCall:
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class _Reading:
    """What was read of one stream so far."""

    model: str
    speakable: SpeakableText = field(default_factory=SpeakableText)
    calls: dict[int, _PartialCall] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Usage | None = None

    def take(self, chunk: ChatCompletionChunk) -> str:
        """Take one chunk in; return what of it can be spoken."""
        self._take_groq(chunk)
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish_reason = choice.finish_reason or self.finish_reason
        for fragment in choice.delta.tool_calls or ():
            call = self.calls.setdefault(fragment.index, _PartialCall())
            call.call_id = fragment.id or call.call_id
            if fragment.function is not None:
                call.name = fragment.function.name or call.name
                call.arguments += fragment.function.arguments or ""
        return self.speakable.feed(choice.delta.content or "")

    def _take_groq(self, chunk: ChatCompletionChunk) -> None:
        extra = chunk.x_groq
        if extra is None:
            return
        if extra.error:
            raise ProviderDown(NAME, f"the stream reported: {extra.error}")
        if extra.usage is not None:
            used = extra.usage
            times = {"queue_time": used.queue_time, "total_time": used.total_time}
            self.usage = Usage(NAME, self.model, used.prompt_tokens, used.completion_tokens, times)

    def end(self) -> list[ModelEvent]:
        """The stream is over: the rest of the text, the tool calls, the usage.

        Raises NetworkFailure when it broke off before it said how it finished.
        """
        if self.finish_reason is None:
            raise NetworkFailure(NAME, "the stream broke off before its end")
        rest = self.speakable.flush()
        events: list[ModelEvent] = [Text(rest)] if rest else []
        events += [_call(index, self.calls[index]) for index in sorted(self.calls)]
        return events + ([self.usage] if self.usage is not None else [])


async def _chunks(stream: AsyncIterator[ChatCompletionChunk]) -> AsyncIterator[ChatCompletionChunk]:
    async for chunk in stream:
        yield chunk


def _call(index: int, partial: _PartialCall) -> ToolCall:
    call_id = partial.call_id or f"call_{index}"
    try:
        arguments = json.loads(partial.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        arguments = None
    return ToolCall(call_id, partial.name, arguments, partial.arguments)


# --- errors -------------------------------------------------------------------------------


@asynccontextmanager
async def _typed_errors() -> AsyncIterator[None]:
    """Turn the SDK's and httpx's errors into ours."""
    try:
        yield
    except groq.APITimeoutError as error:
        raise ProviderTimeout(NAME, "no answer in time") from error
    except groq.APIConnectionError as error:
        raise NetworkFailure(NAME, f"cannot be reached: {error.__cause__ or error}") from error
    except groq.APIStatusError as error:
        raise _from_status(error) from error
    except groq.APIError as error:  # an error event inside a stream
        raise ProviderDown(NAME, error.message) from error
    except httpx.TimeoutException as error:
        raise ProviderTimeout(NAME, "the stream stood still for too long") from error
    except httpx.HTTPError as error:
        raise NetworkFailure(NAME, f"the stream broke: {error}") from error
    except ValueError as error:  # a line of the stream that is not JSON
        raise ProviderDown(NAME, f"sent something unreadable: {error}") from error


def _from_status(error: groq.APIStatusError) -> ProviderError:
    message = f"{error.status_code}: {_message(error)}"
    if isinstance(error, groq.AuthenticationError | groq.PermissionDeniedError):
        return BadKey(NAME, message)
    if isinstance(error, groq.RateLimitError):
        return QuotaExceeded(NAME, message, _seconds(error.response.headers.get("retry-after")))
    if error.status_code == 498:  # flex capacity is used up
        return QuotaExceeded(NAME, message)
    if error.status_code >= 500:
        return ProviderDown(NAME, message)
    return BadRequest(NAME, message)


def _message(error: groq.APIStatusError) -> str:
    body = error.body
    inner = body.get("error") if isinstance(body, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    return str(text or error.message)


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None


async def check_model(client: AsyncGroq, model: str, *, seconds: float = 5.0) -> ModelCheck:
    """Ask for the model list and tell whether `model` is on it. Never raises ProviderError."""
    try:
        async with _typed_errors():
            listed = await client.with_options(timeout=seconds, max_retries=0).models.list()
    except ProviderError as error:
        return ModelCheck(False, str(error))
    known = sorted(entry.id for entry in listed.data)
    if model in known:
        return ModelCheck(True, f"{model} is available")
    return ModelCheck(
        False, f"{model!r} is not offered to this key; set GROQ_MODEL to one of: {', '.join(known)}"
    )
