"""A developer's machine: everything of `base`, which needs no key and no server."""

from config.settings.base import *  # noqa: F403
