"""A stand-in for Groq's chat API: real HTTP, real server-sent events, and every fault.

    python -m tests.peers.groq --port 5001
        GROQ_BASE_URL=http://127.0.0.1:5001  GROQ_API_KEY=right-key

Wire format: protocols/llm.md section 1. From the command line it answers from the knowledge
that it is given with each request, calls tools when asked to, and says goodbye.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MODELS = ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "whisper-large-v3-turbo")
Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What one request gets. Waits are in seconds, `cut_after` and `error_after` in chunks.

    `tools` are (name, arguments as sent); `fragments` > 1 sends each in that many pieces.
    `finish` None never says how it finished; `raw` is sent instead of the whole stream.
    """

    text: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    reasoning: str = ""
    fragments: int = 1
    finish: str | None = "auto"
    status: int = 200
    error: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    cut_after: int | None = None
    error_after: int | None = None
    stream_error: str = ""
    raw: bytes | None = None


def too_many(retry_after: str | None = "7.66") -> Reply:
    """429, as Groq words it."""
    message = "Rate limit reached for model `openai/gpt-oss-120b` on tokens per minute (TPM)."
    error = {"message": message, "type": "tokens", "code": "rate_limit_exceeded"}
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    return Reply(status=429, error=error, headers=headers)


def no_such_model(name: str) -> Json:
    """404, as Groq words it for a retired or unknown model."""
    return {
        "message": f"The model `{name}` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "code": "model_not_found",
    }


Answer = Callable[[Json], Reply]


@dataclass
class GroqServer:
    """The server. Requests take the next of `replies`; when there are none left, `answer`'s.

    `requests` holds the bodies that came, `connections` counts them, `hung_up` counts
    clients that left in the middle of a stream, and `left` is set when one did.
    """

    replies: list[Reply] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: lambda _body: Reply("Hello."))
    key: str = "right-key"
    models: tuple[str, ...] = MODELS
    requests: list[Json] = field(default_factory=list)
    connections: int = 0
    hung_up: int = 0
    port: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    live: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """What to set as GROQ_BASE_URL."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which may carry many requests."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.live.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._handle(*await _request(reader), reader, writer):
                    pass
        finally:
            self.live.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _handle(
        self,
        path: str,
        headers: dict[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer one request; False: the connection is of no more use."""
        if headers.get("authorization") != f"Bearer {self.key}":
            error = {"message": "Invalid API Key", "type": "invalid_request_error",
                     "code": "invalid_api_key"}  # fmt: skip
            return await _send_json(writer, 401, {"error": error})
        if path == "/openai/v1/models":
            data = [{"id": name, "object": "model", "created": 1, "owned_by": "Groq"}
                    for name in self.models]  # fmt: skip
            return await _send_json(writer, 200, {"object": "list", "data": data})
        if path != "/openai/v1/chat/completions":
            return await _send_json(writer, 404, {"error": {"message": f"Unknown URL {path}"}})
        asked = json.loads(body)
        self.requests.append(asked)
        if asked["model"] not in self.models:
            return await _send_json(writer, 404, {"error": no_such_model(asked["model"])})
        reply = self.replies.pop(0) if self.replies else self.answer(asked)
        return await self._reply(reply, asked["model"], reader, writer)

    async def _reply(
        self, reply: Reply, model: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        await asyncio.sleep(reply.delay)
        if reply.status != 200:
            error = {"error": reply.error or {"message": http.HTTPStatus(reply.status).phrase}}
            return await _send_json(writer, reply.status, error, reply.headers)
        writer.write(_head(200, {"content-type": "text/event-stream",
                                 "transfer-encoding": "chunked", **LIMITS}))  # fmt: skip
        for count, event in enumerate(_events(reply, model)):
            if reader.at_eof() or count == reply.cut_after:
                self._note_left(reader.at_eof())
                writer.transport.abort()
                return False
            writer.write(_chunk(event))
            await writer.drain()
            await asyncio.sleep(reply.drip)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _note_left(self, by_itself: bool) -> None:
        if by_itself:
            self.hung_up += 1
            self.left.set()


LIMITS = {
    "x-ratelimit-limit-requests": "14400",
    "x-ratelimit-remaining-tokens": "7980",
    "x-ratelimit-reset-tokens": "7.66s",
}


def _events(reply: Reply, model: str) -> Iterator[bytes]:
    """The lines of the stream, one event each."""
    if reply.raw is not None:
        yield reply.raw
        return
    for count, chunk in enumerate(_chunks(reply, model)):
        if count == reply.error_after:
            yield b'event: error\ndata: {"error":{"message":"over capacity","type":"server"}}\n\n'
            return
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _chunks(reply: Reply, model: str) -> Iterator[Json]:
    first = _as_chunk(model, {"role": "assistant", "content": ""})
    first["x_groq"] = {"id": "req_01"}
    yield first
    for word in re.findall(r"\S+\s*", reply.reasoning):
        yield _as_chunk(model, {"reasoning": word})
    for word in re.findall(r"\s*\S+\s*", reply.text):
        yield _as_chunk(model, {"content": word})
    for index, (name, arguments) in enumerate(reply.tools):
        yield from _tool_chunks(model, index, name, arguments, reply.fragments)
    finish = reply.finish
    if finish == "auto":
        finish = "tool_calls" if reply.tools else "stop"
    if finish is None:
        return
    last = _as_chunk(model, {}, finish)
    last["x_groq"] = {"id": "req_01", "usage": USAGE}
    if reply.stream_error:
        last["x_groq"] = {"id": "req_01", "error": reply.stream_error}
    yield last


USAGE = {
    "queue_time": 0.02, "prompt_tokens": 20, "prompt_time": 0.01, "completion_tokens": 9,
    "completion_time": 0.03, "total_tokens": 29, "total_time": 0.04,
}  # fmt: skip


def _tool_chunks(
    model: str, index: int, name: str, arguments: str, fragments: int
) -> Iterator[Json]:
    size = max(1, -(-len(arguments) // fragments))
    parts = [arguments[i : i + size] for i in range(0, len(arguments), size)] or [""]
    for count, part in enumerate(parts):
        call: Json = {"index": index, "function": {"arguments": part}}
        if count == 0:
            call |= {"id": f"call_{index}", "type": "function"}
            call["function"]["name"] = name
        yield _as_chunk(model, {"tool_calls": [call]})


def _as_chunk(model: str, delta: Json, finish: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "system_fingerprint": "fp_x", "choices": [choice]}  # fmt: skip


# --- HTTP ---------------------------------------------------------------------------------


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    path = head[0].split(" ")[1]
    headers = {
        k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)
    }
    return path, headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def _send_json(
    writer: asyncio.StreamWriter, status: int, body: Json, headers: dict[str, str] | None = None
) -> bool:
    data = json.dumps(body).encode()
    more = {"content-type": "application/json", "content-length": str(len(data))}
    writer.write(_head(status, {**more, **LIMITS, **(headers or {})}) + data)
    await writer.drain()
    return True


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@asynccontextmanager
async def running(server: GroqServer, port: int = 0) -> AsyncIterator[GroqServer]:
    """Serve on loopback until the block ends; `server.url` is its address."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", port)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(server.live):
            task.cancel()
        await asyncio.gather(*server.live, return_exceptions=True)
        await listener.wait_closed()


# --- a demonstration ----------------------------------------------------------------------

_BYE = re.compile(r"\b(?:good ?bye|bye|adi[oó]s|hasta luego|that's all|eso es todo)\b", re.I)
_KNOWN = re.compile(r"^- (?P<question>.+)\n  (?P<answer>.+)$", re.M)


def sensible(body: Json) -> Reply:
    """Answer from the knowledge in the request; hang up when the caller says goodbye."""
    messages = body["messages"]
    spanish = "Speak Spanish" in str(messages[0]["content"])
    if messages[-1]["role"] == "tool":
        return Reply("Listo, ya quedó." if spanish else "Done, that is noted.", drip=0.02)
    said = next((str(m["content"]) for m in reversed(messages) if m["role"] == "user"), "")
    tools = {tool["function"]["name"] for tool in body.get("tools", ())}
    if _BYE.search(said) and "hang_up" in tools:
        goodbye = "Gracias por llamar. ¡Hasta luego!" if spanish else "Thanks for calling. Goodbye!"
        return Reply(goodbye, tools=(("hang_up", "{}"),), drip=0.02)
    context = "\n".join(str(m["content"]) for m in messages[1:] if m["role"] == "system")
    known = _KNOWN.search(context)
    if known is not None:
        more = " ¿Algo más?" if spanish else " Anything else?"
        return Reply(known["answer"] + more, drip=0.02)
    unknown = (
        "No tengo ese dato. ¿Le ayudo con precios, horarios o una reservación?"
        if spanish
        else "I do not have that. Can I help with prices, hours or a booking?"
    )
    return Reply(unknown, drip=0.02)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--key", default="right-key")
    options = parser.parse_args()
    async with running(GroqServer(answer=sensible, key=options.key), options.port) as server:
        print(f"GROQ_BASE_URL={server.url} GROQ_API_KEY={options.key}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
