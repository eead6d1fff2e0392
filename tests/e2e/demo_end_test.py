"""How the demo ends when somebody ends it: one sentence or none, a status of its own, and nothing left running."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import wire
from conftest import BINARY, SANITIZED

DEMO = [sys.executable, "-B", os.path.join(wire.ROOT, "examples", "demo", "demo.py"), "--binary", BINARY]


@pytest.fixture
def demo():
    """A demo whose router runs and that has all deliveries before it, in a process group of its own."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as made:
        line = "..."
        while line and "the router says" not in line:
            line = made.stdout.readline()
        assert line, made.stderr.read()
        yield made
        if made.poll() is None:
            made.kill()


def nobody_left(made):
    """Whom the demo has ended may still be on the way out, or wait to be collected by the system."""
    if SANITIZED:  # its look for leaks at the end is a process of its own, which outlives a router that is killed
        return
    end = time.monotonic() + wire.WAIT_SECONDS
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(made.pid, 0)
            time.sleep(0.02)


def test_ctrl_c_is_one_line_and_130(demo):
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
