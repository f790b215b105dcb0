"""What the simulated caller shows of each answer's time."""

from __future__ import annotations

import io

from calls.simulator.screen import Screen


def shown(**metrics: float) -> str:
    out = io.StringIO()
    Screen(out).waterfall(metrics)
    return out.getvalue().strip()


def test_what_was_prepared_while_waiting_is_named_and_not_drawn() -> None:
    line = shown(
        endpointing_delay=400, llm_first_token=100, tts_first_audio=50, remainder=0,
        overlapped=150, response_latency=400,
    )  # fmt: skip
    assert line.endswith("model 100 + voice 50 + rest 0 - 150 while waiting")
    assert line.split(" ")[0] == "▒" * 16
