"""Is the caller done? Reading it from the words, in Spanish and English.

Two questions are kept apart. Whether something is being dictated (a telephone number, an e-mail
address, a spelled name) is asked by the endpointing itself, whatever judge is in use: pauses
between groups of digits are long and mean nothing. Whether the sentence is finished is the
judge's; this one is a heuristic of ten microseconds, wrong on the side of waiting only where the
words clearly ask for more ("I would like to", "quiero reservar para").

Words are of three kinds. No sentence ends in "the" or "para", even if a recogniser puts a full
stop there. Some seldom end one ("is", "quiero"): a full stop, or an answer made of them ("yes, it
is", "eso es"), says that they do. All others do.
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
_NUMBER = 5  # digits in one group, which are no price and no year
_SPELLED = 3  # digits or letters in a row, whatever the talk is about; "seven thirty" is a time

# Nothing ends in these.
_NEVER_LAST = {
    "en": _words(
        "and or but because if to for of at with than as the a an my your our their um uh er "
        "hmm between into until m re ve ll d which whose very i we"
    ),
    "es": _words(
        "y e o u pero porque si que a de del en con para por sin sobre hasta desde entre el la "
        "los las un mi tu su mis tus sus muy eh em al lo se me te nos le"
    ),
}
# These seldom: without a full stop, more is to come.
_SELDOM_LAST = {
    "en": _words(
        "so when that who from in on about his her this these some any is are was were be am "
        "they would could should will can want need have well also then"
    ),
    "es": _words(
        "cuando quien como unos unas una este esta estos estas es son era quiero quisiera "
        "necesito puedo podria tengo pues entonces tambien ademas"
    ),
}
# What "plain" makes of these are other words.
_ACCENTED = _words("sé mí tú él té sí está esté dé qué")
_OPEN_PHRASES = re.compile(
    r"\b(would like|want|need|trying|going|have|able|looking|used|supposed) to$|"
    r"\b(i|we) (would|d)( really)? like$|^(i|we) (want|need|would)$|"
    r"\b(name|number|address|e-?mail|problem|question|thing|date|idea|reason) is$|"
    r"\b(nombre|apellido|numero|telefono|correo|direccion|problema|pregunta|cosa|fecha|idea|"
    r"tema|motivo) es$|"
    r"^(hola |pues |bueno |yo )?(quiero|quisiera|necesito|puede|podria|puedo|me gustaria)$|"
    r"\bvoy a$|\bvoy a (reservar|hablar|ir)$|"
    r"\b(let me (see|think|check)|hold on|dejeme ver|a ver)$|^(wait|espere|un momento)$"
)
_HALF_OPEN_PHRASES = re.compile(
    r"\b(me gustaria|quisiera|quiero|necesito|puede|podria)( (saber|reservar|hablar|ir))?$|"
    r"\b(wait|espere|un momento)$"
)
_YES_NO = r"(yes|yeah|yep|no|nope|sure|of course|well|oh|ok|okay|si|claro|bueno|pues|ya|tampoco)"
_AUXILIARY = r"(is|am|are|was|were|do|did|have|has|had|can|could|would|will|should)"
_ANSWER = re.compile(
    rf"^({_YES_NO} )+(it|i|we|they|he|she|you|that|this|there) {_AUXILIARY}$|"
    rf"^({_YES_NO} )+(that )?(lo |la |los |las |me |se )?"
    r"(quiero|puedo|tengo|necesito|es|son|era|podria|quisiera|se|me gustaria)$|"
    r"^(yes|yeah|sure) (i|we) (d|would) (like|love) to$|"
    r"\b(that s|that is|it s|that was) (about |really |exactly |just )?"
    r"(all|what|everything|it|the one)( that)? (i|we) (need|want|have|can|would like)$|"
    r"\b(think|hope|guess|believe|say) so$|\b(like|about|prefer|cancel|take|do|book) (that|this)$|"
    r"\b(all right|ok|okay|fine|good) then$|\b(very|quite) well$|\bhave any$|"
    r"\blo (se|es|son)$|\b(asi|eso|esa|ese|aqui|ahi) (es|son)$|\bsolo una$|"
    r"\b(es|todo) lo que (quiero|necesito|tengo|quisiera)$|\byo tambien$|\b(para|a) mi$"
)
# "Which tours do you have", "where is it": a question may well end in its verb.
_ASKS = re.compile(r"^(and |so |well )?(what|which|where|when|who|why|how)\b")
_CLOSING_VERBS = _words("is are was were be am can could would should will want need have")
_ASKS_SPANISH = re.compile(r"^(y |pues )?((a|de|para|en|con|por) )?(que|cual|donde|quien|cuant)")
_CLOSING_OBJECTS = _words("from about this that these")
_CLOSING_SPANISH = _words("es son era esta")
_ASKED = re.compile(r"\?\s*$")


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
    if spelled >= _SPELLED or _digits_in(run) >= _NUMBER or _NAME_SPELLING.search(plain(question)):
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


def _last_word(text: str) -> str:
    """With its accents."""
    return text.split()[-1].strip(".!¡¿").casefold()


class HeuristicJudge:
    """The default `TurnJudge`: punctuation, dangling words and unfinished phrases."""

    def probability(self, transcript: str, language: str, question: str) -> float:
        """See `TurnJudge`. An empty transcript is never done."""
        text = transcript.strip()
        words = plain(text).split()
        if not words or text.endswith(("...", "…", ",", "-", ":", ";")):
            return _OPEN
        if text.endswith("?"):
            return _DONE
        said, closed = " ".join(words), text.endswith((".", "!"))
        if self._answers(words, question) or _ANSWER.search(said):
            return _DONE if closed else _LIKELY
        if self._is_open(text, words, _base(language), bool(question) and closed):
            return _OPEN
        if closed:
            return _DONE
        if words[-1] in self._seldom_last(said, _base(language)) or _HALF_OPEN_PHRASES.search(said):
            return _LIKELY if _last_word(text) in _ACCENTED else _OPEN
        return _UNSURE if len(words) == 1 and not question else _LIKELY

    @staticmethod
    def _is_open(text: str, words: list[str], language: str, replies: bool) -> bool:
        """Whether nobody ends there, whatever the punctuation; unless in reply to a question."""
        said = " ".join(words)
        if _OPEN_PHRASES.search(said) and not (replies and _HALF_OPEN_PHRASES.search(said)):
            return True
        never = _NEVER_LAST.get(language, _NEVER_LAST["en"])
        if words[-1] not in never or _last_word(text) in _ACCENTED:
            return False
        return not (_ASKS.match(said) and words[-1] in {"for", "with", "at"} and text[-1] == ".")

    @staticmethod
    def _seldom_last(said: str, language: str) -> frozenset[str]:
        seldom = _SELDOM_LAST.get(language, _SELDOM_LAST["en"])
        if _ASKS.match(said):
            return seldom - _CLOSING_VERBS - _CLOSING_OBJECTS
        return seldom - _CLOSING_SPANISH if _ASKS_SPANISH.match(said) else seldom

    @staticmethod
    def _answers(words: list[str], question: str) -> bool:
        """A lone word after a question is the whole answer ("A?" "For whom?" "Me")."""
        return len(words) == 1 and bool(_ASKED.search(question))
