"""What the embedded recogniser can understand: sentences made into a dictionary and a model.

PocketSphinx with its general model misses every second word on a telephone; with a model of a
few hundred sentences it misses every tenth. So each agent gets one made of its own knowledge
and of what people say on any telephone. It is kept by its content as long as the process lives.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path

from pocketsphinx import get_model_path
from pocketsphinx.lm import ArpaBoLM

from calls.providers.stt.sphinx.spanish import phones_of

_GENERAL = Path(__file__).with_name("english.txt")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh")
_TEENS = (
    *_DIGITS[:10],
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
    *("sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SYMBOLS = {"$": " dollars ", "€": " euros ", "%": " percent ", "&": " and ", "@": " at "}
_DISCOUNT = 0.4  # the mass left for word pairs which no sentence has
_MAX_WORDS = 20_000  # of knowledge; more would cost seconds and tell words apart less well


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Paths of a pronunciation dictionary and an ARPA language model that belong together."""

    dictionary: Path
    model: Path


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed at exit; private, so that nobody else can put words into a caller's mouth."""
    return tempfile.TemporaryDirectory(prefix="andrea-sphinx-")


def vocabulary_of(phrases: Sequence[str]) -> Vocabulary:
    """The vocabulary of these sentences and the general ones, ready made if it is known.

    Blocks for about 0.2 s when it is not.
    """
    sentences = list(_sentences(phrases))
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:24]
    home = Path(_folder().name) / digest
    if not home.is_dir():
        _write(home, sentences)
    return Vocabulary(home / "words.dict", home / "sentences.arpa")


def _sentences(phrases: Sequence[str]) -> Iterator[str]:
    yield from _GENERAL.read_text(encoding="utf-8").splitlines()
    for first in _DIGITS:
        yield from (f"{first} {second}" for second in _DIGITS)
    budget = _MAX_WORDS
    for phrase in phrases:
        for sentence in re.split(r"[.!?;:\n]+(?=\s|$)", phrase):
            words = words_of(sentence)
            budget -= len(words)
            if words and budget >= 0:
                yield " ".join(words)


def words_of(text: str) -> list[str]:
    """The words as they are spoken: lower case, no punctuation, numbers in words."""
    spoken = text.lower().replace("\u2019", "'")  # a typographic apostrophe
    spoken = re.sub(r"\$\s?(\d[\d.,]*)", r"\1 dollars ", spoken)
    for symbol, name in _SYMBOLS.items():
        spoken = spoken.replace(symbol, name)
    spoken = re.sub(r"\d+(?:,\d{3})+|\d+", lambda found: f" {_number(found[0])} ", spoken)
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", spoken)


def _number(digits: str) -> str:
    """`"150"` as "one hundred fifty"; long ones (a telephone number) digit by digit."""
    plain = digits.replace(",", "")
    if len(plain) > 4 or (plain.startswith("0") and len(plain) > 1):
        return " ".join(_DIGITS[int(digit)] for digit in plain)
    return _cardinal(int(plain))


def _cardinal(number: int) -> str:
    if number < 20:
        return _TEENS[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return f"{_TENS[tens]} {_TEENS[rest] if rest else ''}".strip()
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    count, rest = divmod(number, unit)
    return f"{_cardinal(count)} {name} {_cardinal(rest) if rest else ''}".strip()


def _write(home: Path, sentences: Sequence[str]) -> None:
    """Fill a new folder and move it into place whole, since other calls may look for it."""
    draft = Path(tempfile.mkdtemp(dir=home.parent))
    words = {word for sentence in sentences for word in sentence.split()}
    (draft / "words.dict").write_text("\n".join(_pronunciations(words)) + "\n", encoding="utf-8")
    (draft / "sentences.arpa").write_text(_language_model(sentences), encoding="utf-8")
    try:
        draft.rename(home)
    except OSError:  # somebody else was faster with the same content
        shutil.rmtree(draft)


def _pronunciations(words: set[str]) -> Iterator[str]:
    """Lines of the English dictionary for these words; unknown ones are read as Spanish."""
    known = set()
    with Path(get_model_path("en-us/cmudict-en-us.dict")).open(encoding="utf-8") as lines:
        for line in lines:
            word = line.split(" ", 1)[0].split("(", 1)[0]
            if word in words:
                known.add(word)
                yield line.rstrip()
    for word in sorted(words - known):
        phones = phones_of(word)
        if phones:
            yield f"{word} {' '.join(phones)}"


def _language_model(sentences: Iterable[str]) -> str:
    model = ArpaBoLM(text="\n".join(sentences), add_start=True, discount_mass=_DISCOUNT)
    model.compute()
    text = StringIO()
    model.write(text)
    return text.getvalue()
