"""Which files a program may read, where namespaces are forbidden: Landlock, a part of Linux since 5.13.

The process gives up all access to files, then is granted reading below some paths. It needs no privileges and binds root
too. What Landlock does not cover (changing a file's mode, asking whether it exists) the filter of calls refuses, or is no
harm.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from incoder_train.evaluate.jail import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the numbers of the calls, the same on all machines
_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
_KINDS = (13, 14, 15, 15, 16)  # how many kinds of access the versions from 1 on know of; later ones know these too


def restrict(readable: Sequence[Path]) -> None:
    """From here on this process opens nothing but what is at or below these paths, and only to read it.

    Raises OSError where the kernel has no Landlock."""
    version = kernel.call("syscall", _CREATE, None, 0, 1)
    every = (1 << _KINDS[min(version, len(_KINDS)) - 1]) - 1
    rules = kernel.call("syscall", _CREATE, every.to_bytes(8, "little"), 8, 0)
    for path in readable:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        granted = _READ_FILE | (_READ_DIRECTORY if path.is_dir() else 0)
        rule = granted.to_bytes(8, "little") + descriptor.to_bytes(4, "little")
        kernel.call("syscall", _ADD, rules, 1, rule, 0)
        os.close(descriptor)
    kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
    kernel.call("syscall", _RESTRICT, rules, 0)
    os.close(rules)
