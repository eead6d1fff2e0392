"""Fixtures of the end-to-end tests: a real router on free ports, ended and checked after every test.

RH_BINARY names the router (default build/release/roundhouse), RH_SANITIZE=address says that it reports its own memory
faults. Tests that use `router` run on both I/O bodies; the metrics, not the flag, say which body ran. Tests marked
`soak` run only with --soak, RH_SOAK=1 or `-m soak`.
"""

import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import wire  # noqa: E402

BINARY = os.path.abspath(os.environ.get("RH_BINARY", os.path.join(wire.ROOT, "build", "release", "roundhouse")))
SANITIZED = os.environ.get("RH_SANITIZE", "none") not in ("", "none")
START_SECONDS = 60
STOP_SECONDS = 30
READY = re.compile(r"ready native=(\S+) admin=(\S+) shards=(\d+) io=(\S+) log=(\S+)( .*)?\n")
REPORTS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error:", "ThreadSanitizer",
           "CHECK failed", "Assertion")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment is not for loopback
# Whoever started the tests in the background may have left these ignored, and programs inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

LISTEN = 'listen: { native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off }\n'
BODY_NAMES = {"uring": "io_uring", "uring:oneshot": "io_uring", "epoll": "epoll"}


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="also run the tests marked `soak`")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds; left out under sanitizers")
    config.addinivalue_line("markers", "soak: full-size run, only on demand")


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--soak") or os.environ.get("RH_SOAK") or "soak" in config.getoption("-m")
    if wanted:
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


class Router:
    """A running `roundhouse serve`."""

    def __init__(self, folder, config, arguments=(), preexec=None, pass_fds=()):
        folder.mkdir(exist_ok=True)
        self.config = folder / "roundhouse.yaml"
        self.config.write_text(config)
        self.errors_file = open(folder / "stderr", "w+")
        self.process = subprocess.Popen([BINARY, "serve", "--config", str(self.config), *arguments], cwd=folder,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors_file,
                                        preexec_fn=preexec, pass_fds=pass_fds)
        self.pid = self.process.pid
        self.await_ready()

    def await_ready(self):
        """Reads the ready line; a router that has restarted in place prints another one."""
        self.ready = self._ready_line()
        found = READY.fullmatch(self.ready)
        assert found, f"not a ready line: {self.ready!r}; the router said:\n{self.errors()}"
        self.address, self.admin, self.io = found.group(1), found.group(2), found.group(4)
        self.shards = int(found.group(3))
        ingest = re.search(r" ingest=(\S+)", self.ready)
        self.ingest = ingest.group(1) if ingest else None

    def _ready_line(self):
        """The first line on standard output, nothing before it."""
        line, end = b"", time.monotonic() + START_SECONDS
        while not line.endswith(b"\n"):
            left = max(0, end - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                break
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                break
            line += byte
        return line.decode()

    def errors(self):
        """Its log so far."""
        with open(self.errors_file.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def client(self, **options):
        return wire.Client(self.address, **options)

    def http(self, path):
        with DIRECT.open(f"http://{self.admin}{path}", timeout=wire.WAIT_SECONDS) as page:
            return page.read().decode()

    def metric(self, name, **labels):
        """The sum of a metric over all label sets that include `labels`; fails when there is no such metric."""
        total, found = 0.0, False
        for line in self.http("/metrics").splitlines():
            match = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
            if match and all(f'{key}="{value}"' in (match.group(1) or "") for key, value in labels.items()):
                total, found = total + float(match.group(2)), True
        assert found, f"no metric {name}{labels or ''}"
        return total

    def await_metric(self, name, right, **labels):
        """Waits until `right(value)`; returns the value."""
        end = time.monotonic() + wire.WAIT_SECONDS
        while not right(value := self.metric(name, **labels)):
            assert time.monotonic() < end, f"{name} stays {value}"
            time.sleep(0.02)
        return value

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def settled_descriptors(self):
        """How many descriptors are open when none has come or gone for a while: the last page asked for is closed."""
        counts, end = [self.descriptors()], time.monotonic() + wire.WAIT_SECONDS
        while len(counts) < 10 or len(set(counts[-10:])) > 1:
            assert time.monotonic() < end, f"descriptors come and go: {counts}"
            time.sleep(0.02)
            counts.append(self.descriptors())
        return counts[-1]

    def await_descriptors(self, count):
        """Waits until so many descriptors are open."""
        end = time.monotonic() + wire.WAIT_SECONDS
        while self.descriptors() != count:
            assert time.monotonic() < end, f"{self.descriptors()} descriptors are open, not {count}"
            time.sleep(0.02)

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(STOP_SECONDS)

    def stop(self):
        """Ends it by SIGTERM; it must drain, exit 0, and have reported no fault."""
        if self.alive():
            self.signal(signal.SIGTERM)
        status = self.wait()
        said = self.errors()
        assert status == 0, f"exit status {status}; the router said:\n{said}"
        assert not any(report in said for report in REPORTS), said
        assert self.process.stdout.read() == b"", "something follows the ready line on standard output"

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors_file.close()


@pytest.fixture(params=["epoll", "uring"])
def body(request):
    """The I/O body to ask for; a test may override it with its own parametrisation."""
    return request.param


@pytest.fixture
def router(body, tmp_path):
    """A function that starts a router: router(shards=2, config_text="limits: { frame: 128KiB }")."""
    started = []

    def start(io=None, shards=1, config_text="logs: { data: 8MiB }\n", arguments=(), preexec=None, pass_fds=()):
        io = io or body
        made = Router(tmp_path / f"router{len(started)}", LISTEN + config_text,
                      ["--io", io, "--shards", str(shards), *arguments], preexec, pass_fds)
        started.append(made)
        assert made.shards == shards
        if io in BODY_NAMES:
            assert made.metric("roundhouse_io_body", body=BODY_NAMES[io]) == 1
        return made

    yield start
    try:
        for made in started:
            if made.process.returncode is None:
                made.stop()
    finally:
        for made in started:
            made.kill()


@pytest.fixture
def begun():
    """A function that starts a program and waits for its first line; what comes behind that is left for communicate()."""
    programs = []

    def start(first, *command):
        program = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        programs.append(program)
        line = b""
        while not line.endswith(b"\n"):  # byte by byte
            byte = os.read(program.stdout.fileno(), 1)
            assert byte, program.stderr.read()
            line += byte
        assert line.decode() == first
        return program

    yield start
    for program in programs:
        if program.poll() is None:
            program.kill()
        program.communicate()


@pytest.fixture
def run(tmp_path):
    """A function that runs the binary to its end: run("version") -> CompletedProcess with text output."""

    def execute(*arguments, input=None, text=True, seconds=60, **options):
        return subprocess.run([BINARY, *map(str, arguments)], input=input, text=text, capture_output=True, cwd=tmp_path,
                              timeout=seconds, **options)

    return execute


@pytest.fixture
def spawn(tmp_path):
    """A function that starts the binary in the background; it is killed by its process id at the end."""
    programs = []

    def start(*arguments, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        program = subprocess.Popen([BINARY, *map(str, arguments)], cwd=tmp_path, **options)
        programs.append(program)
        return program

    yield start
    for program in programs:
        if program.poll() is None:
            program.kill()
        program.communicate()


@pytest.fixture
def many_descriptors():
    """Lets this process hold some thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
