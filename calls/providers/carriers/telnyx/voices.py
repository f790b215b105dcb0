"""Telnyx's own voices, for what is said where ours cannot be heard."""

from __future__ import annotations

from typing import Final

# `Provider.Model.Voice` (telnyx.md, 3).
_VOICES: Final = {
    "de": "Azure.de-DE-KatjaNeural",
    "en": "Azure.en-US-JennyNeural",
    "es": "Azure.es-MX-DaliaNeural",
    "fr": "Azure.fr-FR-DeniseNeural",
    "it": "Azure.it-IT-ElsaNeural",
    "pt": "Azure.pt-BR-FranciscaNeural",
}


def voice_for(language: str) -> str:
    """A voice of that language (`es`, `es-MX`), English where there is none."""
    return _VOICES.get(language.partition("-")[0].lower(), _VOICES["en"])
