"""G.711 against the reference algorithms of ITU-T G.191, transcribed sample by sample."""

from __future__ import annotations

import struct

import pytest

from calls.voice import codecs

EVERY_SAMPLE = range(-32768, 32768)
EVERY_CODE = bytes(range(256))


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def samples(pcm: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(pcm) // 2}h", pcm))


def reference_ulaw_compress(sample: int) -> int:
    magnitude = min(((~sample >> 2) if sample < 0 else (sample >> 2)) + 33, 0x1FFF)
    segment, rest = 1, magnitude >> 6
    while rest:
        segment, rest = segment + 1, rest >> 1
    code = ((8 - segment) << 4) | (0xF - ((magnitude >> segment) & 0xF))
    return code | 0x80 if sample >= 0 else code


def reference_ulaw_expand(code: int) -> int:
    sign = -1 if code < 0x80 else 1
    exponent, mantissa = (~code >> 4) & 7, ~code & 0xF
    step = 4 << (exponent + 1)
    return sign * ((0x80 << exponent) + step * mantissa + step // 2 - 4 * 33)


def reference_alaw_compress(sample: int) -> int:
    value = (~sample if sample < 0 else sample) >> 4
    if value > 15:
        exponent = 1
        while value > 31:
            value, exponent = value >> 1, exponent + 1
        value = value - 16 + (exponent << 4)
    return (value | 0x80 if sample >= 0 else value) ^ 0x55


def reference_alaw_expand(code: int) -> int:
    value = (code ^ 0x55) & 0x7F
    exponent, mantissa = value >> 4, value & 0xF
    mantissa = ((mantissa + 16 if exponent else mantissa) << 4) + 8
    mantissa <<= max(0, exponent - 1)
    return mantissa if code > 127 else -mantissa


def test_every_sample_is_coded_as_the_mulaw_reference_does():
    expected = bytes(map(reference_ulaw_compress, EVERY_SAMPLE))
    assert codecs.mulaw_encode(pcm(*EVERY_SAMPLE)) == expected


def test_every_sample_is_coded_as_the_alaw_reference_does():
    expected = bytes(map(reference_alaw_compress, EVERY_SAMPLE))
    assert codecs.alaw_encode(pcm(*EVERY_SAMPLE)) == expected


def test_every_code_is_decoded_as_the_references_do():
    assert samples(codecs.mulaw_decode(EVERY_CODE)) == [*map(reference_ulaw_expand, EVERY_CODE)]
    assert samples(codecs.alaw_decode(EVERY_CODE)) == [*map(reference_alaw_expand, EVERY_CODE)]


@pytest.mark.parametrize(
    ("code", "mulaw", "alaw"),
    [(0x00, -32124, -5504), (0x80, 32124, 5504), (0x7F, 0, -848), (0xFF, 0, 848), (0x55, -716, -8)],
)
def test_published_decoder_values(code, mulaw, alaw):
    assert samples(codecs.mulaw_decode(bytes([code]))) == [mulaw]
    assert samples(codecs.alaw_decode(bytes([code]))) == [alaw]


def test_silence_is_silent():
    assert codecs.mulaw_encode(pcm(0)) == bytes([codecs.MULAW_SILENCE])
    assert codecs.alaw_encode(pcm(0)) == bytes([codecs.ALAW_SILENCE])
    assert samples(codecs.mulaw_decode(bytes([codecs.MULAW_SILENCE]))) == [0]


def test_coding_what_was_decoded_gives_the_same_code_again():
    # 0x7F is minus zero: it comes back as plus zero, as in the reference.
    assert codecs.mulaw_encode(codecs.mulaw_decode(EVERY_CODE)) == EVERY_CODE.replace(
        b"\x7f", b"\xff"
    )
    assert codecs.alaw_encode(codecs.alaw_decode(EVERY_CODE)) == EVERY_CODE


@pytest.mark.parametrize("encode", [codecs.mulaw_encode, codecs.alaw_encode])
def test_half_a_sample_is_refused(encode):
    with pytest.raises(ValueError, match="multiple of element size"):
        encode(b"\x00\x01\x02")
    assert encode(b"") == b""
