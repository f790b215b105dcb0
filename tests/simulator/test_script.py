from __future__ import annotations

import pytest

from calls.simulator import clips
from calls.simulator.script import (
    SCRIPTS,
    BadScript,
    HangUp,
    Interrupt,
    Pause,
    Press,
    Say,
    load,
    parse,
)

SCRIPT = """
# a caller in a hurry
say book-a-tour
say "How much is it?"     # by what it says
interrupt 0.8 stop
press 5#
pause 1.5
hang up
"""


def test_each_line_is_a_step():
    assert parse(SCRIPT) == [
        Say(clips.find("book-a-tour")),
        Say(clips.find("how-much")),
        Interrupt(0.8, clips.find("stop")),
        Press("5#"),
        Pause(1.5),
        HangUp(),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sing", "a step is say, interrupt, press, pause or hang up"),
        ("say nothing at all like it", "no clip says"),
        ("pause long", "could not convert"),
        ("press x", "a step is"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line, why):
    with pytest.raises(BadScript, match=f"line 2, '{line}': .*{why}"):
        parse(f"say hello\n{line}")


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_scripts_that_come_with_it_can_be_read(path):
    assert load(path.stem) == load(str(path))


def test_an_unknown_script_is_refused_with_the_choices():
    with pytest.raises(BadScript, match="'opera': name a file, or one of reserva, tour"):
        load("opera")
