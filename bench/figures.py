"""What a benchmark found: figures with limits, as JSON and as a table."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; without a `limit` it only informs. `at_least` turns the limit round."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed; NaN without any, which holds nowhere."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def without_limits(figures: list[Figure]) -> list[Figure]:
    """The same figures, for comparison only."""
    return [replace(figure, limit=None) for figure in figures]


def save(suite: str, parts: Mapping[str, list[Figure]]) -> Path:
    """Write the figures to bench/results/`suite`.json; a name begins with its part."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{suite}.json"
    entries = [_entry(part, figure) for part, figures in parts.items() for figure in figures]
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    path.write_text(json.dumps({"measured": when, "figures": entries}, indent=2) + "\n")
    return path


def _entry(part: str, figure: Figure) -> dict[str, object]:
    return {
        "name": f"{part}: {figure.name}",
        "value": None if figure.value != figure.value else round(figure.value, 3),
        "unit": figure.unit,
        "limit": figure.limit,
        "holds": figure.holds,
    }


def table(figures: list[Figure]) -> str:
    """The figures for a terminal."""
    width = max(len(figure.name) for figure in figures)
    return "\n".join(_row(figure, width) for figure in figures)


def _row(figure: Figure, width: int) -> str:
    sign = "≥" if figure.at_least else "≤"
    limit = "" if figure.limit is None else f"{sign} {figure.limit:g}"
    verdict = "" if figure.limit is None else ("holds" if figure.holds else "FALLS SHORT")
    value = f"{figure.value:10.2f} {figure.unit}"
    return f"  {figure.name:<{width}}  {value:<20} {limit:<10} {verdict}".rstrip()
