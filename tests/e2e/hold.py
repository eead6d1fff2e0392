"""Holds threads of a router at the door of a system call, by ptrace: what they are about to write is not written, and not
begun. So a moment of microseconds lasts as long as a test wants. (No disk answers slowly enough for that by itself.)"""

import ctypes
import errno
import os
import platform
import signal
import time

SEIZE, INTERRUPT, SYSCALL, DETACH, SYSCALL_INFO = 0x4206, 0x4207, 24, 17, 0x420E
SYSGOOD, WALL, ENTRY = 1, 0x40000000, 1
WAIT_SECONDS = 30
PWRITEV2 = {"x86_64": 328, "aarch64": 287}[platform.machine()]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread, address=0, data=0):
    result = _libc.ptrace(request, thread, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}: {os.strerror(ctypes.get_errno())}")
    return result


def threads_named(pid, prefix):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as file:
            if file.read().startswith(prefix):
                found.append(int(thread))
    return found


class Hold:
    """Threads of a process, by the beginning of their names. Only the thread of ours that made it may use it."""

    def __init__(self, pid, prefix):
        self.pid, self.over = pid, False
        self.threads = threads_named(pid, prefix)
        self.held = set()
        for thread in self.threads:
            ptrace(SEIZE, thread, 0, SYSGOOD)
            ptrace(INTERRUPT, thread)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """A test that fails in between must not leave a process behind that nobody can end."""
        if not self.over:
            os.kill(self.pid, signal.SIGKILL)
            self.bury()

    def at_writes(self, meanwhile):
        """Lets them go on, each to the beginning of its next pwritev2; calls meanwhile() now and then."""
        end = time.monotonic() + WAIT_SECONDS
        while len(self.held) < len(self.threads):
            assert time.monotonic() < end, f"{len(self.held)} of {len(self.threads)} threads have come to a write"
            meanwhile()
            for thread in set(self.threads) - self.held:
                self._look(thread)
            time.sleep(0.001)

    def _look(self, thread):
        found, status = os.waitpid(thread, os.WNOHANG | WALL)
        if found == 0:
            return
        assert os.WIFSTOPPED(status), f"thread {thread} has ended"
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80 and self._enters(thread):
            self.held.add(thread)
        else:
            ptrace(SYSCALL, thread)

    @staticmethod
    def _enters(thread):
        info = ctypes.create_string_buffer(128)  # struct ptrace_syscall_info
        ptrace(SYSCALL_INFO, thread, len(info), ctypes.cast(info, ctypes.c_void_p))
        return info.raw[0] == ENTRY and int.from_bytes(info.raw[24:32], "little") == PWRITEV2

    def release(self):
        """They go on as if nothing had been; all must be held."""
        self.over = True
        for thread in self.threads:
            ptrace(DETACH, thread)

    def bury(self):
        """Behind a SIGKILL: takes note of their ends, without which the process does not end for anybody."""
        self.over = True
        for thread in self.threads:
            try:
                while os.WIFSTOPPED(os.waitpid(thread, WALL)[1]):
                    pass
            except ChildProcessError as error:
                assert error.errno == errno.ECHILD
