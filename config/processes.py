"""Child processes that never outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
# Loaded before any fork: the functions below run between fork and exec, where little is safe.
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sign: signal.Signals, *, as_uid: int | None = None) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends the child `sign` when the calling process ends, however.

    With `as_uid` the child also enters a user namespace in which this user has that id: for
    programs that refuse to run as root. Raises OSError in the child where the kernel says no.
    Linux only; elsewhere the child is left to the ordinary end of its parent.
    """
    parent, uid, gid = os.getpid(), os.geteuid(), os.getegid()

    def prepare() -> None:
        if as_uid is not None:
            _enter_user_namespace(uid, gid, as_uid)
        if sys.platform == "linux":
            _check(_LIBC.prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0))
            if os.getppid() != parent:  # it ended before we could ask
                os._exit(1)

    return prepare


def _enter_user_namespace(uid: int, gid: int, as_uid: int) -> None:
    _check(_LIBC.unshare(_CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{as_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{as_uid} {gid} 1")


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
