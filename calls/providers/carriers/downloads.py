"""Files that carriers keep for us, as they come."""

from __future__ import annotations

import httpx

from calls.providers.carriers.port import Media

PIECE = 64 * 1024  # bytes


def media_of(answer: httpx.Response) -> Media:
    """The file in an answer that is still being received."""
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Media(content_type, answer.aiter_bytes(PIECE))
