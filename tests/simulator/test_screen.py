"""What the simulated caller shows of each answer's time."""

from __future__ import annotations

import io

import pytest

from calls.simulator.conversation import Exchange
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
    assert line.endswith("█ model 100 + ▓ voice 50 + ░ rest 0 - 150 while waiting")
    assert line.split("\n")[0] == "▒" * 16


def test_a_turn_without_overlap_mentions_none() -> None:
    line = shown(endpointing_delay=400, remainder=-0.2, overlapped=0.2, response_latency=400)
    assert line.endswith("400 ms = ▒ end of turn 400 + ░ rest 0")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_unless_it_refuses_them() -> None:
    assert "\x1b[" in Screen(Terminal()).paint("x", "1")
    assert Screen(Terminal(), plain=True).paint("x", "1") == "x"
    assert Screen(io.StringIO()).paint("x", "1") == "x"


def test_long_turns_are_wrapped_under_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    Screen(out, plain=True).turn(who="agent", text="word " * 20, at=1.0, remark="interrupted")
    first, *others = out.getvalue().splitlines()
    assert first.startswith("    1.0 s   agent  word")
    assert others[-1].endswith("[interrupted]")
    assert all(line.startswith(" " * 19 + "word") and len(line) <= 60 for line in others)


def test_an_interrupted_agent_that_spoke_on_is_not_said_to_have_answered() -> None:
    out = io.StringIO()
    Screen(out).exchange(Exchange("Stop.", 2.0, interrupts=True))
    assert out.getvalue() == "    2.0 s  caller  Stop.  [the agent spoke on]\n"
