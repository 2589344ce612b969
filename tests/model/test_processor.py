"""What the processor has is found out, not guessed: the probe is the graph it claims to be, and busy threads are counted."""

import platform
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from incoder_model import processor
from incoder_model.processor import PROBE, busy, exact_products, others, runs_newer_graph

CPUINFO = Path("/proc/cpuinfo")
EXACT = {"avx512_vnni", "avx_vnni", "amx_int8"}


def test_the_probe_is_this_graph() -> None:
    domain = "com.microsoft"
    matrix = numpy_helper.from_array(np.array([127], np.int8))
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["b"], value=matrix),
        helper.make_node("MatMulIntegerToFloat", ["a", "b", "one", "one"], ["y"], domain=domain),
    ]
    given = [helper.make_tensor_value_info("a", TensorProto.UINT8, ["r", 64])]
    found = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["r", 16])]
    constants = [
        numpy_helper.from_array(np.array([64, 16], "<i8"), "s"),
        numpy_helper.from_array(np.array(1, "<f4"), "one"),
    ]
    graph = helper.make_graph(nodes, "g", given, found, constants)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(domain, 1)]
    assert helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString() == PROBE


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not CPUINFO.exists(), reason="other processors do not list their instructions"
)
def test_products_are_exact_where_there_are_instructions_for_them() -> None:
    flags = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags")).split()
    assert exact_products() is bool(EXACT & set(flags))


@pytest.mark.parametrize("wrong", [0, 1, 19])
def test_a_single_wrong_product_is_enough(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    def run(outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        product = given["a"].astype(np.float32) @ np.full((64, 16), 127, np.float32)
        product[wrong % len(product), 3] = 32767 * 32  # as sums of 16 bits end
        return [product]

    session = type("Session", (), {"__init__": lambda self, *_, **__: None, "run": staticmethod(run)})
    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    assert exact_products.__wrapped__() is False


def test_who_cannot_run_the_probe_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "PROBE", b"an operation of the future")
    assert exact_products.__wrapped__() is False


@pytest.mark.parametrize(
    "version, expected",
    [("1.22.0", False), ("1.26.1", False), ("1.27.0", True), ("1.130.2.dev7", True), ("2.0.0", True)],
)
def test_an_older_onnx_runtime_gets_the_older_graph(
    monkeypatch: pytest.MonkeyPatch, version: str, expected: bool
) -> None:
    monkeypatch.setattr("onnxruntime.__version__", version)
    monkeypatch.setattr(processor, "exact_products", lambda: True)
    assert runs_newer_graph() is expected
    monkeypatch.setattr(processor, "exact_products", lambda: False)
    assert not runs_newer_graph()


@pytest.mark.parametrize(
    "running, threads, expected", [(1, 2, False), (2, 2, True), (2, 1, False), (3, 1, True), (40, 1, True)]
)
def test_a_busy_machine_gets_one_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, running: int, threads: int, expected: bool
) -> None:
    """`running` counts the thread that asks. The mean of the last minute is high still, and not looked at."""
    (tmp_path / "loadavg").write_text(f"7.31 5.02 2.00 {running}/312 20817\n")
    monkeypatch.setattr(processor, "LOAD", tmp_path / "loadavg")
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert busy(threads) is expected


@pytest.mark.parametrize("content", [None, "", "0.5 0.5 0.5", "0.5 0.5 0.5 many 3"])
@pytest.mark.parametrize("load, expected", [(0.2, 0), (1.6, 2)])
def test_who_counts_no_threads_has_a_mean(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, load: float, expected: int
) -> None:
    if content is not None:
        (tmp_path / "loadavg").write_text(content)
    monkeypatch.setattr(processor, "LOAD", tmp_path / "loadavg")
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    assert others() == expected


@pytest.mark.skipif(not processor.LOAD.exists(), reason="the system does not count running threads")
def test_this_thread_is_no_other_one() -> None:
    assert others() >= 0
