"""Where Twilio is told to call us: our webhooks' address, the kind of call, and what it is about.

Twilio keeps the query of an address (only that of a stream it drops), and signs it.
"""

from __future__ import annotations

from urllib.parse import urlencode


def address(signals_url: str, kind: str, **about: str) -> str:
    """`https://host/…/<kind>?caller=CA…`."""
    query = f"?{urlencode(about)}" if about else ""
    return f"{signals_url.rstrip('/')}/{kind}{query}"
