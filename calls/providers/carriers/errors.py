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
    NOT_READING = "not_reading"
    NO_PATH = "no_path"


# Every code but 1000 with which we close a media socket. An application may send only 3000-4999
# (RFC 6455, 7.4.2): daphne's WebSocket library raises at 1003, 1007 and their like. Ours are
# HTTP's statuses plus 4000.
NOT_ALLOWED, NO_SUCH_AGENT, BUSY = 4401, 4404, 4429
CLOSE_CODES = {
    Fault.MALFORMED: 4400,
    Fault.MISSING_START: 4408,
    Fault.NOT_READING: 4408,
    Fault.NO_PATH: 4424,
    Fault.OVERSIZED: 4413,
    Fault.WRONG_FORMAT: 4415,
    Fault.BINARY: 4415,
    Fault.FLOOD: 4420,
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
