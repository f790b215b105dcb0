"""The mind: text at once, tools only when the turn is committed, each of them once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime

import pytest

from agents.brain.events import (
    AgentSaid,
    CallerSaid,
    HandOff,
    HangUp,
    SendDtmf,
    TextDelta,
    ToolFinished,
    ToolRan,
    ToolStarted,
    Transfer,
)
from agents.brain.functions import Functions, Target
from agents.brain.knowledge import Found
from agents.brain.llm.base import Text, ToolCall, ToolSpec, Usage
from agents.brain.mind import MAX_ROUNDS, Mind, Persona
from agents.brain.tools import Tool, ToolFailed

NOW = datetime(2026, 11, 21, 10, 5)  # noqa: DTZ001 - shown to the model as it is
ALL = Functions(
    hang_up=True, dtmf=True, targets=(Target("Sales", "bookings"), Target("Boss")), agents=("sol",)
)
SPEC = ToolSpec(
    "find",
    "Find tours.",
    {
        "type": "object",
        "properties": {"q": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["q"],
    },
)


class Scripted:
    """A model that plays one list of events per round and remembers what it was asked."""

    name = "scripted"

    def __init__(self, *rounds):
        self.rounds = list(rounds)
        self.requests = []

    async def open(self):
        pass

    async def aclose(self):
        pass

    async def stream(self, request):
        self.requests.append(request)
        for event in self.rounds.pop(0):
            await asyncio.sleep(0)
            yield event


class Finder:
    """A tool whose runs are counted and, if asked, held back."""

    def __init__(self, *, has_effect=False, fails=None, timeout=10.0):
        self.runs = []
        self.ended = []
        self.go = asyncio.Event()
        self.go.set()
        self.began = asyncio.Event()
        self.fails = fails
        self.tool = Tool(SPEC, self.run, has_effect, "One moment.", timeout)

    async def run(self, arguments):
        self.runs.append(dict(arguments))
        self.began.set()
        await self.go.wait()
        if self.fails:
            raise self.fails
        self.ended.append(dict(arguments))
        return {"found": arguments["q"]}


def call(name="find", call_id="c1", arguments=None, raw=""):
    return ToolCall(call_id, name, arguments, raw)


def find(q="whales", call_id="c1"):
    return call(call_id=call_id, arguments={"q": q})


def mind_with(model, *tools, functions=ALL, language="en", **kwargs):
    persona = Persona("You are Grace.", language, NOW, functions=functions)
    return Mind(model, persona, tools=[t.tool for t in tools], **kwargs)


async def collect(mind, *items, committed=True):
    gate = asyncio.Event()
    if committed:
        gate.set()
    return [event async for event in mind.reply(items or (CallerSaid("Hi"),), gate)]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# --- speaking -----------------------------------------------------------------------------


async def test_text_streams_before_the_turn_is_committed():
    mind = mind_with(Scripted([Text("Hello "), Text("there.")]))
    events = await collect(mind, committed=False)
    assert events == [TextDelta("Hello "), TextDelta("there.")]


async def test_the_model_is_told_who_it_is_how_to_speak_and_what_day_it_is():
    model = Scripted([Text("Hi.")])
    await collect(mind_with(model, language="es"))
    system = model.requests[0].system
    assert system.startswith("You are Grace.")
    assert "Speak Spanish." in system
    assert "Today is Saturday, 21 November 2026" in system
    assert [tool.name for tool in model.requests[0].tools] == [
        "hang_up", "transfer", "send_dtmf", "hand_off",
    ]  # fmt: skip


async def test_only_the_last_turns_are_shown_to_the_model():
    items = [item for n in range(9) for item in (CallerSaid(f"q{n}"), AgentSaid(f"a{n}"))]
    model = Scripted([Text("Hi.")])
    persona = Persona("P", "en", NOW, history_window=2)
    [_ async for _ in Mind(model, persona).reply([*items, CallerSaid("now")], asyncio.Event())]
    assert model.requests[0].items == (CallerSaid("q8"), AgentSaid("a8"), CallerSaid("now"))


async def test_what_is_known_about_the_last_words_goes_along_with_them():
    class Knowledge:
        asked = []

        async def search(self, text, language):
            self.asked.append((text, language))
            return [Found("1", "How much?", "Ninety.", 0.9), Found("2", "Where?", "Here.", 0.1)]

    seen = []
    model = Scripted([Text("Ninety.")])
    mind = mind_with(model, knowledge=Knowledge(), observer=lambda *event: seen.append(event))
    await collect(mind, AgentSaid("Hello"), CallerSaid("how much"), CallerSaid("is it"))
    assert Knowledge.asked == [("how much is it", "en")]
    assert "- How much?\n  Ninety." in model.requests[0].context
    assert "Where?" not in model.requests[0].context
    assert seen == [("knowledge_found", {"entries": [{"id": "1", "score": 0.9}]})]


async def test_a_search_that_fails_costs_the_knowledge_not_the_reply():
    class Broken:
        async def search(self, _text, _language):
            raise ConnectionError("database gone")

    seen = []
    mind = mind_with(
        Scripted([Text("Hi.")]), knowledge=Broken(), observer=lambda *e: seen.append(e)
    )
    assert text_of(await collect(mind)) == "Hi."
    assert seen == [("knowledge_failed", {"error": "ConnectionError: database gone"})]


async def test_what_the_model_used_is_reported():
    seen = []
    model = Scripted([Text("Hi."), Usage("groq", "oss", 7, 2, {"queue_time": 0.1})])
    await collect(mind_with(model, observer=lambda *event: seen.append(event)))
    assert seen[-1] == (
        "model_used",
        {"provider": "groq", "model": "oss", "prompt_tokens": 7, "completion_tokens": 2,
         "queue_time": 0.1},
    )  # fmt: skip


# --- tools --------------------------------------------------------------------------------


async def test_a_tool_runs_once_and_its_result_goes_into_a_second_round():
    finder = Finder()
    model = Scripted([Text("Let me see."), find()], [Text("There is one.")])
    events = await collect(mind_with(model, finder))
    assert events == [
        TextDelta("Let me see."),
        ToolStarted("c1", "find", {"q": "whales"}, "One moment."),
        ToolFinished("c1", "find", {"found": "whales"}),
        TextDelta(" There is one."),
    ]
    assert finder.runs == [{"q": "whales"}]
    assert model.requests[1].items[-2:] == (
        AgentSaid("Let me see."),
        ToolRan("c1", "find", {"q": "whales"}, {"found": "whales"}),
    )


async def test_no_tool_runs_before_the_turn_is_committed():
    finder = Finder()
    mind = mind_with(Scripted([Text("Let me see."), find()], [Text("One.")]), finder)
    committed = asyncio.Event()
    reply = mind.reply((CallerSaid("Hi"),), committed)
    assert await anext(reply) == TextDelta("Let me see.")
    waiting = asyncio.ensure_future(anext(reply))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    assert finder.runs == []
    committed.set()
    assert isinstance(await waiting, ToolStarted)
    await reply.aclose()


async def test_a_reply_that_is_discarded_runs_no_tool():
    finder = Finder()
    mind = mind_with(Scripted([Text("Let me see."), find()]), finder)
    async with aclosing(mind.reply((CallerSaid("Hi"),), asyncio.Event())) as reply:
        await anext(reply)
    assert finder.runs == []


async def test_tools_that_only_read_run_side_by_side():
    finder = Finder()
    finder.go.clear()
    model = Scripted([find("a", "c1"), find("b", "c2")], [Text("Both.")])
    task = asyncio.create_task(collect(mind_with(model, finder)))
    async with asyncio.timeout(5):
        while len(finder.runs) < 2:  # noqa: ASYNC110 - both must have begun, none has ended
            await asyncio.sleep(0)
    assert finder.ended == []
    finder.go.set()
    events = await task
    assert [e.call_id for e in events if isinstance(e, ToolFinished)] == ["c1", "c2"]


async def test_tools_with_an_effect_run_one_after_the_other():
    finder = Finder(has_effect=True)
    finder.go.clear()
    model = Scripted([find("a", "c1"), find("b", "c2")], [Text("Both.")])
    task = asyncio.create_task(collect(mind_with(model, finder)))
    await finder.began.wait()
    await asyncio.sleep(0.01)
    assert finder.runs == [{"q": "a"}]
    finder.go.set()
    await task
    assert finder.ended == [{"q": "a"}, {"q": "b"}]


async def test_the_same_call_again_gets_the_result_it_had():
    finder = Finder()
    model = Scripted([find(call_id="c1")], [find(call_id="c2")], [Text("Found.")])
    events = await collect(mind_with(model, finder))
    assert len(finder.runs) == 1
    assert text_of(events) == "Found."
    assert model.requests[2].items[-1] == ToolRan(
        "c2", "find", {"q": "whales"}, {"found": "whales"}
    )


@pytest.mark.parametrize(
    ("finder", "error"),
    [
        (Finder(fails=ToolFailed("no such tour")), "no such tour"),
        (Finder(fails=KeyError("x")), "find failed: KeyError: 'x'"),
        (Finder(timeout=0.0), "find took longer than 0 s"),
    ],
)
async def test_a_tool_that_fails_tells_the_model_why_and_the_call_goes_on(finder, error):
    if not finder.fails:
        finder.go.clear()
    model = Scripted([find()], [Text("Sorry.")])
    events = await collect(mind_with(model, finder))
    assert events[1] == ToolFinished("c1", "find", None, error)
    assert text_of(events) == "Sorry."


async def test_a_reading_tool_is_stopped_when_the_reply_is_closed():
    finder = Finder()
    finder.go.clear()
    mind = mind_with(Scripted([find()], [Text("Hi.")]), finder)
    committed = asyncio.Event()
    committed.set()
    task = asyncio.create_task(collect(mind))
    await finder.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finder.go.set()
    await mind.aclose()
    assert finder.ended == []


async def test_a_tool_with_an_effect_survives_a_bargein_and_the_next_reply_reports_it():
    finder = Finder(has_effect=True)
    finder.go.clear()
    model = Scripted([find()], [Text("It is booked.")])
    mind = mind_with(model, finder)
    task = asyncio.create_task(collect(mind))
    await finder.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finder.go.set()
    events = await collect(mind, CallerSaid("Hi"), CallerSaid("Is it booked?"))
    assert events == [
        ToolFinished("c1", "find", {"found": "whales"}),
        TextDelta("It is booked."),
    ]
    assert finder.runs == [{"q": "whales"}]
    assert ToolRan("c1", "find", {"q": "whales"}, {"found": "whales"}) in model.requests[1].items
    assert not await _late(mind)


async def _late(mind):
    mind._model.rounds.append([Text("Yes.")])
    return [e for e in await collect(mind) if not isinstance(e, TextDelta)]


# --- calls that cannot be made ------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (call(raw='{"q": '), "the arguments of find are not a JSON object: '{\"q\": '"),
        (call(arguments={}), "find needs 'q'"),
        (call(arguments={"q": 5}), "q of find is 5; it must be of type string"),
        (call(arguments={"q": "a", "n": True}), "n of find is True; it must be of type integer"),
        (call(arguments={"q": "a", "z": 1}), "find has no argument 'z'; it takes q, n"),
        (call("book", arguments={}), "there is no tool 'book'; there are: find, hang_up, transfer"),
        (
            call("transfer", arguments={"target": "Mars"}),
            "target of transfer is 'Mars'; it must be one of: Sales, Boss",
        ),
        (call("send_dtmf", arguments={"digits": "5x"}), "digits is '5X'; keys are 0-9 * # A-D"),
    ],
)
async def test_a_wrong_call_tells_the_model_what_is_wrong_once(wrong, reason):
    finder = Finder()
    model = Scripted([wrong], [Text("Which tour do you mean?")])
    events = await collect(mind_with(model, finder))
    assert text_of(events) == "Which tour do you mean?"
    assert finder.runs == []
    told = model.requests[1].items[-1]
    assert (told.call_id, told.result) == ("c1", None)
    assert told.error.startswith(reason)


async def test_a_second_wrong_call_ends_the_reply_with_an_apology():
    model = Scripted([call(arguments={})], [call(arguments={})])
    events = await collect(mind_with(model, Finder()))
    assert text_of(events).startswith("Sorry, I cannot look that up right now.")
    assert len(model.requests) == 2


async def test_a_model_that_never_stops_calling_is_stopped():
    model = Scripted(*[[find(q=str(n), call_id=str(n))] for n in range(MAX_ROUNDS)])
    events = await collect(mind_with(model, Finder()))
    assert text_of(events).startswith("Sorry, I cannot look that up right now.")
    assert len(model.requests) == MAX_ROUNDS


# --- actions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "action", "said"),
    [
        ("hang_up", {}, HangUp(), "Thank you for calling. Goodbye."),
        ("transfer", {"target": "Boss"}, Transfer("Boss"),
         "I am putting you through to Boss. One moment, please."),
        ("hand_off", {"agent": "sol"}, HandOff("sol"), "One moment, please."),
    ],
)  # fmt: skip
async def test_an_action_ends_the_reply_and_is_never_silent(name, arguments, action, said):
    silent = Scripted([call(name, arguments=arguments)])
    assert await collect(mind_with(silent)) == [TextDelta(said), action]
    spoken = Scripted([Text("Bye!"), call(name, arguments=arguments)])
    assert await collect(mind_with(spoken)) == [TextDelta("Bye!"), action]


async def test_keys_are_pressed_and_the_model_goes_on():
    model = Scripted([call("send_dtmf", arguments={"digits": "1 2-#"})], [Text("Done.")])
    assert await collect(mind_with(model)) == [SendDtmf("12#"), TextDelta("Done.")]


async def test_an_action_waits_for_the_commit_too():
    mind = mind_with(Scripted([Text("Bye."), call("hang_up", arguments={})]))
    reply = mind.reply((CallerSaid("Hi"),), asyncio.Event())
    assert await anext(reply) == TextDelta("Bye.")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(reply), 0.01)
    await reply.aclose()


async def test_what_the_version_does_not_allow_is_not_offered():
    model = Scripted([call("hang_up", arguments={})], [Text("I cannot hang up.")])
    events = await collect(mind_with(model, functions=Functions(hang_up=False)))
    assert model.requests[0].tools == ()
    assert text_of(events) == "I cannot hang up."


async def test_only_the_first_of_two_ends_counts():
    both = [call("transfer", "c1", {"target": "Sales"}), call("hang_up", "c2", {})]
    events = await collect(mind_with(Scripted(both)))
    assert [e for e in events if not isinstance(e, TextDelta)] == [Transfer("Sales")]
