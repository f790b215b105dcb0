"""`make run`: everything that Andrea needs, behind one address, until Ctrl-C."""


class LauncherError(Exception):
    """Andrea cannot start; the message is one line that says why and what to do."""
