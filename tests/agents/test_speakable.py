"""A model's thoughts are not spoken, wherever the stream is cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agents.brain.llm.speakable import SpeakableText


def speak(pieces):
    text = SpeakableText()
    return "".join([text.feed(piece) for piece in pieces]) + text.flush()


def cut(text, places):
    edges = [0, *sorted(places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.integers(0, 40), max_size=12))
def test_thoughts_are_dropped_however_the_text_is_cut(places):
    whole = "Hi. <think>a < b, c</think>\nIt is < 5 dollars."
    assert speak(cut(whole, places)) == "Hi. It is < 5 dollars."


def test_ordinary_text_is_not_held_back():
    text = SpeakableText()
    assert text.feed("Hello there") == "Hello there"
    assert text.feed(" a < b") == " a < b"


def test_a_thought_that_never_ends_is_never_spoken():
    assert speak(["Yes. <thi", "nk>hm hm"]) == "Yes. "


def test_what_only_looked_like_a_tag_is_spoken_at_the_end():
    assert speak(["five <thi"]) == "five <thi"
