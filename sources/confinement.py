"""What a process that opens a stranger's file may still do: compute, and write to the pipe it was given. Nothing else.

Limits on address space, processor time and file size hold everywhere; on Linux a seccomp filter also refuses sockets,
new programs and tracing of others, without any privilege. `confine` tells whether the filter holds.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys

from sources.file_format import Limits

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # errno EPERM

#: Architecture as the kernel calls it; socket, connect, bind, listen, accept4, execve, execveat, ptrace, io_uring_setup,
#: process_vm_readv, process_vm_writev, socketpair.
_REFUSED = {
    "x86_64": (0xC000003E, (41, 42, 49, 50, 288, 59, 322, 101, 425, 310, 311, 53)),
    "aarch64": (0xC00000B7, (198, 203, 200, 201, 242, 221, 281, 117, 425, 270, 271, 199)),
}


def confine(limits: Limits) -> bool:
    """Bind this process to `limits` for good; True where it can no longer reach a network or start a program."""
    memory = _address_space() + limits.memory_bytes
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    return _filter_calls()


def die_with_parent() -> None:
    """Let the kernel end this process when the one that started it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _filter_calls() -> bool:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _REFUSED:
        return False
    architecture, calls = _REFUSED[machine]
    # (code, jump if true, jump if false, operand); offsets 4 and 0 of seccomp_data are architecture and call.
    program = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    # The x32 calls of x86_64 have numbers of their own.
    program += [(_JUMP_GREATER_EQUAL, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for call in calls:
        program += [(_JUMP_EQUAL, 0, 1, call), (_RETURN, 0, 0, _REFUSE)]
    program.append((_RETURN, 0, 0, _ALLOW))
    body = b"".join(struct.pack("HBBI", *step) for step in program)
    steps = ctypes.create_string_buffer(body, len(body))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    told = Program(len(program), ctypes.addressof(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0) == 0)
