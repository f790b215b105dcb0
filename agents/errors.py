"""What can be wrong with agents, one class per cause. Messages are for people."""

from __future__ import annotations

from django.utils.translation import gettext


class AgentsError(Exception):
    """A request about agents that cannot be fulfilled."""


class VersionIsImmutable(AgentsError):
    """A published or retired version was about to be changed."""

    def __init__(self, number: int, state: str) -> None:
        text = gettext(
            "Version %(number)s is %(state)s and cannot be changed. Make a new draft instead."
        )
        super().__init__(text % {"number": number, "state": state})


class NotPublishable(AgentsError):
    """A draft lacks something that callers need. `faults` lists every one."""

    def __init__(self, faults: list[str]) -> None:
        text = gettext("The draft cannot be published: %(faults)s")
        super().__init__(text % {"faults": "; ".join(faults)})
        self.faults = faults


class NothingToRollBackTo(AgentsError):
    """The version named for a roll-back was never published, or is published already."""


class KnowledgeFileError(AgentsError):
    """Rows of a knowledge file are wrong. `problems` holds (line, reason), every one."""

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        text = gettext("line %(line)s: %(reason)s")
        each = (text % {"line": line, "reason": reason} for line, reason in problems)
        super().__init__("; ".join(each))
        self.problems = problems
