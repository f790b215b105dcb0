"""Sends a file piece by piece, and only the part that was asked for (RFC 9110, 14)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

PIECE = 64 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})$")


def file_response(request: Request, path: Path, *, content_type: str) -> HttpResponseBase:
    """All of the file, the range asked for (206), or 416."""
    size = path.stat().st_size
    asked = request.headers.get("Range")
    span = range_of(asked, size) if asked else (0, size)
    if span is None:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = span
    pieces: AsyncIterator[bytes] | Iterator[bytes]
    asynchronous = isinstance(request._request, ASGIRequest)
    pieces = _pieces_async(path, start, end) if asynchronous else _pieces(path, start, end)
    response = StreamingHttpResponse(
        pieces, status=206 if asked else 200, content_type=content_type
    )
    response["Content-Length"] = str(end - start)
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-store"
    if asked:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """First and one past the last byte of a `Range` header; None if it cannot be had.

    One range is served; players ask for no more.
    """
    match = _RANGE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    return (start, end) if start < end else None


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(min(PIECE, end - file.tell())):
            yield piece


async def _pieces_async(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """As above, with the disk left to a thread."""
    file: BinaryIO = await asyncio.to_thread(path.open, "rb")
    try:
        file.seek(start)
        while piece := await asyncio.to_thread(file.read, min(PIECE, end - file.tell())):
            yield piece
    finally:
        await asyncio.to_thread(file.close)
