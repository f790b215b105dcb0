"""What a page may offer: one section of sound, and nothing that would have us scan a network."""

from __future__ import annotations

from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.webrtc.ice import may_try

MOST_BYTES = 16 * 1024
MOST_LINES = 400
MOST_CANDIDATES = 32
_KEYS = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:")


def malformed(detail: str) -> MediaFault:
    """An offer or candidate that we cannot make anything of."""
    return MediaFault(Fault.MALFORMED, detail)


def checked(offer: object, *, private: bool) -> str:
    """The offer's SDP, with the candidates that may be tried. Raises MediaFault.

    The end of the candidates is never told on: ICE then goes on waiting for the page's own checks.
    """
    if not isinstance(offer, str) or not 0 < len(offer) <= MOST_BYTES:
        raise malformed(f"an offer is SDP of {MOST_BYTES} characters at most")
    lines = offer.splitlines()
    sections = [line for line in lines if line.startswith("m=")]
    if len(lines) > MOST_LINES or len(sections) != 1 or not sections[0].startswith("m=audio "):
        raise malformed("an offer has one section, of sound")
    for key in _KEYS:
        if not any(line.startswith(key) for line in lines):
            raise malformed(f"the offer has no {key[2:-1]}")
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-cand"))]
    found = [line for line in lines if line.startswith("a=candidate:")]
    kept += [line for line in found[:MOST_CANDIDATES] if may_try(line, private=private)]
    return "\r\n".join([*kept, ""])
