"""What is known of a GPU by its name, and what the installed torch can do on it: all as functions of what torch would say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.errors import UserError
from incoder_train.training.hardware import (
    GPUS,
    can_drive,
    capability,
    cpu_capability,
    gpu,
    gpu_capability,
    named,
    peak_flops,
)

# torch.cuda.get_arch_list() of real wheels.
CU126 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU130 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
HOPPER = ["sm_90a", "compute_90"]


@pytest.mark.parametrize(
    ("name", "key", "fp16"),
    [
        ("Tesla V100-SXM2-32GB", "v100-32g", 125),
        ("Tesla V100-SXM2-16GB", "v100-16g", 125),
        ("Tesla V100-PCIE-16GB", "v100-pcie-16g", 112),
        ("NVIDIA A100-SXM4-40GB", "a100-40g", 312),
        ("NVIDIA A100 80GB PCIe", "a100-80g", 312),
        ("NVIDIA H100 80GB HBM3", "h100", 989),
        ("NVIDIA H100 PCIe", "h100-pcie", 756),
        ("NVIDIA H200", "h200", 989),
        ("NVIDIA L4", "l4", 121),
        ("Tesla T4", "t4", 65),
        ("NVIDIA GeForce RTX 4090", "rtx-4090", 165),
    ],
)
def test_a_gpu_is_known_by_the_name_that_torch_gives_it(name: str, key: str, fp16: float) -> None:
    found = named(name)
    assert found is not None and found.key == key
    assert gpu(key) is found
    assert peak_flops(name, "fp16") == fp16 * 1e12


@pytest.mark.parametrize(
    "name",
    [
        "cpu",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA L40",
        "Tesla V100S-PCIE-32GB",
        "",
    ],
)
def test_a_gpu_that_is_not_in_the_table_has_no_peak(name: str) -> None:
    assert named(name) is None
    assert peak_flops(name, "bf16") is None


def test_a_precision_that_a_gpu_lacks_has_no_peak() -> None:
    assert peak_flops("Tesla V100-SXM2-32GB", "bf16") is None
    assert peak_flops("Tesla V100-SXM2-32GB", "fp32") == 15.7e12
    assert peak_flops("NVIDIA H100 80GB HBM3", "bf16") == 989e12


def test_keys_are_unique_and_every_row_can_be_found() -> None:
    assert len({one.key for one in GPUS}) == len(GPUS)
    for one in GPUS:
        assert named(" ".join(one.words)) is one


# --- capability --------------------------------------------------------------------------------------------------


def test_a_v100_needs_a_build_that_still_has_it() -> None:
    with pytest.raises(UserError) as error:
        gpu_capability("Tesla V100-SXM2-32GB", (7, 0), CU130, "2.13.0+cu130")
    said = str(error.value)
    assert said.startswith("torch 2.13.0+cu130 has no code for the Tesla V100-SXM2-32GB (sm_70)")
    assert "CUDA 12.6" in said and "cu126" in said and "up to torch 2.14" in said and "\n" not in said


def test_what_a_v100_can_do() -> None:
    v100 = gpu_capability("Tesla V100-SXM2-32GB", (7, 0), CU126, "2.13.0+cu126")
    assert (v100.bf16, v100.fp16, v100.flash, v100.efficient, v100.compile_ok) == (False, True, False, True, False)
    v100.require("fp16")
    with pytest.raises(UserError, match="has no bf16, which came with sm_80; say precision = 'fp16'"):
        v100.require("bf16")
    with pytest.raises(UserError, match="say compile = false"):
        v100.require("compile_ok")


def test_what_an_h100_can_do() -> None:
    h100 = gpu_capability("NVIDIA H100 80GB HBM3", (9, 0), CU126, "2.13.0+cu126")
    assert (h100.bf16, h100.fp16, h100.flash, h100.efficient, h100.compile_ok) == (True,) * 5
    assert not h100.why_not
    bare = gpu_capability("NVIDIA H100 80GB HBM3", (9, 0), CU126, "2.13.0+cu126", triton=False)
    assert "Triton" in bare.why_not["compile_ok"]
    bare = gpu_capability("NVIDIA H100 80GB HBM3", (9, 0), CU126, "2.13.0+cu126", compiler=False)
    assert "C compiler" in bare.why_not["compile_ok"]


@pytest.mark.parametrize(
    ("sm", "arch_list", "works"),
    [
        ((8, 9), CU126, True),  # an L4 runs the code of sm_86
        ((8, 0), ["sm_86"], False),  # never that of a later one
        ((10, 0), CU126, False),  # nor that of another major version
        ((10, 0), [*CU126, "compute_90"], True),  # but any later one runs PTX
        ((7, 0), ["compute_75"], False),
        ((9, 0), HOPPER, True),
        ((12, 0), ["sm_90a", "compute_90a"], False),  # code for one GPU alone
        ((12, 0), CU130, True),
        ((9, 0), ["gfx942"], True),
        ((9, 0), [], False),
    ],
)
def test_torch_drives_what_it_has_code_for(sm: tuple[int, int], arch_list: list[str], works: bool) -> None:
    assert can_drive(sm, arch_list) == works


def test_a_gpu_that_is_too_new_or_too_old() -> None:
    with pytest.raises(UserError, match="install a newer torch"):
        gpu_capability("NVIDIA B200", (10, 0), CU126, "2.6.0+cu126")
    with pytest.raises(UserError, match="no torch of today drives it"):
        gpu_capability("Tesla K80", (3, 7), CU126, "2.13.0+cu126")


@given(st.sets(st.sampled_from(["avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_fp16", "bf16"])))
def test_a_cpu_has_bf16_when_it_says_so(flags: set[str]) -> None:
    found = cpu_capability("CPU", flags)
    assert found.bf16 == bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    assert found.flash and not found.efficient and found.sm is None
    for feature in found.why_not:
        with pytest.raises(UserError):
            found.require(feature)


def test_the_cpu_that_is_here() -> None:
    assert capability(torch.device("cpu")).flash
