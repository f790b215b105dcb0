"""No carrier is asked for calls faster than it dials them.

What comes faster it keeps in a queue of its own, where nobody knows how long a call waits: it may
ring when its line is given up, and its token is too old.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from calls.errors import TooFast
from calls.models import Number, PlacingPace
from calls.providers.carriers.registry import carrier

# Calls for so long may be placed at once: campaigns take a step that often.
BURST = timedelta(seconds=2)
# And for so long besides by those who ask for one call and wait for it; at least one.
RESERVED = timedelta(seconds=1)


def pace_keep(*, number: Number, now: datetime, in_bulk: bool = False) -> None:
    """Count one more call of the account of this number. Raises TooFast.

    Nobody else places one there until the transaction ends; one that is undone was not counted.
    Calls placed `in_bulk` leave what is reserved to the others.
    """
    rate = calls_per_second(number)
    if rate is None:
        return
    account = str(number.account.public_id) if number.account is not None else ""
    PlacingPace.objects.get_or_create(
        carrier=number.carrier, account=account, defaults={"paced_until": now}
    )
    pace = PlacingPace.objects.select_for_update().get(carrier=number.carrier, account=account)
    each, first = timedelta(seconds=1) / rate, max(pace.paced_until, now)
    if first + each > now + (BURST if in_bulk else BURST + RESERVED):
        raise TooFast(rate)
    pace.paced_until = first + each
    pace.save(update_fields=["paced_until"])


def calls_per_second(number: Number) -> int | None:
    """How many its account may place; None: as many as are asked for."""
    agreed = number.account.calls_per_second if number.account is not None else None
    return agreed if agreed is not None else carrier(number.carrier).calls_per_second
