"""The network as a graph for ONNX Runtime: a configuration and the places of the weights go in, `model.onnx` comes out.

    tokens   (batch, time) int64     what follows the tokens held
    places   (batch, time) int64     their places in the text, from 0
    last     (batch,) int32          the place of each row's last token
    total    () int32                tokens in the buffers afterwards
    first    (1,) int64              the first of the batch * time rows that scores are wanted for
    keys.N, values.N                 (batch, heads, capacity, head_dim) buffers of layer N, which the run extends in place:
                                     float32, or int8 where `onnx_attention` has it so
    scores   (rows, vocab_size)      float32 logits

The file holds no weights: its initialisers point into `model.safetensors`. Int8 weights can be multiplied in two ways, see
`onnx_products`, and keys and values kept in two, see `onnx_attention`; that makes two files, one for all processors and one for
newer ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, helper

from incoder_model.config import ModelConfig
from incoder_model.onnx_attention import Attention, InFloats, InInt8
from incoder_model.onnx_nodes import MICROSOFT, Graph
from incoder_model.onnx_products import Product, by_token, in_blocks
from incoder_model.onnx_sessions import FINGERPRINT
from incoder_model.quantise import SCALE
from incoder_model.weight_layout import Place, fingerprint

OPSET, IR = 18, 9  # of ONNX; BitwiseXor is new in 18
OPSET_NEWER, IR_NEWER = 24, 10  # TensorScatter is new in 24
POSITION_OFFSET = 2  # as in transformer.py, which needs torch
EPSILON = 1e-5  # of layer norms, as torch has it
END = 2**62  # of a slice that goes to the end
WIDE = 512  # channels; narrower networks lose by `by_token`'s many operations in an answer what they gain in a prompt


def build_graph(config: ModelConfig, layout: Mapping[str, Place], weights: str, *, newer: bool = False) -> bytes:
    """The file's bytes, the same for the same arguments. `weights`: the name of the file that `layout` is of, in the same folder.

    newer: for what `processor.runs_newer_graph` says; elsewhere such a graph computes something else, or nothing.
    Raises ValueError for tensors that are not those of `config`, and for a shape that ONNX Runtime does not take.
    """
    if config.head_dim % 8:
        raise ValueError(f"heads of {config.head_dim} values are asked for; ONNX Runtime takes a multiple of 8")
    try:
        return _Network(config, layout, weights, newer).build().SerializeToString(deterministic=True)
    except KeyError as error:
        raise ValueError(f"it lacks the weight {error.args[0]}") from None


def gains(config: ModelConfig, layout: Mapping[str, Place]) -> bool:
    """Whether newer processors run this network faster by the graph for them."""
    return config.d_model >= WIDE and any(place.dtype == "I8" for place in layout.values())


class _Network(Graph):
    """The nodes of transformer.py's modules. Activations are (rows, channels), a row for each token of the batch."""

    def __init__(self, config: ModelConfig, layout: Mapping[str, Place], weights: str, newer: bool):
        super().__init__(layout, weights)
        self.config = config
        self.product: Product = by_token if newer else in_blocks
        self.memory: Attention = InInt8(self, config) if newer else InFloats(self, config)
        self.opset, self.ir = (OPSET_NEWER, IR_NEWER) if newer else (OPSET, IR)

    def build(self) -> ModelProto:
        c = self.config
        self.by_row = self.add("Concat", self.add("Shape", "tokens"), self.constant([3 * c.d_model]), axis=0)
        x = self.embed()
        for layer in range(c.layers):
            name = f"layers.{layer}."
            mixed = self.attention(self.layer_norm(name + "self_attn_layer_norm", x), layer)
            if layer == c.layers - 1:  # from here on no token looks at another one
                x, mixed = (self.add("Slice", y, "first", self.constant([END]), self.constant([0])) for y in (x, mixed))
            x = self.sum(x, *self.linear(mixed, name + "self_attn.out_proj"))
            inner = self.sum(*self.linear(self.layer_norm(name + "final_layer_norm", x), name + "fc1"))
            inner = self.add("Gelu", inner, domain=MICROSOFT)  # in its exact, erf form
            x = self.sum(x, *self.linear(inner, name + "fc2"))
        # The head is for a single token, or a few: blocks round less there, and cost no more.
        scores = in_blocks(self, self.layer_norm("layer_norm", x), "", ["embed_tokens"])
        self.add("Identity", self.sum(*scores), outputs=["scores"])
        return self.model()

    # --- the network's parts ---------------------------------------------------------------------------------

    def embed(self) -> str:
        c = self.config
        rows = self.add("Reshape", "tokens", self.constant([-1]))
        found = self.add("Cast", self.add("Gather", self.weight("embed_tokens.weight"), rows), to=TensorProto.FLOAT)
        factor = self.constant(np.float32(math.sqrt(c.d_model)))
        if self.layout["embed_tokens.weight"].dtype == "I8":
            scales = self.add("Mul", self.floats("embed_tokens.weight" + SCALE), factor)
            factor = self.add("Unsqueeze", self.add("Gather", scales, rows), self.constant([1]))
        places = self.add("Gather", self.positions(), self.add("Reshape", "places", self.constant([-1])))
        return self.sum(self.add("Mul", found, factor), places)

    def positions(self) -> str:
        """(context, d_model): see `transformer.position_table`. The file has half a row of it; the loader makes the rest."""
        half = self.config.d_model // 2
        frequencies = np.exp(np.arange(half, dtype=np.float32) * np.float32(-math.log(10000.0) / (half - 1)))
        bounds = (POSITION_OFFSET, POSITION_OFFSET + self.config.context, 1)
        places = self.add("Range", *(self.constant(np.int64(bound)) for bound in bounds))
        places = self.add("Unsqueeze", self.add("Cast", places, to=TensorProto.FLOAT), self.constant([1]))
        angles = self.add("Mul", places, self.array("frequencies", frequencies))
        return self.add("Concat", self.add("Sin", angles), self.add("Cos", angles), axis=1)

    def layer_norm(self, name: str, x: str) -> str:
        scale_and_shift = self.floats(name + ".weight"), self.floats(name + ".bias")
        return self.add("LayerNormalization", x, *scale_and_shift, axis=-1, epsilon=EPSILON)

    def attention(self, x: str, layer: int) -> str:
        """Queries, keys and values by one product, then causal attention over all that is held."""
        c = self.config
        names = [f"layers.{layer}.self_attn.{part}_proj" for part in "qkv"]
        mixed = self.add("Reshape", self.sum(*self.linear(x, *names)), self.by_row)  # (batch, time, 3 * d_model)
        return self.add("Reshape", self.memory.attend(mixed, layer), self.constant([-1, c.d_model]))

    def linear(self, x: str, *names: str) -> list[str]:
        """x through the linear layers of `names`, their outputs side by side: terms yet to be added up."""
        bias = self.joined([self.floats(name + ".bias") for name in names])
        return self.product(self, x, bias, names)

    # --- the file --------------------------------------------------------------------------------------------

    def model(self) -> ModelProto:
        c = self.config
        f32, i64, i32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32
        given = [("tokens", i64, ["batch", "time"]), ("places", i64, ["batch", "time"]), ("last", i32, ["batch"])]
        inputs = [helper.make_tensor_value_info(*each) for each in [*given, ("total", i32, []), ("first", i64, [1])]]
        buffers = [f"{kind}.{layer}" for layer in range(c.layers) for kind in ("keys", "values")]
        shape = ["batch", c.heads, "capacity", c.head_dim]
        inputs += [helper.make_tensor_value_info(name, self.memory.buffer_type, shape) for name in buffers]
        outputs = [helper.make_tensor_value_info("scores", f32, ["rows", c.vocab_size])]
        outputs += [helper.make_tensor_value_info(name + ":new", self.memory.buffer_type, shape) for name in buffers]
        graph = helper.make_graph(self.nodes, "incoder", inputs, outputs, list(self.initialisers.values()))
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.ir, producer_name="incoder")
        helper.set_model_props(model, {FINGERPRINT: fingerprint(c, self.layout)})
        return model
