"""Files of telephone numbers as the body of a request."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser

from calls.errors import FileFaults


class CsvParser(BaseParser):
    """The body as it is; `text/csv`."""

    media_type = "text/csv"

    def parse(
        self,
        stream: Any,
        media_type: Any = None,  # noqa: ARG002 - DRF's signature
        parser_context: Any = None,  # noqa: ARG002
    ) -> dict[str, str]:
        """`text`, from UTF-8. Raises ValidationError."""
        try:
            return {"text": str(stream.read(), "utf-8-sig")}
        except UnicodeDecodeError:
            raise ValidationError({"detail": "the body is not UTF-8 text"}) from None


def by_line(error: FileFaults) -> ValidationError:
    """The answer for a file with faults: each faulty line and why."""
    lines: Any = [{"line": line, "reason": reason} for line, reason in error.problems]
    return ValidationError({"lines": lines})
