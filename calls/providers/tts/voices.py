"""The voices on offer: for each dialect at least a woman's and a man's, at every provider.

Azure's names and styles are those of its list of neural voices; ElevenLabs' are its premade
voices, which speak every language of its multilingual models; OpenAI's and Groq's likewise.
espeak names are the files of its voice folder, with a variant after `+`: the two most intelligible
of some thirty, by the errors of a recogniser over a telephone line (f5 62 %, edward 42 % of words,
against 69 % of its plain voice; a low-pass or a high-pass on it only made matters worse).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

ProviderName = Literal["azure", "elevenlabs", "openai", "groq", "embedded"]


class Gender(StrEnum):
    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, slots=True)
class Voice:
    """One Azure voice of the catalogue and the voices most like it elsewhere.

    `styles` are those that Azure knows for it; `groq` is empty where Groq has no such language.
    """

    dialect: str
    gender: Gender
    azure: str
    elevenlabs: str
    openai: str
    groq: str
    embedded: str
    styles: tuple[str, ...] = ()

    def name_at(self, provider: ProviderName) -> str:
        """What `provider` calls this voice; empty if it has none."""
        names: dict[ProviderName, str] = {
            "azure": self.azure,
            "elevenlabs": self.elevenlabs,
            "openai": self.openai,
            "groq": self.groq,
            "embedded": self.embedded,
        }
        return names[provider]


_SARAH, _MATILDA, _ALICE, _LAURA = (
    "EXAVITQu4vr4xnSDxMaL",
    "XrExE9yKIg1WjnnlVkGX",
    "Xb7hH8MSUJpSbSDYk0k2",
    "FGY2WhTYpPnrIDTdsKH5",
)
_GEORGE, _LIAM, _CHARLIE, _BRIAN = (
    "JBFqnCBsd6RMkjVDRZzb",
    "TX3LPaxmHKxFdv7VOQHJ",
    "IKne3meq5aSn9XLyUdCD",
    "nPczCjzI2devNBz1zQrb",
)


def _woman(
    dialect: str, name: str, embedded: str, *, elevenlabs: str = _SARAH, styles: str = ""
) -> Voice:
    groq = "hannah" if dialect.startswith("en") else ""
    azure = f"{dialect}-{name}"
    return Voice(
        dialect, Gender.FEMALE, azure, elevenlabs, "nova", groq, embedded, tuple(styles.split())
    )


def _man(
    dialect: str, name: str, embedded: str, *, elevenlabs: str = _GEORGE, styles: str = ""
) -> Voice:
    groq = "daniel" if dialect.startswith("en") else ""
    azure = f"{dialect}-{name}"
    return Voice(
        dialect, Gender.MALE, azure, elevenlabs, "onyx", groq, embedded, tuple(styles.split())
    )


_IBERIAN, _AMERICAN = "roa/es", "roa/es-419"
_US, _GB, _RP = "gmw/en-US", "gmw/en", "gmw/en-GB-x-rp"
_JENNY = (
    "angry assistant chat cheerful customerservice excited friendly hopeful newscast sad"
    " shouting terrified unfriendly whispering"
)
_ARIA = (
    "angry chat cheerful customerservice empathetic excited friendly hopeful"
    " narration-professional newscast-casual newscast-formal sad shouting terrified"
    " unfriendly whispering"
)
_GUY = (
    "angry cheerful excited friendly hopeful newscast sad shouting terrified unfriendly whispering"
)

VOICES: tuple[Voice, ...] = (
    _woman("es-ES", "ElviraNeural", f"{_IBERIAN}+f5", elevenlabs=_MATILDA),
    _man("es-ES", "AlvaroNeural", f"{_IBERIAN}+edward", styles="cheerful sad"),
    _woman("es-ES", "AbrilNeural", f"{_IBERIAN}+f2", elevenlabs=_LAURA),
    _woman("es-MX", "DaliaNeural", f"{_AMERICAN}+f5", styles="cheerful sad whispering"),
    _man(
        "es-MX", "JorgeNeural", f"{_AMERICAN}+edward", styles="chat cheerful excited sad whispering"
    ),
    _woman("es-MX", "RenataNeural", f"{_AMERICAN}+f2", elevenlabs=_LAURA),
    _woman("es-AR", "ElenaNeural", f"{_AMERICAN}+f5", elevenlabs=_LAURA),
    _man("es-AR", "TomasNeural", f"{_AMERICAN}+edward", elevenlabs=_BRIAN),
    _woman("es-CL", "CatalinaNeural", f"{_AMERICAN}+f5"),
    _man("es-CL", "LorenzoNeural", f"{_AMERICAN}+edward"),
    _woman("es-CO", "SalomeNeural", f"{_AMERICAN}+f5"),
    _man("es-CO", "GonzaloNeural", f"{_AMERICAN}+edward"),
    _woman("es-PE", "CamilaNeural", f"{_AMERICAN}+f5"),
    _man("es-PE", "AlexNeural", f"{_AMERICAN}+edward"),
    _woman("en-US", "JennyNeural", f"{_US}+f5", styles=_JENNY),
    _man("en-US", "GuyNeural", f"{_US}+edward", elevenlabs=_LIAM, styles=_GUY),
    _woman("en-US", "AriaNeural", f"{_US}+f2", elevenlabs=_MATILDA, styles=_ARIA),
    _woman("en-GB", "SoniaNeural", f"{_GB}+f5", elevenlabs=_ALICE, styles="cheerful sad"),
    _man("en-GB", "RyanNeural", f"{_GB}+edward", styles="chat cheerful sad whispering"),
    _woman("en-AU", "NatashaNeural", f"{_RP}+f5", elevenlabs=_MATILDA),
    _man("en-AU", "WilliamNeural", f"{_RP}+edward", elevenlabs=_CHARLIE),
    _woman("en-CA", "ClaraNeural", f"{_US}+f5"),
    _man("en-CA", "LiamNeural", f"{_US}+edward", elevenlabs=_LIAM),
    _woman("en-IE", "EmilyNeural", f"{_GB}+f5", elevenlabs=_ALICE),
    _man("en-IE", "ConnorNeural", f"{_GB}+edward"),
)
DIALECTS: tuple[str, ...] = tuple(dict.fromkeys(voice.dialect for voice in VOICES))
_HOME = {"es": "es-ES", "en": "en-US"}
_ELSEWHERE = {"es": "es-MX", "en": "en-GB"}

_OWN_NAMES: dict[ProviderName, re.Pattern[str]] = {
    "azure": re.compile(r"[a-z]{2,3}-[A-Z][A-Za-z]+-[\w:-]+"),
    "elevenlabs": re.compile(r"[A-Za-z0-9]{20}"),
    "groq": re.compile(r"autumn|diana|hannah|austin|daniel|troy|\w+-PlayAI"),
    "embedded": re.compile(r"[a-z]{3}/[\w-]+(\+[\w ]+)?"),
}

_BOUND_TO_LANGUAGE: tuple[ProviderName, ...] = ("azure", "groq", "embedded")


def catalogue_dialect(language: str) -> str:
    """The dialect of the catalogue nearest to a BCP 47 tag: `es` to es-ES, `es-VE` to es-MX.

    A language that is not in the catalogue gives en-US.
    """
    tag = language.replace("_", "-").casefold()
    for dialect in DIALECTS:
        if dialect.casefold() == tag:
            return dialect
    root, _, region = tag.partition("-")
    return (_ELSEWHERE if region else _HOME).get(root, "en-US")


def voices_of(language: str) -> tuple[Voice, ...]:
    """The catalogue's voices of the dialect nearest to `language`, the default one first."""
    dialect = catalogue_dialect(language)
    return tuple(voice for voice in VOICES if voice.dialect == dialect)


def voice_name(provider: ProviderName, wanted: str | None, language: str) -> str:
    """What to ask `provider` for when the agent's voice is set to `wanted`.

    A name of the provider's own is taken as it is, known to the catalogue or not. Another's
    name, `female` or `male` give the voice of the same gender in the language's dialect; None,
    an empty or unknown name its first voice.
    """
    if wanted and _is_own(provider, wanted):
        return wanted
    gender = _gender_of(wanted or "")
    of_dialect = voices_of(language)
    alike = [voice for voice in of_dialect if voice.gender == gender] or list(of_dialect)
    named = [voice for voice in alike if wanted in (voice.azure, voice.embedded)]
    return (named or alike)[0].name_at(provider)


def voice_for_language(wanted: str, language: str) -> str:
    """An agent's voice when a call is in another language than the voice's own.

    A voice that speaks every language stays; for one that is bound to its own, `female` or
    `male`, whichever it is; empty for a name that says neither.
    """
    bound = any(_OWN_NAMES[name].fullmatch(wanted) for name in _BOUND_TO_LANGUAGE)
    if not bound or "Multilingual" in wanted or wanted.startswith(f"{language[:2]}-"):
        return wanted
    return _gender_of(wanted) or ""


def _is_own(provider: ProviderName, name: str) -> bool:
    if provider == "openai":  # any server, any name: all that is nobody else's
        claimed = any(pattern.fullmatch(name) for pattern in _OWN_NAMES.values())
        return not claimed and name not in tuple(Gender)
    return _OWN_NAMES[provider].fullmatch(name) is not None


def _gender_of(name: str) -> Gender | None:
    if name in tuple(Gender):
        return Gender(name)
    for voice in VOICES:
        if name in (voice.azure, voice.elevenlabs, voice.openai, voice.groq, voice.embedded):
            return voice.gender if name else None
    return None
