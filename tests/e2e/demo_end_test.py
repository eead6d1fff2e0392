"""How the demo ends when somebody ends it: one sentence or none, a status of its own, and nothing left running."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import wire
from conftest import BINARY

DEMO = [sys.executable, "-B", os.path.join(wire.ROOT, "examples", "demo", "demo.py"), "--binary", BINARY]


@pytest.fixture(params=["the router says", "more files are dropped"])
def demo(request):
    """A demo that has said this: all deliveries are before it, or the hub is at work. In a process group of its own."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as made:  # a shell's jobs ignore it
        line = "..."
        while line and request.param not in line:
            line = made.stdout.readline()
        assert line, made.stderr.read()
        yield made
        if made.poll() is None:
            made.kill()


def alive(group):
    """The processes of a group that run; one that is dead and not collected yet is none."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                state, _, its_group = file.read().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state != "Z":
            found.append(entry)
    return found


def nobody_left(made):
    """Whom the demo has ended may still be on the way out."""
    end = time.monotonic() + wire.WAIT_SECONDS
    while left := alive(made.pid):
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.02)


def test_ctrl_c_is_one_line_and_130(demo):
    assert str(demo.pid) in alive(demo.pid)
    demo.send_signal(signal.SIGINT)
    _, errors = demo.communicate(timeout=wire.WAIT_SECONDS)
    assert demo.returncode == 130 and errors == "demo: ended by Ctrl-C\n"
    nobody_left(demo)


def test_a_closed_pipe_is_no_error_message(demo):
    demo.stdout.close()
    assert demo.stderr.read() == "" and demo.wait(wire.WAIT_SECONDS) == 141
    nobody_left(demo)


@pytest.mark.parametrize("option", ["--nonsense", "--io=magic", "--binary"])
def test_a_wrong_option_is_64(option):
    done = subprocess.run([*DEMO, option], capture_output=True, text=True, timeout=wire.WAIT_SECONDS, check=False)
    assert done.returncode == 64 and re.fullmatch(r"demo: .*; see --help\n", done.stderr) and done.stdout == ""
