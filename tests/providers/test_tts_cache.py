"""The phrase cache: nothing is synthesised twice, and nothing half."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.brain.errors import ProviderDown
from calls.providers.provider import Credentials, SynthesiserRequest
from calls.providers.tts import cache as phrase_cache
from calls.providers.tts.cache import (
    CachedSynthesiser,
    PhraseCache,
    Recording,
    cached,
    prepare,
    recall,
)
from calls.providers.tts.pipeline import Sound, speak_ahead
from calls.voice.ports import Speech, Viseme, Word
from tests.providers.voices import health, spoken, texts


@dataclass
class Voice:
    """Says each text as its own bytes, in two pieces, and remembers what it was asked for."""

    name: str = "fake"
    sample_rate: int = 8000
    asked: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    fail: bool = False
    silent: bool = False
    hold: asyncio.Event | None = None

    async def open(self) -> None:
        self.opened += 1

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        return speak_ahead(segments, self._say)

    async def aclose(self) -> None:
        self.closed += 1

    async def _say(self, text: str) -> AsyncGenerator[Sound, None]:
        self.asked.append(text)
        if self.silent:
            return
        pcm = text.encode() * 2
        yield Sound(pcm[: len(pcm) // 2], (Word(text, 0, 5),))
        if self.hold is not None:
            await self.hold.wait()
        if self.fail:
            raise ProviderDown("fake", "broken")
        yield Sound(pcm[len(pcm) // 2 :], (), (Viseme(3, 2.5),))


def behind_cache(
    voice: Voice, cache: PhraseCache | None = None, settings: str = "s"
) -> CachedSynthesiser:
    return CachedSynthesiser(
        voice, PhraseCache() if cache is None else cache, settings, lambda: voice
    )


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_the_second_time_no_provider_is_asked() -> None:
    voice = Voice()
    cached_voice = behind_cache(voice)
    first = await spoken(cached_voice, "Hola.", "Adiós.")
    second = await spoken(cached_voice, "Adiós.", "Hola.", "Hola.")
    assert voice.asked == ["Hola.", "Adiós."]
    assert second == [first[1], first[0], first[0]]


async def test_words_and_visemes_are_kept() -> None:
    cached_voice = behind_cache(Voice())
    for _ in range(2):
        [said] = await spoken(cached_voice, "Hola.")
        assert (said.words, said.visemes) == ([Word("Hola.", 0, 5)], [Viseme(3, 2.5)])


async def test_known_and_unknown_segments_come_in_their_order() -> None:
    voice = Voice()
    cached_voice = behind_cache(voice)
    await spoken(cached_voice, "dos")
    said = await spoken(cached_voice, "uno", "dos", "tres")
    assert [segment.pcm for segment in said] == [b"unouno", b"dosdos", b"trestres"]
    assert voice.asked == ["dos", "uno", "tres"]


async def test_an_interrupted_segment_is_not_kept() -> None:
    voice = Voice(hold=asyncio.Event())
    cached_voice = behind_cache(voice)
    async with aclosing(cached_voice.speak(texts("Hola."))) as speech:
        await anext(speech)
    voice.hold = None
    [said] = await spoken(cached_voice, "Hola.")
    assert voice.asked == ["Hola.", "Hola."]
    assert said.pcm == b"Hola.Hola."


async def test_a_failed_segment_is_not_kept() -> None:
    voice = Voice(fail=True)
    cached_voice = behind_cache(voice)
    with pytest.raises(ProviderDown):
        await spoken(cached_voice, "Hola.")
    voice.fail = False
    await spoken(cached_voice, "Hola.")
    assert voice.asked == ["Hola.", "Hola."]


async def test_silence_for_a_text_is_not_kept() -> None:
    voice = Voice(silent=True)
    cached_voice = behind_cache(voice)
    await spoken(cached_voice, "Hola.")
    voice.silent = False
    [said] = await spoken(cached_voice, "Hola.")
    assert said.pcm


@pytest.mark.parametrize(
    ("voice", "settings"),
    [(Voice(name="other"), "s"), (Voice(), "other"), (Voice(sample_rate=16000), "s")],
)
async def test_another_voice_setting_or_rate_is_another_recording(
    voice: Voice, settings: str
) -> None:
    cache = PhraseCache()
    await spoken(behind_cache(Voice(), cache), "Hola.")
    await spoken(behind_cache(voice, cache, settings), "Hola.")
    assert voice.asked == ["Hola."]


def recording(size: int) -> Recording:
    return Recording(bytes(size), (), ())


def test_memory_stays_within_its_bound_and_forgets_what_was_not_used() -> None:
    one = recording(1000).size
    cache = PhraseCache(max_bytes=3 * one)
    for key in ("a", "b", "c"):
        cache.put(key, recording(1000))
    assert cache.get("a")
    cache.put("d", recording(1000))
    assert (cache.get("b"), len(cache), cache.bytes) == (None, 3, 3 * one)
    assert cache.get("a")
    assert cache.get("d")


def test_one_recording_that_is_too_large_displaces_nothing() -> None:
    cache = PhraseCache(max_bytes=2000)
    cache.put("a", recording(1000))
    cache.put("b", recording(5000))
    assert cache.get("a")
    assert cache.get("b") is None


def test_putting_a_recording_again_counts_it_once() -> None:
    cache = PhraseCache()
    cache.put("a", recording(1000))
    cache.put("a", recording(500))
    assert (len(cache), cache.bytes) == (1, recording(500).size)


async def test_prepared_texts_are_said_at_once_sentence_by_sentence() -> None:
    voice, spare, cache = Voice(), Voice(), PhraseCache()
    cached_voice = CachedSynthesiser(voice, cache, "s", lambda: spare)
    await cached_voice.prepare(["Hola. ¿Qué tal?", "Un momento."])
    said = await spoken(cached_voice, "Hola.", "¿Qué tal?", "Un momento.")
    assert all(segment.pcm for segment in said)
    assert (voice.asked, spare.asked) == ([], ["Hola.", "¿Qué tal?", "Un momento."])
    assert (spare.opened, spare.closed) == (1, 1)


async def test_preparing_what_is_known_connects_to_nobody() -> None:
    spare = Voice()
    cached_voice = CachedSynthesiser(Voice(), PhraseCache(), "s", lambda: spare)
    await cached_voice.prepare(["Hola."])
    await cached_voice.prepare(["Hola.", "Hola."])
    assert (spare.asked, spare.opened) == (["Hola."], 1)


async def test_calls_that_start_together_prepare_a_text_once() -> None:
    spare, cache = Voice(), PhraseCache()
    calls = [CachedSynthesiser(Voice(), cache, "s", lambda: spare) for _ in range(5)]
    await asyncio.gather(*(call.prepare(["Hola.", "Adiós."]) for call in calls))
    assert sorted(spare.asked) == ["Adiós.", "Hola."]
    assert not cache.in_work


async def test_a_provider_that_fails_while_preparing_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spare, cache = Voice(fail=True), PhraseCache()
    cached_voice = CachedSynthesiser(Voice(), cache, "s", lambda: spare)
    with caplog.at_level(logging.WARNING):
        await cached_voice.prepare(["Hola.", "Adiós."])
    assert "fake: broken" in caplog.text
    assert (spare.closed, len(cache), cache.in_work) == (1, 0, set())


async def test_prepared_texts_survive_a_restart_and_others_never_reach_the_disk(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "phrases"
    first = behind_cache(Voice(), PhraseCache(folder=folder))
    await first.prepare(["Hola."])
    await spoken(first, "Señor Pérez, su tarjeta es la 4929.")
    assert len(files(folder)) == 1
    assert "Pérez" not in "".join(path.read_text("utf8", "replace") for path in files(folder))
    voice = Voice()
    restarted = behind_cache(voice, PhraseCache(folder=folder))
    await restarted.prepare(["Hola."])
    [said] = await spoken(restarted, "Hola.")
    assert voice.asked == []
    assert (said.pcm, said.words) == (b"Hola.Hola.", [Word("Hola.", 0, 5)])


async def test_one_process_says_at_once_what_another_prepared(tmp_path: Path) -> None:
    await behind_cache(Voice(), PhraseCache(folder=tmp_path)).prepare(["Hola. ¿Qué tal?"])
    voice = Voice()
    media = behind_cache(voice, PhraseCache(folder=tmp_path))
    await recall([media], ["Hola. ¿Qué tal?", "Un momento."])
    assert (voice.asked, voice.opened) == ([], 0), "to recall is not to synthesise"
    said = await spoken(media, "Hola.", "¿Qué tal?", "Un momento.")
    assert [each.pcm for each in said][:2] == [b"Hola.Hola.", "¿Qué tal?¿Qué tal?".encode()]
    assert voice.asked == ["Un momento."]


async def test_without_a_shared_folder_the_voice_says_it_itself(tmp_path: Path) -> None:
    await behind_cache(Voice(), PhraseCache(folder=tmp_path / "one")).prepare(["Hola."])
    for elsewhere in (tmp_path / "other", None):
        voice = Voice()
        media = behind_cache(voice, PhraseCache(folder=elsewhere))
        await media.recall(["Hola."])
        assert (await spoken(media, "Hola."))[0].pcm
        assert voice.asked == ["Hola."]


async def test_a_half_written_phrase_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts: list[Path] = []

    def stop(draft: Path, _path: Path) -> Path:
        drafts.append(draft)
        raise OSError("the disk went away")

    monkeypatch.setattr(Path, "replace", stop)
    await behind_cache(Voice(), PhraseCache(folder=tmp_path)).prepare(["Hola."])
    monkeypatch.undo()
    assert len(drafts) == 1
    assert files(tmp_path) == [], "nor is it left behind"
    voice = Voice()
    media = behind_cache(voice, PhraseCache(folder=tmp_path))
    await media.recall(["Hola."])
    await spoken(media, "Hola.")
    assert voice.asked == ["Hola."]


async def test_a_folder_that_hangs_holds_no_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answered, cache = threading.Event(), PhraseCache(folder=tmp_path)
    monkeypatch.setattr(phrase_cache, "RECALL_SECONDS", 0.01)
    monkeypatch.setattr(cache, "load", lambda _key: answered.wait(20) and None)
    try:
        await behind_cache(Voice(), cache).recall(["Hola."])
        assert not answered.is_set()
    finally:
        answered.set()
    assert "took more than" in caplog.text


def test_what_can_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PhraseCache(folder=tmp_path)
    cache.save("a", recording(10))

    def refuse(*_: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert cache.load("a") == recording(10)


@pytest.mark.parametrize(
    "damage", [b"", b"{}\n", b"nonsense", b'{"words":[{"x":1}],"visemes":[],"bytes":0}\n', None]
)
async def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes | None) -> None:
    await behind_cache(Voice(), PhraseCache(folder=tmp_path)).prepare(["Hola."])
    [path] = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if damage is None else damage)
    voice = Voice()
    await behind_cache(voice, PhraseCache(folder=tmp_path)).prepare(["Hola."])
    assert voice.asked == ["Hola."]
    assert path.read_bytes() == whole


async def test_a_folder_that_cannot_be_written_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    voice = behind_cache(Voice(), PhraseCache(folder=blocked / "phrases"))
    await voice.prepare(["Hola."])
    assert "cannot keep" in caplog.text
    assert (await spoken(voice, "Hola."))[0].pcm


def test_the_folder_stays_within_its_bound(tmp_path: Path) -> None:
    size = len(recording(1000).pack())
    cache = PhraseCache(folder=tmp_path, folder_bytes=2 * size)
    (tmp_path / "left.by-a-killed-one.draft").write_bytes(bytes(size))
    for key in ("a", "b", "c"):
        cache.save(key, recording(1000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * size
    assert cache.load("c") == recording(1000)


def test_without_a_folder_nothing_is_kept() -> None:
    cache = PhraseCache()
    cache.save("a", recording(10))
    assert cache.load("a") is None


def test_a_recording_is_the_same_after_its_file() -> None:
    whole = Recording(bytes(range(256)), (Word("¡Hola!", 0.5, 99.25),), (Viseme(21, 1.5),))
    assert Recording.unpack(whole.pack()) == whole


def request(credentials: Credentials) -> SynthesiserRequest:
    return SynthesiserRequest(
        voice="",
        language="es-MX",
        speed=1.0,
        pitch=0.0,
        style="",
        style_degree=1.0,
        lexicon={},
        sample_rate=8000,
        credentials=credentials,
        health=health(),
    )


async def test_voices_of_the_registry_share_one_cache(tmp_path: Path) -> None:
    voices: list[Voice] = []

    def build(_: SynthesiserRequest) -> Voice:
        voices.append(Voice())
        return voices[-1]

    phrase_cache.configure(tmp_path)
    here, there = Credentials(), Credentials(openai_audio_base_url="http://other/v1")
    await prepare([cached(build)(request(here))], ["Hola."])
    await spoken(cached(build)(request(here)), "Hola.")
    await spoken(cached(build)(request(there)), "Hola.")
    phrase_cache.configure(None)
    assert [voice.asked for voice in voices] == [[], ["Hola."], [], ["Hola."]]
    assert len(files(tmp_path)) == 1


async def test_voices_without_a_cache_need_no_preparation() -> None:
    voice = Voice()
    await prepare([voice], ["Hola."])
    await prepare([], ["Hola."])
    assert voice.asked == []
