"""The filter of system calls, by its own words: what it answers to a call, as an interpreter of such filters finds out, on both
kinds of machine; and the numbers of the calls, by the kernel's headers."""

from __future__ import annotations

import errno
import os
import re
import struct
from pathlib import Path

import pytest

from incoder_train.evaluate.jail import seccomp

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
CALLS = {  # numbers that matter here, written down once more
    "x86_64": {"read": 0, "openat": 257, "fcntl": 72, "ioctl": 16, "prlimit64": 302, "clone": 56, "clone3": 435}
    | {"fork": 57, "vfork": 58, "execve": 59, "kill": 62, "tkill": 200, "tgkill": 234, "socket": 41, "socketpair": 53}
    | {"unlink": 87, "unlinkat": 263, "rename": 82, "truncate": 76, "ftruncate": 77, "chmod": 90, "ptrace": 101}
    | {"memfd_create": 319, "io_uring_setup": 425, "unshare": 272, "mount": 165, "setrlimit": 160, "creat": 85}
    | {"openat2": 437, "pidfd_send_signal": 424, "rt_sigqueueinfo": 129, "shmget": 29, "bpf": 321, "prctl": 157},
    "aarch64": {"read": 63, "openat": 56, "fcntl": 25, "ioctl": 29, "prlimit64": 261, "clone": 220, "clone3": 435}
    | {"execve": 221, "kill": 129, "tkill": 130, "tgkill": 131, "socket": 198, "socketpair": 199, "unlinkat": 35}
    | {"renameat": 38, "truncate": 45, "ftruncate": 46, "fchmodat": 53, "ptrace": 117, "memfd_create": 279}
    | {"io_uring_setup": 425, "unshare": 97, "mount": 40, "setrlimit": 164, "openat2": 437, "pidfd_send_signal": 424}
    | {"rt_sigqueueinfo": 138, "shmget": 194, "bpf": 280, "prctl": 167},
}
CONDITIONAL = {"read", "openat", "fcntl", "ioctl", "prlimit64"}


def error(number: int) -> int:
    return 0x00050000 | number


def answer(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter says to a call."""
    arch = AUDIT[machine] if architecture is None else architecture
    call = struct.pack("<IIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    place = register = 0
    while True:
        code, if_true, if_false, operand = steps[place]
        place += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            register = struct.unpack_from("<I", call, operand)[0]
        elif code == 0x54:
            register &= operand
        else:
            place += if_true if {0x15: register == operand, 0x35: register >= operand}[code] else if_false


@pytest.mark.parametrize("machine", AUDIT)
def test_only_what_is_listed_is_allowed(machine: str) -> None:
    allowed = {number for number in range(1024) if answer(machine, number) == ALLOWED}
    listed = {**seccomp.numbers(seccomp.ALLOWED, machine)}
    for rule in seccomp.RULES:
        listed |= seccomp.numbers(rule.call, machine)
    assert allowed <= set(listed.values())
    for name, number in CALLS[machine].items():
        if name not in CONDITIONAL:
            assert answer(machine, number) == error(errno.ENOSYS if name == "clone3" else errno.EPERM), name


@pytest.mark.parametrize("machine", AUDIT)
def test_arguments_decide(machine: str) -> None:
    call = CALLS[machine]
    assert answer(machine, call["read"], 0, 1, 2) == ALLOWED
    # AT_FDCWD is negative; the kernel, too, looks at 32 bits of the flags
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CLOEXEC, os.O_DIRECTORY, 1 << 32 | os.O_RDONLY):
        assert answer(machine, call["openat"], 2**64 - 100, 1, flags) == ALLOWED
    for flags in (
        os.O_WRONLY,
        os.O_RDWR,
        3,
        os.O_CREAT,
        os.O_TRUNC,
        os.O_RDONLY | os.O_TRUNC,
        os.O_RDWR | os.O_TMPFILE,
    ):
        assert answer(machine, call["openat"], 2**64 - 100, 1, flags) == error(errno.EPERM)
    assert answer(machine, call["fcntl"], 3, 0) == answer(machine, call["fcntl"], 3, 1030) == ALLOWED
    for command in (8, 10, 15, 1024, 1031):  # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_SETPIPE_SZ
        assert answer(machine, call["fcntl"], 3, command) == error(errno.EPERM)
    assert answer(machine, call["ioctl"], 1, 0x5401) == ALLOWED
    assert answer(machine, call["ioctl"], 1, 0x5412) == error(errno.EPERM)  # TIOCSTI types into a terminal
    assert answer(machine, call["prlimit64"], 0, 7, 0, 1) == ALLOWED
    for new_limits in (1, 1 << 32, 1 << 63):
        assert answer(machine, call["prlimit64"], 0, 7, new_limits) == error(errno.EPERM)


@pytest.mark.parametrize("machine", AUDIT)
def test_calls_by_another_convention_do_not_get_by(machine: str) -> None:
    other = AUDIT["aarch64" if machine == "x86_64" else "x86_64"]
    for architecture in (other, 0x40000003):  # a 32-bit program's
        assert answer(machine, CALLS[machine]["read"], architecture=architecture) == KILLED
    assert answer(machine, 0x40000000 | CALLS[machine]["read"]) == error(errno.EPERM)  # x32


@pytest.mark.parametrize("machine", AUDIT)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    if not HEADERS[machine].is_file():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    stated = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    stated.setdefault("newfstatat", stated.get("fstatat", -1))  # by the other name in the common header
    tables = [seccomp.ALLOWED, seccomp.UNKNOWN, *(rule.call for rule in seccomp.RULES)]
    ours = {name: number for table in tables for name, number in seccomp.numbers(table, machine).items()}
    assert ours == {name: stated[name] for name in ours}
    assert CALLS[machine] == {name: stated[name] for name in CALLS[machine]}
