"""Several models in order: unheard before the first token, an apology after it."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing

import pytest

from agents.brain.breaker import CircuitBreaker
from agents.brain.errors import BadKey, NetworkFailure, ProviderDown, QuotaExceeded
from agents.brain.events import CallerSaid
from agents.brain.llm.base import ModelRequest, Text, ToolCall, Usage
from agents.brain.llm.fallback import Candidate, FallbackModel, Track

ASKED = ModelRequest((CallerSaid("Hi"),), "en")
NEVER = object()


class Plays:
    """A model that plays events; an exception is raised, NEVER waits for ever."""

    def __init__(self, name, *events, opens=None):
        self.name = name
        self.events = events
        self.opens = opens
        self.asked = 0
        self.closed = 0

    async def open(self):
        if self.opens:
            raise self.opens

    async def aclose(self):
        self.closed += 1

    async def stream(self, _request):
        self.asked += 1
        try:
            for event in self.events:
                if event is NEVER:
                    await asyncio.Event().wait()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed += 1


def chain(*models, clock=lambda: 0.0, **options):
    failures = []
    options = {"first_token_timeout": 0.02, "stall_timeout": 0.02} | options
    model = FallbackModel(
        [Candidate(m, CircuitBreaker(m.name, clock=clock)) for m in models],
        on_failure=failures.append,
        **options,
    )
    return model, failures


async def said(model):
    return "".join([e.text async for e in model.stream(ASKED) if isinstance(e, Text)])


LOCAL = (Text("Local answer."),)


async def test_the_first_model_answers_when_it_can():
    local = Plays("local", *LOCAL)
    model, failures = chain(Plays("groq", Text("Hi "), Text("there.")), local)
    assert await said(model) == "Hi there."
    assert (failures, local.asked) == ([], 0)


async def test_calls_share_a_track_record_of_first_tokens_and_errors_by_class():
    ticks = itertools.count()
    track, breaker = Track(), CircuitBreaker("groq", clock=lambda: 0.0)
    for events in ((Text("Hi "), Text("there.")), (ProviderDown("groq", "503"),)):
        candidates = [
            Candidate(Plays("groq", *events), breaker, track),
            Candidate(Plays("local", *LOCAL), CircuitBreaker("local")),
        ]
        await said(FallbackModel(candidates, clock=lambda: float(next(ticks))))
    assert list(track.latencies) == [1000.0], "the first token alone, once"
    assert track.errors == {"ProviderDown": 1}


@pytest.mark.parametrize(
    ("events", "code", "reason"),
    [
        ((NEVER,), "ProviderTimeout", "said nothing for 0.02 s"),
        ((ProviderDown("groq", "503"),), "ProviderDown", "503"),
        ((NetworkFailure("groq", "gone"),), "NetworkFailure", "gone"),
        ((), "ProviderDown", "the reply was empty"),
        ((Usage("groq", "oss"),), "ProviderDown", "the reply was empty"),
    ],
)
async def test_before_the_first_token_the_next_model_takes_over_unheard(events, code, reason):
    groq = Plays("groq", *events)
    model, failures = chain(groq, Plays("local", *LOCAL))
    assert await said(model) == "Local answer."
    [failure] = failures
    assert (failure.model, failure.code, failure.reason) == ("groq", code, reason)
    assert failure.after_first_token is False
    assert groq.closed == 1


@pytest.mark.parametrize("fault", [ProviderDown("groq", "cut"), NEVER])
async def test_after_the_first_token_a_fault_ends_the_reply_with_an_apology(fault):
    local = Plays("local", *LOCAL)
    model, failures = chain(Plays("groq", Text("The price is"), fault), local)
    assert await said(model) == ("The price is Sorry, I lost my thread. Could you say that again?")
    assert failures[0].after_first_token
    assert local.asked == 0


async def test_a_tool_call_counts_as_an_answer():
    model, failures = chain(Plays("groq", ToolCall("1", "find", {})), Plays("local", *LOCAL))
    assert [e async for e in model.stream(ASKED)] == [ToolCall("1", "find", {})]
    assert failures == []


async def test_after_three_failures_a_model_is_left_alone_and_tried_again_later():
    now = [0.0]
    groq = Plays("groq", ProviderDown("groq", "503"))
    model, _ = chain(groq, Plays("local", *LOCAL), clock=lambda: now[0])
    for _ in range(5):
        await said(model)
    assert groq.asked == 3
    assert model.name == "local"
    now[0] = 31.0
    assert model.name == "groq"
    groq.events = (Text("Back."),)
    assert await said(model) == "Back."
    assert model.name == "groq"


@pytest.mark.parametrize(
    ("error", "still_closed", "open_again"),
    [
        (QuotaExceeded("groq", "429", retry_after=7.0), 6.9, 7.1),
        (QuotaExceeded("groq", "429"), 19.0, 21.0),
        (BadKey("groq", "401"), 299.0, 301.0),
    ],
)
async def test_a_quota_or_a_bad_key_is_not_tried_again_too_soon(error, still_closed, open_again):
    now = [0.0]
    groq = Plays("groq", error)
    model, _ = chain(groq, Plays("local", *LOCAL), clock=lambda: now[0])
    assert await said(model) == "Local answer."
    now[0] = still_closed
    await said(model)
    assert groq.asked == 1
    now[0] = open_again
    await said(model)
    assert groq.asked == 2


async def test_a_key_that_is_refused_while_opening_is_known_before_the_first_question():
    groq = Plays("groq", Text("Hi."), opens=BadKey("groq", "401"))
    model, failures = chain(groq, Plays("local", *LOCAL))
    await model.open()
    assert await said(model) == "Local answer."
    assert (groq.asked, failures[0].code) == (0, "BadKey")


async def test_the_last_model_is_asked_whatever_its_breaker_says():
    local = Plays("local", *LOCAL)
    breaker = CircuitBreaker("local", failures=1)
    breaker.failed()
    model = FallbackModel([Candidate(local, breaker)])
    assert await said(model) == "Local answer."


async def test_closing_a_reply_closes_the_model_s_and_does_not_count_as_a_failure():
    groq = Plays("groq", Text("Hi "), NEVER)
    model, failures = chain(groq, Plays("local", *LOCAL), stall_timeout=5.0)
    async with aclosing(model.stream(ASKED)) as stream:
        assert await anext(stream) == Text("Hi ")
    assert (groq.closed, failures) == (1, [])


async def test_closing_closes_all_of_them():
    groq, local = Plays("groq"), Plays("local")
    model, _ = chain(groq, local)
    await model.aclose()
    assert (groq.closed, local.closed) == (1, 1)


def test_a_chain_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one model"):
        FallbackModel([])
