"""What the simulated caller does: a text file with one step a line.

# comments and empty lines are skipped
say book-a-tour            a clip by its name, or by what it says
say "How much is it?"
interrupt 0.8 stop         speak 0.8 s into the agent's next answer
press 5                    a key of the telephone
pause 1.5                  say nothing for so many seconds
hang up
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from calls.simulator import clips
from calls.simulator.clips import Clip

SCRIPTS = Path(__file__).parent / "scripts"
BY_LANGUAGE = {"en": "tour", "es": "reserva"}  # of those that come along
KEYS = set("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Say:
    clip: Clip


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Speak `after` seconds into the agent's next answer."""

    after: float
    clip: Clip


@dataclass(frozen=True, slots=True)
class Press:
    digits: str


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Step: TypeAlias = Say | Interrupt | Press | Pause | HangUp


class BadScript(Exception):
    """A script that makes no sense; the message names the line."""


def load(name: str) -> list[Step]:
    """The steps of a file, or of one of the scripts that come with the simulator."""
    path = Path(name)
    if not path.exists():
        path = SCRIPTS / f"{name}.txt"
    if not path.exists():
        raise BadScript(f"there is no script {name!r}: name a file, or one of {', '.join(known())}")
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadScript(f"the script {name!r} cannot be read: {error}") from None


def known() -> list[str]:
    """Names of the scripts that come with the simulator."""
    return sorted(each.stem for each in SCRIPTS.glob("*.txt"))


def languages_of(steps: Iterable[Step]) -> set[str]:
    """What is spoken in these steps: `en`, `es`, both, or nothing at all."""
    return {step.clip.language for step in steps if isinstance(step, Say | Interrupt)}


def parse(text: str) -> list[Step]:
    """The steps of a script. Raises BadScript."""
    return list(_steps(text))


def _steps(text: str) -> Iterator[Step]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split() if not line.startswith("press") else line.split()
        if not words:
            continue
        try:
            yield _step(words)
        except (LookupError, ValueError) as error:
            raise BadScript(f"line {number}, {line.strip()!r}: {error}") from None


def _step(words: list[str]) -> Step:
    match words:
        case ["say", *rest]:
            return Say(_clip(rest))
        case ["interrupt", after, *rest]:
            return Interrupt(float(after), _clip(rest))
        case ["press", digits] if set(digits) <= KEYS:
            return Press(digits)
        case ["pause", seconds]:
            return Pause(float(seconds))
        case ["hang", "up"]:
            return HangUp()
    raise ValueError("a step is say, interrupt, press, pause or hang up")


def _clip(words: list[str]) -> Clip:
    return clips.find(" ".join(words).strip("\"'"))
