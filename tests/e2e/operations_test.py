"""What operators and their surroundings do to a router: signals, streams that nobody reads or that are closed."""

import os
import subprocess


import wire
from conftest import BINARY, LISTEN

NOT_OURS = b"\xff" * 12  # a length that no frame has: answered by an Error, and by a line in the log


# ---- standard streams ----


def full_pipe():
    """A pipe that takes nothing more: (reading end, writing end)."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


def empty(reading):
    """What waits in a pipe."""
    os.set_blocking(reading, False)
    text = b""
    try:
        while piece := os.read(reading, 65536):
            text += piece
    except BlockingIOError:
        pass
    return text


def test_a_log_that_nobody_reads_stops_nobody(body, tmp_path):
    reading, writing = full_pipe()
    config = tmp_path / "c.yaml"
    config.write_text(LISTEN)
    process = subprocess.Popen([BINARY, "serve", "--config", config, "--io", body, "--shards", "1"],
                               stdout=subprocess.PIPE, stderr=writing, text=True)
    os.close(writing)
    try:
        address = process.stdout.readline().split()[1].removeprefix("native=")
        for _ in range(3):
            with wire.Client(address, hello=False) as stranger:
                stranger.send_bytes(NOT_OURS)
                assert stranger.refused().fatal
        with wire.Client(address) as client:
            assert client.round_trip() == []
        assert set(empty(reading)) == {ord("x")}
        with wire.Client(address, hello=False) as stranger:
            stranger.send_bytes(NOT_OURS)
            assert stranger.refused().fatal
        process.terminate()
        assert process.wait(wire.WAIT_SECONDS) == 0
        lines = empty(reading).decode().splitlines()
        assert "ended by an error" in lines[0] and " lost=3 " in lines[0]
        assert "stopping" in lines[1] and " lost=1 " in lines[1]  # the ready line, of another thread
        assert "stopped" in lines[2] and "lost=" not in lines[2]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(reading)
