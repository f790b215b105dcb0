"""What the simulated caller shows on a terminal: transcript, waterfall of each turn, summary."""

from __future__ import annotations

import shutil
import statistics
import sys
import textwrap
from collections.abc import Mapping, Sequence
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
COLOURS = {"caller": "1;32", "heard": "32", "agent": "1;34"}
MS_PER_CELL = 25.0
WIDEST = 60
MARGIN = 19  # columns before the text of a turn: time and speaker


class Screen:
    """Writes lines: wrapped where `out` (standard output) is a terminal, and in colour if it may.

    `plain` forbids colours, as NO_COLOR does to `make call` (https://no-color.org).
    """

    def __init__(self, out: TextIO | None = None, *, plain: bool = False) -> None:
        self._out = out or sys.stdout
        terminal = self._out.isatty()
        self._coloured = terminal and not plain
        self._width = shutil.get_terminal_size().columns if terminal else 0

    def line(self, text: str = "") -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def note(self, text: str) -> None:
        """Something to know before the call goes on."""
        for each in self._wrapped(text, 0):
            self.line(self.paint(each, "33"))

    def turn(self, *, who: str, text: str, at: float, remark: str = "") -> None:
        """What `caller` said, what the server `heard` of it, or what the `agent` said."""
        said = text.strip() or "(nothing was heard)"
        lines = self._wrapped(said + (f"  [{remark}]" if remark else ""), MARGIN)
        if remark:
            bare, _, rest = lines[-1].rpartition("[")
            lines[-1] = bare + self.paint(f"[{rest}", "2") if rest else lines[-1]
        head = f"{at:7.1f} s " + self.paint(f"{who:>7}", COLOURS[who])
        for number, each in enumerate(lines):
            self.line(f"{head if not number else ' ' * (MARGIN - 2)}  {each}")

    def _wrapped(self, text: str, margin: int) -> list[str]:
        room = self._width - margin
        return (textwrap.wrap(text, room) if room >= 30 else None) or [text]

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
        parts = [
            f"{self.paint(cell, colour)} {label} {_whole(metrics[name])}"
            for name, label, cell, colour in STAGES
            if name in metrics
        ]
        less = f" - {_whole(spared)} while waiting" if round(spared) > 0 else ""
        total = f"{_whole(metrics['response_latency'])} ms"
        self.line(f"{'':{MARGIN}}{bar}")
        self.line(f"{'':{MARGIN}}{total} = {' + '.join(parts)}{less}")

    def _stage(self, milliseconds: float, cell: str, colour: str) -> str:
        cells = min(WIDEST, round(max(0.0, milliseconds) / MS_PER_CELL))
        return self.paint(cell * cells, colour) if cells else ""

    def exchange(self, exchange: Exchange) -> None:
        """What the caller said, and measured at its own end."""
        if exchange.response is None:
            heard = "no answer"
        else:
            heard = f"agent's voice after {_whole(exchange.response)} ms"
        if exchange.interrupts and exchange.stopped is None:
            heard = "the agent spoke on"
        elif exchange.stopped is not None:
            heard = f"agent stopped after {_whole(exchange.stopped)} ms, {heard}"
        self.turn(who="caller", text=exchange.said, at=exchange.at, remark=heard)

    def summary(
        self,
        exchanges: Sequence[Exchange],
        answered: Sequence[Exchange],
        gaps: Sequence[float],
        reason: str,
    ) -> None:
        """The whole call in a few lines; `answered` are those that got a true reply."""
        times = [each.response for each in answered if each.response is not None]
        late = [gap * 1000 for gap in gaps if gap > 0.02]
        rows = {
            "ended": reason.replace("_", " "),
            "answered": f"{len(answered)} of {len(exchanges)}",
        }
        if times:
            rows["answer time"] = (
                f"median {_whole(statistics.median(times))} ms, longest {_whole(max(times))} ms, "
                "from the caller's last sound to the agent's first, at the caller's ear"
            )
        rows["gaps"] = (
            f"{len(late)} over 20 ms in the agent's speech, longest {_whole(max(late))} ms"
            if late
            else "none over 20 ms in the agent's speech"
        )
        self.line()
        for name, value in rows.items():
            first, *rest = self._wrapped(value, 13)
            self.line(self.paint(f"{name:>11}", "1") + f"  {first}")
            for each in rest:
                self.line(f"{'':13}{each}")


def _whole(value: float) -> str:
    """Rounded, and never `-0`."""
    return str(round(value))
