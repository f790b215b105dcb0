"""Calls that the carrier hears and speaks: the same floor, with text on both sides."""

from __future__ import annotations

import pytest

from calls.voice import AgentSaid, CallerPressed, CallerSaid, ToolRan, TurnOptions
from calls.voice.ports import HandOff, HangUp, SendDtmf, Transfer
from calls.voice.testing import Script
from tests.voice.text_calls import PHRASES, TextCall

QUESTION = "¿Qué tal es?"


def a_call(*, greeting: str | None = None, **more: object) -> TextCall:
    return TextCall(Script(greeting), **more)  # type: ignore[arg-type]


def test_greeting_is_said_then_the_caller_is_answered():
    call = a_call(greeting="Hola, soy Andrea.")
    call.says(QUESTION, at=3.0, until=4.0)
    call.script.agent_replies("Es bueno. ¿Algo más?", first_token=0.1, last_token=0.3)
    done = call.at(9.0, "hangs_up").run()
    assert done.reason == "caller_hung_up"
    assert [(turn.role, turn.text, turn.heard_text) for turn in done.turns] == [
        ("agent", "Hola, soy Andrea.", "Hola, soy Andrea."),
        ("caller", QUESTION, QUESTION),
        ("agent", "Es bueno. ¿Algo más?", "Es bueno. ¿Algo más?"),
    ]
    assert done.carrier.sent[0] == (0.0, "say", "Hola, soy Andrea. ", True, True)
    written = [what[2] for what in done.carrier.sent[1:] if what[2]]
    assert written == ["Es bueno. ", "¿Algo más? "]
    assert done.carrier.sent[-1][3] is True  # the answer is said to be complete
    assert done.states == [
        (0.0, "listening"), (0.0, "thinking"), (0.0, "speaking"), (1.5, "listening"),
        (4.2, "thinking"), (4.367, "speaking"), (6.067, "listening"),
    ]  # fmt: skip
    metrics = done.turns[2].metrics
    assert metrics["llm_first_token"] == pytest.approx(100)
    assert metrics["response_latency"] == pytest.approx(367, abs=1)


def test_interruption_keeps_what_was_heard():
    call = a_call()
    call.says("Cuénteme.", at=0.5, until=1.0)
    call.script.agent_replies("Tenemos tres recorridos por la ciudad. Salen cada mañana.")
    call.says("Basta.", at=3.0, until=3.6, breaks_in=3.2)
    call.script.agent_replies("Claro.")
    done = call.at(6.0, "hangs_up").run()
    spoken = done.turns[1]
    assert (spoken.role, spoken.interrupted) == ("agent", True)
    assert spoken.text.startswith(spoken.heard_text)
    assert spoken.heard_text == "Tenemos tres"
    assert spoken.metrics["bargein_stop"] == pytest.approx(200)
    assert done.conversation.items == (
        CallerSaid("Cuénteme."),
        AgentSaid("Tenemos tres", interrupted=True),
        CallerSaid("Basta."),
        AgentSaid("Claro."),
    )
    assert done.carrier.said == ["Tenemos", "tres", "Claro."]


def test_interruption_without_news_of_speech_stops_at_once():
    call = a_call(carrier={"tells_speech": False})
    call.says("Cuénteme.", at=0.5, until=1.0)
    call.script.agent_replies("Tenemos tres recorridos por la ciudad.")
    call.says("Basta.", at=3.0, until=3.6, breaks_in=3.2)
    call.script.agent_replies("Claro.")
    done = call.at(6.0, "hangs_up").run()
    assert done.turns[1].heard_text == "Tenemos tres"
    assert done.turns[1].metrics["bargein_stop"] == 0


def test_interruption_that_tells_other_words_believes_what_was_acknowledged():
    call = a_call()
    call.says("Cuénteme.", at=0.5, until=1.0)
    call.script.agent_replies("Tenemos tres recorridos por la ciudad.")
    call.at(3.2, "falls_mute", "Wir haben").at(5.0, "hangs_up")
    done = call.run()
    assert done.turns[1].heard_text == "Tenemos tres"
    assert done.turns[1].ended == pytest.approx(3200)


def test_interruption_while_nothing_is_said_means_nothing():
    call = a_call(greeting="Hola.")
    done = call.at(2.0, "falls_mute", "Hola.").at(3.0, "hangs_up").run()
    assert [turn.heard_text for turn in done.turns] == ["Hola."]


def test_carrier_that_tells_nothing_is_believed_by_the_clock():
    call = a_call(greeting="Hola, soy Andrea.", carrier={"tells_words": False})
    call.says(QUESTION, at=8.0, until=9.0)
    call.script.agent_replies("Es bueno.")
    done = call.at(20.0, "hangs_up").run()
    assert [turn.heard_text for turn in done.turns] == ["Hola, soy Andrea.", QUESTION, "Es bueno."]
    assert not any(turn.interrupted for turn in done.turns)


def test_call_that_ends_mid_word_keeps_what_a_usual_voice_has_said():
    call = a_call(
        greeting="Hola, soy Andrea. ¿En qué puedo ayudarle?", carrier={"tells_words": False}
    )
    done = call.at(0.8, "hangs_up").run()
    assert done.turns[0].heard_text == "Hola, soy"
    assert done.turns[0].interrupted


def test_call_that_ends_mid_word_keeps_what_the_carrier_told():
    call = a_call(greeting="Hola, soy Andrea. ¿En qué puedo ayudarle?")
    done = call.at(0.9, "hangs_up").run()
    assert done.turns[0].heard_text == "Hola, soy"


def test_protected_greeting_is_not_to_be_interrupted_at_first():
    call = a_call(
        greeting="Esta llamada se graba. ¿En qué puedo ayudarle?",
        options=TurnOptions(greeting_protected=1000),
    )
    done = call.at(5.0, "hangs_up").run()
    assert [what[4] for what in done.carrier.sent if what[1] == "say"] == [False]
    call = a_call(options=TurnOptions(greeting_protected=1000))
    call.says(QUESTION, at=3.0, until=4.0)
    call.script.agent_replies("Es bueno.")
    done = call.at(8.0, "hangs_up").run()
    assert all(what[4] for what in done.carrier.sent if what[1] == "say")


def test_tool_runs_between_two_pieces_of_one_answer():
    call = a_call()
    call.says("Busque.", at=0.5, until=1.0)
    call.script.agent_replies("Déjeme ver.")
    call.script.agent_calls_tool("find", seconds=3.0, result={"tours": 3})
    call.script.agent_replies("Hay tres.")
    done = call.at(9.0, "hangs_up").run()
    states = [state for _, state in done.states]
    assert states == ["listening", "thinking", "speaking", "thinking", "speaking", "listening"]
    kinds = [type(item) for item in done.conversation.items]
    assert kinds == [CallerSaid, AgentSaid, ToolRan, AgentSaid]
    says = [what for what in done.carrier.sent if what[1] == "say"]
    assert says[0][2:4] == ("Déjeme ver. ", False)
    assert [what[3] for what in says].count(True) == 1


def test_piece_before_a_tool_is_a_sentence_even_without_a_stop():
    call = a_call()
    call.says("Busque.", at=0.5, until=1.0)
    call.script.agent_replies("Un momento")
    call.script.agent_calls_tool("find", seconds=0.2, result={})
    call.script.agent_replies("Hay tres. ")
    call.script.agent_calls_tool("note", seconds=0.2, result={})
    done = call.at(9.0, "hangs_up").run()
    says = [what[2:4] for what in done.carrier.sent if what[1] == "say"]
    assert says == [("Un momento. ", False), ("Hay tres. ", False), ("", True)]
    assert done.turns[1].heard_text == "Un momento Hay tres."


def test_answer_that_the_caller_gave_up_during_a_tool_is_closed_before_the_next():
    call = a_call(options=TurnOptions(filler_after=0))
    call.says("Busque.", at=0.5, until=1.0)
    call.script.agent_replies("Déjeme ver.")
    call.script.agent_calls_tool("find", seconds=4.0, result={})
    call.script.agent_replies("Hay tres.")
    call.says("Espere.", at=3.5, until=4.0)
    call.script.agent_replies("Espero.")
    done = call.at(12.0, "hangs_up").run()
    says = [what[2:4] for what in done.carrier.sent if what[1] == "say"]
    assert says == [("Déjeme ver. ", False), ("", True), ("Espero. ", True)]


def test_slow_mind_is_filled_in_for_and_dead_one_is_apologised_for():
    call = a_call()
    call.says("Busque.", at=0.5, until=1.0)
    call.script.agent_replies("Hay tres.", first_token=3.0)
    done = call.at(12.0, "hangs_up").run()
    assert PHRASES.fillers[0].split()[0] in done.carrier.said
    call = a_call(options=TurnOptions(filler_after=0))
    call.script.faults.mute_brains = 9
    call.says("Busque.", at=0.5, until=1.0)
    done = call.at(20.0, "hangs_up").run()
    assert done.told("apology")


def test_caller_who_goes_on_before_the_answer_is_answered_once():
    call = a_call()
    call.says("Quiero", at=0.5, until=1.0)
    call.says("un tour.", at=1.3, until=2.0)
    call.script.agent_replies("Claro.", first_token=0.5, last_token=0.6)
    done = call.at(6.0, "hangs_up").run()
    assert [turn.text for turn in done.turns] == ["Quiero un tour.", "Claro."]


def test_sound_without_words_lets_the_answer_go_on():
    call = a_call()
    call.says("Un tour.", at=0.5, until=1.0)
    call.script.agent_replies("Claro.", first_token=0.5, last_token=0.6)
    call.at(1.4, "speaks").at(1.6, "falls_silent").at(8.0, "hangs_up")
    done = call.run()
    assert done.turns[-1].heard_text == "Claro."
    assert done.states[-2][0] == pytest.approx(1.6 + 1.5)


def test_guesses_are_shown_and_not_answered():
    call = a_call()
    call.at(0.5, "words", "Quie", final=False).at(0.6, "words", "  ", final=False)
    call.at(1.0, "words", "Quiero un tour.")
    call.script.caller_says("Quiero un tour.", at=0.4, until=0.9)
    call.script.agent_replies("Claro.")
    done = call.at(5.0, "hangs_up").run()
    assert done.told("transcript_partial") == [(0.5, {"text": "Quie"})]
    assert [turn.text for turn in done.turns] == ["Quiero un tour.", "Claro."]
    assert done.told("transcript_final")[0][1]["language"] == "es-MX"


def test_speech_told_twice_and_words_without_any_end_of_speech_count_once():
    call = a_call()
    call.at(0.5, "speaks").at(0.6, "speaks").at(1.0, "words", "Un tour.")
    call.at(1.1, "falls_silent")
    call.script.caller_says("Un tour.", at=0.5, until=0.9)
    call.script.agent_replies("Claro.")
    done = call.at(5.0, "hangs_up").run()
    assert [turn.text for turn in done.turns] == ["Un tour.", "Claro."]


def test_keys_are_a_turn_and_stop_the_agent():
    call = a_call(greeting="Marque su número de reserva, por favor, y después almohadilla.")
    call.at(2.0, "presses", "12#")
    call.script.caller_presses("12#", at=2.0)
    call.script.agent_replies("Gracias.")
    done = call.at(6.0, "hangs_up").run()
    assert CallerPressed("12") in done.conversation.items
    assert done.turns[0].interrupted
    assert done.turns[0].heard_text == "Marque su número de"
    assert "por" not in done.carrier.said


def test_agent_hangs_up_once_its_last_word_was_heard():
    call = a_call()
    call.says("Adiós.", at=0.5, until=1.0)
    call.script.agent_acts(HangUp())
    call.script.agent_replies("Hasta luego.")
    done = call.run()
    assert done.reason == "agent_hung_up"
    assert done.carrier.said == ["Hasta", "luego."]
    assert done.carrier.closed


@pytest.mark.parametrize(
    ("action", "reason"),
    [(Transfer("Ventas"), "transferred"), (HandOff("sales"), "handed_off")],
)
def test_whoever_goes_on_gets_the_stream(action, reason):
    call = a_call(session={"switch_to": "en-US"})
    call.says("Páseme.", at=0.5, until=1.0)
    call.script.agent_acts(action)
    call.script.agent_replies("Le paso.")
    done = call.run()
    assert (done.reason, done.action) == (reason, action)
    assert not done.carrier.closed
    assert done.carrier.sent[0] == (0.0, "language", "en-US")


def test_agent_presses_keys_after_its_words():
    call = a_call()
    call.says("Marque.", at=0.5, until=1.0)
    call.script.agent_acts(SendDtmf("1"))
    call.script.agent_replies("Ya.")
    done = call.at(5.0, "hangs_up").run()
    assert [what[1:] for what in done.carrier.sent if what[1] == "keys"] == [("keys", "1")]


def test_silent_caller_is_asked_and_then_let_go():
    call = a_call(greeting="Hola.")
    done = call.run()
    assert done.reason == "caller_silent"
    words = " ".join(done.carrier.said)
    assert words == " ".join(["Hola.", *PHRASES.away_prompts, PHRASES.goodbye])
    goodbye = [what for what in done.carrier.sent if what[1] == "say"][-1]
    assert goodbye[4] is False  # nobody is to cut it short


def test_caller_who_speaks_is_not_taken_for_silent():
    call = a_call(greeting="Hola.", options=TurnOptions(away_after=2000))
    call.at(1.0, "speaks").at(6.0, "hangs_up")
    assert call.run().told("away_prompt") == []


def test_longest_call_ends_in_the_middle_of_an_answer_with_a_goodbye():
    call = a_call(options=TurnOptions(max_duration=3000))
    call.says("Cuénteme.", at=0.5, until=1.0)
    call.script.agent_replies("Tenemos tres recorridos por la ciudad. Salen cada mañana.")
    done = call.run()
    assert done.reason == "max_duration"
    assert done.carrier.said == ["Tenemos", "tres", *PHRASES.goodbye.split()]
    assert done.turns[1].heard_text == "Tenemos tres"


def test_caller_who_does_not_stop_is_cut_in_on():
    call = a_call(options=TurnOptions(caller_turn_limit=4000))
    call.at(0.5, "speaks").at(1.0, "words", "Pues mire", final=False).at(12.0, "hangs_up")
    call.script.caller_says("Pues mire", at=0.5, until=11.0)
    call.script.agent_replies("Dígame.")
    done = call.run()
    assert done.told("turn_limit")
    assert done.carrier.said[0] == PHRASES.turn_limit.split()[0]


def test_machine_that_beeps_is_left_the_message():
    call = a_call(greeting="Hola, soy Andrea. ¿En qué puedo ayudarle?")
    call.session = {"voicemail": "Llámenos."}
    call.plan.append((0.5, lambda _, session: session.machine_answered(may_speak=False)))
    call.plan.append((4.0, lambda _, session: session.machine_answered(may_speak=True)))
    done = call.run()
    assert done.reason == "voicemail_left"
    assert done.carrier.said[-1] == "Llámenos."


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_dead_stream_ends_the_call(trouble):
    call = a_call()
    call.plan.append((0.1, lambda carrier, _: setattr(carrier, trouble, True)))
    call.says("Hola.", at=0.5, until=1.0)
    call.script.agent_replies("Dígame.")
    assert call.run().reason == "media_lost"


def test_stream_that_ends_without_a_word_ends_the_call():
    assert a_call().at(1.0, "tell", None).run().reason == "media_lost"


def test_call_that_is_over_before_it_begins_says_nothing():
    call = a_call(greeting="Hola.")
    call.plan.append((0.0, lambda _, session: session.end("drained")))
    done = call.at(3.0, "hangs_up").run()
    assert done.reason == "drained"
