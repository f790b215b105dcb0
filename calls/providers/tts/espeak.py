"""espeak-ng as the wheel `espeakng-loader` carries it, through its C interface.

The library keeps one voice and one text at a time in global variables, so everything that uses
it runs in one worker thread. It speaks about a thousand times faster than real time: a sentence
takes some 3 ms there, during which the event loop runs on, since the library's own work needs
no interpreter lock and the callback takes it for some 50 µs per block.
Source: `speak_lib.h` of espeak-ng 1.52.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import espeakng_loader

SAMPLE_RATE = 22050  # Hz, of all its own voices
BLOCK_MS = 300  # sound per callback
NORMAL_RATE = 165  # words per minute; its own 175 is hurried on a telephone
NORMAL_PITCH = 50  # of 0 to 99

_OUTPUT_SYNCHRONOUS = 0x02
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_POSITION_CHARACTERS = 1
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_EVENT_END_OF_LIST, _EVENT_WORD = 0, 1


class EspeakError(Exception):
    """The library is missing, or refuses a voice or a text; the message says which."""


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class WordStart:
    """A word at character `position` (from 0) sounds from sample `sample` of its text on."""

    position: int
    sample: int


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice file with an optional variant, words per minute (80 to 450), pitch (0 to 99)."""

    name: str
    rate: int = NORMAL_RATE
    pitch: int = NORMAL_PITCH


Sink: TypeAlias = Callable[[bytes, tuple[WordStart, ...]], bool]


class Espeak:
    """The library, loaded. Only ever touched from the thread of `worker()`."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        rate = self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, BLOCK_MS, data, _DO_NOT_EXIT)
        if rate != SAMPLE_RATE:
            raise EspeakError(f"espeak-ng did not start with {data.decode()}: it answered {rate}")
        self._sink: Sink = _ignore
        self._failure: BaseException | None = None
        self._callback = _SynthCallback(self._on_sound)  # kept, or the library calls into nothing
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def speak(self, text: str, voice: EspeakVoice, sink: Sink) -> None:
        """Give `sink` the sound of `text`, PCM16 at `SAMPLE_RATE`, block by block, and its words.

        A `sink` that returns False ends it. Raises EspeakError for an unknown voice.
        """
        self._set_voice(voice)
        encoded = text.replace("\0", " ").encode() + b"\0"
        self._sink, self._failure = sink, None
        try:
            code = self._library.espeak_Synth(
                encoded, len(encoded), 0, _POSITION_CHARACTERS, 0, _UTF8, None, None
            )
        finally:
            self._sink = _ignore
        if self._failure is not None:
            raise self._failure
        if code != 0:
            raise EspeakError(f"espeak-ng could not speak a text of {len(text)} characters: {code}")

    def _set_voice(self, voice: EspeakVoice) -> None:
        if voice.name != self._voice:
            if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
                self._voice = ""
                raise EspeakError(f"espeak-ng has no voice {voice.name!r}")
            self._voice = voice.name
        self._library.espeak_SetParameter(_PARAMETER_RATE, voice.rate, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, voice.pitch, 0)

    def _on_sound(self, samples: Any, count: int, events: Any) -> int:
        """Called by the library; 1 ends the synthesis. Nothing may be raised through it."""
        try:
            pcm = ctypes.string_at(samples, count * 2) if samples and count > 0 else b""
            return 0 if self._sink(pcm, tuple(_words(events))) else 1
        except BaseException as error:  # raised again in `speak`
            self._failure = error
            return 1


def _words(events: Any) -> Iterator[WordStart]:
    index = 0
    while events[index].type != _EVENT_END_OF_LIST:
        event = events[index]
        if event.type == _EVENT_WORD:
            yield WordStart(event.text_position - 1, event.sample)
        index += 1


def _ignore(pcm: bytes, words: tuple[WordStart, ...]) -> bool:  # noqa: ARG001
    return False


_worker: ThreadPoolExecutor | None = None
_espeak: Espeak | None = None


def worker() -> ThreadPoolExecutor:
    """The one thread of this process in which espeak-ng runs."""
    global _worker  # noqa: PLW0603
    if _worker is None:
        _worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")
    return _worker


def loaded() -> Espeak:
    """The library, loaded at its first use (some 3 ms). Only from within the worker's thread."""
    global _espeak  # noqa: PLW0603
    if _espeak is None:
        _espeak = Espeak()
    return _espeak
