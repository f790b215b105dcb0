"""Phrases that are said again and again are synthesised once: greetings, fillers, apologies.

Every segment that was synthesised whole stays in memory, least recently used first out, within
a bound in bytes. What `prepare` was asked for, fixed texts of an agent and never what is said to
one caller, is also kept in a folder, if there is one, and survives a restart. Processes that share
the folder share its phrases: one prepares the greeting while the phone rings, another that takes
the call gets it by `recall` as the call begins. Both touch the folder in threads only; a call that
speaks never waits for a disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from agents.brain.errors import ProviderError
from calls.providers.provider import Credentials, SynthesiserRequest
from calls.providers.tts.options import VoiceOptions
from calls.providers.tts.pipeline import Sound, speak_ahead
from calls.voice.ports import Speech, Synthesiser, Viseme, Word
from calls.voice.sentences import SentenceSplitter

MEMORY_BYTES = 64 * 2**20
FOLDER_BYTES = 256 * 2**20
RECALL_SECONDS = 0.25  # for which a call may wait, as it begins, for phrases in the folder
_SUFFIX = ".speech"
_WORD_BYTES = 120  # of memory, roughly, for a word or a viseme

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole segment as it was synthesised."""

    pcm: bytes
    words: tuple[Word, ...]
    visemes: tuple[Viseme, ...]

    @classmethod
    def of(cls, sounds: Sequence[Sound]) -> Recording:
        """The pieces of a segment, put together."""
        return cls(
            b"".join(sound.pcm for sound in sounds),
            tuple(word for sound in sounds for word in sound.words),
            tuple(viseme for sound in sounds for viseme in sound.visemes),
        )

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return len(self.pcm) + _WORD_BYTES * (1 + len(self.words) + len(self.visemes))

    def pack(self) -> bytes:
        """As a file: one line of JSON, then the sound."""
        timings = {
            "words": [asdict(word) for word in self.words],
            "visemes": [asdict(viseme) for viseme in self.visemes],
            "bytes": len(self.pcm),
        }
        return orjson.dumps(timings) + b"\n" + self.pcm

    @classmethod
    def unpack(cls, data: bytes) -> Recording:
        """Of `pack`. Raises ValueError for anything else."""
        head, _, pcm = data.partition(b"\n")
        try:
            timings = orjson.loads(head)
            words = tuple(Word(**word) for word in timings["words"])
            visemes = tuple(Viseme(**viseme) for viseme in timings["visemes"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no recording: {error}") from error
        if len(pcm) != timings["bytes"]:
            raise ValueError(f"{len(pcm)} bytes of sound instead of {timings['bytes']}")
        return cls(pcm, words, visemes)


class PhraseCache:
    """Recordings by key, in memory and, for those that were prepared, in a folder.

    `get` and `put` touch memory only. `load` and `save` block on files: use them in a thread.
    """

    def __init__(
        self,
        max_bytes: int = MEMORY_BYTES,
        folder: Path | None = None,
        folder_bytes: int = FOLDER_BYTES,
    ) -> None:
        self._max_bytes = max_bytes
        self._folder = folder
        self._folder_bytes = folder_bytes
        self._recordings: OrderedDict[str, Recording] = OrderedDict()
        self.bytes = 0
        self.in_work: set[str] = set()  # keys that some call is preparing right now

    def __len__(self) -> int:
        return len(self._recordings)

    @property
    def has_folder(self) -> bool:
        """Whether phrases outlive the process, and reach others."""
        return self._folder is not None

    def get(self, key: str) -> Recording | None:
        """The recording, which becomes the most recently used one."""
        recording = self._recordings.get(key)
        if recording is not None:
            self._recordings.move_to_end(key)
        return recording

    def put(self, key: str, recording: Recording) -> None:
        """Keep a recording; the least recently used go until all fit."""
        if recording.size > self._max_bytes:
            return
        self._drop(key)
        self._recordings[key] = recording
        self.bytes += recording.size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._recordings)))

    def _drop(self, key: str) -> None:
        recording = self._recordings.pop(key, None)
        if recording is not None:
            self.bytes -= recording.size

    def load(self, key: str) -> Recording | None:
        """From the folder. A file that is damaged is removed."""
        if self._folder is None:
            return None
        path = self._folder / f"{key}{_SUFFIX}"
        try:
            recording = Recording.unpack(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("phrase cache: %s is unusable (%s)", path, error)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # another may have removed it, or only they may write
            os.utime(path)
        return recording

    def save(self, key: str, recording: Recording) -> None:
        """Into the folder, whole or not at all. A full disk is logged, not raised."""
        if self._folder is None:
            return
        path = self._folder / f"{key}{_SUFFIX}"
        draft = path.with_suffix(f".{secrets.token_hex(6)}.draft")  # a pid is not one machine's
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(recording.pack())
            draft.replace(path)
            self._prune(self._folder)
        except OSError as error:
            log.warning("phrase cache: cannot keep %s (%s)", path, error)
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _prune(self, folder: Path) -> None:
        """Remove the files that were not used for longest until the folder is within bounds.

        Drafts count too: a process that was killed leaves one.
        """
        files = []
        for path in folder.iterdir():
            with suppress(FileNotFoundError):  # another process prunes as well
                files.append((path.stat(), path))
        excess = sum(stat.st_size for stat, _ in files) - self._folder_bytes
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= stat.st_size


class CachedSynthesiser:
    """A voice that synthesises nothing twice. Interrupted segments are not kept."""

    def __init__(
        self,
        voice: Synthesiser,
        cache: PhraseCache,
        settings: str,
        another: Callable[[], Synthesiser],
    ) -> None:
        """`settings` names all that changes the sound; `another` makes a voice for `prepare`."""
        self.name = voice.name
        self.sample_rate = voice.sample_rate
        self._voice = voice
        self._cache = cache
        self._settings = settings
        self._another = another

    async def open(self) -> None:
        """Connect the voice behind it."""
        await self._voice.open()

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        """Speak each segment as it comes: at once if it is known, else as the voice does."""
        return speak_ahead(segments, self._say)

    async def aclose(self) -> None:
        """Close the voice behind it."""
        await self._voice.aclose()

    async def prepare(self, texts: Iterable[str]) -> None:
        """Have these texts ready, on a connection of its own. A failing provider is only logged.

        Texts are cut into sentences as the loop does. What another call prepares is left to it.
        """
        missing = dict.fromkeys(s for text in texts for s in _sentences(text))
        wanted = {self._key(sentence): sentence for sentence in missing}
        for key in [key for key in wanted if self._cache.get(key) or key in self._cache.in_work]:
            del wanted[key]
        self._cache.in_work.update(wanted)
        try:
            await self._prepare(await self._load(wanted))
        except ProviderError as error:
            log.warning("phrases could not be prepared: %s", error)
        finally:
            self._cache.in_work.difference_update(wanted)

    async def recall(self, texts: Iterable[str]) -> None:
        """Fetch what any process prepared of these texts; nothing is synthesised.

        A folder that is slow to answer is not waited for: the voice says it itself.
        """
        keys = dict.fromkeys(self._key(s) for text in texts for s in _sentences(text))
        missing = [key for key in keys if self._cache.get(key) is None]
        if not missing or not self._cache.has_folder:
            return
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                found = await asyncio.to_thread(self._read, missing)
        except TimeoutError:
            log.warning("phrase cache: the folder took more than %g s", RECALL_SECONDS)
            return
        for key, recording in found.items():
            self._cache.put(key, recording)

    def _read(self, keys: Iterable[str]) -> dict[str, Recording]:
        found = {key: self._cache.load(key) for key in keys}
        return {key: recording for key, recording in found.items() if recording is not None}

    async def _load(self, wanted: dict[str, str]) -> dict[str, str]:
        """What of it is not in the folder."""
        left = {}
        for key, sentence in wanted.items():
            recording = await asyncio.to_thread(self._cache.load, key)
            if recording is None:
                left[key] = sentence
            else:
                self._cache.put(key, recording)
        return left

    async def _prepare(self, wanted: dict[str, str]) -> None:
        if not wanted:
            return
        voice = self._another()
        try:
            await voice.open()
            for key, sentence in wanted.items():
                sounds = [sound async for sound in _sounds(voice, sentence)]
                if recording := self._keep(key, sounds):
                    await asyncio.to_thread(self._cache.save, key, recording)
        finally:
            await voice.aclose()

    async def _say(self, text: str) -> AsyncGenerator[Sound, None]:
        key = self._key(text)
        known = self._cache.get(key)
        if known is not None:
            yield Sound(known.pcm, known.words, known.visemes)
            return
        sounds: list[Sound] = []
        async with aclosing(_sounds(self._voice, text)) as coming:
            async for sound in coming:
                sounds.append(sound)
                yield sound
        self._keep(key, sounds)

    def _keep(self, key: str, sounds: Sequence[Sound]) -> Recording | None:
        recording = Recording.of(sounds)
        if not recording.pcm:
            return None  # silence for a text is a fault, not something to repeat
        self._cache.put(key, recording)
        return recording

    def _key(self, text: str) -> str:
        told = f"{self.name}\n{self._settings}\n{self.sample_rate}\n{text.strip()}"
        return hashlib.sha256(told.encode()).hexdigest()


async def _sounds(voice: Synthesiser, text: str) -> AsyncGenerator[Sound, None]:
    async with aclosing(voice.speak(_only(text))) as speech:
        async for piece in speech:
            yield Sound(piece.pcm, piece.words, piece.visemes)


async def _only(text: str) -> AsyncIterator[str]:
    yield text


def _sentences(text: str) -> list[str]:
    splitter = SentenceSplitter()
    return [*splitter.feed(text), *filter(None, [splitter.flush()])]


_shared = PhraseCache()


def configure(folder: Path | None, max_bytes: int = MEMORY_BYTES) -> None:
    """Use this folder and bound for all voices built from now on; call it at start."""
    global _shared  # noqa: PLW0603
    _shared = PhraseCache(max_bytes, folder)


def cached(
    build: Callable[[SynthesiserRequest], Synthesiser],
) -> Callable[[SynthesiserRequest], CachedSynthesiser]:
    """The same voices, with the process's phrase cache in front."""

    def build_cached(request: SynthesiserRequest) -> CachedSynthesiser:
        settings = f"{VoiceOptions.of(request).fingerprint()} {_addresses(request.credentials)}"
        return CachedSynthesiser(build(request), _shared, settings, lambda: build(request))

    return build_cached


def _addresses(credentials: Credentials) -> str:
    """Where the voices are: the same name may be another voice on another server."""
    return " ".join(
        [
            credentials.azure_endpoint,
            credentials.elevenlabs_base_url,
            credentials.groq_base_url,
            credentials.openai_audio_base_url,
        ]
    )


async def prepare(synthesisers: Sequence[Synthesiser], texts: Iterable[str]) -> None:
    """Have these texts ready in the first of a call's voices; embedded ones need no help."""
    for voice in synthesisers[:1]:
        if isinstance(voice, CachedSynthesiser):
            await voice.prepare(texts)


async def recall(synthesisers: Sequence[Synthesiser], texts: Iterable[str]) -> None:
    """Fetch into the first of a call's voices what any process prepared of these texts."""
    for voice in synthesisers[:1]:
        if isinstance(voice, CachedSynthesiser):
            await voice.recall(texts)
