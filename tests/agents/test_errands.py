"""The embedded brain keeps messages, agrees on times to call back, and briefs who takes over."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from agents.brain.events import AgentSaid, CallerSaid, ToolRan
from agents.brain.functions import Functions, Target, functions_of
from agents.brain.llm.base import ToolCall
from agents.brain.notes import note_details
from agents.brain.spoken import find_time, say_time
from agents.brain.tools import BadArguments
from tests.agents.test_local import TODAY, Caller

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=ZoneInfo("America/Mexico_City"))  # a Saturday, as TODAY
ALL = Functions(
    targets=(Target("Sales"), Target("Boss", warm=True)), messages=True, call_backs=True
)


class Errand(Caller):
    """A caller of a version with these functions, whose calls are carried out as a mind would."""

    def __init__(self, *, language="en", functions=ALL, notes=True):
        super().__init__(language=language)
        self.functions = functions_of(functions, NOW)
        specs = tuple(function.spec for function in self.functions.values())
        self.tools = (*specs, note_details().spec) if notes else specs
        self.kept = []

    async def tells(self, *turns):
        """Say these, one turn each; the last answer."""
        for words in turns:
            self.items.append(CallerSaid(words))
            text, calls = await self.ask()
            for call in calls:
                text = await self._carry_out(call, text)
            self.items.append(AgentSaid(text))
        return text

    async def _carry_out(self, call: ToolCall, said: str) -> str:
        error, function = None, self.functions.get(call.name)
        try:
            self.kept.append(function.action(call) if function else dict(call.arguments or {}))
        except BadArguments as refused:
            error = str(refused)
        if function is not None and function.ends_reply:
            return said
        result = None if error else {"done": True}
        self.items.append(ToolRan(call.call_id, call.name, call.arguments or {}, result, error))
        return (await self.ask())[0]


# --- messages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "turns", "text", "closing"),
    [
        (
            "en",
            ["can I leave a message please", "the bus was two hours late", "Anna Miller"],
            "the bus was two hours late",
            "I will pass your message on to our team.",
        ),
        (
            "es",
            ["quisiera dejar un recado", "El autobús llegó tarde.", "me llamo Ana Pérez"],
            "El autobús llegó tarde.",
            "Daré su mensaje a nuestro equipo.",
        ),
    ],
)
async def test_a_message_is_kept_in_the_callers_own_words(language, turns, text, closing):
    caller = Errand(language=language)
    yes = {"es": "sí", "en": "yes"}[language]
    read_back = await caller.tells(*turns, "5512345678", yes)
    assert text in read_back
    assert closing in await caller.tells(yes)
    (message,) = caller.kept
    assert (message.text, message.number) == (text, "5512345678")
    assert message.from_name in {"Anna Miller", "Ana Pérez"}


@pytest.mark.parametrize(
    "words",
    [
        "never mind the price, I want to talk to a person, goodbye",
        "what is the price of the desert tour",
        "call me back about the price",
    ],
)
async def test_whatever_is_in_a_message_is_part_of_it(words):
    caller = Errand()
    await caller.tells("take a message", words, "Anna", "5512345678", "yes", "yes")
    assert [note.text for note in caller.kept] == [words]


async def test_a_message_may_be_given_up_and_its_text_said_anew():
    caller = Errand()
    assert await caller.tells("take a message") == "Gladly. What is the message?"
    assert "leave it" in await caller.tells("never mind")
    read_back = await caller.tells("take a message", "hello", "Anna", "5512345678", "yes")
    assert "message, hello" in read_back
    assert await caller.tells("the message is wrong") == "What is the message?"


async def test_without_people_to_transfer_to_a_message_is_offered_and_taken():
    caller = Errand(functions=Functions(messages=True))
    await caller.tells("I want to speak to a person")
    assert await caller.tells("yes") == "Gladly. What is the message?"


async def test_a_version_without_the_function_goes_on_as_before():
    caller = Errand(functions=Functions())
    await caller.tells("can I leave a message", "call me back tomorrow")
    assert caller.kept == []


# --- call-backs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "turns", "when"),
    [
        ("en", ["call me back tomorrow at five please"], "2026-11-22T17:00"),
        ("en", ["could you call me on monday", "at half past nine"], "2026-11-23T09:30"),
        ("en", ["I would like a call back", "on friday", "five"], "2026-11-27T17:00"),
        ("es", ["llámeme mañana a las cinco por favor"], "2026-11-22T17:00"),
        ("es", ["que me llamen el lunes", "a las diez y media"], "2026-11-23T10:30"),
        ("es", ["¿me pueden llamar pasado mañana por la tarde?"], "2026-11-23T16:00"),
        ("es", ["devuélvanme la llamada", "el martes", "a las nueve"], "2026-11-24T09:00"),
    ],
)
async def test_a_time_to_call_back_is_agreed_on(language, turns, when):
    caller = Errand(language=language)
    yes = {"es": "sí", "en": "yes"}[language]
    await caller.tells(*turns, "Ana", "5512345678", yes, yes)
    (call_back,) = caller.kept
    assert call_back.when == datetime.fromisoformat(when).replace(tzinfo=NOW.tzinfo)
    assert (call_back.number, call_back.reason) == ("5512345678", "Ana")


async def test_a_time_that_is_over_is_asked_for_again():
    caller = Errand()
    answer = await caller.tells(
        "call me back today at nine in the morning", "Ana", "5512345678", "yes", "yes"
    )
    assert answer == "I am sorry, we cannot call you then. For what day?"
    assert caller.kept == []
    await caller.tells("today", "at noon", "yes")
    assert [note.when.hour for note in caller.kept] == [12]


async def test_a_call_back_without_a_time_is_noted_for_people():
    caller = Errand()
    mumbled = ["mm", "mm", "mm"]
    await caller.tells("please call me back", "tomorrow", *mumbled, "Ana", "5512345678", "yes")
    assert "noted" in await caller.tells("yes") or caller.kept
    assert caller.kept[0]["subject"] == "call_back"


async def test_a_message_without_a_text_and_without_notes_is_let_go():
    caller = Errand(notes=False)
    await caller.tells("take a message", "", "", "", "Ana", "5512345678", "yes", "yes")
    assert caller.kept == []


async def test_what_is_asked_for_within_a_form_of_its_kind_does_not_begin_anew():
    caller = Errand()
    await caller.tells("call me back tomorrow")
    assert await caller.tells("call me at five") == "What name should I put down?"


# --- briefings ----------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "briefed"), [("sales", False), ("boss", True)])
async def test_who_is_to_be_briefed_hears_the_callers_last_words(target, briefed):
    caller = Errand()
    await caller.tells("the guide was rude", f"transfer me to {target}")
    (transfer,) = caller.kept
    assert transfer.warm is briefed
    expected = f"The caller said: the guide was rude; transfer me to {target}"
    assert transfer.briefing == (expected if briefed else "")


# --- times --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words", "at"),
    [
        ("es", "a las cinco", time(17)),
        ("es", "mañana a las cinco y media de la tarde", time(17, 30)),
        ("es", "a las 17:30", time(17, 30)),
        ("es", "a la una", time(13)),
        ("es", "a las nueve de la mañana", time(9)),
        ("es", "a las seis de la mañana", time(6)),
        ("es", "a las diez menos cuarto", time(9, 45)),
        ("es", "sobre las seis y veinticinco", time(18, 25)),
        ("es", "a las 5 p. m.", time(17)),
        ("es", "a las cinco y mi número es otro", time(17)),
        ("es", "al mediodía", time(12)),
        ("es", "mañana por la mañana", time(10)),
        ("es", "las personas", None),
        ("es", "mañana", None),
        ("es", "a las cuarenta", None),
        ("en", "at five", time(17)),
        ("en", "tomorrow at five thirty", time(17, 30)),
        ("en", "half past four", time(16, 30)),
        ("en", "quarter to six", time(17, 45)),
        ("en", "at 5 pm", time(17)),
        ("en", "at 9 in the morning", time(9)),
        ("en", "12 am", time(0)),
        ("en", "ten o'clock", time(10)),
        ("en", "in the afternoon", time(15)),
        ("en", "at noon", time(12)),
        ("en", "at home", None),
    ],
)
def test_a_spoken_time_is_understood(language, words, at):
    assert find_time(words, language) == at


@pytest.mark.parametrize(
    ("at", "spanish", "english"),
    [
        (time(9), "las 9 de la mañana", "9 in the morning"),
        (time(13, 5), "la 1:05 de la tarde", "1:05 in the afternoon"),
        (time(20, 30), "las 8:30 de la noche", "8:30 in the evening"),
    ],
)
def test_a_time_is_read_aloud(at, spanish, english):
    assert (say_time(at, "es"), say_time(at, "en-US")) == (spanish, english)


def test_the_brains_day_is_the_one_of_these_tests():
    assert NOW.date() == TODAY
