"""A graph for ONNX Runtime in the making: nodes, constants, and weights that stay in the file they lie in.

The places of the weights go in, nodes and initialisers come out. A value is known by its name. Whatever is done to weights alone
(transposing, joining, turning half precision into float32) ONNX Runtime does once, when it loads the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import NodeProto, StringStringEntryProto, TensorProto, helper, numpy_helper

from incoder_model.quantise import SCALE
from incoder_model.weight_layout import Place

MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators
TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "I8": TensorProto.INT8}


class Graph:
    """Nodes in the order in which they are made. `weights` is the name of the file that `layout` is of."""

    def __init__(self, layout: Mapping[str, Place], weights: str):
        self.layout = layout
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self._made = 0  # nodes, those of branches among them
        self.initialisers: dict[str, TensorProto] = {}

    def add(self, op: str, *inputs: str, outputs: Sequence[str] = (), domain: str = "", **attributes: Any) -> str:
        """One operation; the name of its first output, which is new if no `outputs` are given."""
        outputs = outputs or [f"{op}_{self._made}"]
        self._made += 1
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    @contextmanager
    def branch(self) -> Iterator[list[NodeProto]]:
        """What is added meanwhile is not added to the graph, but to the list."""
        outer, self.nodes = self.nodes, []
        try:
            yield self.nodes
        finally:
            self.nodes = outer

    def sum(self, *terms: str) -> str:
        """Not by Add: in front of a norm or a GELU, ONNX Runtime makes one operation of that and them which is slower than both."""
        return terms[0] if len(terms) == 1 else self.add("Sum", *terms)

    def joined(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def constant(self, value: np.generic | Sequence[int]) -> str:
        array = np.asarray(value)  # a sequence of int is int64, as ONNX wants its shapes and axes
        return self.array(f"{array.dtype}:{array.tolist()}", array)

    def array(self, name: str, value: np.ndarray) -> str:
        self.initialisers[name] = numpy_helper.from_array(value, name)
        return name

    # --- weights ---------------------------------------------------------------------------------------------

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

    def floats(self, name: str) -> str:
        """A tensor of the file in float32."""
        stored = self.weight(name)
        return stored if self.layout[name].dtype == "F32" else self.add("Cast", stored, to=TensorProto.FLOAT)

    def scales(self, names: Sequence[str]) -> str:
        """Of the rows of these int8 matrices, one below the other."""
        return self.joined([self.floats(name + ".weight" + SCALE) for name in names])
