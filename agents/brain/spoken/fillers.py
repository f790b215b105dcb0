"""Words that people wrap a question in, which say nothing about what is asked."""

from __future__ import annotations

from agents.brain.spoken.dates import DAYS, MONTHS
from agents.brain.spoken.numbers import ENGLISH, SPANISH, NumberWords
from agents.brain.spoken.text import words

_SPANISH = """
a al algo alguna algun ah ahora aqui asi aun bueno como con cual cuales cosa cosas creo de
dar del decir decirme deme diga digame dime disculpa disculpe donde duda el ella ellos
en entonces era eres es esa ese eso esta estan estaba estoy este esto favor fue gusta
gustaria ha haber hacer hacen hago han hasta hay hola informacion informes ir la las le les lo
los mas me mi mire mis mucho muy ni no nos o oiga oye para pero perdon pregunta preguntar
podemos podria podrian podrias por porque pudiera pueda puede pueden puedes puedo pues que
queria querria quiere quieren quiero quisiera saber se sea ser seria si sido sobre solo son
soy su sus tal tambien tan te tener tengo tiene tienen tienes toda todo tu tus un una unas
uno unos usted ustedes va mm hm mhm vamos ver y ya yo necesito necesitamos necesita conocer bien
"""
_ENGLISH = """
a about actually ah all also am an and any are as ask at be been but by came can can't come could
did do does doing don't for from get give go going good got had has have hello hey hi how i i'd i'm
i've if in information into is it it's its just kind know let like look looking may me
might my need now of oh ok okay on or our please possible question really right say see
shall should so some something sorry such tell than that that's the their them then there
there's these they they're thing this those to too two uh um us want wanted was we we're
well were what what's when where which who will with wonder wondering would yes you you're
your yours hm hmm mm mhm er
"""
_FILLERS = {"es": frozenset(_SPANISH.split()), "en": frozenset(_ENGLISH.split())}


def _details(code: str, numbers: NumberWords, others: str) -> frozenset[str]:
    """Words that give a day or a number: part of an answer rather than of a topic."""
    days = f"{DAYS[code]} {MONTHS[code]} {others}".split()
    return frozenset((*days, *numbers.units, *numbers.tens, *numbers.hundreds))


_DETAILS = {
    "es": _details("es", SPANISH, "proximo proxima hoy personas persona somos"),
    "en": _details("en", ENGLISH, "next tomorrow today tonight people person us"),
}


def content_words(text: str, language: str) -> list[str]:
    """The words of a text that say what it is about, plain and in order.

    Days and numbers are left out too, unless there is nothing else: `book for two on friday`
    is about booking.
    """
    code = "es" if language[:2].lower() == "es" else "en"
    content = [word for word in words(text) if word not in _FILLERS[code]]
    topic = [word for word in content if word not in _DETAILS[code] and not word.isdigit()]
    return topic or content
