"""Reading sound that arrives in pieces: raw PCM, or a WAV file whose header comes first."""

from __future__ import annotations

import struct

from calls.voice.codecs import mulaw_decode
from calls.voice.resample import Resampler

_PCM, _MULAW, _EXTENSIBLE = 1, 7, 0xFFFE


class SoundError(Exception):
    """The bytes are no sound that we can read; the message says what they are."""


class RawPcm:
    """PCM16 mono of a known rate (Hz), converted to `sample_rate` as it comes."""

    def __init__(self, from_rate: int, sample_rate: int) -> None:
        self._resampler = Resampler(from_rate, sample_rate)
        self._half = b""

    def feed(self, data: bytes) -> bytes:
        """As much PCM16 at the wanted rate as there is by now."""
        data = self._half + data
        whole = len(data) - len(data) % 2
        self._half = data[whole:]
        return self._resampler.process(data[:whole])

    def finish(self) -> bytes:
        """The rest."""
        return self._resampler.flush()


class WavStream:
    """A WAV file, PCM16 or mu-law, mono, converted to `sample_rate` (Hz) as it comes.

    Sizes in a streamed header are often wrong, so sound ends where the stream does.
    `feed` raises SoundError for anything else.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._head = b""
        self._raw: RawPcm | None = None
        self._mulaw = False

    def feed(self, data: bytes) -> bytes:
        """As much PCM16 at the wanted rate as there is by now."""
        if self._raw is None:
            self._head += data
            data = self._parse_head()
        if self._raw is None:
            return b""
        return self._raw.feed(mulaw_decode(data) if self._mulaw else data)

    def finish(self) -> bytes:
        """The rest. Raises SoundError if there was no header at all."""
        if self._raw is None:
            raise SoundError(f"no WAV header in {len(self._head)} bytes")
        return self._raw.finish()

    def _parse_head(self) -> bytes:
        """Everything after the header, once it is whole."""
        head = self._head
        if len(head) >= 12 and (head[:4], head[8:12]) != (b"RIFF", b"WAVE"):
            raise SoundError(f"not a WAV file: it begins with {head[:12]!r}")
        at = 12
        while at + 8 <= len(head):
            name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
            if name == b"data":
                return head[at + 8 :]
            if name == b"fmt ":
                if at + 24 > len(head):
                    break
                tag, channels, rate = struct.unpack_from("<HHI", head, at + 8)
                self._set_format(tag, channels, rate, bits=head[at + 22])
            at += 8 + size + size % 2
        self._raw = None
        return b""

    def _set_format(self, tag: int, channels: int, rate: int, bits: int) -> None:
        if channels != 1 or (tag, bits) not in ((_PCM, 16), (_EXTENSIBLE, 16), (_MULAW, 8)):
            raise SoundError(f"WAV format {tag} with {channels} channels of {bits} bits")
        self._mulaw = tag == _MULAW
        self._raw = RawPcm(rate, self._sample_rate)
