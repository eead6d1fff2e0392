"""What operators and their surroundings do to a router: signals, streams that nobody reads or that are closed."""

import fcntl
import os
import signal
import socket
import subprocess
import termios
import time

import pytest

import wire
from conftest import BINARY, LISTEN

NOT_OURS = b"\xff" * 12  # a length that no frame has: answered by an Error, and by a line in the log


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def await_listener(port):
    end = time.monotonic() + wire.WAIT_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < end, f"nobody listens on port {port}"
            time.sleep(0.02)


# ---- signals ----


def test_the_end_of_a_terminal_stops_it_in_order(router):
    """It is the kernel that says so, not somebody who wants the files to be read again."""
    terminal, its_end = os.openpty()

    def leads():
        os.setsid()
        fcntl.ioctl(its_end, termios.TIOCSCTTY, 0)

    made = router(shards=2, preexec=leads)
    os.close(its_end)
    with made.client() as client:
        client.subscribe("a")
        os.close(terminal)
        assert [found.WhichOneof("body") for found in client.until_closed()] == ["goodbye"]
    made.stop()
    assert "signal=HUP" in made.errors()


def test_nohup_keeps_it(router):
    made = router(preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    made.signal(signal.SIGHUP)
    with made.client() as client:
        assert client.round_trip() == []
    made.stop()


def test_a_second_signal_changes_nothing(router):
    made = router(config_text="logs: { data: 32MiB }\n")
    with made.client(receive_buffer=8192) as deaf, made.client(ack=wire.pb.ACK_LEVEL_ROUTED) as publisher:
        deaf.subscribe("x")
        publisher.send_bytes(b"".join(wire.numbered("x", n, 8000) for n in range(1, 1001)))
        assert publisher.settle(1000) == {}
        made.signal(signal.SIGTERM)
        made.signal(signal.SIGINT)
        made.signal(signal.SIGTERM)
        made.stop()
    assert made.errors().count("msg=\"stopping\"") == 1


# ---- memory ----

TOO_MUCH = LISTEN + "shards: 64\nlogs: { data: 64GiB }\n"


def test_logs_larger_than_the_machine_are_refused_before_they_are_made(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(TOO_MUCH)
    done = run("serve", "--config", config)
    assert done.returncode == 70 and done.stdout == ""
    assert "the logs need 5120GiB of memory" in done.stderr and "logs.data" in done.stderr


def test_config_check_tells_that_the_logs_do_not_fit_here(run, tmp_path):
    """The file may be meant for another machine: it is told, and no mistake."""
    config = tmp_path / "c.yaml"
    config.write_text(TOO_MUCH)
    done = run("config", "check", config)
    assert done.returncode == 0 and "= 5120GiB (more than the " in done.stdout


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


@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "2>&-", "1>&-"])
def test_closed_streams_are_never_a_socket(closed, body):
    port = free_port()
    process = subprocess.Popen(["sh", "-c", f'exec "$0" "$@" {closed}', BINARY, "serve", "--listen", f"127.0.0.1:{port}",
                                "--admin", "off", "--ingest", "off", "--io", body, "--shards", "1"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_listener(port)
        assert {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
        with wire.Client(f"127.0.0.1:{port}", hello=False) as stranger:
            stranger.send_bytes(NOT_OURS)
            assert stranger.refused().fatal
        process.terminate()
        assert process.wait(wire.WAIT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", [["version"], ["help"], ["serve", "--help"], ["pub", "--help"], ["sub", "--help"]])
@pytest.mark.parametrize("output", ["/dev/full", "closed"])
def test_output_that_can_not_be_written_is_not_success(command, output):
    redirect = ">&-" if output == "closed" else f">{output}"
    done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {redirect}', BINARY, *command], stderr=subprocess.PIPE, text=True,
                          timeout=60)
    assert done.returncode == 70 and "standard output" in done.stderr
