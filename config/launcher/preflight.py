"""What must hold before anything is started: one launcher, a free port, a folder to write in."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path

import psutil

from config.launcher import LauncherError

BACKLOG = 512


def claim_folder(data_dir: Path, address: str) -> int:
    """Be this data folder's only launcher; the claim ends with the process."""
    path = data_dir / "launcher.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LauncherError(
            f"DATA_DIR={data_dir} cannot be written ({error.strerror}: {error.filename}). "
            "Give this user the right to write there, or set DATA_DIR to another folder."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        raise LauncherError(
            f"Andrea already runs from DATA_DIR={data_dir} ({other or 'just starting'}). "
            "Stop it first, or set DATA_DIR and PORT to run another one."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()}, {address}".encode(), 0)
    return descriptor


def listen(host: str, port: int) -> socket.socket:
    """The socket that users connect to. It is ours, so it survives a restart of the web server."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise LauncherError(_why_not(host, port, error)) from error
    return listener


def _why_not(host: str, port: int, error: OSError | OverflowError) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return (
            f"Port {port} is in use{_by_whom(port)}. "
            f"Stop that program, or choose another port: make run PORT={port + 1}"
        )
    if code == errno.EACCES:
        return f"This user may not use port {port}. Choose one above 1023: make run PORT=8000"
    return f"HOST={host} is not an address of this machine ({error}). Unset it, or use 0.0.0.0."


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port:
                name = psutil.Process(connection.pid).name()
                return f" by {name} (process {connection.pid})"
    except (psutil.Error, OSError, TypeError):
        pass  # other users' connections are hidden from us
    return ""
