"""What the simulated caller shows of each answer's time."""

from __future__ import annotations

import io

from calls.simulator.screen import Screen


def shown(**metrics: float) -> str:
    out = io.StringIO()
    Screen(out).waterfall(metrics)
    return out.getvalue().strip()


def test_the_parts_of_an_answers_time_add_up_on_the_screen() -> None:
    line = shown(
        endpointing_delay=500, llm_first_token=100, tts_first_audio=200, remainder=0,
        response_latency=800,
    )  # fmt: skip
    assert line.endswith("800 ms = end of turn 500 + model 100 + voice 200 + rest 0")
    assert line.count("█") == 4


def test_what_was_prepared_while_waiting_is_named_and_not_drawn() -> None:
    line = shown(
        endpointing_delay=400, llm_first_token=100, tts_first_audio=50, remainder=0,
        overlapped=150, response_latency=400,
    )  # fmt: skip
    assert line.endswith("model 100 + voice 50 + rest 0 - 150 while waiting")
    assert line.split(" ")[0] == "▒" * 16


def test_a_turn_without_an_answer_has_no_waterfall() -> None:
    assert shown(endpointing_delay=400) == ""
