"""Silero's speech detector by onnxruntime: one session for all calls, its memory per call.

The vendored graphs hold the weights of Silero VAD v5 as plain matrix products (data/README.md):
the same probabilities to 1e-5 for a third of the time, which is also what batching the original
over 32 calls would give; so no call waits for another's window.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

_MODELS = Path(__file__).parent / "data"
_NAMES = {8000: "silero_vad_8k.onnx", 16000: "silero_vad_16k.onnx"}
_HOPS = 4  # of the four windows in a chunk; a window is two hops
_HIDDEN = 128
_SCALE = np.float32(1 / 32768)


def load() -> None:
    """Read the models and run each once, so that no call waits for it."""
    for rate, chunk in ((8000, 256), (16000, 512)):
        SileroDetector(rate).process(bytes(2 * chunk))


@lru_cache(maxsize=2)
def _session(sample_rate: int) -> Any:
    """The one session of this rate. It may be run from any thread, and starts none."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = str(_MODELS / _NAMES[sample_rate])
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class SileroDetector:
    """A `SpeechDetector`: 256 samples at 8000 Hz or 512 at 16000 Hz at a time (32 ms).

    All arrays are made once and bound to the session; the recurrent state goes to and fro
    between two of them. Raises ValueError for any other rate.
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate not in _NAMES:
            raise ValueError(f"Silero hears 8000 or 16000 Hz, not {sample_rate}")
        self.sample_rate = sample_rate
        self.chunk_samples = sample_rate * 32 // 1000
        hop = self.chunk_samples // _HOPS
        self._lay_out(hop)
        self._states = np.zeros((2, 2, 1, _HIDDEN), np.float32)
        self._probability = np.zeros((1, 1), np.float32)
        session = _session(sample_rate)
        self._run = session.run_with_iobinding
        self._binding, self._next_binding = (self._bound(session, turn) for turn in (0, 1))

    def _lay_out(self, hop: int) -> None:
        """The chunk between half a hop of what came before and half a hop of its mirror."""
        samples, half = np.zeros((_HOPS + 1) * hop, np.float32), hop // 2
        end = half + self.chunk_samples
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
        np.multiply(np.frombuffer(chunk, "<i2"), _SCALE, out=self._chunk)
        self._mirror[:] = self._mirrored
        self._windows[:, 0] = self._first_halves
        self._windows[:, 1] = self._second_halves
        self._run(self._binding)
        self._binding, self._next_binding = self._next_binding, self._binding
        return float(self._probability[0, 0])

    def reset(self) -> None:
        """Forget what was heard so far."""
        self._samples[:] = 0
        self._states[:] = 0
