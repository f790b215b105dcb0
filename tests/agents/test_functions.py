"""What an agent may do besides speaking: what is offered, what comes of it, what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agents.brain.events import (
    CallBack,
    CallerSaid,
    HandOff,
    HangUp,
    SendDtmf,
    TakeMessage,
    TextDelta,
    ToolFinished,
    ToolRan,
    ToolStarted,
    Transfer,
)
from agents.brain.functions import SEND_DTMF, Functions, Target, functions_of
from agents.brain.llm.base import Text, ToolCall
from agents.brain.mind import Mind, Persona
from agents.brain.tools import BadArguments
from agents.profiles import FunctionSettings
from agents.services.mind import _functions
from calls.voice.parting import keys_sent
from calls.voice.ports import SendDtmf as PressedKeys
from tests.agents.test_mind import Scripted

MEXICO = ZoneInfo("America/Mexico_City")
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=MEXICO)
EVERYTHING = Functions(
    dtmf=True,
    targets=(Target("Sales", "bookings"), Target("Boss", warm=True)),
    agents=("sol",),
    messages=True,
    call_backs=True,
)
OFFERED = functions_of(EVERYTHING, NOW)


def called(name, **arguments):
    return OFFERED[name].action(ToolCall("c1", name, arguments))


@pytest.mark.parametrize(
    ("name", "arguments", "action"),
    [
        ("hang_up", {}, HangUp()),
        ("transfer", {"target": "Sales", "briefing": "A group."}, Transfer("Sales")),
        (
            "transfer",
            {"target": "Boss", "briefing": " A complaint. "},
            Transfer("Boss", warm=True, briefing="A complaint."),
        ),
        ("send_dtmf", {"digits": "1 2-#"}, SendDtmf("12#")),
        ("hand_off", {"agent": "sol"}, HandOff("sol")),
        ("take_message", {"text": "I am late."}, TakeMessage("I am late.")),
        (
            "take_message",
            {"text": "Hi", "from_name": "Ana", "number": "(55) 1234-5678", "for_whom": "Luis"},
            TakeMessage("Hi", "Ana", "5512345678", "Luis"),
        ),
        (
            "call_back",
            {"when": "2026-11-22T17:00", "reason": "prices"},
            CallBack(datetime(2026, 11, 22, 17, tzinfo=MEXICO), "", "prices"),
        ),
        (
            "call_back",
            {"when": "2026-11-22T17:00:00Z", "number": "+34 600 100 200"},
            CallBack(datetime(2026, 11, 22, 17, tzinfo=UTC), "+34600100200"),
        ),
    ],
)
def test_a_function_becomes_its_action(name, arguments, action):
    assert called(name, **arguments) == action


def test_a_call_backs_time_is_in_the_tenants_zone_however_it_was_told():
    action = called("call_back", when="2026-11-22T17:00:00Z")
    assert isinstance(action, CallBack)
    assert action.when.tzinfo is MEXICO
    assert action.when.hour == 11


FAR = (NOW + timedelta(days=91)).isoformat()


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("transfer", {"target": "Sales"}, "transfer needs 'briefing'"),
        ("transfer", {"target": "Boss", "briefing": " "}, "briefing of transfer is ' ': String"),
        ("transfer", {"briefing": "x"}, "transfer needs 'target'"),
        ("hand_off", {"agent": "grace"}, "agent of hand_off is 'grace'; it must be one of: sol"),
        ("hang_up", {"why": "done"}, "hang_up has no argument 'why'; it takes nothing"),
        ("send_dtmf", {"digits": 5}, "digits of send_dtmf is 5: Input should be a valid string"),
        ("take_message", {"text": ""}, "text of take_message is '': String should have at least"),
        ("take_message", {"text": "a", "number": "ask Ana"}, "number is 'ask Ana'; a telephone"),
        (
            "take_message",
            {"text": "a", "to": "b"},
            "take_message has no argument 'to'; it takes te",
        ),
        ("call_back", {"when": "tomorrow"}, "when of call_back is 'tomorrow': Input should be"),
        ("call_back", {"when": "2026-11-21T09:59"}, "when is 2026-11-21T09:59:00; it must lie"),
        ("call_back", {"when": FAR}, "within 90 days"),
        ("call_back", {"when": "2026-11-22T17:00", "number": "12"}, "number is '12'; a telephone"),
    ],
)
def test_what_a_model_gets_wrong_is_told_to_it(name, arguments, reason):
    with pytest.raises(BadArguments) as refused:
        called(name, **arguments)
    assert reason in str(refused.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(BadArguments) as refused:
        called("take_message", number="x", to="y")
    assert len(str(refused.value).split("; ")) >= 3


def test_arguments_that_are_no_object_are_refused():
    with pytest.raises(BadArguments, match="the arguments of hang_up are not a JSON object"):
        OFFERED["hang_up"].action(ToolCall("c1", "hang_up", None, "{"))


def test_only_what_a_version_allows_is_offered():
    assert set(functions_of(Functions())) == {"hang_up"}
    assert set(functions_of(Functions(hang_up=False))) == set()
    assert set(OFFERED) == {
        "hang_up", "transfer", "send_dtmf", "hand_off", "take_message", "call_back",
    }  # fmt: skip


def test_a_briefing_is_asked_for_where_somebody_is_briefed():
    cold = functions_of(Functions(targets=(Target("Sales"),)))["transfer"].spec.parameters
    assert cold["required"] == ["target"]
    assert OFFERED["transfer"].spec.parameters["required"] == ["target", "briefing"]


def test_models_are_not_told_pydantics_titles():
    assert "title" not in str([function.spec.parameters for function in OFFERED.values()])


def test_the_settings_of_a_version_say_what_is_offered():
    chosen = FunctionSettings(
        hang_up=False,
        take_messages=True,
        call_backs=True,
        transfer_targets=(
            {"name": "Ana", "number": "+525555123456", "description": "all", "warm": True},
        ),
    )
    assert _functions(chosen) == Functions(
        hang_up=False, targets=(Target("Ana", "all", True),), messages=True, call_backs=True
    )


# --- in the mind --------------------------------------------------------------------------


async def replied(*rounds):
    committed = asyncio.Event()
    committed.set()
    model = Scripted(*rounds)
    mind = Mind(model, Persona("You are Grace.", "en", NOW, functions=EVERYTHING))
    return [event async for event in mind.reply((CallerSaid("Hi"),), committed)], model


async def test_a_note_is_a_tool_that_ran_and_the_model_goes_on():
    arguments = {"text": "I am late."}
    events, model = await replied(
        [ToolCall("c1", "take_message", arguments)], [Text("I will tell them.")]
    )
    assert events == [
        ToolStarted("c1", "take_message", arguments),
        TakeMessage("I am late."),
        ToolFinished("c1", "take_message", {"done": True}),
        TextDelta("I will tell them."),
    ]
    assert model.requests[1].items[-1] == ToolRan("c1", "take_message", arguments, {"done": True})


async def test_the_same_note_asked_for_twice_is_kept_once():
    same = {"when": "2026-11-22T17:00"}
    events, model = await replied(
        [ToolCall("c1", "call_back", same)],
        [ToolCall("c2", "call_back", same)],
        [Text("Until tomorrow.")],
    )
    assert sum(isinstance(event, CallBack) for event in events) == 1
    assert model.requests[2].items[-1] == ToolRan("c2", "call_back", same, {"done": True})


async def test_a_refused_note_is_put_right_by_the_model():
    events, model = await replied(
        [ToolCall("c1", "call_back", {"when": "yesterday"})], [Text("When exactly?")]
    )
    assert events == [TextDelta("When exactly?")]
    assert "when of call_back is 'yesterday'" in model.requests[1].items[-1].error


def test_keys_that_the_loop_reports_go_by_the_functions_name():
    assert keys_sent(PressedKeys("1"), 5.0).name == SEND_DTMF
