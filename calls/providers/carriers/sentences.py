"""What adapters say to people: in English, and with what it takes to say it otherwise.

Adapters know no framework, so they cannot translate; whoever shows a sentence does.
"""

from __future__ import annotations

from collections.abc import Mapping


class Sentence(str):
    """An English sentence that remembers its template and the values in it.

    Made by `_`, so that makemessages finds the templates. A value may be a sentence itself.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, values: Mapping[str, str]) -> Sentence:
        """`template` has a `%(name)s` for each of the values."""
        sentence = super().__new__(cls, template % values)
        sentence.template, sentence.values = template, values
        return sentence


def _(template: str, **values: object) -> Sentence:
    """A sentence to be translated where it is shown."""
    kept = {name: each if isinstance(each, str) else str(each) for name, each in values.items()}
    return Sentence(template, kept)
