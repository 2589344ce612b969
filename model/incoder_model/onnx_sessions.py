"""A network's graph, opened in ONNX Runtime: for one thread, for all that the network is worth, or for both.

A step with little work runs on one thread: more would wait for each other longer than they compute. So does everything while
others keep the processor busy: two threads of which one has to wait for a core are slower than one. A long prompt on an idle
machine, and a single token of a large model, get all threads.

Each way has a copy of the weights, in the order in which its products read them. So a graph is opened in the way that suits a
single token; in the other one it is opened when that is first wanted, in the background, and until then the first stands in.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from threading import Thread

import onnxruntime

from incoder_model.config import ModelConfig
from incoder_model.processor import busy, cores, quiet_options

FINGERPRINT = "incoder.fingerprint"  # in the graph's metadata: of the weights that it was built for
WORK_PER_THREAD = 20_000_000  # weights times tokens; less is not worth a thread
THREADS = 4  # at most, for a network that is too small to share a single token's work among more
WHOLE_ATTENTION = "ORT_GQA_DISABLE_FLASH_ATTENTION"  # of ONNX Runtime, which looks at it when it loads a graph


class Sessions:
    def __init__(self, graph: Path, config: ModelConfig, fingerprint: str, threads: int | None = None):
        """`threads`: at most so many; by default what the network is worth of the cores that this process may use.

        Raises ValueError for a file that is no graph, or one that was built for other weights.
        """
        onnxruntime.disable_telemetry_events()
        self._graph, self._config = graph, config
        self._threads = threads or min(cores(), max(THREADS, config.parameters // WORK_PER_THREAD))
        usual = self._useful(1)
        self.usual = _open(graph, usual)
        if self.usual.get_modelmeta().custom_metadata_map.get(FINGERPRINT) != fingerprint:
            raise ValueError("it was built for other weights")
        self._opened = {usual: self.usual}  # by threads
        self.opening: dict[int, Thread] = {}

    def suited(self, tokens: int) -> onnxruntime.InferenceSession:
        """The one for so many tokens, with what else the processor has to do right now."""
        threads = self._useful(tokens)
        if threads > 1 and busy(threads):
            threads = 1
        if threads not in self._opened and threads not in self.opening:
            # No daemon: a process that ended while ONNX Runtime starts threads would be aborted. It waits for what is left of that.
            self.opening[threads] = Thread(target=self._open, args=(threads,), name="opening")
            self.opening[threads].start()
        return self._opened.get(threads, self.usual)

    def _useful(self, tokens: int) -> int:
        """How many threads so many tokens are enough work for: one or all."""
        return self._threads if tokens * self._config.parameters >= 2 * WORK_PER_THREAD else 1

    def _open(self, threads: int) -> None:
        with suppress(ValueError):  # for want of memory; what stands in goes on standing in
            self._opened[threads] = _open(self._graph, threads)


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
    finally:
        _give_back_memory()  # of the weights as they lay in the file


def _give_back_memory() -> None:
    """What was freed goes back to the system, where the C library can do that (glibc); else it stays for the next to ask."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
