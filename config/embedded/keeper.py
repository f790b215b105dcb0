"""The process that runs the embedded servers of one data folder while anybody uses them.

Started by `config.embedded.join`. A user of the servers is a connection to the keeper's socket.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path

from config.embedded import EmbeddedError, Folders, as_line, make_folders
from config.embedded.servers import Server, addresses, postgres, prepare_database, redis

LINGER_SECONDS = 2.0  # commands that follow one another find the servers still warm
FIRST_USER_SECONDS = 20.0


class Keeper:
    """Holds the servers, counts their users, and ends with the last of them."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._servers: list[Server] = []
        self._users: set[socket.socket] = set()
        self._leaving: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._idle_until = time.monotonic() + FIRST_USER_SECONDS
        self._greeting = as_line(addresses(folders))

    def run(self) -> None:
        """Start the servers, serve their users, stop the servers. Raises EmbeddedError."""
        self._servers = [redis(self._folders)]
        self._servers[0].start()
        try:
            self._servers.append(postgres(self._folders))
            self._servers[1].start()
            prepare_database(self._folders)
            self._serve()
        finally:
            for server in reversed(self._servers):
                server.stop()
            for user in self._leaving:
                user.close()

    def _serve(self) -> None:
        path = self._folders.keeper_socket
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(64)
            self._selector.register(listener, selectors.EVENT_READ, self._accept)
            try:
                while self._users or time.monotonic() < self._idle_until:
                    for key, _ in self._selector.select(timeout=0.25):
                        key.data(key.fileobj)
                    self._revive()
            finally:
                path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        user, _ = listener.accept()
        self._users.add(user)
        self._selector.register(user, selectors.EVENT_READ, self._hear)
        try:
            user.sendall(self._greeting)
        except OSError:
            self._forget(user, linger=LINGER_SECONDS)

    def _hear(self, user: socket.socket) -> None:
        """A user says that it leaves, or is gone."""
        try:
            leaves = user.recv(64) == b"leave\n"
        except OSError:
            leaves = False
        if leaves and len(self._users) == 1:
            self._leaving.add(user)  # it waits for our end
        self._forget(user, linger=0.0 if leaves else LINGER_SECONDS)

    def _forget(self, user: socket.socket, *, linger: float) -> None:
        self._selector.unregister(user)
        self._users.discard(user)
        if user not in self._leaving:
            user.close()
        self._idle_until = time.monotonic() + linger

    def _revive(self) -> None:
        for server in self._servers:
            if not server.is_alive():
                say(f"{server.name} ended by itself; starting it again (see {server.log})")
                server.start()


def say(line: str) -> None:
    """Write a line to the keeper's log."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def lock(folders: Folders) -> int | None:
    """The right to be this folder's only keeper, held until the process ends; None if taken."""
    descriptor = os.open(folders.home / "keeper.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def main() -> None:
    """Keep the servers of the data folder that the argument names."""
    os.setsid()  # the terminal's Ctrl-C is not for us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folders = make_folders(Path(sys.argv[1]))
    if lock(folders) is None:
        return
    try:
        Keeper(folders).run()
    except EmbeddedError as error:
        say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
