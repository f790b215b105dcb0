"""Asks an address once and ends with 0 if it answers 200: the containers' health check."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

SECONDS = 4


def main(url: str) -> str | None:
    """What is wrong, or None."""
    if not url.startswith(("http://", "https://")):
        return f"{url} is no web address"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - checked
            answer.read()
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(2000).decode(errors='replace')}"
    except OSError as error:
        return f"{url} does not answer: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
