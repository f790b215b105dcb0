"""How the bodies of the API's requests are read."""

from __future__ import annotations

from typing import Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class StrictJsonParser(JSONParser):
    """JSON in UTF-8 (RFC 8259), of bounded depth and without halves of characters.

    Python's own reader recurses until it breaks, and what it lets through breaks answers that
    repeat it, and databases.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:  # noqa: ARG002 - DRF's signature
        """Raises ParseError (400)."""
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"JSON parse error - {error}") from None
