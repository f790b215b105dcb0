"""Plain forms of what was said, for comparing."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[a-zñ]+(?:'[a-z]+)?|\d+")


def plain(text: str) -> str:
    """Lower case, no accents (ñ stays), typographic quotes straightened."""
    lowered = text.lower().replace("’", "'").replace("ñ", "\0")  # noqa: RUF001
    decomposed = unicodedata.normalize("NFD", lowered)
    bare = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return bare.replace("\0", "ñ")


def words(text: str) -> list[str]:
    """The plain words and numbers of a text, without punctuation: `I'm 42!` → i'm, 42."""
    return _WORD.findall(plain(text))
