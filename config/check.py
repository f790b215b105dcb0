"""Every check of the code that needs no running call: `make check`.

The steps run two at a time, each prints what it found, and all of them run even when one fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Step:
    """One tool with its arguments; `name` is what the report calls it."""

    name: str
    command: Sequence[str | Path]


@dataclass(frozen=True)
class Outcome:
    """What a step printed, how it ended and how long it took in seconds."""

    step: Step
    code: int
    output: str
    seconds: float


def steps() -> list[Step]:
    """The checks, the longest first."""
    python = Path(sys.executable)
    manage: list[str | Path] = [python, "manage.py"]
    return [
        Step("types (mypy)", [BIN / "mypy", "."]),
        Step("system checks", [*manage, "check", "--fail-level", "WARNING"]),
        Step("migrations", [*manage, "makemigrations", "--check", "--dry-run"]),
        Step("house rules", [python, "-m", "pytest", "-q", "tests/config/test_house_rules.py"]),
        Step("templates (djlint)", [BIN / "djlint", "templates", "--lint", "--quiet"]),
        Step("floors (import-linter)", [BIN / "lint-imports", "--no-cache"]),
        Step("style (ruff)", [BIN / "ruff", "check", "."]),
        Step("format (ruff)", [BIN / "ruff", "format", "--check", "."]),
    ]  # fmt: skip


def run(step: Step) -> Outcome:
    """Run one step in the project's folder with both of its outputs together."""
    started = time.monotonic()
    result = subprocess.run(
        step.command,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(step, result.returncode, result.stdout.strip(), time.monotonic() - started)


def report(outcome: Outcome) -> None:
    """Print one line for a step that holds, and everything it said for one that does not."""
    mark = "ok    " if outcome.code == 0 else "FAILED"
    sys.stdout.write(f"{mark}  {outcome.step.name}  {outcome.seconds:.1f} s\n")
    if outcome.code != 0:
        sys.stdout.write(outcome.output + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run all steps; the number of those that failed is the exit code."""
    failed = 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        for outcome in pool.map(run, steps()):
            report(outcome)
            failed += outcome.code != 0
    sys.stdout.write(
        f"{failed} of {len(steps())} checks failed\n" if failed else "All checks hold\n"
    )
    return failed


if __name__ == "__main__":
    sys.exit(main())
