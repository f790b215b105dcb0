"""What all downloads from carriers have in common: whole or not at all, and one at a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.cache import cache

GRACE_SECONDS = 60.0  # for what is done before and after the download itself


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is at `path` once it was written without an error, and nowhere otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{secrets.token_hex(8)}.part")  # workers may be threads
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def claimed(name: str, *, seconds: float) -> Iterator[bool]:
    """Whether this is ours to bring. While it is, for `seconds` and some more, it is no other's."""
    key = f"download:{name}"
    ours = cache.add(key, True, timeout=seconds + GRACE_SECONDS)
    try:
        yield ours
    finally:
        if ours:
            cache.delete(key)
