"""Which calls to the kernel a program may make: a filter that the process puts on itself and cannot take off (seccomp).

It lists what is allowed. A program may use its memory, read files, write to what is open already, look at the clock and
end. So there is no call left to start or stop a process or thread, to open a socket, to create, change or delete a file,
to lift a limit, or to allocate memory that the limit on the address space does not count. A call that is not listed fails
with EPERM, which Python shows as a PermissionError. The filter needs no privileges and binds root too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from dataclasses import dataclass

from incoder_train.evaluate.jail import kernel

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # the column in the tables; AUDIT_ARCH_*

# Name, and number on x86_64 and on aarch64, where it has one.
ALLOWED = """
brk 12/214  mmap 9/222  munmap 11/215  mremap 25/216  mprotect 10/226  madvise 28/233  membarrier 324/283
read 0/63  pread64 17/67  readv 19/65  preadv 295/69  lseek 8/62  close 3/57  close_range 436/436  fadvise64 221/223
stat 4/-  lstat 6/-  fstat 5/80  newfstatat 262/79  statx 332/291  access 21/-  faccessat 269/48  faccessat2 439/439
readlink 89/-  readlinkat 267/78  getdents64 217/61  getcwd 79/17  chdir 80/49  fchdir 81/50
dup 32/23  dup2 33/-  dup3 292/24  pipe 22/-  pipe2 293/59  write 1/64  writev 20/66
poll 7/-  ppoll 271/73  select 23/-  pselect6 270/72  pause 34/-  sched_yield 24/124  futex 202/98  restart_syscall 219/128
nanosleep 35/101  clock_nanosleep 230/115  alarm 37/-  getitimer 36/102  setitimer 38/103
time 201/-  gettimeofday 96/169  clock_gettime 228/113  clock_getres 229/114  times 100/153  getrusage 98/165
rt_sigaction 13/134  rt_sigprocmask 14/135  rt_sigreturn 15/139  rt_sigpending 127/136  rt_sigtimedwait 128/137
rt_sigsuspend 130/133  sigaltstack 131/132
getpid 39/172  getppid 110/173  gettid 186/178  getuid 102/174  geteuid 107/175  getgid 104/176  getegid 108/177
getresuid 118/148  getresgid 120/150  getgroups 115/158  getpgrp 111/-  getpgid 121/155  getsid 124/156  capget 125/90
getpriority 140/141  sched_getaffinity 204/123  getcpu 309/168  uname 63/160  sysinfo 99/179  getrlimit 97/163
umask 95/166  getrandom 318/278  set_robust_list 273/99  rseq 334/293  arch_prctl 158/-  wait4 61/260  waitid 247/95
exit 60/93  exit_group 231/94
"""
UNKNOWN = "clone3 435/435"  # ENOSYS, so that the C library falls back to clone, which is refused


@dataclass(frozen=True)
class Rule:
    """A call that is allowed when some bits of some of its arguments have one of some values."""

    call: str
    words: tuple[tuple[int, int], ...]  # which 32-bit half of the arguments (2 n, 2 n + 1 of argument n), and its bits
    values: tuple[int, ...]


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
WHOLE = 0xFFFFFFFF
RULES = (
    Rule("open 2/-", ((2, WRITING),), (0,)),
    Rule("openat 257/56", ((4, WRITING),), (0,)),
    Rule(
        "fcntl 72/25", ((2, WHOLE),), (0, 1, 2, 3, 4, 1030)
    ),  # F_DUPFD to F_SETFL, F_DUPFD_CLOEXEC: none that sends signals
    Rule("ioctl 16/29", ((2, WHOLE),), (0x5401, 0x5450, 0x5451)),  # TCGETS, which isatty asks; close on exec, or not
    Rule("prlimit64 302/261", ((4, WHOLE), (5, WHOLE)), (0,)),  # only reads: no new limits
)

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # instructions of the classic Berkeley filter
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in what the filter sees of a call
_X32 = 0x40000000  # numbers from here on are the calls of another convention on x86_64


def numbers(table: str, machine: str) -> dict[str, int]:
    """The calls of a table by name, as this kind of machine numbers them; those it has not are left out."""
    column = ARCHITECTURES[machine][0]
    calls = re.findall(r"(\w+) (\d+|-)/(\d+|-)", table)
    return {name: int(both[column]) for name, *both in calls if both[column] != "-"}


def program(machine: str) -> bytes:
    """The filter for "x86_64" or "aarch64", as the kernel reads it: 8 bytes for each instruction."""
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, ARCHITECTURES[machine][1], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, 0, 1),
        _step(_RETURN, _ERROR | errno.EPERM),
    ]
    for number in numbers(ALLOWED, machine).values():
        code += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW)]
    for number in numbers(UNKNOWN, machine).values():
        code += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ERROR | errno.ENOSYS)]
    for rule in RULES:
        for number in numbers(rule.call, machine).values():
            body = _body(rule)
            code += [_step(_EQUAL, number, 0, len(body)), *body]
    return b"".join([*code, _step(_RETURN, _ERROR | errno.EPERM)])


def _body(rule: Rule) -> list[bytes]:
    """Looks at the arguments; always ends with a return."""
    checks: list[bytes] = []
    for half, bits in rule.words:
        checks += [_step(_LOAD, _ARGUMENTS + 4 * half), _step(_AND, bits)]
        # Past the values that are not it and past the refusal, when it is one of them.
        checks += [_step(_EQUAL, value, len(rule.values) - i, 0) for i, value in enumerate(rule.values)]
        checks += [_step(_RETURN, _ERROR | errno.EPERM)]
    return [*checks, _step(_RETURN, _ALLOW)]


def _step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return code.to_bytes(2, "little") + bytes([if_true, if_false]) + operand.to_bytes(4, "little")


def restrict(filtering: bytes) -> None:
    """From here on this process makes no other calls than `program` allows. Raises OSError where the kernel has no filters."""
    code = ctypes.create_string_buffer(filtering, len(filtering))
    length = (len(filtering) // 8).to_bytes(ctypes.sizeof(ctypes.c_void_p), "little")
    kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
    kernel.prctl(kernel.SECCOMP, 2, length + kernel.address(code))
