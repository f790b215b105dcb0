"""`python -m bench` ends with an error if a figure falls short, and measures against the goals."""

from __future__ import annotations

import json

import pytest

import bench.__main__ as command
from bench import figures, load
from bench.callers.caller import Measured
from bench.figures import Figure


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Give each part what it is to find; returns what main() ends with and has written."""

    def run(*arguments, **found):
        async def measure(figures_found):
            if isinstance(figures_found, Exception):
                raise figures_found
            return figures_found

        parts = {name: (lambda given=given: measure(given)) for name, given in found.items()}
        monkeypatch.setattr(figures, "RESULTS", tmp_path)
        monkeypatch.setattr(command, "parts", lambda _options: parts)
        monkeypatch.setattr("sys.argv", ["bench", "voice", *arguments])
        status = command.main()
        return status, json.loads((tmp_path / "voice.json").read_text())["figures"]

    return run


def test_all_that_holds_is_a_success(measured):
    status, written = measured(
        uvicorn=[Figure("p95", 300, "ms", 320)], platform=[Figure("first start", 20, "s")]
    )
    assert status == 0
    assert [(entry["name"], entry["holds"]) for entry in written] == [
        ("uvicorn: p95", True), ("platform: first start", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "short", [[Figure("p95", 321, "ms", 320)], OSError("no socket"), TimeoutError()]
)
def test_one_that_falls_short_or_cannot_be_measured_is_an_error(measured, short, capsys):
    status, written = measured(uvicorn=[Figure("p95", 300, "ms", 320)], memory=short)
    assert status == 1
    assert [entry["holds"] for entry in written] == [True, False]
    assert "1 figures fall short." in capsys.readouterr().out


def test_only_the_part_that_was_asked_for_is_run(measured):
    status, written = measured(
        "--part", "platform", platform=[Figure("a", 1, "s")], memory=[Figure("b", 2, "s", 1)]
    )
    assert (status, [entry["name"] for entry in written]) == (0, ["platform: a"])


def test_a_part_that_does_not_exist_is_told(measured, capsys):
    with pytest.raises(SystemExit):
        measured("--part", "nonsense", platform=[Figure("a", 1, "s")])
    assert "has no part 'nonsense', but platform" in capsys.readouterr().err


def test_few_calls_do_not_pass_for_the_goal():
    moment = {"wall_seconds": 0.0, "cpu_seconds": 0.0, "rss_bytes": 0, "loop_lag_p99_ms": 1.0}
    after = {**moment, "wall_seconds": 10.0, "live_calls": 10}
    found = {
        figure.name: figure
        for figure in load.figures(
            load.Load(10, 5), load.Goals(150), Measured(), moment, moment, after
        )
    }
    assert found["calls at once"].limit == 150
    assert not found["calls at once"].holds
