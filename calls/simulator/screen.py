"""What the simulated caller shows on a terminal: transcript, waterfall of each turn, summary."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping
from typing import TextIO

from calls.simulator.conversation import Exchange

STAGES = (
    ("endpointing_delay", "end of turn", "▒", "33"),
    ("tool_time", "tool", "▞", "32"),
    ("llm_first_token", "model", "█", "35"),
    ("voice_lost", "lost voice", "▚", "31"),
    ("tts_first_audio", "voice", "▓", "36"),
    ("remainder", "rest", "░", "37"),
)
MS_PER_CELL = 25.0
WIDEST = 60


class Screen:
    """Writes lines; in colour where `out` (standard output) is a terminal."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._coloured = self._out.isatty()

    def line(self, text: str = "") -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def turn(self, *, role: str, text: str, interrupted: bool, started_ms: float) -> None:
        """One turn as the server stored it."""
        who = self.paint(f"{role:>7}", "1;32" if role == "caller" else "1;34")
        cut = self.paint("  [interrupted]", "31") if interrupted else ""
        self.line(f"{started_ms / 1000:7.1f} s {who}  {text or '(nothing was heard)'}{cut}")

    def waterfall(self, metrics: Mapping[str, float]) -> None:
        """Where the time went between the caller's last sound and the agent's first.

        What was done while the end of the turn was still being waited for is not drawn: it
        cost nothing, and is named at the end.
        """
        if "response_latency" not in metrics:
            return
        spared = metrics.get("overlapped", 0.0)
        bar, hidden = "", spared
        for name, _, cell, colour in STAGES:
            length = metrics.get(name, 0.0)
            if name != "endpointing_delay":
                covered = min(hidden, length)
                length, hidden = length - covered, hidden - covered
            bar += self._stage(length, cell, colour)
        parts = [f"{label} {metrics[name]:.0f}" for name, label, _, _ in STAGES if name in metrics]
        less = f" - {spared:.0f} while waiting" if spared else ""
        total = f"{metrics['response_latency']:.0f} ms"
        self.line(f"{'':19}{bar} {total} = {' + '.join(parts)}{less}")

    def _stage(self, milliseconds: float, cell: str, colour: str) -> str:
        cells = min(WIDEST, round(max(0.0, milliseconds) / MS_PER_CELL))
        return self.paint(cell * cells, colour)

    def exchange(self, exchange: Exchange) -> None:
        """What the caller measured at its own end."""
        heard = _ms(exchange.response, "no answer")
        cut = (
            f", agent stopped after {_ms(exchange.stopped, 'never')}" if exchange.interrupts else ""
        )
        said = f"said {exchange.said!r}, answered after {heard}{cut}"
        self.line(self.paint(f"{exchange.at:7.1f} s {'':>7}  {said}", "2"))

    def summary(self, exchanges: list[Exchange], gaps: list[float], reason: str) -> None:
        """The whole call in a few lines."""
        answers = [each.response for each in exchanges if each.response is not None]
        self.line()
        self.line(f"ended: {reason}")
        self.line(f"answered: {len(answers)} of {len(exchanges)}")
        if answers:
            middle = statistics.median(answers)
            self.line(f"answer time at the caller's ear: median {middle:.0f} ms, "
                      f"longest {max(answers):.0f} ms")  # fmt: skip
        late = [gap * 1000 for gap in gaps if gap > 0.02]
        longest = f", longest {max(late):.0f} ms" if late else ""
        self.line(f"gaps over 20 ms in the agent's speech: {len(late)}{longest}")


def _ms(value: float | None, none: str) -> str:
    return none if value is None else f"{value:.0f} ms"
