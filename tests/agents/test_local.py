"""The embedded brain: answers, asks back, collects, transfers, hangs up; the same every time."""

from __future__ import annotations

from datetime import date

import pytest

from agents.brain.events import AgentSaid, CallerPressed, CallerSaid, ToolRan
from agents.brain.functions import Functions, Target, functions_of
from agents.brain.knowledge import SURE, UNSURE, Found
from agents.brain.llm.base import ModelRequest, Text, ToolCall
from agents.brain.llm.local import LocalModel
from agents.brain.notes import note_details

TODAY = date(2026, 11, 21)
PRICE = Found("1", "How much is it?", "Ninety dollars.", 0.95, ("price",))
HOURS = Found("2", "What are your hours?", "Eight to eight.", 0.95, ("hours",))
BOOK = Found(
    "3", "I want to book.", "Gladly.", 0.95, ("book",), ("people", "date", "name", "phone"),
    "Thank you, we will call.",
)  # fmt: skip
CALL_BACK = Found("4", "Call me back.", "Of course.", 0.95, (), ("name", "phone"))
SPANISH = Found("5", "¿Cuánto cuesta?", "Cien pesos.", 0.95, ("precio",))
KNOWN = {
    "price": [PRICE], "hours": [HOURS], "book": [BOOK], "callback": [CALL_BACK],
    "precio": [SPANISH], "reservar": [BOOK],
}  # fmt: skip


def scored(entry, score):
    return Found(entry.entry_id, entry.question, entry.answer, score, entry.tags, entry.collect)


KNOWN["maybe"] = [scored(PRICE, UNSURE + 0.01)]
KNOWN["either"] = [scored(PRICE, UNSURE + 0.05), scored(HOURS, UNSURE + 0.02)]
KNOWN["both"] = [scored(PRICE, SURE + 0.01), scored(HOURS, SURE)]


class Knowledge:
    """Finds by the first word that it knows."""

    def __init__(self):
        self.asked = []

    async def search(self, text, _language):
        self.asked.append(text)
        return next((KNOWN[word] for word in text.split() if word in KNOWN), [])


class Caller:
    """Talks to the brain as the voice loop would, and keeps what was heard."""

    def __init__(self, *, language="en", targets=(), hang_up=True, notes=True, greeting="Hello."):
        functions = Functions(hang_up=hang_up, targets=tuple(Target(name) for name in targets))
        tools = [function.spec for function in functions_of(functions).values()]
        self.tools = (*tools, note_details().spec) if notes else tuple(tools)
        self.language = language
        self.knowledge = Knowledge()
        self.brain = LocalModel(
            self.knowledge, name="Grace", today=TODAY, topics=("prices", "hours", "booking")
        )
        self.items = [AgentSaid(greeting)]

    async def ask(self):
        """What the brain answers now; nothing is remembered."""
        request = ModelRequest(tuple(self.items), self.language, tools=self.tools)
        events = [event async for event in self.brain.stream(request)]
        text = "".join(event.text for event in events if isinstance(event, Text)).strip()
        return text, [event for event in events if isinstance(event, ToolCall)]

    async def says(self, *turns, keys=""):
        """Say these, one turn each; the last answer and its calls."""
        for words in turns:
            if words:
                self.items.append(CallerSaid(words))
            if keys:
                self.items.append(CallerPressed(keys))
            text, calls = await self.ask()
            for call in calls:
                if call.name == "note_details":
                    result = {"noted": call.arguments["details"]}
                    self.items.append(ToolRan(call.call_id, call.name, call.arguments, result))
                    text, _ = await self.ask()
            self.items.append(AgentSaid(text))
        return text, calls


async def say(*turns, **options):
    return await Caller(**options).says(*turns)


# --- answering and asking back ------------------------------------------------------------


async def test_a_question_is_answered_and_more_help_is_offered_now_and_then():
    caller = Caller()
    assert await caller.says("hi, the price please") == (
        "Ninety dollars. Can I help you with anything else?",
        [],
    )
    assert (await caller.says("and the hours"))[0] == "Eight to eight."


async def test_the_greeting_around_a_question_is_not_looked_up():
    caller = Caller()
    await caller.says("hello good morning could you tell me the price thank you")
    assert caller.knowledge.asked == ["could you tell me the price"]


@pytest.mark.parametrize(
    ("question", "reply", "answer"),
    [
        ("maybe", "yes", "Ninety dollars."),
        ("either", "the first one", "Ninety dollars."),
        ("either", "the second", "Eight to eight."),
        ("either", "the hours i mean", "Eight to eight."),
        ("both", "i mean the price", "Ninety dollars."),
        ("maybe", "no the hours", "Eight to eight."),
    ],
)
async def test_when_unsure_it_asks_back_and_understands_the_answer(question, reply, answer):
    caller = Caller()
    asked, _ = await caller.says(question)
    assert "how much is it" in asked
    assert asked.endswith("?")
    assert (await caller.says(reply))[0].startswith(answer)


async def test_yes_to_one_of_two_is_asked_again():
    text, _ = await say("either", "yes")
    assert text == "The first or the second: how much is it, or what are your hours?"


async def test_what_it_does_not_know_it_says_and_offers_more_each_time():
    caller = Caller()
    assert (await caller.says("swimming pool"))[0] == (
        "Sorry, I cannot find that. Could you say it in other words?"
    )
    assert "prices, hours or booking" in (await caller.says("a pool for swimming"))[0]
    assert "take your name and number" in (await caller.says("pool"))[0]
    assert (await caller.says("yes please"))[0] == "Gladly. What name should I put down?"


async def test_with_people_to_transfer_to_it_offers_one_instead():
    caller = Caller(targets=("Sales",))
    await caller.says("pool", "pool", "pool")
    text, [call] = await caller.says("yes")
    assert text.startswith("I am putting you through to Sales.")
    assert (call.name, call.arguments) == ("transfer", {"target": "Sales"})


async def test_an_answer_after_misses_starts_the_count_again():
    caller = Caller()
    await caller.says("pool", "pool", "price")
    assert (await caller.says("pool"))[0].startswith("Sorry, I cannot find that.")


# --- small talk ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "language", "answer"),
    [
        ("hello", "en", "Hello. How can I help you?"),
        ("how are you", "en", "Very well, thank you. How can I help you?"),
        ("thanks a lot", "en", "You are welcome."),
        ("who are you", "en", "I am Grace, a virtual assistant."),
        ("are you a real person?", "en", "I am a computer program, not a person"),
        ("am i talking to a machine", "en", "I am a computer program, not a person"),
        ("what can you do", "en", "I can tell you about prices, hours or booking."),
        ("one moment please", "en", "Sure, take your time."),
        ("uh", "en", "Sorry, I did not hear you well."),
        ("", "en", "Sorry, I did not hear you well."),
        ("buenos días", "es", "Hola. ¿En qué le puedo ayudar?"),
        ("¿eres un robot?", "es", "Soy un programa de computadora, no una persona"),
        ("¿hablo con una persona de verdad?", "es", "Soy un programa de computadora"),
        ("¿con quién hablo?", "es", "Soy Grace, asistente virtual."),
        ("muchas gracias", "es", "Con gusto."),
        ("espere un momento", "es", "Claro, aquí espero."),
    ],
)
async def test_small_talk_is_honest(said, language, answer):
    caller = Caller(language=language)
    text, calls = await caller.says(said)
    assert text.startswith(answer)
    assert calls == []


async def test_it_repeats_its_last_answer_in_full():
    caller = Caller()
    await caller.says("price")
    caller.items[-1] = AgentSaid("Ninety", interrupted=True)
    text, _ = await caller.says("sorry can you repeat that")
    assert text == "Ninety dollars. Can I help you with anything else?"
    assert (await caller.says("once more"))[0] == text


async def test_before_any_answer_it_repeats_its_greeting():
    assert (await say("pardon", greeting="Welcome to Spirit."))[0] == "Welcome to Spirit."


# --- leaving and people -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "language"),
    [
        (["goodbye"], "en"),
        (["thanks, that's all"], "en"),
        (["price", "no thanks"], "en"),
        (["price", "no"], "en"),
        (["adiós"], "es"),
        (["precio", "no, es todo, gracias"], "es"),
    ],
)
async def test_a_caller_who_leaves_is_let_go_with_a_goodbye(turns, language):
    text, [call] = await say(*turns, language=language)
    assert text.endswith(("Goodbye.", "Que tenga un buen día."))
    assert (call.name, call.arguments) == ("hang_up", {})


async def test_without_the_function_it_only_says_goodbye():
    text, calls = await say("goodbye", hang_up=False)
    assert text.endswith("Goodbye.")
    assert calls == []


async def test_no_alone_does_not_hang_up():
    text, calls = await say("no")
    assert calls == []
    assert text == "Can I help you with anything else?"


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("can i talk to a human", "en"),
        ("operator", "en"),
        ("transfer me to sales", "en"),
        ("quiero hablar con alguien", "es"),
        ("páseme con un asesor por favor", "es"),
        ("comuníqueme con sales", "es"),
    ],
)
async def test_a_caller_who_wants_a_person_is_put_through(said, language):
    _, [call] = await say(said, language=language, targets=("Sales",))
    assert (call.name, call.arguments) == ("transfer", {"target": "Sales"})


async def test_of_several_people_it_asks_which_one():
    caller = Caller(targets=("Sales desk", "Complaints"))
    text, calls = await caller.says("i want to speak to a person")
    assert (text, calls) == ("Who would you like to speak to: Sales desk or Complaints?", [])
    _, [call] = await caller.says("complaints please")
    assert call.arguments == {"target": "Complaints"}


async def test_who_cannot_be_named_is_put_through_to_the_first():
    _, [call] = await say("operator", "i do not know", targets=("Sales", "Complaints"))
    assert call.arguments == {"target": "Sales"}


async def test_without_anybody_to_transfer_to_it_takes_a_message():
    caller = Caller()
    text, _ = await caller.says("i want to talk to a person")
    assert "I cannot put you through to a person right now." in text
    await caller.says("yes", "anna miller", "5551234567", "yes")
    text, [call] = await caller.says("yes")
    assert text.startswith("Thank you. One of our team will call you back.")
    assert call.arguments == {
        "subject": "call back",
        "details": {"name": "Anna Miller", "phone": "5551234567"},
    }


# --- collecting ---------------------------------------------------------------------------


async def test_it_collects_reads_back_and_notes():
    caller = Caller()
    assert (await caller.says("book"))[0] == "Gladly. For how many people?"
    assert (await caller.says("we are four"))[0] == "For what day?"
    assert (await caller.says("next friday"))[0] == "What name should I put down?"
    assert (await caller.says("anna miller"))[0] == "What is your phone number, please?"
    assert (await caller.says("five five five one two"))[0] == "I have 5 5 5, 1 2. Please go on."
    assert (await caller.says("three four five six seven"))[0] == (
        "Your number is 5 5 5, 1 2 3, 4 5 6 7. Is that correct?"
    )
    assert (await caller.says("yes"))[0] == (
        "So: 4 people; Friday, November 27; name, Anna Miller; "
        "phone number, 5 5 5, 1 2 3, 4 5 6 7. Is that all correct?"
    )
    text, [call] = await caller.says("yes")
    assert text == "Thank you, we will call. Can I help you with anything else?"
    assert call.arguments == {
        "subject": "I want to book.",
        "details": {
            "people": "4", "date": "2026-11-27", "name": "Anna Miller", "phone": "5551234567",
        },
    }  # fmt: skip
    _, [bye] = await caller.says("no thanks")
    assert bye.name == "hang_up"


async def test_what_the_question_already_said_is_not_asked_again():
    text, _ = await say("book for four people next friday")
    assert text == "Gladly. What name should I put down?"


async def test_a_number_may_be_keyed_in():
    caller = Caller()
    await caller.says("callback", "anna")
    text, _ = await caller.says("", keys="5551234567#")
    assert text == "Your number is 5 5 5, 1 2 3, 4 5 6 7. Is that correct?"


@pytest.mark.parametrize(
    ("turns", "digits"),
    [
        (["5551234567", "no it's 555 123 4568"], "5 5 5, 1 2 3, 4 5 6 8"),
        (["5551234", "567"], "5 5 5, 1 2 3, 4 5 6 7"),
        (["5551234567", "no", "555 999 8888"], "5 5 5, 9 9 9, 8 8 8 8"),
        (["5551234567", "hmm well"], "5 5 5, 1 2 3, 4 5 6 7"),
    ],
)
async def test_a_number_can_be_corrected_and_continued(turns, digits):
    text, _ = await say("callback", "anna", *turns)
    assert text == f"Your number is {digits}. Is that correct?"


async def test_one_wrong_detail_is_asked_again_and_the_others_stay():
    caller = Caller()
    await caller.says("callback", "anna", "5551234567", "yes")
    assert (await caller.says("no"))[0] == "What should I change: name or phone number?"
    assert (await caller.says("the name"))[0] == "What name should I put down?"
    text, _ = await caller.says("hanna")
    assert text == ("So: name, Hanna; phone number, 5 5 5, 1 2 3, 4 5 6 7. Is that all correct?")


async def test_what_is_not_understood_three_times_is_left_open():
    caller = Caller()
    again = "Sorry, I did not get the name. Could you say it again?"
    assert (await caller.says("callback", "yes"))[0] == again
    assert (await caller.says("no idea"))[0] == again
    assert (await caller.says("why"))[0] == (
        "No problem, we will leave it open. What is your phone number, please?"
    )


async def test_a_question_in_between_is_answered_and_the_form_goes_on():
    text, _ = await say("book", "but what is the price")
    assert text == "Ninety dollars. For how many people?"


@pytest.mark.parametrize(
    ("language", "begin", "question", "answer", "again"),
    [
        ("en", "book", "price?", "Ninety dollars.", "For how many people?"),
        ("en", "book", "How much is the price?", "Ninety dollars.", "For how many people?"),
        ("es", "reservar", "¿Qué precio?", "Cien pesos.", "¿Para cuántas personas?"),
        ("es", "reservar", "perdón, cuánto es el precio", "Cien pesos.", "¿Para cuántas personas?"),
    ],
)
async def test_a_short_question_in_a_form_is_answered_and_the_slot_is_asked_again(
    language, begin, question, answer, again
):
    caller = Caller(language=language)
    await caller.says(begin)
    for _ in range(3):  # it does not count as a try that failed
        assert (await caller.says(question))[0] == f"{answer} {again}"
    assert "?" in (await caller.says("4"))[0]


@pytest.mark.parametrize(
    ("language", "begin", "people", "question", "answer", "again"),
    [
        ("en", "book", "two people", "what is the price", "Ninety dollars.", "For what day?"),
        ("es", "reservar", "dos personas", "¿cuál es el precio?", "Cien pesos.", "¿Para qué día?"),
    ],
)
async def test_a_question_in_the_place_of_a_date_is_answered_and_the_date_asked_again(
    language, begin, people, question, answer, again
):
    caller = Caller(language=language)
    await caller.says(begin, people)
    assert (await caller.says(question))[0] == f"{answer} {again}"


async def test_a_question_that_holds_the_answer_to_the_slot_gets_both():
    caller = Caller()
    await caller.says("book")
    assert (await caller.says("what is the price for two people"))[0] == (
        "Ninety dollars. For what day?"
    )


async def test_a_question_with_a_digit_is_not_a_telephone_number():
    caller = Caller()
    await caller.says("callback", "Anna Miller")
    assert (await caller.says("how much is the price for one"))[0] == (
        "Ninety dollars. What is your phone number, please?"
    )


async def test_a_question_while_a_number_or_everything_is_read_back_leads_back_to_that():
    caller = Caller()
    await caller.says("callback", "Anna Miller", "5551234567")
    assert (await caller.says("what is the price"))[0].endswith(
        "Your number is 5 5 5, 1 2 3, 4 5 6 7. Is that correct?"
    )
    await caller.says("yes")
    assert (await caller.says("what is the price"))[0].endswith("Is that all correct?")
    assert (await caller.says("yes"))[0].startswith("Done")


async def test_asking_for_what_the_form_is_about_does_not_start_it_again():
    caller = Caller()
    await caller.says("book")
    assert "Gladly" not in (await caller.says("what about book"))[0]


async def test_a_question_that_nobody_can_answer_asks_the_slot_again():
    caller = Caller()
    await caller.says("book")
    assert (await caller.says("what is the weather"))[0] == "Sorry, how many people would that be?"


async def test_a_form_can_be_dropped():
    caller = Caller()
    assert (await caller.says("book", "never mind"))[0].startswith("All right, we will leave it.")
    assert (await caller.says("price"))[0].startswith("Ninety dollars.")


async def test_leaving_and_asking_for_a_person_work_in_a_form_too():
    _, [call] = await say("book", "goodbye")
    assert call.name == "hang_up"
    _, [call] = await say("book", "let me talk to a person", targets=("Sales",))
    assert call.name == "transfer"


async def test_a_note_that_failed_is_not_called_noted():
    caller = Caller()
    await caller.says("callback", "anna", "5551234567", "yes")
    caller.items.append(CallerSaid("yes"))
    _, [call] = await caller.ask()
    caller.items.append(ToolRan(call.call_id, call.name, call.arguments, None, "disk full"))
    text, calls = await caller.ask()
    assert text.startswith("Sorry, I could not save your details.")
    assert calls == []


async def test_without_the_tool_the_form_still_ends():
    text, calls = await say("callback", "anna", "5551234567", "yes", "yes", notes=False)
    assert text.startswith("Done, I have noted that.")
    assert calls == []


# --- what a voice loop does to it ---------------------------------------------------------


async def test_a_reply_that_was_prepared_and_discarded_leaves_no_trace():
    caller = Caller()
    await caller.says("book")
    caller.items.append(CallerSaid("we are"))
    await caller.ask()
    caller.items[-1] = CallerSaid("we are four")
    assert (await caller.ask())[0] == "For what day?"


async def test_words_said_while_it_was_thinking_belong_to_the_same_turn():
    caller = Caller()
    await caller.says("callback", "anna", "555")
    caller.items.append(CallerSaid("one two"))
    await caller.ask()
    caller.items.append(CallerSaid("three four"))
    assert (await caller.ask())[0] == "Your number is 5 5 5, 1 2 3 4. Is that correct?"


async def test_asking_twice_gives_the_same_answer():
    caller = Caller()
    caller.items.append(CallerSaid("price"))
    assert await caller.ask() == await caller.ask()


async def test_it_takes_over_in_the_middle_of_a_call():
    caller = Caller()
    caller.items += [CallerSaid("who is this"), AgentSaid("A model."), CallerSaid("the hours")]
    assert (await caller.ask())[0].startswith("Eight to eight.")


async def test_it_speaks_sentence_by_sentence():
    caller = Caller()
    caller.items.append(CallerSaid("price"))
    request = ModelRequest(tuple(caller.items), "en")
    pieces = [e.text async for e in caller.brain.stream(request) if isinstance(e, Text)]
    assert pieces == ["Ninety dollars. ", "Can I help you with anything else?"]
