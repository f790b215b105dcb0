"""Word timings and pronunciations: what is timed is the text as it was written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calls.providers.tts.lexicon import Lexicon, Piece, spoken_text
from calls.providers.tts.timing import WordTimer
from calls.voice.ports import Word

PLAIN = Lexicon({})


def timer(text: str, lexicon: Lexicon = PLAIN) -> WordTimer:
    return WordTimer(lexicon.pieces(text))


def test_words_are_those_of_the_written_text_with_their_punctuation() -> None:
    words = timer("¡Hola, Ana!")
    assert words.at(1, 0) == ()
    assert words.at(7, 400) == (Word("¡Hola,", 0, 400),)
    assert words.finish(900) == (Word("Ana!", 400, 900),)


def test_parts_of_one_word_are_one_word() -> None:
    words = timer("son 1.250 euros")
    words.at(0, 0)
    assert words.at(4, 200) == (Word("son", 0, 200),)
    assert words.at(6, 500) == ()
    assert words.at(10, 900) == (Word("1.250", 200, 900),)


def test_a_word_without_sound_has_no_length_and_is_not_lost() -> None:
    words = timer("— Sí — claro —")
    assert words.at(2, 50) == (Word("—", 0, 0),)
    assert words.at(7, 300) == (Word("Sí", 50, 300), Word("—", 300, 300))
    assert words.finish(700) == (Word("claro", 300, 700), Word("—", 700, 700))


def test_normalised_words_are_found_again_by_order() -> None:
    words = timer("Cuesta $5 hoy")
    words.said("cuesta", 0, 300)
    assert words.said("cinco dólares", 350, 800) == (Word("Cuesta", 0, 300),)
    assert words.said("hoy", 820, 1000) == (Word("$5", 350, 800),)
    assert words.finish(1200) == (Word("hoy", 820, 1000),)


def test_a_word_that_comes_again_later_is_not_jumped_to() -> None:
    words = timer("uno dos tres cuatro cinco seis de siete")
    words.said("uno", 0, 100)
    assert words.said("de", 100, 200) == (Word("uno", 0, 100),)
    assert words.said("tres", 200, 300) == (Word("dos", 100, 200),)


def test_more_words_than_were_written_change_nothing() -> None:
    words = timer("hola")
    words.said("hola", 0, 100)
    assert words.said("eh", 100, 200) == ()
    assert words.finish(300) == (Word("hola", 0, 200),)


def test_without_any_timing_none_is_invented() -> None:
    assert timer("hola a todos").finish(1000) == ()


def test_replaced_words_are_timed_as_written() -> None:
    words = timer("con Spirit Tours hoy", Lexicon({"spirit tours": "espírit turs y viajes"}))
    words.at(0, 0)
    words.at(4, 200)
    assert words.at(19, 600) == (Word("Spirit", 200, 600),)
    assert words.at(26, 900) == (Word("Tours", 600, 900),)
    assert words.finish(1000) == (Word("hoy", 900, 1000),)


@given(
    text=st.text(alphabet="ab, .¿é1\n", max_size=60),
    jumps=st.lists(st.tuples(st.integers(0, 70), st.floats(0, 1000)), max_size=20),
)
def test_every_word_comes_out_exactly_once_whatever_is_reported(
    text: str, jumps: list[tuple[int, float]]
) -> None:
    words = timer(text)
    out = [word for position, at in jumps for word in words.at(position, at)]
    out += words.finish(2000)
    if jumps:
        assert [word.text for word in out] == text.split()
    ends = [time for word in out for time in (word.start, word.end)]
    assert ends == sorted(ends)


def test_lexicon_takes_the_longest_entry_and_whole_words_only() -> None:
    lexicon = Lexicon({"tour": "tur", "Spirit Tour": "Espírit Tur", "API": "a pe i"})
    assert (
        spoken_text(lexicon.pieces("Spirit Tour, tourist, api.")) == "Espírit Tur, tourist, a pe i."
    )


def test_phonetics_are_kept_apart_from_words() -> None:
    assert Lexicon({"Cusco": "/kusko/"}).pieces("a Cusco") == (
        Piece("a "),
        Piece("Cusco", ipa="kusko"),
    )


@given(st.text(alphabet="abc .<&", max_size=40))
def test_written_pieces_joined_are_the_text(text: str) -> None:
    pieces = Lexicon({"a": "x", "b c": "y", "": "z"}).pieces(text)
    assert "".join(piece.written for piece in pieces) == text
