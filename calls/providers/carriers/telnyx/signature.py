"""Whether a webhook really comes from Telnyx: Ed25519 over time stamp and body (telnyx.md, 2.2).

Telnyx's SDK checks with PyNaCl, one more compiled wheel. `cryptography` is here already and does
the same RFC 8032, as the page says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from calls.providers.carriers.sentences import _

TIMESTAMP_HEADER = "telnyx-timestamp"
SIGNATURE_HEADER = "telnyx-signature-ed25519"
TOLERANCE_SECONDS = 300
_LONGEST_STAMP = 15  # digits; a float tells apart all such numbers of seconds


class NotSigned(Exception):
    """A webhook that Telnyx did not send, or not now. The message says what is wrong with it."""


def verify(headers: Mapping[str, str], body: bytes, *, public_key: bytes, now: float) -> None:
    """Raise NotSigned unless `headers` sign `body`, exactly as received.

    `now` is in seconds since the epoch. Within the 300 s the same request may come again: it is
    the event's id that tells so.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    stamp, signature = lower.get(TIMESTAMP_HEADER, ""), lower.get(SIGNATURE_HEADER, "")
    if not stamp:
        raise NotSigned(_("it has no telnyx-timestamp header"))
    if not signature:
        raise NotSigned(_("it has no telnyx-signature-ed25519 header"))
    _check_time(stamp, now)
    try:
        raw = base64.b64decode(signature, validate=True)
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(raw, stamp.encode() + b"|" + body)
    except (binascii.Error, ValueError):
        raise NotSigned(_("the signature is no base64")) from None
    except InvalidSignature:
        raise NotSigned(_("the signature is not of this body and this public key")) from None


def _check_time(stamp: str, now: float) -> None:
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= _LONGEST_STAMP):
        raise NotSigned(_("its time stamp is no number of seconds"))
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        raise NotSigned(_("it was signed more than five minutes before or after now"))


def sign(body: bytes, *, private_key: Ed25519PrivateKey, now: float) -> dict[str, str]:
    """The headers that Telnyx would send with `body` (for the simulated carrier)."""
    stamp = str(int(now))
    signature = private_key.sign(stamp.encode() + b"|" + body)
    return {
        TIMESTAMP_HEADER: stamp,
        SIGNATURE_HEADER: base64.b64encode(signature).decode(),
    }
