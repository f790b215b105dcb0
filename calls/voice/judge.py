"""Is the caller done? Reading it from the words, in Spanish and English.

Two questions are kept apart. Whether something is being dictated (a telephone number, an e-mail
address, a spelled name) is asked by the endpointing itself, whatever judge is in use: pauses
between groups of digits are long and mean nothing. Whether the sentence is finished is the
judge's; this one is a heuristic of ten microseconds, wrong on the side of waiting only where the
words clearly ask for more ("I would like to", "quiero reservar para").
"""

from __future__ import annotations

import re

from calls.voice.bargein import plain

_DONE, _LIKELY, _UNSURE, _OPEN = 0.95, 0.8, 0.6, 0.1


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# One set for both languages: bilingual callers dictate in either, whatever the call is in.
_DIGITS = _words(
    "zero oh one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty "
    "seventy eighty ninety hundred double triple "
    "cero uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce "
    "quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres "
    "veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve treinta cuarenta "
    "cincuenta sesenta setenta ochenta noventa cien ciento doble"
)
_SPOKEN_SIGNS = frozenset({"at", "dot", "underscore", "dash", "hyphen", "arroba", "punto", "guion"})
_VOWELS = frozenset("aeiouy")
_DICTATION_TOPIC = re.compile(
    r"\b(number|phone|telephone|mobile|e[ -]?mail|address|spell(ed|ing)?|code|reference|"
    r"numero|telefono|movil|celular|correo|direccion|deletre\w*|se escribe|codigo|referencia)\b"
)
_NAME_SPELLING = re.compile(r"\b(spell|deletre|letter by letter|letra por letra)")
_COMPLETE_ADDRESS = re.compile(
    r"\S+@\S+\.\w{2,}\W*$|(\bat\b|\barroba\b).*\b(dot|punto)\s+(com|net|org|es|mx|ar|co|cl|pe|edu|io)$"
)
_COMPLETE_DIGITS = 9
_SPELLED = 3  # digits or letters in a row, whatever the talk is about; "seven thirty" is a time

_DANGLING = {
    "en": _words(
        "and or but so because if when that which who to for from of in on at with about than "
        "as the a an my your his her our their this these some any very is are was were be am "
        "i'm i we they would could should will can want need have um uh er hmm well between "
        "into until also then"
    ),
    "es": _words(
        "y e o u pero porque si cuando que quien a de del en con para por sin sobre hasta desde "
        "entre como el la los las un una unos unas mi tu su mis tus sus este esta estos estas "
        "muy es son era quiero quisiera necesito puedo podria tengo eh em este pues entonces "
        "tambien ademas al lo se me te nos le"
    ),
}
_OPEN_PHRASES = re.compile(
    r"\b(would like|want|need|trying|going|have|able|looking) to$|\b(i would|i'd) like$|"
    r"\b(me gustaria|quisiera|quiero|necesito|puede|podria|voy a)( (saber|reservar|hablar|ir))?$|"
    r"\b(let me (see|think)|wait|hold on|espere|un momento|dejeme ver|a ver)$"
)
# "Which tours do you have", "where is it": a question may well end in its verb.
_ASKS = re.compile(r"^(and |so |well )?(what|which|where|when|who|why|how)\b")
_CLOSING_VERBS = _words("is are was were be am can could would should will want need have")
_ASKED_CHOICE = re.compile(r"\?\s*$")


def is_dictating(text: str, question: str) -> bool:
    """Whether the words so far look like the middle of a number, an address or a spelled name."""
    if _COMPLETE_ADDRESS.search(text.casefold()) or _COMPLETE_ADDRESS.search(plain(text)):
        return False
    words = plain(text).replace("-", " ").split()
    run = _symbols_at_end(words)
    if not run:
        return False
    if _digits_in(run) >= _COMPLETE_DIGITS:
        return False
    spelled = sum(word not in _SPOKEN_SIGNS for word in run)
    if spelled >= _SPELLED or _NAME_SPELLING.search(plain(question)):
        return True
    return bool(_DICTATION_TOPIC.search(plain(text)) or _DICTATION_TOPIC.search(plain(question)))


def _symbols_at_end(words: list[str]) -> list[str]:
    """The newest first."""
    run: list[str] = []
    for index in range(len(words) - 1, -1, -1):
        if not (_is_symbol(words[index]) or _is_spelled_vowel(words, index)):
            break
        run.append(words[index])
    return run


def _is_symbol(word: str) -> bool:
    if word.isdigit() or word in _DIGITS or word in _SPOKEN_SIGNS:
        return True
    return _is_letter(word) and word not in _VOWELS


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isalpha()


def _is_spelled_vowel(words: list[str], index: int) -> bool:
    """A lone vowel is a word of its own ("a", "y", "o"), except in a row of letters."""
    if words[index] not in _VOWELS:
        return False
    before, after = words[:index][-1:], words[index + 1 :][:1]
    if after and not _is_letter(after[0]):
        return False
    return (bool(before) and _is_letter(before[0])) or bool(after)


def _digits_in(words: list[str]) -> int:
    return sum(len(word) if word.isdigit() else word in _DIGITS for word in words)


def _base(language: str) -> str:
    return language.split("-")[0].lower()


class HeuristicJudge:
    """The default `TurnJudge`: punctuation, dangling words and unfinished phrases."""

    def probability(self, transcript: str, language: str, question: str) -> float:
        """See `TurnJudge`. An empty transcript is never done."""
        text = transcript.strip()
        words = plain(text).split()
        if not words or text.endswith(("...", "…", ",", "-")):
            return _OPEN
        if text.endswith("?"):
            return _DONE
        dangling = _DANGLING.get(_base(language), _DANGLING["en"])
        if _ASKS.match(plain(transcript)):
            dangling -= _CLOSING_VERBS
        if _OPEN_PHRASES.search(" ".join(words)):
            return _OPEN
        if words[-1] in dangling and not self._answers(words, question):
            return _OPEN
        if text.endswith((".", "!")):
            return _DONE
        return _UNSURE if len(words) == 1 and not question else _LIKELY

    @staticmethod
    def _answers(words: list[str], question: str) -> bool:
        """A lone word after a question is the whole answer ("A?" "For whom?" "Me")."""
        return len(words) == 1 and bool(_ASKED_CHOICE.search(question))
