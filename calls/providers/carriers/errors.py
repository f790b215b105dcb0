"""What can be wrong with a media stream, whichever carrier it comes from."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Why a media stream was closed by us, beyond an ordinary hang-up."""

    MISSING_START = "missing_start"
    WRONG_FORMAT = "wrong_format"
    MALFORMED = "malformed"
    BINARY = "binary"
    OVERSIZED = "oversized"
    FLOOD = "flood"


# WebSocket close codes (RFC 6455, 7.4.1): 1003 wrong kind of data, 1007 not what it claims to
# be, 1008 against the rules, 1009 too big.
CLOSE_CODES = {
    Fault.MISSING_START: 1008,
    Fault.WRONG_FORMAT: 1003,
    Fault.MALFORMED: 1007,
    Fault.BINARY: 1003,
    Fault.OVERSIZED: 1009,
    Fault.FLOOD: 1008,
}


class MediaFault(Exception):
    """A media stream broke its protocol; `fault` says which rule, the message says how."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault
        self.detail = detail

    @property
    def close_code(self) -> int:
        """The WebSocket close code that tells the other side."""
        return CLOSE_CODES[self.fault]


class StreamGone(Exception):
    """The socket closed before the stream began."""
