"""The network as a graph for ONNX Runtime: a configuration and the places of the weights go in, `model.onnx` comes out.

    tokens   (batch, time) int64     what follows the tokens held
    places   (batch, time) int64     their places in the text, from 0
    last     (batch,) int32          the place of each row's last token
    total    () int32                tokens in the buffers afterwards
    first    (1,) int64              the first of the batch * time rows that scores are wanted for
    keys.N, values.N                 (batch, heads, capacity, head_dim) float32 buffers of layer N, which the run extends in place
    scores   (rows, vocab_size)      float32 logits

The file holds no weights: its initialisers point into `model.safetensors`. Whatever is done to weights alone (transposing,
joining, turning half precision into float32) ONNX Runtime does once, when it loads the graph.

A matrix in int8 is multiplied by MatMulNBits in whole numbers: it rounds activations to eight bits, with a scale for every block
of a row. The faster DynamicQuantizeMatMul has one scale for all tokens that are read together, so that what is computed for
one depends on the others; and its products overflow on x86 processors without VNNI.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto, helper, numpy_helper

from incoder_model.config import ModelConfig
from incoder_model.onnx_evaluator import FINGERPRINT
from incoder_model.quantise import SCALE
from incoder_model.weight_layout import Place, fingerprint

MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators
OPSET, IR = 18, 9  # of ONNX; BitwiseXor is new in 18
POSITION_OFFSET = 2  # as in transformer.py, which needs torch
EPSILON = 1e-5  # of layer norms, as torch has it
BLOCKS = (256, 128, 64, 32, 16)  # values with a scale in common, as MatMulNBits has them; larger ones are faster
IN_WHOLE_NUMBERS = 4  # its accuracy_level
TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "I8": TensorProto.INT8}
END = 2**62  # of a slice that goes to the end


def build_graph(config: ModelConfig, layout: Mapping[str, Place], weights: str) -> bytes:
    """The file's bytes, the same for the same arguments. `weights`: the name of the file that `layout` is of, in the same folder.

    Raises ValueError for tensors that are not those of `config`, and for a shape that ONNX Runtime does not take.
    """
    if config.head_dim % 8:
        raise ValueError(f"heads of {config.head_dim} values are asked for; ONNX Runtime takes a multiple of 8")
    try:
        return _Network(config, layout, weights).build().SerializeToString(deterministic=True)
    except KeyError as error:
        raise ValueError(f"it lacks the weight {error.args[0]}") from None


def block_size(inputs: int) -> int:
    """The largest block that divides a row of so many weights; 0 if there is none."""
    return next((size for size in BLOCKS if inputs % size == 0), 0)


class _Graph:
    """Nodes in the order in which they are made. Each value is known by its name."""

    def __init__(self, layout: Mapping[str, Place], weights: str):
        self.layout = layout
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.initialisers: dict[str, TensorProto] = {}

    def weight(self, name: str) -> str:
        """A tensor of the file as it is stored."""
        place = self.layout[name]
        return self.external(name, name, TYPES[place.dtype], place.shape)

    def external(self, name: str, tensor: str, dtype: int, shape: Sequence[int]) -> str:
        """The bytes of a tensor of the file, to be read in this type and shape."""
        place = self.layout[tensor]
        proto = TensorProto(name=name, data_type=dtype, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self.weights), ("offset", place.offset), ("length", place.length)):
            proto.external_data.append(StringStringEntryProto(key=key, value=str(value)))
        self.initialisers[name] = proto
        return name

    def constant(self, value: np.generic | Sequence[int]) -> str:
        array = np.asarray(value)  # a sequence of int is int64, as ONNX wants its shapes and axes
        name = f"{array.dtype}:{array.tolist()}"
        self.initialisers[name] = numpy_helper.from_array(array, name)
        return name

    def add(self, op: str, *inputs: str, outputs: Sequence[str] = (), domain: str = "", **attributes: Any) -> str:
        """One operation; the name of its first output, which is new if no `outputs` are given."""
        outputs = outputs or [f"{op}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs[0]


class _Network(_Graph):
    """The nodes of transformer.py's modules. Activations are (rows, channels), a row for each token of the batch."""

    def __init__(self, config: ModelConfig, layout: Mapping[str, Place], weights: str):
        super().__init__(layout, weights)
        self.config = config

    def build(self) -> ModelProto:
        c = self.config
        self.by_token = self.add("Concat", self.add("Shape", "tokens"), self.constant([3 * c.d_model]), axis=0)
        x, added = self.embed(), ""
        for layer in range(c.layers):
            name = f"layers.{layer}."
            normal, x = self.layer_norm(name + "self_attn_layer_norm", x, added)
            mixed = self.attention(normal, layer)
            if layer == c.layers - 1:  # from here on no token looks at another one
                x, mixed = (self.add("Slice", y, "first", self.constant([END]), self.constant([0])) for y in (x, mixed))
            added = self.linear(mixed, name + "self_attn.out_proj")
            normal, x = self.layer_norm(name + "final_layer_norm", x, added)
            inner = self.add("Gelu", self.linear(normal, name + "fc1"), domain=MICROSOFT)  # in its exact, erf form
            added = self.linear(inner, name + "fc2")
        normal, _ = self.layer_norm("layer_norm", x, added)
        self.add("Identity", self.product(normal, "", "embed_tokens"), outputs=["scores"])
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
        return self.add("Add", self.add("Mul", found, factor), places)

    def positions(self) -> str:
        """(context, d_model): see `transformer.position_table`. The file has half a row of it; the loader makes the rest."""
        half = self.config.d_model // 2
        frequencies = np.exp(np.arange(half, dtype=np.float32) * np.float32(-math.log(10000.0) / (half - 1)))
        bounds = (POSITION_OFFSET, POSITION_OFFSET + self.config.context, 1)
        places = self.add("Range", *(self.constant(np.int64(bound)) for bound in bounds))
        places = self.add("Unsqueeze", self.add("Cast", places, to=TensorProto.FLOAT), self.constant([1]))
        angles = self.add("Mul", places, self.array("frequencies", frequencies))
        return self.add("Concat", self.add("Sin", angles), self.add("Cos", angles), axis=1)

    def layer_norm(self, name: str, x: str, added: str) -> tuple[str, str]:
        """The layer norm of x + added, and that sum."""
        scale_and_shift = self.floats(name + ".weight"), self.floats(name + ".bias")
        if not added:
            return self.add("LayerNormalization", x, *scale_and_shift, axis=-1, epsilon=EPSILON), x
        outputs = [f"{name}:normal", "", "", f"{name}:sum"]
        self.add(
            "SkipLayerNormalization", x, added, *scale_and_shift, outputs=outputs, domain=MICROSOFT, epsilon=EPSILON
        )
        return outputs[0], outputs[3]

    def attention(self, x: str, layer: int) -> str:
        """Queries, keys and values by one product, then causal attention over all that is held."""
        c = self.config
        names = [f"layers.{layer}.self_attn.{part}_proj" for part in "qkv"]
        mixed = self.add("Reshape", self.linear(x, *names), self.by_token)  # (batch, time, 3 * d_model)
        held = f"keys.{layer}", f"values.{layer}"
        outputs = [f"attention.{layer}", *(name + ":new" for name in held)]
        heads = {"num_heads": c.heads, "kv_num_heads": c.heads}
        inputs = mixed, "", "", *held, "last", "total"
        mixed = self.add("GroupQueryAttention", *inputs, outputs=outputs, domain=MICROSOFT, **heads)
        return self.add("Reshape", mixed, self.constant([-1, c.d_model]))

    def linear(self, x: str, *names: str) -> str:
        """x through the linear layers of `names`, their outputs side by side."""
        bias = self.joined([self.floats(name + ".bias") for name in names])
        return self.product(x, bias, *names)

    def product(self, x: str, bias: str, *names: str) -> str:
        places = [self.layout[name + ".weight"] for name in names]
        outputs, inputs = sum(place.shape[0] for place in places), places[0].shape[1]
        if block_size(inputs) and all(place.dtype == "I8" for place in places):
            return self.integer_product(x, bias, names, outputs, inputs)
        matrix = self.joined([self.whole(name) for name in names])
        product = self.add("MatMul", x, self.add("Transpose", matrix, perm=[1, 0]))
        return self.add("Add", product, bias) if bias else product

    def integer_product(self, x: str, bias: str, names: Sequence[str], outputs: int, inputs: int) -> str:
        """The operator wants matrices in blocks, each with a scale, and bytes in which 128 stands for 0."""
        size = block_size(inputs)
        blocks = inputs // size
        stored = []
        for name in names:
            shape = self.layout[name + ".weight"].shape[0], blocks, size
            stored.append(self.external(name + ".bytes", name + ".weight", TensorProto.UINT8, shape))
        shifted = self.add("BitwiseXor", self.joined(stored), self.constant(np.uint8(128)))
        scales = self.joined([self.floats(name + ".weight" + SCALE) for name in names])
        scales = self.add("Reshape", scales, self.constant([outputs, 1]))
        scales = self.add("Reshape", self.add("Expand", scales, self.constant([outputs, blocks])), self.constant([-1]))
        sizes: dict[str, Any] = {"N": outputs, "K": inputs, "bits": 8, "block_size": size}
        given = x, shifted, scales, "", "", bias
        return self.add("MatMulNBits", *given, domain=MICROSOFT, accuracy_level=IN_WHOLE_NUMBERS, **sizes)

    # --- weights ---------------------------------------------------------------------------------------------

    def floats(self, name: str) -> str:
        """A tensor of the file in float32."""
        stored = self.weight(name)
        return stored if self.layout[name].dtype == "F32" else self.add("Cast", stored, to=TensorProto.FLOAT)

    def joined(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def whole(self, name: str) -> str:
        """A matrix in float32: as it is stored, or times its scales."""
        matrix = self.floats(name + ".weight")
        if self.layout[name + ".weight"].dtype != "I8":
            return matrix
        return self.add("Mul", matrix, self.add("Unsqueeze", self.floats(name + ".weight" + SCALE), self.constant([1])))

    def array(self, name: str, value: np.ndarray) -> str:
        self.initialisers[name] = numpy_helper.from_array(value, name)
        return name

    # --- the file --------------------------------------------------------------------------------------------

    def model(self) -> ModelProto:
        c = self.config
        f32, i64, i32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32
        given = [("tokens", i64, ["batch", "time"]), ("places", i64, ["batch", "time"]), ("last", i32, ["batch"])]
        inputs = [_value(*each) for each in [*given, ("total", i32, []), ("first", i64, [1])]]
        buffers = [f"{kind}.{layer}" for layer in range(c.layers) for kind in ("keys", "values")]
        shape = ["batch", c.heads, "capacity", c.head_dim]
        inputs += [_value(name, f32, shape) for name in buffers]
        outputs = [_value("scores", f32, ["rows", c.vocab_size])]
        outputs += [_value(name + ":new", f32, shape) for name in buffers]
        graph = helper.make_graph(self.nodes, "incoder", inputs, outputs, list(self.initialisers.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="incoder")
        helper.set_model_props(model, {FINGERPRINT: fingerprint(c, self.layout)})
        return model


def _value(name: str, dtype: int, shape: Sequence[int | str]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)
