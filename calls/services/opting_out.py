"""What a message does that is nothing but STOP or START, in any language that we know."""

from __future__ import annotations

import logging
import re

from calls.message_errors import MessageNotSent
from calls.models import Direction, DoNotCall, Message
from calls.models.fields import E164_PATTERN
from calls.opt_out import WELCOME_BACK, wants_again, wants_no_more
from calls.services.do_not_call import do_not_call_add, do_not_call_take_back
from calls.services.locks import lock_until_commit
from calls.services.messages import Letter, message_send

log = logging.getLogger(__name__)

BY_THEMSELVES = "the person themselves"


def word_heed(*, message: Message) -> None:
    """Neither write to nor call its sender after STOP, until their START takes that back.

    Carriers heed some of these words for SMS. The last one sent counts, in whichever order they
    come, and where a carrier does not say when (Twilio), the last one that came. What others put
    on the list stays there. A short code, which carriers may write with a plus, can be neither
    written to nor called.
    """
    stops, again = wants_no_more(message.kind, message.text), wants_again(message.text)
    if not (stops or again) or not re.fullmatch(E164_PATTERN, message.party):
        return
    lock_until_commit(f"opting out:{message.tenant_id}:{message.party}")
    if _said_later(message):
        return
    if stops:
        do_not_call_add(
            number=message.party,
            actor=BY_THEMSELVES,
            source=DoNotCall.Source.WRITTEN,
            reason=f"{message.get_kind_display()}: {message.text.strip()[:100]}",
        )
    elif again and do_not_call_take_back(number=message.party, actor=BY_THEMSELVES):
        _welcome_back(message, again)


def _said_later(message: Message) -> bool:
    """Whether they have sent another such word since."""
    later = Message.objects.filter(
        direction=Direction.INBOUND, party=message.party, at__gt=message.at
    )
    return any(
        wants_no_more(kind, text) or wants_again(text)
        for kind, text in later.values_list("kind", "text")
    )


def _welcome_back(message: Message, language: str) -> None:
    """Say so in the language of their word, once, from the number to which they wrote."""
    if message.number is None:
        return
    letter = Letter(
        kind=Message.Kind(message.kind),
        number=message.number,
        to_number=message.party,
        text=WELCOME_BACK[language].format(company=message.tenant.name),
    )
    try:
        message_send(letter=letter, actor=BY_THEMSELVES, key=f"again {message.public_id}")
    except MessageNotSent as error:
        log.warning("message %s is not confirmed: %s", message.public_id, error)
