"""Runs a network's graph in ONNX Runtime for the engine. See `onnx_graph` for what goes in and out of it.

Keys and values lie in buffers that the graph extends in place: a step copies none of them, and to forget tokens is to say that
there are fewer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from mmap import mmap
from pathlib import Path

import numpy as np
import onnxruntime

from incoder_model.config import ModelConfig
from incoder_model.onnx_sessions import Sessions


class OnnxEvaluator:
    """See `engine.Evaluator`."""

    def __init__(self, graph: Path, config: ModelConfig, fingerprint: str, threads: int | None = None):
        """Raises what `Sessions` raises."""
        self._config = config
        self._sessions = Sessions(graph, config, fingerprint, threads)
        self._begin()

    def _begin(self) -> None:
        self.context = self._config.context
        self._length = 0
        self._held = Buffers(self._config, _number(self._sessions.usual), rows=1, room=self.context)
        self._bound: dict[onnxruntime.InferenceSession, Bound] = {}

    @property
    def number_bytes(self) -> int:
        """Of a number of a key or a value."""
        return self._held.number.itemsize

    def another(self) -> OnnxEvaluator:
        """Another sequence through the same network: its weights are there once."""
        other = copy(self)
        other._begin()
        return other

    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        return self._run(tokens, len(tokens) - 1)[0]

    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        return self._run(tokens, 0)

    def truncate(self, length: int) -> None:
        self._length = length

    def branch(self, rows: int, room: int) -> Branches:
        """`rows` copies of what is held, each of which goes on by itself, for `room` tokens at most."""
        room = min(room, self.context - self._length)
        held = self._held.copied(rows, self._length, room)
        return Branches(Bound(self._sessions.suited(rows), self._config, held), self._length)

    def _run(self, tokens: Sequence[int], first: int) -> np.ndarray:
        session = self._sessions.suited(len(tokens))
        if session not in self._bound:
            self._bound[session] = Bound(session, self._config, self._held)
        scores = self._bound[session].evaluate(np.array([tokens]), self._length, first)
        self._length += len(tokens)
        return scores


class Branches:
    """Several texts with one beginning, a token of each at a time. Made by `OnnxEvaluator.branch`."""

    def __init__(self, bound: Bound, length: int):
        self._bound, self._length = bound, length

    def step(self, tokens: Sequence[int]) -> np.ndarray:
        """One more token for each text, (rows,); the scores after it, (rows, vocab_size) float32 logits."""
        scores = self._bound.evaluate(np.array(tokens)[:, None], self._length, 0)
        self._length += 1
        return scores


class Buffers:
    """Keys and values of each layer: (rows, heads, room, head_dim) numbers, by the names that they have in the graph."""

    def __init__(self, config: ModelConfig, number: np.dtype, rows: int, room: int):
        shape = (rows, config.heads, room, config.head_dim)
        names = [f"{kind}.{layer}" for layer in range(config.layers) for kind in ("keys", "values")]
        self._config, self.number = config, number
        self.arrays: Mapping[str, np.ndarray] = {name: _zeros(shape, number) for name in names}

    def copied(self, rows: int, length: int, room: int) -> Buffers:
        """The first `length` tokens of the only row in `rows` rows, with room for `room` more."""
        copies = Buffers(self._config, self.number, rows, length + room)
        for name, array in self.arrays.items():
            copies.arrays[name][:, :, :length] = array[:, :, :length]
        return copies


def _zeros(shape: tuple[int, ...], number: np.dtype) -> np.ndarray:
    """In memory that is the system's again as soon as nobody needs it: what malloc frees in such sizes it mostly keeps."""
    return np.frombuffer(mmap(-1, number.itemsize * math.prod(shape)), number).reshape(shape)


def _number(session: onnxruntime.InferenceSession) -> np.dtype:
    """What a graph keeps of a key or a value."""
    kind = next(given.type for given in session.get_inputs() if given.name == "keys.0")
    return np.dtype(np.int8 if kind == "tensor(int8)" else np.float32)


class Bound:
    """A session that reads and writes these buffers themselves."""

    def __init__(self, session: onnxruntime.InferenceSession, config: ModelConfig, held: Buffers):
        self.session = session
        self._vocab_size = config.vocab_size
        self._held = held  # the binding has their addresses only
        self._binding = session.io_binding()
        for name, array in held.arrays.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
            self._binding.bind_ortvalue_input(name, value)
            self._binding.bind_ortvalue_output(name + ":new", value)

    def evaluate(self, tokens: np.ndarray, length: int, first: int) -> np.ndarray:
        """Append (rows, time) tokens to the `length` that each row holds; the scores of them all, row by row, from `first` on."""
        rows, time = tokens.shape
        end = length + time
        places = np.broadcast_to(np.arange(length, end), tokens.shape)
        given = {
            "tokens": tokens.astype(np.int64),
            "places": np.ascontiguousarray(places, np.int64),
            "last": np.full(rows, end - 1, np.int32),
            "total": np.array(end, np.int32),
            "first": np.array([first], np.int64),
        }
        for name, array in given.items():
            self._binding.bind_cpu_input(name, array)
        scores = np.empty((rows * time - first, self._vocab_size), np.float32)
        self._binding.bind_output("scores", "cpu", 0, np.float32, scores.shape, scores.ctypes.data)
        self.session.run_with_iobinding(self._binding)
        return scores
