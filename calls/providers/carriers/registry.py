"""The carriers there are: one record each, everything behind it in the carrier's own folder."""

from __future__ import annotations

from calls.providers.carriers.carrier import Carrier
from calls.providers.carriers.telnyx.carrier import CARRIER as TELNYX
from calls.providers.carriers.threecx.carrier import CARRIER as THREECX
from calls.providers.carriers.twilio.carrier import CARRIER as TWILIO

CARRIERS: tuple[Carrier, ...] = (TELNYX, THREECX, TWILIO)
_BY_NAME = {entry.name: entry for entry in CARRIERS}


def has_no_webhooks(name: str) -> bool:
    """Whether we listen to the carrier instead of being called by it."""
    entry = _BY_NAME.get(name)
    return entry is not None and entry.trunk is not None


class UnknownCarrier(LookupError):
    """No carrier of that name is built in."""


def carrier(name: str) -> Carrier:
    """The carrier's record. Raises UnknownCarrier."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownCarrier(
            f"There is no carrier {name!r}; there are {sorted(_BY_NAME)}."
        ) from None
