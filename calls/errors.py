"""Why a call that was asked for is not placed: one class per cause. Messages are for people."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext, ngettext


class CallNotPlaced(Exception):
    """Any of these. `code` is the cause's name for programs."""

    code = "not_placed"


class CannotBeCalled(CallNotPlaced):
    """What was given is no number that can be called."""

    code = "invalid_number"


class ZoneUnknown(CannotBeCalled):
    """Nobody knows what time it is there, so nobody can tell whether it may be called."""

    def __init__(self, number: str) -> None:
        text = gettext("It is not known in which time zone %(number)s rings.")
        super().__init__(text % {"number": number})


class NoCallerNumber(CallNotPlaced):
    """No active number of the tenant's can place the call."""

    code = "no_caller_number"

    def __init__(self, agent: object) -> None:
        text = gettext("No active number of %(agent)s's is at a carrier that places calls.")
        super().__init__(text % {"agent": agent})


class AgentNotPublished(CallNotPlaced):
    """The agent cannot talk to anybody yet."""

    code = "not_published"

    def __init__(self, agent: object) -> None:
        text = gettext("%(agent)s is switched off or has no published version.")
        super().__init__(text % {"agent": agent})


class OnDoNotCallList(CallNotPlaced):
    """Whoever has this number does not want to be called."""

    code = "do_not_call"

    def __init__(self, number: str) -> None:
        super().__init__(gettext("%(number)s is on the do-not-call list.") % {"number": number})


class OutsideWindow(CallNotPlaced):
    """It is too early or too late where the called one is; `retry_at` says until when."""

    code = "outside_hours"

    def __init__(self, number: str, retry_at: datetime | None) -> None:
        super().__init__(
            gettext("It is not the time of day to call %(number)s, by the clock there.")
            % {"number": number}
        )
        self.retry_at = retry_at


class TooManyAtOnce(CallNotPlaced):
    """The tenant's lines are all in use."""

    code = "too_many_calls"
    retry_seconds = 10

    def __init__(self, most: int) -> None:
        text = gettext("%(most)d placed calls are on the line already, as many as may be.")
        super().__init__(text % {"most": most})


class TooFast(TooManyAtOnce):
    """The carrier dials no more calls of this account in such a short time."""

    code = "too_fast"
    retry_seconds = 1

    def __init__(self, rate: int) -> None:
        text = ngettext(
            "The carrier places %(rate)d call per second for this account.",
            "The carrier places %(rate)d calls per second for this account.",
            rate,
        )
        CallNotPlaced.__init__(self, text % {"rate": rate})


class KeyUsedOtherwise(CallNotPlaced):
    """The idempotency key came before, with something else."""

    code = "idempotency_conflict"

    def __init__(self, key: str) -> None:
        text = gettext("The key %(key)s was used before, for a call that differs from this one.")
        super().__init__(text % {"key": f"“{key}”"})


def refusal_codes() -> list[str]:
    """The `code` of each cause for which a call is not placed."""
    causes, codes = list(CallNotPlaced.__subclasses__()), dict[str, None]()
    for cause in causes:
        codes[cause.code] = None
        causes += cause.__subclasses__()
    return list(codes)


class CampaignError(Exception):
    """A campaign cannot do what was asked of it now."""


class FileFaults(Exception):
    """Rows of a file are wrong. `problems` holds (line, reason), every one."""

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        text = gettext("line %(line)s: %(reason)s")
        each = (text % {"line": line, "reason": reason} for line, reason in problems)
        super().__init__("; ".join(each))
        self.problems = problems
