"""The kernel's calls that Python has no function for. They fail as Python's own do, with an OSError; where the kernel
does not know a call, that is ENOSYS."""

from __future__ import annotations

import ctypes
import os

SECCOMP, NO_NEW_PRIVILEGES, PARENT_DEATH_SIGNAL, DUMPABLE = 22, 38, 1, 4  # options of prctl

_libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: int | bytes | None) -> int:
    """A function of the C library, `syscall` among them, that returns -1 and sets errno when it fails."""
    result = _libc[function](*(ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result


def prctl(option: int, argument: int = 0, pointer: bytes | None = None) -> None:
    call("prctl", option, argument, 0 if pointer is None else pointer, 0, 0)


def drop_capabilities() -> None:
    """Whatever a superuser may do beyond others is given up; the process has no way to get it back."""
    version_3 = 0x20080522
    header = version_3.to_bytes(4, "little") + bytes(4)
    call("capset", header, bytes(24))  # effective, permitted and inheritable, two words each


def address(buffer: ctypes.Array[ctypes.c_char]) -> bytes:
    """The address of a buffer as it stands in memory, for a structure that points to it."""
    return ctypes.addressof(buffer).to_bytes(ctypes.sizeof(ctypes.c_void_p), "little")
