"""Restarts of a router at which nobody is refused: in place (SIGUSR2), and by a service manager that keeps the listening sockets.
Publishers and subscribers go on over them; what they note is judged (history.py)."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest

import checker_test
import conftest
import history
import load
import manager
import wire
from checker_test import TOPICS
from journal_reader import JournalReader
from wire import pb

CONFIG = checker_test.RING + "topics: [{ match: 'm.>', class: memory }]\njournal: { segment: 256KiB, logs: 2 }\n"
RESTARTS = 5


def connection(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=wire.WAIT_SECONDS)


class Knocking:
    """Connects again and again, with a request for a page in between; a connection that is refused is noted. It is allowed
    that a connection ends before it is answered: the router was about to go, and the next one answers."""

    def __init__(self, made):
        self.native, self.pages = made.address, {self._admin: made.admin, self._ingest: made.ingest}
        self.refused, self.answered, self.longest = [], dict.fromkeys(("_hello", "_admin", "_ingest"), 0), 0.0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._knock, args=(once,), daemon=True)
                        for once in (self._hello, self._admin, self._ingest)]
        for thread in self.threads:
            thread.start()

    def _knock(self, once):
        while not self.ending.is_set():
            begin = time.monotonic()
            try:
                once()
                self.answered[once.__name__] += 1
                self.longest = max(self.longest, time.monotonic() - begin)
            except ConnectionRefusedError as error:
                self.refused.append(f"{once.__name__}: {error}")
            except (wire.Closed, ConnectionError, AssertionError):
                pass

    def _hello(self):
        with wire.Client(self.native) as client:
            client.round_trip()

    def _admin(self):
        self._page(self.pages[self._admin])

    def _ingest(self):
        self._page(self.pages[self._ingest])

    @staticmethod
    def _page(address):
        with connection(address) as page:
            page.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if not page.recv(100).startswith(b"HTTP/1.1 "):
                raise ConnectionResetError

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(wire.WAIT_SECONDS + 10)
            assert not thread.is_alive(), "a connection is neither answered nor ended"
        assert not self.refused, self.refused
        return min(self.answered.values())


class InPlace:
    """SIGUSR2: the same process goes on as the program that is installed now."""

    def __init__(self, start):
        self.made = start()
        self.pid = self.made.pid

    def restart(self):
        old = (self.made.address, self.made.admin, self.made.ingest)
        self.made.signal(signal.SIGUSR2)
        self.made.await_ready()
        assert (self.made.address, self.made.admin, self.made.ingest) == old and self.made.alive()


class ByManager:
    """SIGTERM, and a new process that gets the sockets out of the manager's store."""

    def __init__(self, start, service):
        self.begin, self.service = start, service
        self.made = self._start()

    def _start(self):
        preexec, pass_fds = self.service.preexec()
        made = self.begin(preexec=preexec, pass_fds=pass_fds)
        self.service.until("READY")
        for _, fd in self.service.store[len(pass_fds):] if pass_fds else []:
            os.close(fd)  # copies of what is stored: systemd knows them
        del self.service.store[len(pass_fds) or len(self.service.store):]
        return made

    def restart(self):
        old = (self.made.address, self.made.admin, self.made.ingest)
        self.made.stop()
        self.made = self._start()
        assert (self.made.address, self.made.admin, self.made.ingest) == old


@pytest.fixture(params=["in place", "by the manager"])
def restarting(request, router, tmp_path):
    """A function that starts a router which can be restarted: restarting(shards=2, config_text=...)."""
    with manager.Manager(tmp_path) as service:

        def start(**options):
            if request.param == "in place":
                return InPlace(lambda: router(**options))
            return ByManager(lambda **more: router(**options, **more), service)

        yield start


def play(past, life, publishers, subscribers, events):
    """One run: all come, some events are published, and the router is restarted under them."""
    for party in subscribers + publishers:
        party.start(life.made.address)
    for subscriber in subscribers:
        subscriber.await_ready()
    begin, end = len(past.publications), time.monotonic() + 60
    while len(past.publications) < begin + events:
        assert time.monotonic() < end, "nothing is published any more"
        time.sleep(0.001)
    clock = time.monotonic()
    life.restart()
    for subscriber in subscribers:
        subscriber.hurry()
    for party in publishers + subscribers:
        party.join()
    return time.monotonic() - clock


@pytest.mark.parametrize("journal", [True, False], ids=["journal", "memory"])
def test_a_restart_under_load_loses_nothing_acknowledged_and_refuses_nobody(restarting, run, tmp_path, journal):
    seed = checker_test.new_seed()
    past = history.History(seed, checker_test.is_durable if journal else (), instance_lives=journal)
    folder = tmp_path / "journal"
    life = restarting(shards=2, config_text=CONFIG if journal else checker_test.RING,
                      arguments=["--ingest", "127.0.0.1:0"] + (["--journal", str(folder)] if journal else []))
    publishers, subscribers = checker_test.parties(past, journal)
    knocking, gaps = Knocking(life.made), []
    for _ in range(RESTARTS):
        past.begin_run(life.made.ready.strip())
        gaps.append(play(past, life, publishers, subscribers, 400))
    past.begin_run(life.made.ready.strip())
    for subscriber in subscribers:
        subscriber.start(life.made.address)
    for subscriber in subscribers:
        subscriber.await_ready()
    load.drain(past, load.Publisher(past, "end", TOPICS, history.ROUTED), subscribers, life.made.address, TOPICS)
    assert knocking.stop() > 10
    life.made.stop()
    past.journal_is_whole = journal
    if journal:
        JournalReader(run, folder).read(past)
    history.must_be_right(past)
    outcomes = [publication.outcome for publication in past.publications.values()]
    assert outcomes.count(history.ACKNOWLEDGED) > 300 * RESTARTS
    print(f"restarts took {', '.join(f'{gap * 1000:.0f}' for gap in gaps)} ms; "
          f"the longest answer {knocking.longest * 1000:.0f} ms")


def test_a_position_of_memory_logs_is_answered_by_a_gap_that_says_so(restarting):
    life = restarting()
    with life.made.client() as client:
        client.send(subscribe=pb.Subscribe(id=1, patterns=["a"]))
        position = client.expect("subscribed").position
    life.restart()
    with life.made.client() as client:
        client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], position=position))
        client.expect("subscribed")
        assert client.expect("gap").reason == pb.Gap.REASON_INSTANCE


def test_connections_wait_while_nobody_accepts_and_then_are_answered(restarting):
    """The stop takes its time, because somebody does not read: who connects meanwhile is served by the next one."""
    life = restarting(config_text="logs: { data: 32MiB }\n")
    made = life.made
    with made.client(receive_buffer=8192) as deaf, made.client(ack=pb.ACK_LEVEL_ROUTED) as publisher:
        deaf.subscribe("x")
        publisher.send_bytes(b"".join(wire.numbered("x", number, 8000) for number in range(1, 2001)))
        assert publisher.settle(2000) == {}
        waiting = []

        def connect():
            made.await_metric("roundhouse_ready", lambda ready: ready == 0)
            for _ in range(20):
                waiting.append(wire.Client(made.address))

        thread = threading.Thread(target=connect)
        thread.start()
        life.restart()
        thread.join()
    assert len(waiting) == 20
    for client in waiting:
        client.round_trip()
        client.close()


def test_who_connects_while_a_router_that_was_killed_is_started_again_is_not_refused(router, run, tmp_path):
    """The manager has the sockets, whatever the end of the process was."""
    with manager.Manager(tmp_path) as service:
        life = ByManager(lambda **more: router(arguments=["--ingest", "127.0.0.1:0", "--journal", str(tmp_path / "j")], **more), service)
        knocking = Knocking(life.made)
        for number in range(1, 4):
            with life.made.client(ack=pb.ACK_LEVEL_DISK) as publisher:
                publisher.send_bytes(wire.numbered("a", number))
                assert publisher.settle(1) == {}
            life.made.signal(signal.SIGKILL)
            assert life.made.wait() == -signal.SIGKILL
            life.made = life._start()
        assert knocking.stop() > 3
        with life.made.client() as client:
            client.subscribe("a", start=pb.Start(oldest=True))
            assert [wire.read_number(event) for event in client.events(3)] == [1, 2, 3]
        life.made.stop()


# --- in place: what is checked before, and what the next program gets ---


def test_the_program_that_is_installed_now_takes_over_with_the_same_options(tmp_path, monkeypatch, router):
    """The file is replaced, as dpkg does it, while it runs: the next one is started by name."""
    program = tmp_path / "roundhouse"
    shutil.copy(conftest.BINARY, program)
    monkeypatch.setattr(conftest, "BINARY", str(program))
    made = router(shards=2)
    shutil.copy(conftest.BINARY, tmp_path / "new")
    with open(tmp_path / "new", "ab") as file:
        file.write(b"\0")  # another file, the same program
    os.rename(tmp_path / "new", program)
    assert os.readlink(f"/proc/{made.pid}/exe").endswith("(deleted)")
    arguments = open(f"/proc/{made.pid}/cmdline", "rb").read().split(b"\0")[1:]
    made.signal(signal.SIGUSR2)
    made.await_ready()
    assert os.readlink(f"/proc/{made.pid}/exe") == str(program) and made.shards == 2
    assert open(f"/proc/{made.pid}/cmdline", "rb").read().split(b"\0")[1:] == arguments
    made.stop()


def test_no_descriptor_is_left_over_from_restarts(router, tmp_path):
    made = router(shards=2, arguments=["--journal", str(tmp_path / "j")])
    counts = []
    for _ in range(4):
        with made.client(ack=pb.ACK_LEVEL_DISK) as client:
            client.send_bytes(wire.numbered("a", 1))
            assert client.settle(1) == {}
        counts.append(made.settled_descriptors())
        made.signal(signal.SIGUSR2)
        made.await_ready()
    assert max(counts[1:]) <= counts[0], counts


@pytest.mark.parametrize("wrong", ["config", "program"])
def test_what_would_not_start_does_not_end_what_runs(router, tmp_path, monkeypatch, wrong):
    program = tmp_path / "roundhouse"
    shutil.copy(conftest.BINARY, program)
    monkeypatch.setattr(conftest, "BINARY", str(program))
    made = router()
    good = made.config.read_text()
    if wrong == "config":
        made.config.write_text(good + "limitz: {}\n")
    else:
        os.unlink(program)
    with made.client() as client:
        made.signal(signal.SIGUSR2)
        end = time.monotonic() + 30
        while "no restart: " not in made.errors():
            assert time.monotonic() < end
            time.sleep(0.01)
        client.round_trip()  # it is the same connection
    if wrong == "config":
        assert f"{made.config}:" in made.errors() and "limitz" in made.errors() and "status=78" in made.errors()
        made.config.write_text(good)
        made.signal(signal.SIGUSR2)
        made.await_ready()
    made.stop()


def test_check_says_what_is_wrong_and_starts_nothing(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("shards: 1\n")
    done = run("serve", "--config", config, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    config.write_text("shards: many\n")
    done = run("serve", "--check", "--config", config)
    assert done.returncode == 78 and f"{config}:1:9" in done.stderr
    assert run("serve", "--check", "--shards", "no").returncode == 64


# --- what is handed over ---


def handed(service, **sockets):
    """A manager whose store has these sockets: name=address."""
    for name, address in sockets.items():
        host, port = address.rsplit(":", 1)
        with socket.create_server((host.strip("[]"), int(port)), family=socket.AF_INET6 if "[" in host else socket.AF_INET) as made:
            service.store.append((name, os.dup(made.fileno())))
    return service.preexec()


def test_a_socket_is_known_by_its_address_whatever_it_is_called(router, tmp_path):
    """As by socket activation, where the names are others."""
    with manager.Manager(tmp_path) as service:
        with socket.create_server(("127.0.0.1", 0)) as found:
            address = "127.0.0.1:%d" % found.getsockname()[1]
        preexec, pass_fds = handed(service, **{"roundhouse.socket": address})
        with connection(address) as early:
            made = router(preexec=preexec, pass_fds=pass_fds, arguments=["--listen", address])
            assert made.address == address
            early.sendall(wire.frame(connect=pb.Connect(version=1)))
            assert early.recv(1), "who has connected before the start is served"
        assert "not used" not in made.errors()
        made.stop()


def test_what_the_config_does_not_listen_on_is_closed_and_said(router, tmp_path):
    with manager.Manager(tmp_path) as service:
        preexec, pass_fds = handed(service, native="127.0.0.2:0", other="127.0.0.1:0")
        foreign = [socket.socket(fileno=os.dup(fd)).getsockname() for _, fd in service.store]
        made = router(preexec=preexec, pass_fds=pass_fds)
        service.until("READY")
        assert made.address.startswith("127.0.0.1:")
        assert 'msg="a socket that was handed over is not used: the config listens nowhere on it" name="other"' in made.errors()
        assert [name for name, _ in service.store] == ["native", "admin"], "the store has what is not used"
        for address in foreign:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
        made.stop()


@pytest.mark.parametrize("environment", [{"LISTEN_PID": "1"}, {"LISTEN_FDS": "many"}, {"LISTEN_FDS": "-1"}, {"LISTEN_FDS": "7"},
                                         {"LISTEN_FDNAMES": ""}, {"LISTEN_FDNAMES": ":::::"}])
def test_variables_that_are_wrong_or_for_others_harm_nobody(router, tmp_path, environment):
    def preexec():
        os.environ.update({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), **environment})
        os.dup2(os.open("/dev/null", os.O_RDONLY), manager.FIRST_FD)

    made = router(preexec=preexec, pass_fds=(manager.FIRST_FD,))
    with made.client() as client:
        client.round_trip()
    assert subprocess.run(["tr", "\\0", "\n"], stdin=open(f"/proc/{made.pid}/environ", "rb"), check=True, capture_output=True)
    made.stop()


def test_a_listener_that_has_moved_is_handed_over_and_nobody_waits_at_the_old_one(router, tmp_path):
    with manager.Manager(tmp_path) as service:
        preexec, pass_fds = service.preexec()
        made = router(preexec=preexec, pass_fds=pass_fds)
        service.until("READY")
        old = made.address
        with socket.create_server(("127.0.0.1", 0)) as free:
            new = "127.0.0.1:%d" % free.getsockname()[1]
        made.config.write_text(made.config.read_text().replace("127.0.0.1:0", new, 1))
        made.signal(signal.SIGHUP)
        service.until("RELOADING")
        service.until("READY")
        with pytest.raises(ConnectionRefusedError):
            connection(old)
        with wire.Client(new) as client:
            client.round_trip()
        stored = {name: socket.socket(fileno=os.dup(fd)).getsockname()[1] for name, fd in service.store}
        assert stored["native"] == int(new.rsplit(":", 1)[1]) and len(service.store) == 2
        made.signal(signal.SIGUSR2)
        made.await_ready()
        assert made.address == new and "not used" not in made.errors()
        made.stop()


@pytest.mark.parametrize("nohup", [True, False])
def test_the_end_of_its_terminal_means_the_same_after_a_restart(router, nohup):
    """The program that takes over is not told by its parent what SIGHUP was: it finds it as the first one did."""
    ours, theirs = os.openpty()

    def preexec():
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)

    made = router(preexec=preexec)
    os.close(theirs)
    made.signal(signal.SIGUSR2)
    made.await_ready()
    os.close(ours)
    if nohup:
        with made.client() as client:
            client.round_trip()
    else:
        assert made.wait() == 0
    made.stop()
    assert re.findall(r"signal=(\w+)", made.errors()) == ["USR2", "TERM" if nohup else "HUP"]
