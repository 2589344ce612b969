"""Two ways for a graph to attend: queries, keys and values of new tokens go in, (batch, time, 3 * d_model); what they find in all
tokens so far comes out, (batch, time, d_model). The buffers of keys and values are extended in place.

    InFloats   the buffers hold float32
    InInt8     they hold bytes, with a scale for every channel: a quarter of the memory, which a token of a long text waits for

Nobody sees more of a key or a value than its bytes, not even the tokens that are read together with it: so what is computed for
one token does not depend on which others are. ONNX Runtime's program for bytes is the faster one for a few tokens and by far the
slower one for many; these are given the bytes as floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from onnx import TensorProto, helper

from incoder_model.config import ModelConfig
from incoder_model.onnx_nodes import MICROSOFT, Graph
from incoder_model.onnx_products import whole_matrix
from incoder_model.quantise import LARGEST

FEW = 16  # tokens
# A channel of a key or a value is the product of a row of weights and of what comes out of a layer norm. The largest byte stands
# for so many times the size that such products have as a rule. In the bundled model the largest are 8.6 and 6.1 times as large.
RANGE = {"k": 9.0, "v": 7.0}
LEAST_SCALE = 1e-30  # of a channel whose weights are all 0


class Attention(Protocol):
    buffer_type: int  # of TensorProto

    def attend(self, mixed: str, layer: int) -> str: ...


class InFloats:
    buffer_type: int = TensorProto.FLOAT

    def __init__(self, graph: Graph, config: ModelConfig):
        self._graph, self._config = graph, config

    def attend(self, mixed: str, layer: int) -> str:
        keys, values = f"keys.{layer}", f"values.{layer}"
        outputs = f"attention.{layer}", f"{keys}:new", f"{values}:new"
        return _attention(self._graph, self._config, [mixed, "", "", keys, values], outputs)


class InInt8:
    buffer_type: int = TensorProto.INT8

    def __init__(self, graph: Graph, config: ModelConfig):
        self._graph, self._config = graph, config
        batch, time = (graph.add("Shape", "tokens", start=axis, end=axis + 1) for axis in (0, 1))
        total = graph.add("Cast", graph.add("Unsqueeze", "total", graph.constant([0])), to=TensorProto.INT64)
        self._held = graph.add("Sub", total, time)  # (1,): how many tokens were there before
        self._first = graph.add("Expand", self._held, batch)  # (batch,): the place of each row's first new one
        self._many = graph.add("Squeeze", graph.add("Greater", time, graph.constant([FEW])))

    def attend(self, mixed: str, layer: int) -> str:
        graph, scales = self._graph, [self._scales(layer, part) for part in "kv"]
        branches = {}
        for name, say in (("then_branch", self._for_many), ("else_branch", self._for_few)):
            with graph.branch() as nodes:
                found = say(mixed, layer, scales)
            types = TensorProto.FLOAT, self.buffer_type, self.buffer_type
            infos = [helper.make_tensor_value_info(*each, None) for each in zip(found, types, strict=True)]
            branches[name] = helper.make_graph(nodes, f"{name}.{layer}", [], infos)
        outputs = [f"attention.{layer}", f"keys.{layer}:new", f"values.{layer}:new"]
        return graph.add("If", self._many, outputs=outputs, **branches)

    def _for_few(self, mixed: str, layer: int, scales: Sequence[str]) -> list[str]:
        graph, c = self._graph, self._config
        by_head = graph.constant([c.heads, 1, c.head_dim])
        inputs = [mixed, "", "", f"keys.{layer}", f"values.{layer}"]
        found = [f"{name}.{layer}:few" for name in ("attention", "keys", "values")]
        by_channel = {f"{part}_quant_type": "PER_CHANNEL" for part in "kv"}
        given = [graph.add("Reshape", scale, by_head) for scale in scales]
        _attention(graph, c, inputs, found, given, kv_cache_bit_width=8, **by_channel)
        return found

    def _for_many(self, mixed: str, layer: int, scales: Sequence[str]) -> list[str]:
        """Keys and values count in steps of their scales here; queries make up for the former, what is found for the latter."""
        graph, c = self._graph, self._config
        parts = [f"{part}.{layer}:mixed" for part in "qkv"]
        graph.add("Split", mixed, outputs=parts, axis=2, num_outputs=3)
        step, zero = graph.constant(np.float32(1)), graph.constant(np.int8(0))
        new, held, extended = [], [], []
        for part, scale, name in zip(parts[1:], scales, ("keys", "values"), strict=True):
            # Divided before and not by QuantizeLinear itself, which takes one number at a time where the last axis has scales.
            whole = graph.add("QuantizeLinear", graph.add("Div", part, scale), step, zero)
            new.append(graph.add("Cast", whole, to=TensorProto.FLOAT))
            rows = graph.add("Reshape", whole, graph.constant([0, 0, c.heads, c.head_dim]))
            rows = graph.add("Transpose", rows, perm=[0, 2, 1, 3])  # (batch, heads, time, head_dim)
            buffer = f"{name}.{layer}"
            before = graph.add("Slice", buffer, graph.constant([0]), self._held, graph.constant([2]))
            held.append(graph.add("Cast", before, to=TensorProto.FLOAT))
            extended.append(graph.add("TensorScatter", buffer, rows, self._first, axis=2))
        queries = graph.add("Mul", parts[0], scales[0])
        outputs = [f"{name}.{layer}:many" for name in ("attention", "all-keys", "all-values")]
        found = _attention(graph, c, [queries, *new, *held], outputs)
        return [graph.add("Mul", found, scales[1]), *extended]

    def _scales(self, layer: int, part: str) -> str:
        """(d_model,): of the channels of keys or values, by their weights alone."""
        graph, norm = self._graph, f"layers.{layer}.self_attn_layer_norm"
        name = f"layers.{layer}.self_attn.{part}_proj"
        matrix = whole_matrix(graph, name)  # (d_model, d_model), a row for each channel
        spread = graph.add("Mul", matrix, graph.floats(norm + ".weight"))
        spread = graph.add("ReduceL2", spread, graph.constant([1]), keepdims=0)
        middle = graph.add("MatMul", matrix, graph.floats(norm + ".bias"))
        middle = graph.add("Abs", graph.add("Add", middle, graph.floats(name + ".bias")))
        reach = graph.add("Add", graph.add("Mul", spread, graph.constant(np.float32(RANGE[part]))), middle)
        scale = graph.add("Mul", reach, graph.constant(np.float32(1 / LARGEST)))
        return graph.add("Max", scale, graph.constant(np.float32(LEAST_SCALE)))


def _attention(
    graph: Graph,
    c: ModelConfig,
    inputs: Sequence[str],
    outputs: Sequence[str],
    scales: Sequence[str] = (),
    **kind: int | str,
) -> str:
    """Causal. `inputs`: queries, keys, values, and the keys and values before them."""
    given = [*inputs, "last", "total", *([""] * 5 if scales else []), *scales]
    heads = {"num_heads": c.heads, "kv_num_heads": c.heads}
    return graph.add("GroupQueryAttention", *given, outputs=outputs, domain=MICROSOFT, **heads, **kind)
