"""A benchmark's figures: when they hold, and what is written of them."""

from __future__ import annotations

import json

import pytest

from bench import figures
from bench.figures import Figure, percentile, save, table, without_limits


@pytest.mark.parametrize(
    ("figure", "holds"),
    [
        (Figure("slow", 51, "ms", 50), False),
        (Figure("quick", 50, "ms", 50), True),
        (Figure("few", 149, "calls", 150, at_least=True), False),
        (Figure("enough", 150, "calls", 150, at_least=True), True),
        (Figure("told only", 1e9, "ms"), True),
        (Figure("nothing measured", float("nan"), "ms", 50), False),
        (Figure("nothing counted", float("nan"), "calls", 1, at_least=True), False),
    ],
)
def test_a_figure_holds_within_its_limit(figure, holds):
    assert figure.holds is holds


def test_a_percentile_of_nothing_holds_nowhere():
    assert not Figure("p95", percentile([], 0.95), "ms", 320).holds
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


def test_every_part_is_written_with_its_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    path = save("voice", {"uvicorn": [Figure("p95", 283.1234, "ms", 320)], "memory": []})
    assert json.loads(path.read_text())["figures"] == [
        {"name": "uvicorn: p95", "value": 283.123, "unit": "ms", "limit": 320, "holds": True}
    ]


def test_figures_for_comparison_have_no_limits():
    (figure,) = without_limits([Figure("p95", 900, "ms", 320)])
    assert figure.holds
    assert "FALLS SHORT" not in table([figure])
