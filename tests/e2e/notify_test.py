"""What a router tells the service manager, and when it tells nothing: sd_notify(3), with a manager of the test's own."""

import errno
import os
import signal
import socket
import time

import pytest

import hold
import manager

WATCHDOG_US = 600_000


@pytest.fixture
def made(tmp_path):
    with manager.Manager(tmp_path, WATCHDOG_US) as found:
        yield found


@pytest.fixture
def supervised(router, made):
    """A function that starts a router as the manager does."""

    def start(**options):
        preexec, pass_fds = made.preexec()
        return router(preexec=preexec, pass_fds=pass_fds, **options)

    return start


def test_it_says_when_it_is_ready_and_when_it_stops_and_gives_its_listeners_to_the_store(supervised, made):
    running = supervised()
    made.until("READY")
    assert [name for name, _ in made.store] == ["native", "admin"]
    ports = [fd_name(fd) for _, fd in made.store]
    assert ports == [running.address, running.admin]
    running.stop()
    assert made.until("STOPPING")["STOPPING"] == "1"
    assert all("READY" not in message for message in made.all())


def fd_name(fd):
    with socket.socket(fileno=os.dup(fd)) as found:
        return "{}:{}".format(*found.getsockname())


def test_sighup_is_a_reload_with_a_beginning_and_an_end(supervised, made, tmp_path):
    (tmp_path / "rules").mkdir()
    running = supervised(arguments=["--routes", str(tmp_path / "rules")])
    made.until("READY")
    before = time.monotonic_ns() // 1000
    running.signal(signal.SIGHUP)
    told = made.until("RELOADING")
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert made.until("READY")["READY"] == "1"
    running.stop()


@pytest.mark.parametrize("number, last", [(signal.SIGTERM, "STOPPING"), (signal.SIGUSR2, "RELOADING")], ids=["stop", "restart"])
def test_a_reload_that_is_overtaken_by_the_end_is_not_told_as_ready(supervised, made, number, last):
    """The config is a pipe, so that the reload goes on as long as the test wants."""
    running = supervised()
    made.until("READY")
    text = running.config.read_bytes()
    running.config.unlink()
    os.mkfifo(running.config)
    running.signal(signal.SIGHUP)
    made.until("RELOADING")
    end, pipe = time.monotonic() + 30, None
    while pipe is None:
        assert time.monotonic() < end, "the file is not read"
        try:
            pipe = os.open(running.config, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO  # nobody has opened it yet
    running.config.unlink()
    running.config.write_bytes(text)
    running.signal(number)
    made.until(last)
    made.all()
    os.write(pipe, text)
    os.close(pipe)
    if number == signal.SIGUSR2:
        running.await_ready()
        assert [message["READY"] for message in made.all() if "READY" in message] == ["1"], "the one that has taken its place"
    running.stop()
    assert all("READY" not in message for message in made.all())


def test_the_watchdog_is_told_again_and_again_although_nothing_happens(supervised, made):
    running = supervised(shards=3)
    for _ in range(4):
        assert " connections, " in made.until("WATCHDOG").get("STATUS", " connections, ")
    turns = running.metric("roundhouse_turns_total", shard=2)
    made.all()
    for _ in range(3):
        made.until("WATCHDOG")
    assert running.metric("roundhouse_turns_total", shard=2) >= turns + 2, "a proof without a turn of each shard"
    running.stop()


class Stopped:
    """One thread of a router that does not go on, as one that hangs: by ptrace."""

    def __init__(self, pid, name):
        self.pid = pid
        self.thread, = hold.threads_named(pid, name)

    def __enter__(self):
        hold.ptrace(hold.SEIZE, self.thread, 0, 0)
        hold.ptrace(hold.INTERRUPT, self.thread)
        assert os.WIFSTOPPED(os.waitpid(self.thread, hold.WALL)[1])
        return self

    def __exit__(self, *_):
        hold.ptrace(hold.DETACH, self.thread)


@pytest.mark.parametrize("name", ["rh-shard-0", "rh-shard-1"])
def test_while_one_worker_hangs_the_watchdog_is_not_told(supervised, made, name):
    running = supervised(shards=2)
    made.until("READY")
    made.until("WATCHDOG")
    with Stopped(running.pid, name):
        made.all()
        # A proof may have been complete, and on its way, when the worker stopped: one.
        end = time.monotonic() + 3 * WATCHDOG_US / 1e6
        late = []
        while (left := end - time.monotonic()) > 0:
            late += [message for message in [made.take(left)] if message and "WATCHDOG" in message]
        assert len(late) <= 1, "it is told although a worker hangs"
        said = running.errors()
        assert f'level=error msg="a shard makes no turn: the service manager is not told that all is well" shard={name[-1]}' in said
    made.until("WATCHDOG")
    assert 'msg="all shards turn again" shards=2' in running.errors()
    running.stop()


def test_a_watchdog_of_another_process_is_none_of_ours(router, made):
    preexec, _ = made.preexec()

    def foreign():
        preexec()
        os.environ["WATCHDOG_PID"] = "1"

    running = router(preexec=foreign)
    made.until("READY")
    assert not hold.threads_named(running.pid, "rh-watchdog")
    running.stop()


def test_a_socket_that_nobody_reads_or_that_is_not_there_harms_nobody(router, tmp_path):
    """The manager's queue is full after some messages: it is not waited for."""
    for name in ("unread", "missing"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unread:
            if name == "unread":
                unread.bind(str(tmp_path / name))
                filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                with pytest.raises(BlockingIOError):
                    while True:
                        filler.sendto(b"x", str(tmp_path / name))
                filler.close()

            def preexec():
                os.environ["NOTIFY_SOCKET"] = str(tmp_path / name)
                os.environ["WATCHDOG_USEC"] = "30000"

            running = router(preexec=preexec)
            with running.client() as client:
                for _ in range(10):
                    client.round_trip()
                    time.sleep(0.01)
            running.stop()


def test_an_abstract_name_is_understood(router):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        name = f"roundhouse-{os.getpid()}"
        abstract.bind("\0" + name)
        abstract.settimeout(30)

        def preexec():
            os.environ["NOTIFY_SOCKET"] = "@" + name

        running = router(preexec=preexec)
        while b"READY=1" not in abstract.recv(4096):
            pass
        running.stop()
