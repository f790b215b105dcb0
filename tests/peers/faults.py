"""What a simulated carrier's REST API does wrong on command."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets instead of, or before, its answer. `delay` is in seconds.

    A `late` fault comes after the command was done, as if its answer got lost. `content` is what
    a success says instead. A fault `at` the end of a path waits for the next request there.
    """

    status: int = 0
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    late: bool = False
    content: bytes | None = None
    at: str = ""

    @property
    def answers(self) -> bool:
        """Whether the request is answered by this, and not only later."""
        return self.cut or bool(self.status) or self.content is not None


def fault_for(faults: deque[Fault], path: str) -> Fault | None:
    """The first fault that is meant for a request to this path, which then has had it."""
    for fault in faults:
        if path.endswith(fault.at):
            faults.remove(fault)
            return fault
    return None
