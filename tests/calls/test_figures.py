"""Arithmetic over turns, the rule-based summary, and the page's own recogniser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.figures import Spoken, figures_of, latency_in
from calls.spoken import BUSY, likely_language, say
from calls.summary import outline_of, summary_of
from calls.voice.end_reasons import EndReason

TURNS = st.lists(
    st.builds(
        Spoken,
        role=st.sampled_from(["caller", "agent"]),
        started=st.floats(-1000, 70_000),
        ended=st.floats(-1000, 70_000),
        interrupted=st.booleans(),
    ),
    max_size=12,
)


@given(TURNS, st.floats(0, 60_000))
def test_talk_and_silence_add_up_whatever_the_turns(turns, duration):
    found = figures_of(turns, duration)
    assert found.talk_ms + found.silence_ms == found.duration_ms == round(duration)
    assert 0 <= found.talk_ms <= found.duration_ms
    assert max(found.caller_talk_ms, found.agent_talk_ms) <= found.talk_ms
    assert found.talk_ms <= found.caller_talk_ms + found.agent_talk_ms + 1
    assert 0 <= found.longest_silence_ms <= found.silence_ms + 1


def test_both_speaking_at_once_is_talk_once():
    turns = [Spoken("caller", 0, 1000), Spoken("agent", 500, 1500)]
    found = figures_of(turns, 4000)
    assert (found.caller_talk_ms, found.agent_talk_ms, found.talk_ms) == (1000, 1000, 1500)
    assert (found.silence_ms, found.longest_silence_ms) == (2500, 2500)


def test_only_interrupted_agents_count_as_interruptions():
    turns = [Spoken("agent", 0, 1, True), Spoken("caller", 1, 2, True), Spoken("agent", 2, 3)]
    assert figures_of(turns, 10).interruptions == 1


def test_answer_time_is_the_median():
    turns = [Spoken("agent", 0, 1, response_latency=each) for each in (100.0, 900.0, 200.0)]
    assert figures_of(turns, 10).response_ms == 200
    assert figures_of([], 10).response_ms is None


@pytest.mark.parametrize(
    "metrics",
    [None, {}, {"response_latency": None}, {"response_latency": "x"}, {"response_latency": -1}],
)
def test_latency_that_is_none_is_left_out(metrics):
    assert latency_in(metrics) is None


# --- summary ---------------------------------------------------------------------------------


@dataclass
class Said:
    role: str
    text: str
    heard_text: str = ""


@dataclass
class Happened:
    name: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Ended:
    language: str = "en"
    end_reason: str = "caller_hung_up"
    transfer_to: str = ""


def test_summary_tells_what_was_asked_answered_collected_and_done():
    turns = [
        Said("agent", "Hello", "Hello"),
        Said("caller", "How much is the lake tour?"),
        Said("agent", "It is 40 dollars, and...", "It is 40 dollars"),
        Said("caller", "Fine. I am Ana, ana@example.com, +52 55 1234 5678, on 12/05/2027"),
    ]
    noted = {"tool": "note_details", "result": {"noted": {"name": "Ana"}}, "error": None}
    failed = {"tool": "weather", "result": None, "error": "timeout"}
    events = [Happened("tool_finished", noted), Happened("tool_finished", failed)]
    outline = outline_of(turns, events)
    assert outline["answers"] == [
        {"question": "How much is the lake tour?", "answer": "It is 40 dollars"}
    ]
    assert outline["collected"] == {
        "name": ["Ana"], "email": ["ana@example.com"], "date": ["12/05/2027"],
        "phone": ["+52 55 1234 5678"],
    }  # fmt: skip
    text = summary_of(outline, Ended(transfer_to="+1555"))
    assert text == (
        "Asked about: How much is the lake tour. Collected: name Ana; email ana@example.com; "
        "date 12/05/2027; phone +52 55 1234 5678. Done: note_details. Transferred to +1555. "
        "Ended: caller hung up."
    )


def test_summary_of_silence_says_so():
    silent = summary_of(outline_of([], []), Ended("es"))
    assert silent == "Nadie dijo nada. Fin: el cliente colgó."


@pytest.mark.parametrize("reason", EndReason)
def test_spanish_summary_says_every_end_in_spanish(reason):
    text = summary_of(outline_of([], []), Ended("es-MX", end_reason=reason.value))
    end = text.partition("Fin: ")[2]
    assert len(end) > len("x.")
    assert reason.value.replace("_", " ") not in end


def test_summary_stays_short():
    turns = [Said("caller", f"What about number {n}? " + "word " * 100) for n in range(40)]
    outline = outline_of(turns, [])
    assert len(outline["topics"]) == 12
    assert max(len(topic) for topic in outline["topics"]) <= 160


# --- the carrier's own voice -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "language"),
    [(("+5491112345678",), "es"), (("anonymous", "+34600000000"), "es"), (("+14155550100",), "en"),
     (("+4930123456",), "en"), (("anonymous",), "es")],
)  # fmt: skip
def test_likely_language(numbers, language):
    assert likely_language(*numbers, default="es") == language


def test_line_in_a_language_that_we_do_not_speak_is_english():
    assert say(BUSY, "de") == BUSY["en"]
    assert say(BUSY, "es-MX") == BUSY["es"]
