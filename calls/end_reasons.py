"""Why calls ended, in words: for the portal and for the back office."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

END_REASONS = {
    "caller_hung_up": _("the caller hung up"),
    "agent_hung_up": _("the agent hung up"),
    "caller_silent": _("the caller said nothing for too long"),
    "caller_not_understood": _("no words came of what the caller said"),
    "max_duration": _("the longest duration was reached"),
    "transferred": _("transferred to a person"),
    "handed_off": _("handed to another agent"),
    "media_lost": _("the sound was lost"),
    "recogniser_failed": _("speech recognition failed"),
    "brain_failed": _("the model failed"),
    "internal_error": _("an internal error; the log has the details"),
    "drained": _("the server was shutting down"),
    "taken_over": _("a member of staff took over"),
    "staff_hung_up": _("a member of staff hung up"),
    "voicemail": _("a voicemail answered"),
    "voicemail_left": _("a message was left on a voicemail"),
    "refused_busy": _("refused: no line was free"),
    "refused_no_agent": _("refused: no agent was there"),
    "outside_hours": _("it was not the time of day to call"),
    "do_not_call": _("the number is on the do-not-call list"),
    "invalid_number": _("the number cannot be called"),
    "no_caller_number": _("there was no number to call from"),
    "busy": _("busy"),
    "no_answer": _("nobody answered"),
    "rejected": _("the call was declined"),
    "unknown_number": _("the number does not exist"),
    "cancelled": _("cancelled before it was answered"),
    "failed": _("the carrier could not connect it"),
    "server_lost": _("the server was lost"),
}
CHOICES = list(END_REASONS.items())


def end_reason_label(reason: str) -> str:
    """Why a call ended, in words; a reason that nobody named is shown as it is."""
    return str(END_REASONS.get(reason, reason))
