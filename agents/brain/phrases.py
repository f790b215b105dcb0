"""The few sentences that the mind itself says, per language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MindPhrases:
    """`transfer` takes the target's name."""

    goodbye: str
    transfer: str
    hand_off: str
    cut_short: str  # a model broke off in the middle of a sentence
    trouble: str  # a model cannot get a tool call right


PHRASES = {
    "es": MindPhrases(
        goodbye="Gracias por llamar. Hasta luego.",
        transfer="Le comunico con {target}. Un momento, por favor.",
        hand_off="Un momento, por favor.",
        cut_short="Disculpe, se me cortó la idea. ¿Me lo puede repetir?",
        trouble="Disculpe, en este momento no puedo consultar eso. ¿Le ayudo con algo más?",
    ),
    "en": MindPhrases(
        goodbye="Thank you for calling. Goodbye.",
        transfer="I am putting you through to {target}. One moment, please.",
        hand_off="One moment, please.",
        cut_short="Sorry, I lost my thread. Could you say that again?",
        trouble="Sorry, I cannot look that up right now. Can I help you with anything else?",
    ),
}


def phrases_for(language: str) -> MindPhrases:
    """The phrases of a language or dialect (`es`, `es-MX`); English when there are none."""
    return PHRASES.get(language[:2].lower(), PHRASES["en"])
