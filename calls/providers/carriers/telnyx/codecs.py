"""The codings of Telnyx's media streams, to and from PCM16 (telnyx.md, 5).

Measured for 20 ms on a core that others were using: PCMU 1 to 3 us either way, G.722 by PyAV
(FFmpeg's) 35 to 60 us to decode and 75 to 180 us to encode: under 1.2 % of such a core a call, so
that a codec of our own would not pay. Importing PyAV takes 19 MB, once, when the first call has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from calls.providers.carriers.errors import Fault, MediaFault
from calls.voice.codecs import alaw_decode, alaw_encode, mulaw_decode, mulaw_encode

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

_G722_RATE = 16_000
_RATES = {"PCMU": 8000, "PCMA": 8000, "G722": _G722_RATE, "L16": 16_000}
_G722_FRAME = 2 * _G722_RATE * 20 // 1000


class Codec(Protocol):
    """One direction of one stream: G.722 remembers what came before.

    `rate` is the PCM's in Hz, `per_ms` how many coded bytes a millisecond has.
    """

    @property
    def rate(self) -> int: ...

    @property
    def per_ms(self) -> int: ...

    def decode(self, coded: bytes) -> bytes:
        """PCM16; raises ValueError for what cannot be decoded."""

    def encode(self, pcm: bytes) -> bytes:
        """Code whole frames of 20 ms of PCM16."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A coding whose samples do not depend on one another."""

    rate: int
    per_ms: int
    decoder: Callable[[bytes], bytes]
    encoder: Callable[[bytes], bytes]

    def decode(self, coded: bytes) -> bytes:
        return self.decoder(coded)

    def encode(self, pcm: bytes) -> bytes:
        return self.encoder(pcm)


class G722:
    """ITU-T G.722 at 64 kbit/s; its state goes on from frame to frame."""

    rate = _G722_RATE
    per_ms = 8

    def __init__(self) -> None:
        self._decoder: AudioCodecContext | None = None
        self._encoder: AudioCodecContext | None = None

    def decode(self, coded: bytes) -> bytes:
        from av import Packet  # 19 MB that few processes ever need

        if self._decoder is None:
            self._decoder = _g722("r")
        frames = self._decoder.decode(Packet(coded))
        return b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)

    def encode(self, pcm: bytes) -> bytes:
        from av import AudioFrame

        if self._encoder is None:
            self._encoder = _g722("w")
        coded = []
        for at in range(0, len(pcm), _G722_FRAME):
            frame = AudioFrame(format="s16", layout="mono", samples=_G722_FRAME // 2)
            frame.sample_rate = _G722_RATE
            frame.planes[0].update(pcm[at : at + _G722_FRAME])
            coded += [bytes(packet) for packet in self._encoder.encode(frame)]
        return b"".join(coded)


def _g722(mode: str) -> AudioCodecContext:
    from av.audio.codeccontext import AudioCodecContext
    from av.codec import CodecContext

    context = CodecContext.create("g722", mode)  # type: ignore[call-overload]
    assert isinstance(context, AudioCodecContext)  # noqa: S101 - for the type checker
    context.sample_rate, context.layout, context.format = _G722_RATE, "mono", "s16"
    return context


def _whole_samples(pcm: bytes) -> bytes:
    if len(pcm) % 2:
        raise ValueError(f"{len(pcm)} bytes are no whole 16-bit samples")
    return pcm


def likely_rate(offered: str) -> int:
    """The rate (Hz) that the stream of a call will have which was offered in these codings.

    `offered` is Telnyx's list (`G722,PCMA,PCMU`), the first one preferred. Where that is none that
    Telnyx converts, the call's own is streamed (telnyx.md, 5).
    """
    for name in offered.upper().split(","):
        if (coding := name.strip()) in _RATES:
            return _RATES[coding]
    return _RATES["PCMU"]


def codec_of(encoding: str, sample_rate: str) -> Codec:
    """A fresh codec for one direction.

    `sample_rate` is as `media_format` says it, in Hz. For G.722 that may be RTP's 8000 (RFC 3551,
    4.5.2) as well as the sound's 16000. Raises MediaFault for a coding that is not spoken here.
    """
    match encoding.upper(), sample_rate:
        case "PCMU", "8000":
            return Plain(8000, 8, mulaw_decode, mulaw_encode)
        case "PCMA", "8000":
            return Plain(8000, 8, alaw_decode, alaw_encode)
        case "L16", "8000" | "16000":  # headerless and little-endian, as our PCM
            rate = int(sample_rate)
            return Plain(rate, 2 * rate // 1000, _whole_samples, _whole_samples)
        case "G722", "8000" | "16000":
            return G722()
    raise MediaFault(
        Fault.WRONG_FORMAT,
        f"{encoding[:20]} at {sample_rate[:20]} Hz; PCMU or PCMA at 8000 Hz, L16 at 8000 or "
        "16000 Hz and G722 are spoken here",
    )
