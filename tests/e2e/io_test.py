"""Which I/O body runs, why, and what happens where io_uring is forbidden."""

import ctypes
import struct

import pytest

import wire
from conftest import LISTEN

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
EPERM, ENOMEM, ENOSYS = 1, 12, 38
IO_URING_SETUP = 425  # the same number on every architecture


def refuse_io_uring(error):
    """A function that makes io_uring_setup fail in this process and its children, as containers do."""
    def instruction(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)

    program = (instruction(0x20, 0, 0, 0)                        # load the system call's number
               + instruction(0x15, 0, 1, IO_URING_SETUP)         # is it io_uring_setup?
               + instruction(0x06, 0, 0, 0x00050000 | error)     # then this errno
               + instruction(0x06, 0, 0, 0x7FFF0000))            # else allow
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_ulong

    def apply():
        buffer = ctypes.create_string_buffer(program, len(program))
        argument = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
        if (libc.prctl(PR_SET_NO_NEW_PRIVS, number(1), number(0), number(0), number(0))
                or libc.prctl(PR_SET_SECCOMP, number(FILTER), argument, number(0), number(0))):
            raise OSError(ctypes.get_errno(), "cannot install the filter")

    return apply


def carries_an_event(made):
    with made.client() as client:
        client.subscribe("a.>")
        client.publish("a.b", wire.cloud_event())
        return client.expect("event").topic == "a.b"


@pytest.mark.parametrize("body", ["auto"])
@pytest.mark.parametrize("error, name", [(EPERM, "EPERM"), (ENOSYS, "ENOSYS")])
def test_auto_falls_back_where_io_uring_is_forbidden_and_says_why(router, error, name):
    made = router(io="auto", preexec=refuse_io_uring(error))
    assert made.metric("roundhouse_io_body", body="epoll") == 1
    assert made.io == "epoll" and carries_an_event(made)
    assert any("io=epoll" in line and "io_uring_setup" in line and name in line for line in made.errors().splitlines())


def test_a_lack_of_locked_memory_says_which_limit_to_raise(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(LISTEN)
    done = run("serve", "--config", config, "--io", "uring", preexec_fn=refuse_io_uring(ENOMEM))
    assert done.returncode == 69 and done.stdout == ""
    assert "io_uring_setup: ENOMEM; raise the limit on locked memory (ulimit -l)" in done.stderr


def test_uring_by_force_fails_where_it_is_forbidden(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(LISTEN)
    done = run("serve", "--config", config, "--io", "uring", preexec_fn=refuse_io_uring(EPERM))
    assert done.returncode == 69 and done.stdout == ""
    assert "io_uring_setup" in done.stderr and "EPERM" in done.stderr


@pytest.mark.parametrize("body", ["auto"])
def test_auto_takes_io_uring_where_it_can_be_had(router, body):
    made = router(io="auto")
    assert made.metric("roundhouse_io_body", body="io_uring") == 1 and made.io == "io_uring"
    assert carries_an_event(made)


def test_the_ready_line_and_the_log_name_the_body(router, body):
    made = router()
    name = {"uring": "io_uring", "epoll": "epoll"}[body]
    assert made.io == name and f"io={name}" in made.errors()


@pytest.mark.parametrize("body", ["uring:oneshot"])
def test_the_one_shot_mode_runs_on_io_uring(router):
    made = router(shards=2)
    assert made.metric("roundhouse_io_body", body="io_uring") == 1
    assert carries_an_event(made)
