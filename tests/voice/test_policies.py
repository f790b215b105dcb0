"""The small policies, each by itself: sentences, heard text, barge-in, judge and others."""

import math

import pytest

from calls.voice import EndReason, HeuristicJudge, Phrases, TurnOptions
from calls.voice.bargein import BargeIn, plain
from calls.voice.caller import CallerTurn
from calls.voice.endpointing import Endpointing
from calls.voice.heard import Segment, heard_text
from calls.voice.history import History
from calls.voice.judge import is_dictating
from calls.voice.metrics import TurnMetrics
from calls.voice.ports import AgentSaid, CallerPressed, CallerSaid, ToolRan, Word
from calls.voice.sentences import LONGEST, SentenceSplitter
from calls.voice.states import TABLE, Cue, Do, State
from calls.voice.tones import soft_tones
from calls.voice.track import Track

# --- options, reasons, phrases ------------------------------------------------------------


def test_options_have_the_published_defaults():
    options = TurnOptions()
    assert (options.vad_threshold, options.vad_min_speech) == (0.5, 60)
    assert (options.vad_min_silence, options.vad_prefix) == (250, 300)
    assert (options.endpointing_min, options.endpointing_max) == (400, 2500)
    assert (options.bargein_min_duration, options.bargein_min_words) == (400, 0)
    assert (options.away_after, options.away_prompts) == (10_000, 2)
    assert (options.first_token_timeout, options.first_audio_timeout) == (4000, 3000)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"filler_after": -1}, "filler_after must not be negative, but is -1"),
        ({"vad_threshold": 1.0}, "vad_threshold must lie in"),
        ({"endpointing_max": 100}, "must not be less than endpointing_min"),
        ({"away_after": math.nan}, "away_after must not be negative"),
    ],
)
def test_bad_option_is_refused_by_name(bad, complaint):
    with pytest.raises(ValueError, match=complaint):
        TurnOptions(**bad)


def test_options_know_what_was_chosen():
    options = TurnOptions(preemptive=True)
    assert options.chose("preemptive")
    assert not options.chose("bargein")


def test_unlisted_end_reason_falls_back():
    assert EndReason.of("busy", EndReason.FAILED) is EndReason.BUSY
    assert EndReason.of("nonsense", EndReason.FAILED) is EndReason.FAILED


def test_phrases_fall_back_to_english():
    assert Phrases.for_language("es-MX").goodbye.startswith("Gracias")
    assert Phrases.for_language("de").goodbye.startswith("Thank you")


# --- sentences ----------------------------------------------------------------------------


def split(*pieces):
    splitter = SentenceSplitter()
    sentences = [sentence for piece in pieces for sentence in splitter.feed(piece)]
    rest = splitter.flush()
    return [*sentences, rest] if rest else sentences


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        (["Hel", "lo. Wh", "ere to", "?"], ["Hello.", "Where to?"]),
        (["It costs 3.", "50 euros. Fine"], ["It costs 3.50 euros.", "Fine"]),
        (["El Sr. García llama. Adiós."], ["El Sr. García llama.", "Adiós."]),
        (["See www.", "example.com now. Yes!"], ["See www.example.com now.", "Yes!"]),
        (["J. Smith is here. Ok"], ["J. Smith is here.", "Ok"]),
        (["¿Sí? ¡Claro!» Bien…"], ["¿Sí?", "¡Claro!»", "Bien…"]),
        (["Options: one; two. Done"], ["Options: one; two.", "Done"]),
        (["One\nTwo\n"], ["One", "Two"]),
        (["... ", "Well. "], ["Well."]),
        ([". Hello. "], ["Hello."]),
    ],
)
def test_text_is_cut_into_sentences(pieces, sentences):
    assert split(*pieces) == sentences


def test_question_needs_no_blank_to_be_finished():
    splitter = SentenceSplitter()
    assert splitter.feed("Where to?") == ["Where to?"]
    assert splitter.rest == ""


@pytest.mark.parametrize(
    "text", ["word, " * 60, "word " * 60, "x" * (LONGEST + 40)], ids=["commas", "blanks", "nothing"]
)
def test_text_without_an_end_is_cut_in_time(text):
    sentences = split(text)
    assert len(sentences) > 1
    assert all(len(sentence) <= LONGEST for sentence in sentences)
    assert "".join(sentences).replace(" ", "") == text.replace(" ", "")


# --- heard text ---------------------------------------------------------------------------


def segment(text, start, length, *, closed=True, words=()):
    return Segment(text, start, length, closed, list(words))


def test_played_segments_count_whole_and_unplayed_not_at_all():
    segments = [segment("One two.", 0, 1000), segment("Three.", 1000, 500), Segment("Four.")]
    assert heard_text(segments, 1500) == "One two. Three."
    assert heard_text(segments, 1000) == "One two."
    assert heard_text(segments, 0) == ""


def test_word_timings_credit_no_half_word():
    words = [Word("One", 0, 300), Word("two", 300, 900), Word("absent", 900, 950)]
    segments = [segment("One, two, three.", 0, 1500, words=words)]
    assert heard_text(segments, 299) == ""
    assert heard_text(segments, 300) == "One"
    assert heard_text(segments, 899) == "One"
    assert heard_text(segments, 1000) == "One, two"


@pytest.mark.parametrize("played", range(0, 2000, 50))
def test_clock_gives_a_whole_word_prefix(played):
    text = "The quick brown fox jumps."
    heard = heard_text([segment(text, 0, 2000)], played)
    assert text.startswith(heard)
    assert heard == "" or text[len(heard) :][:1] in {" ", ""}


def test_unknown_length_is_guessed_from_a_usual_pace():
    text = "one two three four five six seven eight nine ten"
    growing = segment(text, 0, 600, closed=False)
    assert heard_text([growing], 600) == "one two"
    assert heard_text([segment("word", 0, 0)], 10) == "word"
    assert heard_text([segment("", 0, 0, closed=False)], 10) == ""


def test_track_keeps_positions_when_it_forgets():
    track = Track(8000)
    first = track.add("One.")
    track.append(first, b"\x01\x00" * 800)
    first.closed = True
    assert track.available == 1600
    assert track.read(1000) == b"\x01\x00" * 500
    track.forget(1000)
    track.forget(500)
    assert track.size == 1600
    assert track.read(5000) == b"\x01\x00" * 300
    assert track.at_sentence_end
    waiting = track.add("Two.")
    track.append(waiting, b"")
    sorry = track.add_next("Sorry.")
    assert track.text == "One. Sorry. Two."
    track.append(sorry, b"\x00\x00" * 80)
    assert not track.at_sentence_end or track.available == 160
    with pytest.raises(ValueError, match="half a sample"):
        track.append(sorry, b"\x00")


# --- barge-in -----------------------------------------------------------------------------


def test_plain_text_has_no_accents_or_signs():
    assert plain("¡Ajá, SÍ!  uh-huh.") == "aja si uh-huh"


@pytest.mark.parametrize(
    "text", ["ajá", "Sí, sí.", "ok", "uh-huh", "muy bien, claro", "De acuerdo."]
)
def test_backchannels_of_spanish(text):
    assert BargeIn(TurnOptions(), "es-AR").is_backchannel(text)


@pytest.mark.parametrize("text", ["", "no", "sí pero", "muy", "stop", "espere"])
def test_other_words_are_no_backchannels(text):
    assert not BargeIn(TurnOptions(), "es").is_backchannel(text)


def test_own_backchannels_replace_the_languages():
    policy = BargeIn(TurnOptions(backchannels=("hello",)), "es")
    assert policy.is_backchannel("Hello!")
    assert not policy.is_backchannel("sí")
    assert not BargeIn(TurnOptions(backchannels=()), "es").is_backchannel("sí")
    assert BargeIn(TurnOptions(), "fr").is_backchannel("uh-huh")


def test_duration_interrupts_unless_words_are_required():
    assert BargeIn(TurnOptions(), "en").interrupts(401, "")
    assert not BargeIn(TurnOptions(), "en").interrupts(400, "")
    assert not BargeIn(TurnOptions(bargein=False), "en").interrupts(5000, "stop it now")
    wordy = BargeIn(TurnOptions(bargein_min_words=2), "en")
    assert not wordy.interrupts(5000, "stop")
    assert wordy.interrupts(100, "stop it")


# --- judge and endpointing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I would like to", "en"),
        ("I want to book a tour and", "en"),
        ("for the", "en"),
        ("I need um", "en"),
        ("let me see", "en"),
        ("quiero reservar", "es"),
        ("para dos personas y", "es"),
        ("me gustaría", "es-MX"),
        ("es que", "es"),
        ("book a tour,", "en"),
        ("well...", "en"),
        ("", "en"),
    ],
)
def test_judge_waits_for_unfinished_words(text, language):
    assert HeuristicJudge().probability(text, language, "") < 0.5


@pytest.mark.parametrize(
    ("text", "language", "question"),
    [
        ("I would like to book a tour", "en", ""),
        ("Is it open on Sundays?", "en", ""),
        ("which tours do you have", "en", ""),
        ("what do i need", "en", ""),
        ("No, thank you.", "en", ""),
        ("quiero reservar para dos personas", "es", ""),
        ("sí", "es", "¿Quiere reservar?"),
        ("hola", "es", ""),
        ("quien", "es", "¿Quién llama?"),
        ("guten Tag", "de", ""),
    ],
)
def test_judge_lets_finished_words_go(text, language, question):
    assert HeuristicJudge().probability(text, language, question) >= 0.5


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("my number is five five", ""),
        ("it is 6 1 2", ""),
        ("mi número es seis", ""),
        ("seis uno dos", ""),
        ("my number is cinco cinco", ""),
        ("maria punto", "¿Cuál es su correo?"),
        ("john at", "What is your e-mail?"),
        ("g", "Can you spell your name?"),
        ("612", "¿Me dice su teléfono?"),
        ("5551234", ""),
        ("it is 55512", ""),
    ],
)
def test_dictation_is_recognised(text, question):
    assert is_dictating(text, question)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("", ""),
        ("a table for two", ""),
        ("at five", "When do you want to come?"),
        ("at seven thirty", ""),
        ("my number is five five in Madrid", ""),
        ("six one two three four five six seven eight", ""),
        ("612345678", "¿Me dice su teléfono?"),
        ("in 2026", ""),
        ("1500", "How much would you spend?"),
        ("maria@example.com", "¿Cuál es su correo?"),
        ("maria arroba gmail punto com", ""),
    ],
)
def test_other_words_are_no_dictation(text, question):
    assert not is_dictating(text, question)


def test_endpointing_waits_as_the_words_ask():
    policy = Endpointing(TurnOptions(), HeuristicJudge(), "en")
    assert policy.delay("book a tour", "") == 400
    assert policy.delay("I would like to", "") == 2500
    assert policy.delay("my number is five five", "") == 1500
    assert policy.is_done("book a tour", "")
    assert not policy.is_done("my number is five five", "")
    assert not policy.is_done("I would like to", "")


def test_endpointing_follows_the_callers_pauses_within_bounds():
    policy = Endpointing(TurnOptions(), HeuristicJudge(), "en")
    policy.pause(900)
    assert policy.min_delay == pytest.approx(550)
    for _ in range(50):
        policy.pause(10)
    assert policy.min_delay == 250
    for _ in range(50):
        policy.pause(60_000)
    assert policy.min_delay == 2500
    fixed = Endpointing(TurnOptions(endpointing_adaptive=False), HeuristicJudge(), "en")
    fixed.pause(900)
    assert fixed.min_delay == 400


# --- metrics, history, caller, tones, table -----------------------------------------------


def test_stages_and_remainder_add_up():
    metrics = TurnMetrics(1000, 1200, 1500, 1500, 1600, 1800, 2000, 2010).as_dict()
    assert metrics == {
        "endpointing_delay": 500,
        "transcript_delay": 200,
        "llm_first_token": 100,
        "tts_first_audio": 200,
        "response_latency": 1010,
        "remainder": 210,
    }


def test_preemptive_head_start_is_overlapped():
    metrics = TurnMetrics(1000, 1100, 1500, 1100, 1300, 1300, 1600, 1600).as_dict()
    assert metrics["overlapped"] == 400
    assert metrics["remainder"] == 600 - 500 - (200 + 300 - 400)


def test_transcript_before_the_end_of_speech_has_no_delay():
    assert TurnMetrics(speech_ended=1000, transcript_came=900).as_dict() == {"transcript_delay": 0}


def test_history_puts_words_before_the_tool_they_announced():
    history = History("en")
    history.add(CallerSaid("hi"))
    ran = ToolRan("1", "t", {}, 1)
    history.add(ran)
    history.agent_said([("Let me look.", ran), ("", None)], True)
    assert history.snapshot().items == (
        CallerSaid("hi"),
        AgentSaid("Let me look.", interrupted=True),
        ran,
    )
    assert history.last_question == "Let me look."


def test_only_the_newest_items_can_be_taken_back():
    history = History("en", [AgentSaid("Hello.")])
    said = [CallerSaid("a")]
    history.add(said[0])
    assert history.take_back(said)
    assert not history.take_back(said)
    assert not history.take_back([])
    assert history.snapshot_with(said).items == (AgentSaid("Hello."), CallerSaid("a"))
    assert History("en").last_question == ""


def test_turn_that_goes_on_keeps_what_was_told_apart():
    turn, later = CallerTurn(0.0, 10.0), CallerTurn(20.0, 30.0, partial="three")
    turn.add_final("one", 9.0, 0.0)
    turn.add_key("1", 10.0)
    later.add_key("2", 30.0)
    later.add_final("two", 29.0, 20.0)
    turn.go_on(later, told=True)
    assert turn.shown == "one 1 two 2 three"
    assert turn.items() == [CallerSaid("two"), CallerPressed("2"), CallerSaid("three")]
    assert (turn.started, turn.ended, turn.transcript_came) == (0.0, 30.0, 29.0)
    assert (turn.digits, turn.text) == ("2", "one two three")


def test_tones_are_soft_and_short():
    pcm = soft_tones(8000)
    assert len(pcm) == 2 * 8000 * 6 // 10
    peak = max(
        abs(int.from_bytes(pcm[i : i + 2], "little", signed=True)) for i in range(0, len(pcm), 2)
    )
    assert 3000 < peak <= 4000


@pytest.mark.parametrize("state", [state for state in State if state is not State.ENDED])
def test_every_state_can_end(state):
    target, todo = TABLE[state, Cue.END]
    assert target is State.ENDED
    assert todo == (Do.STOP,)


def test_nothing_leaves_the_end():
    assert not [pair for pair in TABLE if pair[0] is State.ENDED]


def test_every_action_and_cue_is_used():
    assert {do for _, todo in TABLE.values() for do in todo} == set(Do)
    assert {cue for _, cue in TABLE} == set(Cue)


def test_only_three_states_are_shown():
    assert {state.visible for state in State} == {"listening", "thinking", "speaking"}
