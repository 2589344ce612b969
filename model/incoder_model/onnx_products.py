"""Three ways for a graph to multiply activations by matrices of the file: (rows, inputs) goes in, (rows, outputs) comes out.

    in_floats   what the file has in floating point, or in a shape that the others do not take
    in_blocks   int8 by MatMulNBits. Activations are rounded to eight bits too, with a scale for every block of a row
    by_token    int8 by whole-number products, which a processor may have in hardware. A scale for every row of activations

`by_token` is the faster one where the processor has such products, the more so the more tokens there are. Where it has none, x86's
substitute overflows: see `processor.exact_products`. Both round each token by itself, so that what is computed for one does not
depend on which others are read with it. (ONNX Runtime's DynamicQuantizeMatMul has one scale for all of them.)

The matrices of `names` lie below each other. What comes out is a list of terms yet to be added up: whoever adds more to them does
all of it in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from incoder_model.onnx_nodes import MICROSOFT, Graph
from incoder_model.quantise import LARGEST, SCALE

BLOCKS = (256, 128, 64, 32, 16)  # values with a scale in common, as MatMulNBits has them; larger ones are faster
IN_WHOLE_NUMBERS = 4  # MatMulNBits' accuracy_level
ZERO = 128  # the byte that stands for 0

Product = Callable[[Graph, str, str, Sequence[str]], list[str]]  # of x and a bias, "" for none


def by_token(graph: Graph, x: str, bias: str, names: Sequence[str]) -> list[str]:
    if not _in_int8(graph, names):
        return in_floats(graph, x, bias, names)
    matrix = graph.joined([graph.weight(name + ".weight") for name in names])
    matrix = graph.add("Transpose", matrix, perm=[1, 0])
    largest = graph.add("ReduceMax", graph.add("Abs", x), graph.constant([1]), keepdims=1)
    step, zero = graph.constant(np.float32(1 / LARGEST)), graph.constant(np.uint8(ZERO))
    whole = graph.add("QuantizeLinear", graph.add("Div", x, largest), step, zero)
    given = whole, matrix, step, graph.scales(names), zero
    # Of a row of zeros 0 / 0 is rounded; whatever comes of that is multiplied by 0.
    product = graph.add("Mul", graph.add("MatMulIntegerToFloat", *given, domain=MICROSOFT), largest)
    return [product, bias] if bias else [product]


def in_blocks(graph: Graph, x: str, bias: str, names: Sequence[str]) -> list[str]:
    """The operator wants matrices in blocks, each with a scale, and bytes in which 128 stands for 0."""
    outputs, inputs = _shape(graph, names)
    size = block_size(inputs)
    if not size or not _in_int8(graph, names):
        return in_floats(graph, x, bias, names)
    blocks = inputs // size
    stored = []
    for name in names:
        shape = graph.layout[name + ".weight"].shape[0], blocks, size
        stored.append(graph.external(name + ".bytes", name + ".weight", TensorProto.UINT8, shape))
    shifted = graph.add("BitwiseXor", graph.joined(stored), graph.constant(np.uint8(ZERO)))
    scales = graph.add("Reshape", graph.scales(names), graph.constant([outputs, 1]))
    scales = graph.add("Reshape", graph.add("Expand", scales, graph.constant([outputs, blocks])), graph.constant([-1]))
    sizes: dict[str, Any] = {"N": outputs, "K": inputs, "bits": 8, "block_size": size}
    given = x, shifted, scales, "", "", bias
    return [graph.add("MatMulNBits", *given, domain=MICROSOFT, accuracy_level=IN_WHOLE_NUMBERS, **sizes)]


def in_floats(graph: Graph, x: str, bias: str, names: Sequence[str]) -> list[str]:
    matrix = graph.joined([whole_matrix(graph, name) for name in names])
    product = graph.add("MatMul", x, graph.add("Transpose", matrix, perm=[1, 0]))
    return [product, bias] if bias else [product]


def block_size(inputs: int) -> int:
    """The largest block that divides a row of so many weights; 0 if there is none."""
    return next((size for size in BLOCKS if inputs % size == 0), 0)


def whole_matrix(graph: Graph, name: str) -> str:
    """A matrix in float32: as it is stored, or times its scales."""
    matrix = graph.floats(name + ".weight")
    if not _in_int8(graph, [name]):
        return matrix
    return graph.add("Mul", matrix, graph.add("Unsqueeze", graph.floats(name + ".weight" + SCALE), graph.constant([1])))


def _in_int8(graph: Graph, names: Sequence[str]) -> bool:
    return all(graph.layout[name + ".weight"].dtype == "I8" for name in names)


def _shape(graph: Graph, names: Sequence[str]) -> tuple[int, int]:
    places = [graph.layout[name + ".weight"] for name in names]
    return sum(place.shape[0] for place in places), places[0].shape[1]
