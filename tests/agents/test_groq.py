"""The real Groq SDK against a server that speaks Groq's wire format, faults included."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager

import pytest

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderTimeout,
    QuotaExceeded,
)
from agents.brain.events import AgentSaid, CallerPressed, CallerSaid, ToolRan
from agents.brain.llm.base import ModelRequest, Text, ToolCall, ToolSpec, Usage
from agents.brain.llm.groq import GroqModel, GroqOptions, check_model, groq_client
from tests.peers.groq import GroqServer, Reply, running, too_many

ASKED = ModelRequest((CallerSaid("How much is it?"),), "en", system="You are Grace.")
LOOKUP = ToolSpec("lookup", "Look up.", {"type": "object", "properties": {"q": {"type": "string"}}})


@asynccontextmanager
async def model_at(server, *, key="right-key", **options):
    async with running(server):
        client = groq_client(key, server.url)
        try:
            yield GroqModel(lambda: client, GroqOptions(**options))
        finally:
            await client.close()


async def ask(reply, request=ASKED, **options):
    server = GroqServer([reply])
    async with model_at(server, **options) as model:
        events = [event async for event in model.stream(request)]
    return events, server


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, Text))


async def test_text_streams_piece_by_piece_and_ends_with_what_it_cost():
    events, _ = await ask(Reply("Ninety dollars, please."))
    assert [e.text for e in events[:-1]] == ["Ninety ", "dollars, ", "please."]
    assert events[-1] == Usage(
        "groq", "openai/gpt-oss-120b", 20, 9, {"queue_time": 0.02, "total_time": 0.04}
    )


async def test_the_first_piece_comes_before_the_last_was_sent():
    server = GroqServer([Reply("one two three", drip=0.02)])
    async with model_at(server) as model, aclosing(model.stream(ASKED)) as stream:
        assert await anext(stream) == Text("one ")


async def test_the_request_holds_the_conversation_as_the_api_wants_it():
    items = (
        AgentSaid("Hello."),
        CallerSaid("Which tours?"),
        AgentSaid("There are", interrupted=True),
        ToolRan("call_1", "lookup", {"q": "tours"}, {"found": 3}),
        ToolRan("call_2", "lookup", {}, None, "no such tour"),
        CallerSaid("And the price?"),
        CallerPressed("5"),
    )
    request = ModelRequest(items, "en", "You are Grace.", "Knowledge: ninety.", (LOOKUP,))
    _, server = await ask(Reply("Ok."), request)
    [body] = server.requests
    call = {"type": "function", "function": {"name": "lookup", "arguments": '{"q": "tours"}'}}
    second = {"type": "function", "function": {"name": "lookup", "arguments": "{}"}}
    assert body["messages"] == [
        {"role": "system", "content": "You are Grace."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Which tours?"},
        {
            "role": "assistant",
            "content": "There are —",
            "tool_calls": [{"id": "call_1", **call}, {"id": "call_2", **second}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": '{"found": 3}'},
        {"role": "tool", "tool_call_id": "call_2", "content": "error: no such tour"},
        {"role": "user", "content": "And the price?"},
        {"role": "system", "content": "Knowledge: ninety."},
        {"role": "user", "content": "(pressed the keys 5)"},
    ]
    assert body["tools"][0]["function"]["name"] == "lookup"


async def test_options_reach_the_wire_and_each_family_gets_what_it_takes():
    _, server = await ask(Reply("Ok."), temperature=0.1, max_tokens=99, reasoning_effort="medium")
    [body] = server.requests
    assert body["stream"] is True
    assert (body["temperature"], body["max_completion_tokens"]) == (0.1, 99)
    assert (body["reasoning_effort"], body["include_reasoning"]) == ("medium", False)
    assert "tools" not in body
    server = GroqServer([Reply("Ok.")], models=("qwen/qwen3.6-27b",))
    async with model_at(server, model="qwen/qwen3.6-27b") as model:
        [_ async for _ in model.stream(ASKED)]
    assert server.requests[0]["reasoning_effort"] == "none"
    assert "include_reasoning" not in server.requests[0]


async def test_reasoning_is_never_spoken_wherever_it_comes():
    events, _ = await ask(Reply("<think>they want a price</think>Ninety.", reasoning="hmm price"))
    assert text_of(events) == "Ninety."


@pytest.mark.parametrize("fragments", [1, 4])
async def test_tool_calls_are_put_together_by_index(fragments):
    tools = (("lookup", '{"q": "whales"}'), ("lookup", '{"q": "desert"}'))
    events, _ = await ask(Reply("One moment.", tools=tools, fragments=fragments))
    assert [e for e in events if isinstance(e, ToolCall)] == [
        ToolCall("call_0", "lookup", {"q": "whales"}, '{"q": "whales"}'),
        ToolCall("call_1", "lookup", {"q": "desert"}, '{"q": "desert"}'),
    ]


@pytest.mark.parametrize("arguments", ['{"q": "wha', "[1, 2]", "null", "whales"])
async def test_malformed_arguments_are_handed_on_as_such(arguments):
    events, _ = await ask(Reply(tools=(("lookup", arguments),)))
    assert events[0] == ToolCall("call_0", "lookup", None, arguments)


async def test_no_arguments_at_all_are_an_empty_object():
    events, _ = await ask(Reply(tools=(("lookup", ""),)))
    assert events[0] == ToolCall("call_0", "lookup", {}, "")


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Reply(status=403), BadKey, "403: Forbidden"),
        (Reply(status=400, error={"message": "bad tool", "code": "tool_use_failed"}), BadRequest,
         "400: bad tool"),
        (Reply(status=413), BadRequest, "413"),
        (Reply(status=422), BadRequest, "422"),
        (Reply(status=500), ProviderDown, "500: Internal Server Error"),
        (Reply(status=503), ProviderDown, "503"),
        (Reply("one two", error_after=2), ProviderDown, "over capacity"),
        (Reply("one two", stream_error="model crashed"), ProviderDown, "model crashed"),
        (Reply("one two three", cut_after=2), NetworkFailure, "broke"),
        (Reply("one two", finish=None), NetworkFailure, "broke off before its end"),
        (Reply(raw=b"data: {not json\n\n"), ProviderDown, "unreadable"),
        (Reply("late", delay=0.3), ProviderTimeout, "no answer in time"),
        (Reply("one two three", drip=0.3), ProviderTimeout, "stood still"),
    ],
)  # fmt: skip
async def test_a_fault_has_its_own_error_and_says_what_it_was(reply, error, message):
    with pytest.raises(error, match=message):
        await ask(reply, read_timeout=0.15)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7.66", 7.66), ("120", 120.0), (None, None), ("soon", None)]
)
async def test_a_full_quota_says_how_long_to_wait(header, seconds):
    with pytest.raises(QuotaExceeded, match="429: Rate limit reached") as caught:
        await ask(too_many(header))
    assert caught.value.retry_after == seconds


async def test_a_wrong_key_and_a_retired_model_are_told_apart():
    async with model_at(GroqServer(), key="wrong") as model:
        with pytest.raises(BadKey, match="401: Invalid API Key"):
            [_ async for _ in model.stream(ASKED)]
    async with model_at(GroqServer(), model="llama-3.3-70b-versatile") as model:
        with pytest.raises(BadRequest, match=r"404: The model `llama-3\.3-70b-versatile` does not"):
            [_ async for _ in model.stream(ASKED)]


async def test_nobody_at_the_address_is_a_network_failure():
    server = GroqServer()
    async with running(server):
        pass
    client = groq_client("right-key", server.url)
    with pytest.raises(NetworkFailure, match="cannot be reached"):
        [_ async for _ in GroqModel(lambda: client).stream(ASKED)]
    await client.close()


async def test_an_error_is_not_retried_by_the_sdk():
    server = GroqServer([Reply(status=500), Reply("second")])
    async with model_at(server) as model:
        with pytest.raises(ProviderDown):
            [_ async for _ in model.stream(ASKED)]
    assert len(server.requests) == 1


async def test_closing_a_reply_hangs_up_on_the_server():
    server = GroqServer([Reply("one two three four five", drip=0.05)])
    async with model_at(server) as model:
        async with aclosing(model.stream(ASKED)) as stream:
            await anext(stream)
        async with asyncio.timeout(5):
            await server.left.wait()
    assert server.hung_up == 1


async def test_a_warm_connection_is_used_again():
    server = GroqServer([Reply(status=400), Reply("Hello.")])
    async with model_at(server) as model:
        await model.open()
        with pytest.raises(BadRequest):
            [_ async for _ in model.stream(ASKED)]
        assert text_of([e async for e in model.stream(ASKED)]) == "Hello."
    assert server.connections == 1


async def test_the_model_check_gives_a_reason_that_helps():
    server = GroqServer()
    async with running(server):
        client = groq_client("right-key", server.url)
        assert (await check_model(client, "openai/gpt-oss-120b")).ok
        retired = await check_model(client, "llama-3.3-70b-versatile")
        await client.close()
        client = groq_client("wrong", server.url)
        refused = await check_model(client, "openai/gpt-oss-120b")
        await client.close()
    assert not retired.ok
    assert "set GROQ_MODEL to one of: openai/gpt-oss-120b, openai/gpt-oss-20b" in retired.reason
    assert (refused.ok, refused.reason) == (False, "groq: 401: Invalid API Key")


async def test_the_stand_in_speaks_the_documented_wire_format():
    server = GroqServer([Reply("Hi.")])
    async with running(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = json.dumps({"model": "openai/gpt-oss-120b", "messages": []}).encode()
        head = f"POST /openai/v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"authorization: Bearer right-key\r\n\r\n" + body)
        sent = (await reader.readuntil(b"0\r\n\r\n")).decode()
        writer.close()
    assert "content-type: text/event-stream" in sent
    assert 'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk"' in sent
    assert '"finish_reason": "stop"' in sent
    assert '"x_groq": {"id": "req_01", "usage": {"queue_time": 0.02' in sent
    assert "data: [DONE]" in sent
