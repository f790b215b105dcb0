"""What a simulated carrier's REST API does wrong on command."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets instead of, or before, its answer. `delay` is in seconds.

    A `late` fault comes after the command was done, as if its answer got lost. `content` is what
    a success says instead.
    """

    status: int = 0
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    late: bool = False
    content: bytes | None = None

    @property
    def answers(self) -> bool:
        """Whether the request is answered by this, and not only later."""
        return self.cut or bool(self.status) or self.content is not None
