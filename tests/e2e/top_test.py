"""`roundhouse top`: a table for scripts, and a live view that leaves the terminal as it was."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import wire
from conftest import BINARY
from wire import pb

ROUTED, SKIP = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP
CONFIG = "logs: { data: 16MiB }\nlimits: { frame: 128KiB }\n"
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def busy(router):
    """A router with a topic, a subscriber that reads and one that does not."""
    made = router(shards=2, config_text=CONFIG)
    fast, slow = made.client(name="fast one"), made.client(receive_buffer=16384, name="slow one")
    fast.subscribe("flood", "other.*")
    slow.subscribe("flood", policy=SKIP)
    publisher = made.client(ack=ROUTED, name="publisher")
    for begin in range(1, 2501, 100):
        publisher.send_bytes(b"".join(wire.numbered("flood", number, 4000) for number in range(begin, begin + 100)))
        publisher.settle(begin + 99)
        fast.events(100)
    made.await_metric("roundhouse_lagging", lambda value: value == 1)
    made.kept = [fast, slow, publisher]
    yield made
    slow.close()  # so that the router need not wait for it when it stops


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, arguments, columns=100, rows=30, **environment):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.slave, self.before, self.seen = slave, termios.tcgetattr(slave), b""
        variables = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | environment
        self.process = subprocess.Popen([BINARY, "top", *arguments], stdin=slave, stdout=slave, stderr=slave,
                                        env=variables, start_new_session=True)

    def read(self, seconds=0.2):
        if select.select([self.master], [], [], seconds)[0]:
            self.seen += os.read(self.master, 65536)
        return self.seen

    def until(self, part):
        end = time.monotonic() + wire.WAIT_SECONDS
        while part not in self.read():
            assert time.monotonic() < end, f"no {part!r} in {self.seen!r}"
        return self.seen

    def ended(self):
        status = self.process.wait(timeout=wire.WAIT_SECONDS)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        after = termios.tcgetattr(self.slave)
        assert after == self.before, "the terminal is not as it was"
        assert self.seen.endswith(b"\x1b[0m\x1b[?25h\x1b[?1049l")
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    made = []

    def start(*arguments, **options):
        made.append(Terminal(arguments, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_once_prints_a_table(busy, run):
    done = run("top", "--once", "--admin", busy.admin)
    assert done.returncode == 0 and not done.stderr and "\x1b" not in done.stdout
    assert f"{busy.admin}  shards 2  connections 3" in done.stdout and "lagging 1" in done.stdout
    rows = done.stdout.splitlines()
    topic = next(row for row in rows if row.endswith(" flood") and "memory" in row)
    assert topic.split()[2] == "2.5k"
    slow = next(row for row in rows if "slow one" in row)
    fast = next(row for row in rows if "fast one" in row)
    assert slow.startswith("!") and fast.startswith(" ") and fast.endswith("flood other.*")
    assert rows.index(slow) < rows.index(fast)
    named = run("top", "--once", "--admin", busy.admin, "--sort", "name").stdout
    assert named.index("fast one") < named.index("slow one")


def test_the_live_view_follows_and_q_ends_it(busy, terminal):
    view = terminal("--admin", busy.admin)
    view.until(b"slow one")
    assert view.seen.startswith(b"\x1b[?1049h\x1b[?25l") and b"\x1b[31m!" in view.seen
    view.until(b"sort: lag")
    os.write(view.master, b"s")
    view.until(b"sort: rate")
    os.write(view.master, b"s")
    view.until(b"sort: name")
    newcomer = busy.client(name="newcomer")
    newcomer.subscribe("flood")
    view.until(b"newcomer")
    os.write(view.master, b"q")
    assert view.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(busy, terminal, number):
    view = terminal("--admin", busy.admin)
    view.until(b"slow one")
    view.process.send_signal(number)
    assert view.ended() == -number


def test_a_narrow_terminal_gets_less_and_no_line_too_long(busy, terminal):
    view = terminal("--admin", busy.admin, columns=40, rows=14, NO_COLOR="1")
    view.until(b"slow one")
    view.until(b"\x1b[J")
    screen = view.seen[:view.seen.index(b"\x1b[J")]
    assert b"\x1b[31m" not in view.seen and b"\x1b[1m" not in view.seen
    lines = ESCAPE.sub(b"", screen).decode().split("\r\n")
    assert max(len(line.strip("\r")) for line in lines) <= 40 and len(lines) <= 14
    # It becomes wide.
    fcntl.ioctl(view.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    view.process.send_signal(signal.SIGWINCH)
    view.until(b"SUBSCRIBES TO")
    os.write(view.master, b"q")
    assert view.ended() == 0


def test_a_router_that_goes_is_said_and_waited_for(busy, terminal):
    view = terminal("--admin", busy.admin)
    view.until(b"slow one")
    busy.kept[1].reset()
    busy.stop()
    view.until(b"! no answer: ")
    os.write(view.master, b"q")
    assert view.ended() == 0


def test_mistakes_are_told(run):
    assert run("top").returncode == 64  # no terminal
    done = run("top", "--once", "--admin", "127.0.0.1:1")
    assert done.returncode == 69 and "--admin names another address" in done.stderr and not done.stdout
    assert run("top", "--sort", "size").returncode == 64
    assert run("top", "now").returncode == 64
    assert run("top", "--help").returncode == 0
