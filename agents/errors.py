"""What can be wrong with agents, one class per cause. Messages are for people."""

from __future__ import annotations


class AgentsError(Exception):
    """A request about agents that cannot be fulfilled."""


class VersionIsImmutable(AgentsError):
    """A published or retired version was about to be changed."""

    def __init__(self, number: int, state: str) -> None:
        super().__init__(
            f"Version {number} is {state} and cannot be changed. Make a new draft instead."
        )


class NotPublishable(AgentsError):
    """A draft lacks something that callers need. `faults` lists every one."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("The draft cannot be published: " + "; ".join(faults))
        self.faults = faults


class NothingToRollBackTo(AgentsError):
    """The version named for a roll-back was never published, or is published already."""


class KnowledgeFileError(AgentsError):
    """Rows of a knowledge file are wrong. `problems` holds (line, reason), every one."""

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(f"line {line}: {reason}" for line, reason in problems))
        self.problems = problems
