"""Silero's speech detector by onnxruntime: one session for all calls, its memory per call.

The vendored graph holds the weights of Silero VAD v5 as plain matrix products (data/README.md):
the same probabilities to 1e-5 for a third of the time, which is also what batching the original
over 32 calls would give; so no call waits for another's window.

It listens at 8 kHz on every line. Where a wide line carries a narrow voice, as from a telephone or
a Bluetooth headset, Silero's weights for 16 kHz doubt it for 300 ms and more: of flite's sentences
cut at 4 kHz, 95 % count as an interruption of 200 ms after 360 ms, by those weights after 440, and
some of espeak's after 540 instead of 280. For wide voices those are sooner, by 60 ms in one
sentence of ten.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from calls.voice.resample import Halver

_MODEL = Path(__file__).parent / "data" / "silero_vad_8k.onnx"
_RATES = (8000, 16000)
_HEARD = 256  # samples at 8 kHz in a chunk
_HOPS = 4  # of the four windows in a chunk; a window is two hops
_HIDDEN = 128
_SCALE = np.float32(1 / 32768)


def load() -> None:
    """Read the model and run it once, so that no call waits for it."""
    for rate in _RATES:
        SileroDetector(rate).process(bytes(2 * rate * 32 // 1000))


@cache
def _session() -> Any:
    """The one session. It may be run from any thread, and starts none."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(_MODEL), options, providers=["CPUExecutionProvider"])


class SileroDetector:
    """A `SpeechDetector`: 256 samples at 8000 Hz or 512 at 16000 Hz at a time (32 ms).

    All arrays are made once and bound to the session; the recurrent state goes to and fro
    between two of them. Raises ValueError for any other rate.
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate not in _RATES:
            raise ValueError(f"Silero hears 8000 or 16000 Hz, not {sample_rate}")
        self.sample_rate = sample_rate
        self.chunk_samples = sample_rate * 32 // 1000
        self._halver = Halver() if sample_rate == 16000 else None
        self._lay_out(_HEARD // _HOPS)
        self._states = np.zeros((2, 2, 1, _HIDDEN), np.float32)
        self._probability = np.zeros((1, 1), np.float32)
        session = _session()
        self._run = session.run_with_iobinding
        self._binding, self._next_binding = (self._bound(session, turn) for turn in (0, 1))

    def _lay_out(self, hop: int) -> None:
        """The chunk between half a hop of what came before and half a hop of its mirror."""
        samples, half = np.zeros((_HOPS + 1) * hop, np.float32), hop // 2
        end = half + _HEARD
        self._context, self._chunk, self._tail = (
            samples[:half],
            samples[half:end],
            samples[end - half : end],
        )
        self._mirror, self._mirrored = samples[end:], samples[end - half - 1 : end - 1][::-1]
        hops = samples.reshape(_HOPS + 1, hop)
        self._first_halves, self._second_halves = hops[:-1], hops[1:]
        self._windows = np.zeros((_HOPS, 2, hop), np.float32)
        self._samples = samples

    def _bound(self, session: Any, turn: int) -> Any:
        """A binding that reads the state of this turn and writes that of the other."""
        binding = session.io_binding()
        before, after = self._states[turn], self._states[1 - turn]
        binding.bind_cpu_input("input", self._windows.reshape(_HOPS, -1))
        binding.bind_cpu_input("h", before[0])
        binding.bind_cpu_input("c", before[1])
        for name, array in (("output", self._probability), ("hN", after[0]), ("cN", after[1])):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding

    def process(self, chunk: bytes) -> float:
        """Probability of speech in `chunk`, heard after all the chunks before it."""
        self._context[:] = self._tail
        heard = np.frombuffer(chunk, "<i2")
        narrow = heard if self._halver is None else self._halver.process(heard)
        np.multiply(narrow, _SCALE, out=self._chunk)
        self._mirror[:] = self._mirrored
        self._windows[:, 0] = self._first_halves
        self._windows[:, 1] = self._second_halves
        self._run(self._binding)
        self._binding, self._next_binding = self._next_binding, self._binding
        return float(self._probability[0, 0])

    def reset(self) -> None:
        """Forget what was heard so far."""
        if self._halver is not None:
            self._halver.reset()
        self._samples[:] = 0
        self._states[:] = 0
