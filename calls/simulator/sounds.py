"""Files of sound that simulated carriers have."""

from __future__ import annotations

import io
import wave


def silent_recording() -> bytes:
    """A quarter of a second of a call, each side on its own channel, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((2, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    return file.getvalue()
