"""What a device can do: a table of GPUs for plans and for MFU, and a probe of the one that is here.

A device's name goes in, its peak comes out, or None: what is not in the table is said to be unknown, never guessed. The
probe says which precisions, attention kernels and compilers work, and for each that does not, why.
"""

from __future__ import annotations

import difflib
import platform
import re
import shutil
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from incoder_train.errors import UserError

if TYPE_CHECKING:
    import torch

SM = tuple[int, int]  # compute capability, major and minor


@dataclass(frozen=True)
class Gpu:
    key: str  # what `incoder plan --gpu` calls it
    words: tuple[str, ...]  # all of them stand in the name that torch gives
    sm: SM
    half: float  # peak dense TFLOP/s in fp16, and in bf16 where sm is 8.0 or more, sums in fp32
    single: float  # peak TFLOP/s in fp32, without tensor cores, as torch multiplies by default
    memory: float  # GiB that a process finds, a little less than the name says
    bandwidth: float  # of the memory, GB/s
    link: float  # to other GPUs in the node, GB/s in one direction: NVLink, or else PCIe
    hfu: float = 0.35  # of the peak, in well-tuned training of a GPT of a billion parameters or more

    def peak(self, precision: str) -> float:
        """FLOP/s."""
        return (self.single if precision == "fp32" else self.half) * 1e12


# Peaks and bandwidths from the vendor's data sheets. The hfu that are not 0.35 are published measurements: V100 45 of 125
# (BigScience, GPT of 13B on 256), A100 0.56 and H100 0.42 (MPT-7B on 8 to 512). The first row whose words fit counts.
GPUS = (
    Gpu("t4", ("T4",), (7, 5), 65, 8.1, 14.6, 320, 16),
    Gpu("v100-pcie-16g", ("V100", "PCIE", "16GB"), (7, 0), 112, 14.0, 15.8, 900, 16, hfu=0.36),
    Gpu("v100-pcie-32g", ("V100", "PCIE", "32GB"), (7, 0), 112, 14.0, 31.7, 900, 16, hfu=0.36),
    Gpu("v100-16g", ("V100", "16GB"), (7, 0), 125, 15.7, 15.8, 900, 150, hfu=0.36),
    Gpu("v100-32g", ("V100", "32GB"), (7, 0), 125, 15.7, 31.7, 900, 150, hfu=0.36),
    Gpu("a100-40g", ("A100", "40GB"), (8, 0), 312, 19.5, 39.4, 1555, 300, hfu=0.56),
    Gpu("a100-80g", ("A100", "80GB"), (8, 0), 312, 19.5, 79.2, 2039, 300, hfu=0.56),
    Gpu("a10", ("A10",), (8, 6), 125, 31.2, 22.0, 600, 32),
    Gpu("rtx-3090", ("RTX", "3090"), (8, 6), 71, 35.6, 23.6, 936, 28),
    Gpu("l4", ("L4",), (8, 9), 121, 30.3, 22.0, 300, 32),
    Gpu("l40s", ("L40S",), (8, 9), 362, 91.6, 44.4, 864, 32),
    Gpu("rtx-4090", ("RTX", "4090"), (8, 9), 165, 82.6, 23.6, 1008, 32),
    Gpu("h100-pcie", ("H100", "PCIE"), (9, 0), 756, 51, 79.1, 2000, 64, hfu=0.42),
    Gpu("h100-nvl", ("H100", "NVL"), (9, 0), 835, 60, 93.1, 3900, 300, hfu=0.42),
    Gpu("h100", ("H100", "80GB"), (9, 0), 989, 67, 79.1, 3350, 450, hfu=0.42),
    Gpu("h200", ("H200",), (9, 0), 989, 67, 139.8, 4800, 450, hfu=0.42),
    Gpu("b200", ("B200",), (10, 0), 2250, 75, 178.0, 8000, 900),
)  # fmt: skip
# A slice of a GPU, or a cousin of one with other numbers under the same name.
OTHERS = {"MIG", "LAPTOP", "MOBILE", "MAX", "D"}


def gpu(key: str) -> Gpu:
    """Raises UserError, naming what there is."""
    for one in GPUS:
        if one.key == key:
            return one
    keys = [one.key for one in GPUS]
    near = [one for one in keys if one.startswith(key)] or difflib.get_close_matches(key, keys)
    raise UserError(f"no GPU {key!r} is known; there are {', '.join(near or keys)}")


def named(device_name: str) -> Gpu | None:
    """The row of what torch.cuda.get_device_name() says, such as 'Tesla V100-SXM2-32GB'."""
    words = set(re.split(r"[^A-Z0-9]+", device_name.upper()))
    if words & OTHERS:
        return None
    return next((one for one in GPUS if words.issuperset(one.words)), None)


def peak_flops(device_name: str, precision: str) -> float | None:
    """Peak FLOP/s of a device by the name that torch gives it, in fp32, fp16 or bf16; None when it is not known."""
    found = named(device_name)
    if found is None or (precision == "bf16" and found.sm < (8, 0)):
        return None
    return found.peak(precision)


# --- what the device that is here can do -------------------------------------------------------------------------


@dataclass(frozen=True)
class Capability:
    """What works, and works fast, on one device under the torch that is installed."""

    name: str
    sm: SM | None  # None: a CPU
    why_not: Mapping[str, str]  # of each feature below that does not, in a sentence

    @property
    def bf16(self) -> bool:
        return "bf16" not in self.why_not

    @property
    def fp16(self) -> bool:
        return "fp16" not in self.why_not

    @property
    def flash(self) -> bool:
        """Attention whose scores never lie in memory."""
        return "flash" not in self.why_not

    @property
    def efficient(self) -> bool:
        """The same by another kernel, which older GPUs have, too."""
        return "efficient" not in self.why_not

    @property
    def compile_ok(self) -> bool:
        return "compile_ok" not in self.why_not

    def require(self, feature: str) -> None:
        """Raises UserError when `feature`, one of the above, does not work here."""
        if feature in self.why_not:
            raise UserError(self.why_not[feature])


def capability(device: torch.device) -> Capability:
    """Probe `device`. Raises UserError for a GPU that the installed torch cannot drive."""
    import torch

    if device.type != "cuda":
        return cpu_capability(platform.processor() or "CPU", cpu_flags(), compiler=compiler())
    return gpu_capability(
        torch.cuda.get_device_name(device),
        torch.cuda.get_device_capability(device),
        torch.cuda.get_arch_list(),
        torch.__version__,
        triton=find_spec("triton") is not None,
        compiler=compiler(),
    )


def gpu_capability(
    name: str, sm: SM, arch_list: Sequence[str], version: str, *, triton: bool = True, compiler: bool = True
) -> Capability:
    """From torch.cuda.get_arch_list() and torch.__version__. Raises UserError when torch has no code for `sm`."""
    if not can_drive(sm, arch_list):
        raise UserError(f"torch {version} has no code for the {name} (sm_{sm[0]}{sm[1]}); {remedy(sm)}")
    named = f"the {name} (sm_{sm[0]}{sm[1]})"
    return Capability(
        name,
        sm,
        _failed(
            ("bf16", sm >= (8, 0), f"{named} has no bf16, which came with sm_80; say precision = 'fp16'"),
            ("fp16", sm >= (7, 0), f"{named} has no fast fp16; say precision = 'fp32'"),
            (
                "flash",
                sm >= (8, 0),
                f"{named} has no flash attention, which needs sm_80; memory-efficient attention takes its place",
            ),
            ("efficient", sm >= (5, 0), f"{named} is too old for memory-efficient attention"),
            ("compile_ok", sm >= (8, 0), f"torch.compile cannot use the tensor cores of {named}; say compile = false"),
            ("compile_ok", triton, "torch.compile needs Triton, which this torch came without; say compile = false"),
            ("compile_ok", compiler, "torch.compile needs a C compiler, and the PATH has none; say compile = false"),
        ),
    )


def cpu_capability(name: str, flags: Set[str], *, compiler: bool = True) -> Capability:
    """From the flags of /proc/cpuinfo."""
    bf16 = bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    return Capability(
        name,
        None,
        _failed(
            ("bf16", bf16, "this CPU has no instructions for bf16 (AVX512-BF16 or AMX); say precision = 'fp32'"),
            (
                "fp16",
                "amx_fp16" in flags,
                "this CPU multiplies fp16 slowly; say precision = 'fp32', or 'bf16' if it has that",
            ),
            ("efficient", False, "memory-efficient attention is for GPUs; a CPU has flash attention"),
            ("compile_ok", compiler, "torch.compile needs a C++ compiler, and the PATH has none; say compile = false"),
        ),
    )


def _failed(*checks: tuple[str, bool, str]) -> dict[str, str]:
    failed: dict[str, str] = {}
    for feature, holds, why_not in checks:
        if not holds:
            failed.setdefault(feature, why_not)
    return failed


def can_drive(sm: SM, arch_list: Sequence[str]) -> bool:
    """Whether a torch built for `arch_list` has code for `sm`: machine code for this major version and no later minor one, or
    PTX, which the driver translates, for any earlier version. An AMD build (gfx...) is taken to fit."""
    for arch in arch_list:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", arch)
        if match is None:
            if arch.startswith("gfx"):
                return True
            continue
        built = (int(match[2]), int(match[3]))
        exact_only = bool(match[4])
        if built == sm or (not exact_only and built <= sm and (match[1] == "compute" or built[0] == sm[0])):
            return True
    return False


def remedy(sm: SM) -> str:
    """What to install for a GPU that torch has dropped, or does not know yet."""
    if sm < (5, 0):
        return "no torch of today drives it"
    if sm < (7, 5):
        return (
            "install a build for CUDA 12.6, which exists up to torch 2.14: "
            'pip install "torch<2.14" --index-url with the cu126 index of PyTorch\'s wheels'
        )
    return "install a newer torch, built for a newer CUDA"


def cpu_flags() -> frozenset[str]:
    """What the processor says of itself; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith(("flags", "Features"))), "").split())


def compiler() -> bool:
    return any(shutil.which(name) for name in ("cc", "gcc", "clang", "g++", "c++", "cl"))
