"""What the loop says of its own accord, per language; an agent version may say otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """The loop's own words. Sequences are used in turn, one after the other.

    `apology_pcm` is the recorded `apology` at the line's rate: it is played when no voice
    answers. Without one the caller hears two soft tones instead, so never nothing.
    """

    fillers: tuple[str, ...]
    ask_to_repeat: str
    not_understood: str  # once asking has not helped; then `putting_through` or `goodbye`
    putting_through: str
    away_prompts: tuple[str, ...]
    goodbye: str
    apology: str
    turn_limit: str
    apology_pcm: bytes = b""

    @classmethod
    def for_language(cls, language: str) -> Phrases:
        """The defaults for a language tag such as `es-MX`; English where there are none."""
        return _DEFAULTS.get(language.split("-")[0].lower(), _DEFAULTS["en"])


_DEFAULTS = {
    "en": Phrases(
        fillers=("One moment, please.", "Let me see.", "Just a second."),
        ask_to_repeat="Sorry, I did not catch that. Could you say it again?",
        not_understood="I am sorry, I cannot understand you on this line.",
        putting_through="I will put you through to a person.",
        away_prompts=("Are you still there?", "I cannot hear you. Are you there?"),
        goodbye="Thank you for calling. Goodbye.",
        apology="I am sorry, I am having a little trouble. One moment, please.",
        turn_limit="Sorry to interrupt, let me answer that first.",
    ),
    "es": Phrases(
        fillers=("Un momento, por favor.", "Déjeme ver.", "Un segundo."),
        ask_to_repeat="Perdone, no le he entendido. ¿Puede repetirlo?",
        not_understood="Lo siento, no consigo entenderle en esta línea.",
        putting_through="Le paso con una persona.",
        away_prompts=("¿Sigue ahí?", "No le oigo. ¿Está ahí?"),
        goodbye="Gracias por llamar. Hasta luego.",
        apology="Lo siento, tengo un pequeño problema. Un momento, por favor.",
        turn_limit="Perdone que le interrumpa, déjeme responder a eso primero.",
    ),
}
