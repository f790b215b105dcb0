"""The note by which the launcher tells the web server that the database is not filled yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOTE = "preparing"


@contextmanager
def preparing(data_dir: Path) -> Iterator[None]:
    """Leave the note while migrations and seed run."""
    path = data_dir / NOTE
    path.write_text(str(os.getpid()), encoding="ascii")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_preparing(data_dir: Path) -> bool:
    """Whether the note is there and its launcher lives; one that was killed prepares nothing."""
    try:
        launcher = int((data_dir / NOTE).read_text(encoding="ascii"))
        os.kill(launcher, 0)
    except PermissionError:
        return True  # it lives, and is another user's
    except (OSError, ValueError):
        return False
    return True
