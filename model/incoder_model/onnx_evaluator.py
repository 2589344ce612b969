"""Runs a network's graph in ONNX Runtime for the engine. See `onnx_graph` for what goes in and out of it.

Keys and values lie in buffers that the graph extends in place: a step copies none of them, and to forget tokens is to say that
there are fewer.

A step with little work runs on one thread: more would wait for each other longer than they compute. So does everything while
others keep the processor busy: two threads of which one has to wait for a core are slower than one. A long prompt on an idle
machine, and a single token of a large model, get as many threads as the network is worth, by a second session over the same file
and the same buffers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from copy import copy
from mmap import mmap
from pathlib import Path

import numpy as np
import onnxruntime

from incoder_model.config import ModelConfig
from incoder_model.processor import busy, cores, quiet_options

FINGERPRINT = "incoder.fingerprint"  # in the graph's metadata: of the weights that it was built for
WORK_PER_THREAD = 20_000_000  # weights times tokens; less is not worth a thread
THREADS = 4  # at most, for a network that is too small to share a single token's work among more
WHOLE_ATTENTION = "ORT_GQA_DISABLE_FLASH_ATTENTION"  # of ONNX Runtime, which looks at it when it loads a graph


class OnnxEvaluator:
    """See `engine.Evaluator`."""

    def __init__(self, graph: Path, config: ModelConfig, fingerprint: str, threads: int | None = None):
        """`threads`: at most so many; by default what the network is worth of the cores that this process may use.

        Raises ValueError for a file that is no graph, or one that was built for other weights.
        """
        onnxruntime.disable_telemetry_events()
        self._threads = threads or min(cores(), max(THREADS, config.parameters // WORK_PER_THREAD))
        self._config = config
        narrow = _open(graph, 1)
        if narrow.get_modelmeta().custom_metadata_map.get(FINGERPRINT) != fingerprint:
            raise ValueError("it was built for other weights")
        wide = _open(graph, self._threads) if self._useful(config.context) > 1 else narrow
        self._begin(narrow, wide)

    def _begin(self, narrow: onnxruntime.InferenceSession, wide: onnxruntime.InferenceSession) -> None:
        self.context = self._config.context
        self._length = 0
        self._held = Buffers(self._config, _number(narrow), rows=1, room=self.context)
        self._narrow, self._wide = (Bound(session, self._config, self._held) for session in (narrow, wide))

    @property
    def number_bytes(self) -> int:
        """Of a number of a key or a value."""
        return self._held.number.itemsize

    def another(self) -> OnnxEvaluator:
        """Another sequence through the same network: its weights are there once."""
        other = copy(self)
        other._begin(self._narrow.session, self._wide.session)
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
        return Branches(Bound(self._narrow.session, self._config, held), self._length)

    def _run(self, tokens: Sequence[int], first: int) -> np.ndarray:
        bound = self._narrow if self._useful(len(tokens)) == 1 or busy(self._threads) else self._wide
        scores = bound.evaluate(np.array([tokens]), self._length, first)
        self._length += len(tokens)
        return scores

    def _useful(self, tokens: int) -> int:
        """How many threads so many tokens are enough work for."""
        return max(1, min(self._threads, tokens * self._config.parameters // WORK_PER_THREAD))


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


def _open(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    # Its attention in tiles spares memory that chunks of a prompt do not take, and is the slower one for them and for a token.
    os.environ.setdefault(WHOLE_ATTENTION, "1")
    options = quiet_options(threads)
    # Threads look for work as long as a run lasts: to wake them up takes longer than most of it. Afterwards they sleep, and cost
    # the user's machine nothing.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        reason = str(error).splitlines()[0]
        raise ValueError(f"ONNX Runtime cannot load it ({reason})") from None
