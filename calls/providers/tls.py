"""One TLS context for all connections of the process.

Making one reads every root certificate: 20 to 80 ms, which would be a gap in every call.
"""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def shared_tls() -> ssl.SSLContext:
    """The context; made at the first use, so use it once at start."""
    return httpx.create_ssl_context()
