"""Azure's speech markup: what to say, and how.

Elements and limits: "Customize voice and sound with SSML" of Azure's documentation. Everything
that comes from outside is escaped; characters that XML cannot carry become spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from calls.providers.tts.lexicon import Piece
from calls.providers.tts.options import VoiceOptions

SEGMENT_PAUSE_MS = 180  # instead of the service's own silence, which is several times as long

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def speech_markup(pieces: Sequence[Piece], options: VoiceOptions, *, voice: str) -> str:
    """The SSML document that has `voice` say `pieces` with the style, pace and pitch of `options`.

    Without leading silence, so that the first sound is speech.
    """
    language = voice_language(voice, options.dialect)
    said = _styled(_paced("".join(_said(piece) for piece in pieces), options), options)
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        f'xmlns:mstts="https://www.w3.org/2001/mstts" xml:lang={_attribute(language)}>'
        f"<voice name={_attribute(voice)}>"
        '<mstts:silence type="Leading-exact" value="0ms"/>'
        f'<mstts:silence type="Tailing-exact" value="{SEGMENT_PAUSE_MS}ms"/>'
        f"{said}</voice></speak>"
    )


def voice_language(voice: str, dialect: str) -> str:
    """The language of an Azure voice, which its name begins with."""
    match = re.match(r"[a-z]{2,3}-[A-Z]{2}(?=-)", voice)
    return match.group() if match else dialect


def _said(piece: Piece) -> str:
    written = _text(piece.written)
    if piece.ipa is not None:
        return f'<phoneme alphabet="ipa" ph={_attribute(piece.ipa)}>{written}</phoneme>'
    if piece.alias is not None:
        return f"<sub alias={_attribute(piece.alias)}>{written}</sub>"
    return written


def _paced(said: str, options: VoiceOptions) -> str:
    changes = ""
    if options.speed != 1:
        changes += f' rate="{round((options.speed - 1) * 100):+d}%"'
    if options.pitch != 0:
        changes += f' pitch="{round(options.pitch):+d}%"'
    return f"<prosody{changes}>{said}</prosody>" if changes else said


def _styled(said: str, options: VoiceOptions) -> str:
    if not options.style:
        return said
    degree = f' styledegree="{options.style_degree:g}"' if options.style_degree != 1 else ""
    style = _attribute(options.style)
    return f"<mstts:express-as style={style}{degree}>{said}</mstts:express-as>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub(" ", text))


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub(" ", value))
