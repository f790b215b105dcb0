"""What is in the file is what was heard, by sample, whatever happens to the process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from calls.voice import recording
from calls.voice.recording import WavRecorder

RATE = 8000


def pcm(value: int, milliseconds: int) -> bytes:
    return np.full(RATE * milliseconds // 1000, value, "<i2").tobytes()


def channels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Caller and agent, as a player would read them."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        assert len(frames) == file.getnframes()
    return frames[:, 0], frames[:, 1]


def stretches(samples: np.ndarray) -> list[tuple[int, int]]:
    """(value, milliseconds) of each run of equal samples."""
    edges = np.flatnonzero(np.diff(samples)) + 1
    return [(int(run[0]), len(run) * 1000 // RATE) for run in np.split(samples, edges)]


@pytest.fixture(autouse=True)
def busy_writer(monkeypatch):
    monkeypatch.setattr(recording._Writer, "INTERVAL", 0.05)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a" / "folder" / "call.wav"


async def test_each_side_is_on_its_own_channel_at_its_own_time(path):
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(7, 1000), at=0)
    recorder.agent(pcm(9, 300), at=500)
    await recorder.aclose()
    caller, agent = channels(path)
    assert stretches(caller) == [(7, 1000)]
    assert stretches(agent) == [(0, 500), (9, 300), (0, 200)]
    assert recorder.seconds == 1.0


async def test_lost_sound_is_silence_and_nothing_after_it_moves(path):
    recorder = WavRecorder(path, RATE)
    for frame in (0, 1, 2, 10, 11):
        recorder.caller(pcm(5, 20), at=20 * frame)
    await recorder.aclose()
    assert stretches(channels(path)[0]) == [(5, 60), (0, 140), (5, 40)]


async def test_a_burst_after_a_stall_lies_where_it_was_spoken(path):
    recorder = WavRecorder(path, RATE)
    for frame in (0, 3, 2, 1):  # also out of order
        recorder.caller(pcm(frame + 1, 20), at=20 * frame)
    await recorder.aclose()
    assert stretches(channels(path)[0]) == [(1, 20), (2, 20), (3, 20), (4, 20)]


async def test_an_hour_of_frames_does_not_drift(path):
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(1, 20), at=0)
    recorder.caller(pcm(2, 20), at=3_600_000)
    await recorder.aclose()
    caller, _ = channels(path)
    assert len(caller) == 3600 * RATE + 160
    assert caller[3600 * RATE] == 2
    assert not caller[160 : 3600 * RATE].any()


async def test_what_was_cleared_was_never_heard(path):
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(1, 600), at=0)
    recorder.agent(pcm(9, 2000), at=100)
    recorder.agent_cleared(at=400)
    recorder.agent(pcm(8, 100), at=700)
    await recorder.aclose()
    caller, agent = channels(path)
    assert stretches(agent) == [(0, 100), (9, 300), (0, 300), (8, 100)]
    assert stretches(caller) == [(1, 600), (0, 200)]


async def test_sound_that_comes_late_is_laid_over_what_is_on_disk_already(path):
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(1, 600), at=0)
    await written(recorder, 0.6)
    recorder.caller(pcm(2, 400), at=600)
    await written(recorder, 1.0)
    recorder.agent(pcm(9, 100), at=300)
    await recorder.aclose()
    caller, agent = channels(path)
    assert stretches(caller) == [(1, 600), (2, 400)]
    assert stretches(agent) == [(0, 300), (9, 100), (0, 600)]


async def test_a_recording_that_is_closed_in_its_turn_has_no_other(path, monkeypatch):
    writer = recording._Writer()  # whose thread is not started
    monkeypatch.setattr(recording._Writer, "shared", lambda: writer)
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(1, 100), at=0)
    closing = asyncio.ensure_future(recorder.aclose())
    await asyncio.sleep(0)
    writer._recorders.append(writer._new.popleft())
    writer._next()
    await closing
    assert not writer._recorders


async def test_a_clear_reaches_back_over_what_is_on_disk_already(path):
    recorder = WavRecorder(path, RATE)
    recorder.agent(pcm(9, 2000), at=0)
    recorder.caller(pcm(1, 500), at=0)
    await written(recorder, 2.0)
    recorder.agent_cleared(at=250)
    await recorder.aclose()
    caller, agent = channels(path)
    assert stretches(agent) == [(9, 250), (0, 250)]
    assert stretches(caller) == [(1, 500)]


async def test_a_clear_with_nothing_ahead_changes_nothing(path):
    recorder = WavRecorder(path, RATE)
    recorder.agent(pcm(9, 100), at=0)
    recorder.agent_cleared(at=100)
    await recorder.aclose()
    assert stretches(channels(path)[1]) == [(9, 100)]


async def test_sound_from_before_the_answer_is_put_at_the_start(path):
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(4, 20), at=-3.0)
    await recorder.aclose()
    assert stretches(channels(path)[0]) == [(4, 20)]


async def test_a_position_beyond_any_call_is_refused_and_the_rest_kept(path, caplog):
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(4, 20), at=0)
    recorder.caller(pcm(4, 20), at=1e12)
    recorder.caller(pcm(5, 20), at=20)
    await recorder.aclose()
    assert stretches(channels(path)[0]) == [(4, 20), (5, 20)]
    assert "a piece lies" in caplog.text


async def test_a_call_without_any_sound_leaves_a_valid_empty_file(path):
    recorder = WavRecorder(path, RATE)
    await recorder.aclose()
    await recorder.aclose()  # twice is harmless
    caller, agent = channels(path)
    assert len(caller) == len(agent) == 0


async def test_a_disk_that_fails_ends_the_recording_and_no_other(path, tmp_path, caplog):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    broken = WavRecorder(tmp_path / "blocked" / "call.wav", RATE)
    healthy = WavRecorder(path, RATE)
    for frame in range(10):
        broken.caller(pcm(1, 20), at=20 * frame)
        healthy.caller(pcm(1, 20), at=20 * frame)
    await broken.aclose()
    await healthy.aclose()
    assert isinstance(broken.failure, OSError)
    assert "failed and ends here" in caplog.text
    assert stretches(channels(path)[0]) == [(1, 200)]


async def test_after_a_failure_nothing_is_hoarded(tmp_path, monkeypatch):
    def full_disk(*_arguments):
        raise OSError(28, "No space left on device")

    recorder = WavRecorder(tmp_path / "call.wav", RATE)
    monkeypatch.setattr(recording.os, "pwrite", full_disk)
    recorder.caller(pcm(1, 20), at=0)
    await failed(recorder)
    monkeypatch.undo()
    recorder.caller(pcm(1, 20), at=20)
    await recorder.aclose()
    assert not recorder._pieces
    assert recorder.failure.errno == 28


async def test_all_calls_share_one_thread(tmp_path):
    recorders = [WavRecorder(tmp_path / f"{number}.wav", RATE) for number in range(20)]
    writers = [thread for thread in threading.enumerate() if thread.name == "recordings"]
    for recorder in recorders:
        await recorder.aclose()
    assert len(writers) == 1


async def test_what_is_being_written_does_not_count_as_on_disk(path, monkeypatch):
    counted = []
    write = os.pwrite

    def watched(*arguments):
        counted.append(recorder.seconds)
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", watched)
    recorder = WavRecorder(path, RATE)
    recorder.caller(pcm(1, 1000), at=0)
    await recorder.aclose()
    assert set(counted) == {0.0}
    assert recorder.seconds == 1.0


def test_a_recording_can_be_played_when_the_process_was_killed(path):
    script = f"""
        import pathlib, sys, time
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from calls.voice.recording import WavRecorder
        recorder = WavRecorder(pathlib.Path({str(path)!r}), {RATE})
        frame = 0
        while True:
            recorder.caller(b"\\x07\\x00" * 160, at=20 * frame)
            recorder.agent(b"\\x09\\x00" * 160, at=20 * frame)
            frame += 1
            if recorder.seconds > 1:
                print("recorded", flush=True)
            time.sleep(0.002)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        os.kill(process.pid, signal.SIGKILL)
    caller, agent = channels(path)
    assert len(caller) > RATE
    assert stretches(caller)[0][0] == 7
    assert set(np.unique(caller)) == {7}
    assert set(np.unique(agent)) == {9}


async def written(recorder: WavRecorder, seconds: float) -> None:
    await until(lambda: recorder.seconds >= seconds)


async def failed(recorder: WavRecorder) -> None:
    await until(lambda: recorder.failure is not None)


async def until(condition) -> None:
    """Let the writer's thread go on until it has done what is waited for."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread has no event to wait for
            await asyncio.sleep(0.01)
