"""What this computer's processor has for a model: cores, how many of them others use right now, and its whole-number products."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

KEEPS_BYTES = (1, 27)  # the first ONNX Runtime whose attention reads keys and values in int8 on a CPU
LOAD = Path("/proc/loadavg")  # Linux; its fourth word is the number of threads that run or could, of all that there are
# A graph as `onnx_products` makes them: (rows, 64) bytes, 255 at most, times (64, 16) int8 of 127, which is (rows, 16) float32.
PROBE = (
    b'\x08\t:\xc1\x01\n,\n\x01s\x12\x01b"\x0fConstantOfShape*\x13\n\x05value*\x07\x08\x01\x10\x03J\x01\x7f\xa0\x01\x04'
    b'\n8\n\x01a\n\x01b\n\x03one\n\x03one\x12\x01y"\x14MatMulIntegerToFloat:\rcom.microsoft\x12\x01g'
    b"*\x19\x08\x02\x10\x07B\x01sJ\x10@\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0*\r\x10\x01B\x03oneJ\x04\0\0\x80?"
    b"Z\x14\n\x01a\x12\x0f\n\r\x08\x02\x12\t\n\x03\x12\x01r\n\x02\x08@"
    b"b\x14\n\x01y\x12\x0f\n\r\x08\x01\x12\t\n\x03\x12\x01r\n\x02\x08\x10"
    b"B\x04\n\0\x10\x12B\x11\n\rcom.microsoft\x10\x01"
)
PROBED = (1, 20)  # rows: one and many are multiplied by different programs


def runs_newer_graph() -> bool:
    """Whether ONNX Runtime can run a graph made with `newer`, see `onnx_graph`, and runs it rightly."""
    return _version(onnxruntime.__version__) >= KEEPS_BYTES and exact_products()


@cache
def exact_products() -> bool:
    """Whether ONNX Runtime's products of eight-bit numbers are right here. On x86 they are where the processor has instructions
    for them (VNNI, AMX); their substitute adds pairs of products in 16 bits, which is too few. On ARM they always are.

    Found out by trying: that holds for every operating system, and for what ONNX Runtime really uses.
    """
    try:
        session = onnxruntime.InferenceSession(PROBE, quiet_options(1), providers=["CPUExecutionProvider"])
        found = [session.run(None, {"a": np.full((rows, 64), 255, np.uint8)})[0] for rows in PROBED]
    except Exception:  # its exceptions have no base class of their own
        return False
    return all(bool((np.asarray(product) == 255 * 127 * 64).all()) for product in found)


def quiet_options(threads: int) -> onnxruntime.SessionOptions:
    """For a session of so many threads. What fails is raised; nothing is to be printed into an editor's log."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    # No two keys have the same shapes; what would be kept for each of them grows for thousands of keys, and speeds up none.
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    return options


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def busy(threads: int) -> bool:
    """Whether so many threads would have to share cores with others, of this process or of other programs."""
    return others() + threads > (os.cpu_count() or 1)


def others() -> int:
    """How many other threads run right now, or wait for a core. Where the system does not count them, the mean of the last minute,
    which is slow to notice an end; Windows tells neither: there are none."""
    try:
        return int(LOAD.read_bytes().split()[3].partition(b"/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
