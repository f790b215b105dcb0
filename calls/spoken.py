"""What callers hear when no agent talks to them, in the languages of the telephone.

These are spoken by the carrier's own voice, so they are no interface texts: they must not depend
on a catalogue that was or was not compiled.
"""

from __future__ import annotations

import phonenumbers

# fmt: off
_SPANISH_SPEAKING = frozenset((
    "AR", "BO", "CL", "CO", "CR", "CU", "DO", "EC", "ES", "GQ", "GT",
    "HN", "MX", "NI", "PA", "PE", "PR", "PY", "SV", "UY", "VE",
))
# fmt: on

UNKNOWN_NUMBER = {
    "es": "Disculpe, el número que marcó no está en servicio. Por favor, verifíquelo. Gracias.",
    "en": "Sorry, the number you have dialled is not in service. Please check it. Thank you.",
}
NOBODY_THERE = {
    "es": "Gracias por llamar. En este momento no podemos atenderle. Por favor, llame más tarde.",
    "en": "Thank you for calling. Nobody can take your call at the moment. Please call later.",
}
BUSY = {
    "es": "Gracias por llamar. Todas nuestras líneas están ocupadas. Llame en unos minutos, "
    "por favor.",
    "en": "Thank you for calling. All our lines are busy. Please call again in a few minutes.",
}
CUT_OFF = {
    "es": "Disculpe, se interrumpió la comunicación. Por favor, llame de nuevo.",
    "en": "Sorry, the connection was lost. Please call again.",
}
BACK = {
    "es": "Disculpe, la comunicación se cortó un momento. ¿Me decía?",
    "en": "Sorry, the line dropped for a moment. You were saying?",
}
NOBODY_TOOK_THE_CALL = {
    "es": "Disculpe, en este momento no contesta nadie. ¿Puedo ayudarle yo?",
    "en": "Sorry, there is no answer at the moment. Can I help you myself?",
}
CALLING_BACK = {
    "es": "Hola, habla {agent}, asistente virtual de {company}. Le devuelvo la llamada, como "
    "quedamos. ¿Tiene un momento?",
    "en": "Hello, this is {agent}, the virtual assistant of {company}. I am calling you back, as "
    "agreed. Do you have a moment?",
}
TRANSFER_FAILED = {
    "es": "Disculpe, en este momento no contesta nadie. Por favor, llame más tarde.",
    "en": "Sorry, there is no answer at the moment. Please call again later.",
}


def say(line: dict[str, str], language: str) -> str:
    """The line in this language (`es`, `es-MX`, …), English if there is none."""
    return line.get(language[:2].lower(), line["en"])


def likely_language(*numbers: str, default: str = "en") -> str:
    """What the owner of the first readable number probably speaks: `es` or `en`."""
    for number in numbers:
        region = _region(number)
        if region:
            return "es" if region in _SPANISH_SPEAKING else "en"
    return default


def _region(number: str) -> str | None:
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    region: str | None = phonenumbers.region_code_for_number(parsed)
    return region
