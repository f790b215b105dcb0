"""Who runs which tests when several workers do: the slow ones first, what shares a server together.

xdist's own order starts with the modules of most tests, so that the few long ones would come last
and leave the other workers idle; and each worker that got one of the modules that share a server
would start another.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

# These wait for real servers and real time: the others fill the processors meanwhile.
WAITING = ("tests/e2e/", "tests/calls/", "tests/config/", "tests/simulator/")
# Modules of one of these run on one worker: they share a whole Andrea, or servers.
SHARING = (
    ("tests/e2e/",),
    ("tests/calls/test_rude_callers.py", "tests/calls/test_simulated_calls.py"),
)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """A module is one piece of work, and those that share are one together."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::")[0]
        return next((names[0] for names in SHARING if module.startswith(names)), module)


def in_order(items: list[pytest.Item]) -> None:
    """Sort the tests, in place: those that wait first, otherwise as they were found."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    starts = enumerate(WAITING)
    return next((rank for rank, start in starts if item.nodeid.startswith(start)), len(WAITING))
