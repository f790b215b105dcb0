"""Why a message that was asked for is not sent: one class per cause. Texts are for people."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext


class MessageNotSent(Exception):
    """Any of these. `code` is the cause's name for programs."""

    code = "not_sent"


class CannotBeWrittenTo(MessageNotSent):
    """What was given is no number that can be written to."""

    code = "invalid_number"


class NumberCannotSend(MessageNotSent):
    """The number is switched off, or its carrier sends no messages of this kind."""

    code = "cannot_send"

    def __init__(self, number: object, kind: str) -> None:
        text = gettext("%(number)s sends no %(kind)s: it or its carrier account cannot.")
        super().__init__(text % {"number": number, "kind": kind})


class DoesNotWantMessages(MessageNotSent):
    """Whoever has this number does not want to hear from the tenant."""

    code = "do_not_call"

    def __init__(self, number: str) -> None:
        super().__init__(gettext("%(number)s is on the do-not-call list.") % {"number": number})


class WindowClosed(MessageNotSent):
    """WhatsApp's 24 hours are over, or never began."""

    code = "whatsapp_window_closed"

    def __init__(self, number: str, wrote_at: datetime | None) -> None:
        text = gettext(
            "%(number)s has not written to this number in the last 24 hours, so WhatsApp takes "
            "nothing but an approved template."
        )
        super().__init__(text % {"number": number})
        self.wrote_at = wrote_at


class KeyUsedForAnother(MessageNotSent):
    """The idempotency key came before, with something else."""

    code = "idempotency_conflict"

    def __init__(self, key: str) -> None:
        text = gettext("The key %(key)s was used before, for a message that differs from this one.")
        super().__init__(text % {"key": f"“{key}”"})
