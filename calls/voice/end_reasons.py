"""Why calls end: the one list. Every call row is closed with one of these."""

from __future__ import annotations

from enum import StrEnum


class EndReason(StrEnum):
    """Set by the voice loop unless the comment says by whom else."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    CALLER_SILENT = "caller_silent"  # prompts went unanswered
    CALLER_NOT_UNDERSTOOD = "caller_not_understood"  # no words came, however often repeated
    MAX_DURATION = "max_duration"
    TRANSFERRED = "transferred"  # to a person; `CallSession.outcome` says to whom
    HANDED_OFF = "handed_off"  # to another agent; likewise
    MEDIA_LOST = "media_lost"  # the socket died, or a send hung
    RECOGNISER_FAILED = "recogniser_failed"  # no recogniser left: the agent is deaf
    BRAIN_FAILED = "brain_failed"  # no answer, several turns in a row
    VOICEMAIL = "voicemail"  # a machine answered
    VOICEMAIL_LEFT = "voicemail_left"  # likewise; it has the whole message
    INTERNAL_ERROR = "internal_error"  # a defect of ours; the log has the traceback

    # Asked for from outside, by `CallSession.end(reason)`.
    DRAINED = "drained"  # the server shuts down
    TAKEN_OVER = "taken_over"  # a member of staff took the call
    STAFF_HUNG_UP = "staff_hung_up"

    # Calls which never had a conversation, and calls that a sweeper closed.
    REFUSED_BUSY = "refused_busy"  # no line of ours was free, or we were shutting down
    REFUSED_NO_AGENT = "refused_no_agent"  # switched off, or nothing is published
    OUTSIDE_HOURS = "outside_hours"  # we may not call at that time of the called one's day
    DO_NOT_CALL = "do_not_call"
    INVALID_NUMBER = "invalid_number"  # nobody knows what time it is there
    NO_CALLER_NUMBER = "no_caller_number"  # none of ours is at a carrier that places calls
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    UNKNOWN_NUMBER = "unknown_number"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SERVER_LOST = "server_lost"

    @classmethod
    def of(cls, reason: str, otherwise: EndReason) -> EndReason:
        """The listed reason of that name, or `otherwise` for a name that is not listed."""
        return cls(reason) if reason in cls._value2member_map_ else otherwise
