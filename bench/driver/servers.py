"""The servers that are measured: how each is started, pinned to its CPUs, found ready, and ended."""

import ctypes
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field

from driver import stores
from driver.failure import Failed

START_SECONDS = 20
STOP_SECONDS = 15
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

PROTOCOLS = {"roundhouse": "native", "relay": "relay", "nats": "nats", "redis": "redis", "mosquitto": "mqtt", "disk": "disk",
             "converter": None, "perl": None}


@dataclass
class Subject:
    """Who is measured: one server with its settings. `extra` are further options of the load generator, `beside` what goes on
    beside it (beside.py)."""

    name: str
    kind: str
    title: str
    io: str | None = None
    shards: int | None = None
    extra: dict = field(default_factory=dict)
    beside: str | None = None
    protocol: str | None = None  # of the load generator; the kind's own unless it is said

    def __post_init__(self):
        self.protocol = self.protocol or PROTOCOLS[self.kind]


ROUNDHOUSE_CONFIG = """listen: {{ native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off }}
io: {io}
shards: {{ count: {shards}, cpus: [{cpus}] }}
limits: {{ connections: 20000 }}
"""
ROUNDHOUSE_JOURNAL = """journal: {{ dir: "{folder}", logs: 1 }}
"""
NATS_CONFIG = """listen: "127.0.0.1:{port}"
ping_interval: "1h"
max_pending: 1GB
max_connections: 65000
write_deadline: "60s"
"""
NATS_JETSTREAM = """jetstream {{ store_dir: "{folder}" }}
"""
MOSQUITTO_CONFIG = """listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_queued_bytes 0
max_connections -1
persistence false
set_tcp_nodelay true
sys_interval 0
log_type none
user root
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _redis_storing(storing):
    """Every answer after its sync, or nothing on disk at all. No rewrite of the file meanwhile."""
    if storing:
        return ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]
    return ["--appendonly", "no"]


def _command(subject, build, folder, cpus, port, options, stored_in):
    """The command line; files it needs are written into the folder. `stored_in`: where it keeps events on disk, or None."""
    config = folder / "config"
    if subject.kind == "roundhouse":
        config.write_text(ROUNDHOUSE_CONFIG.format(io=subject.io, shards=len(cpus), cpus=", ".join(map(str, cpus)))
                          + (ROUNDHOUSE_JOURNAL.format(folder=stored_in) if stored_in else "")
                          + "".join(f'{key}: "{value}"\n' for key, value in options.items()))
        return [str(build / "roundhouse"), "serve", "--quiet", "--config", str(config)]
    if subject.kind == "relay":
        return [str(build / "bench" / "relay")] + [word for key, value in options.items() for word in (f"--{key}", str(value))]
    if subject.kind == "nats":
        config.write_text(NATS_CONFIG.format(port=port) + (NATS_JETSTREAM.format(folder=stored_in) if stored_in else ""))
        return ["nats-server", "-c", str(config)]
    if subject.kind == "mosquitto":
        config.write_text(MOSQUITTO_CONFIG.format(port=port))
        return ["mosquitto", "-c", str(config)]
    return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *_redis_storing(stored_in), "--maxclients", "30000",
            "--client-output-buffer-limit", "pubsub 0 0 0", "--dir", str(stored_in or folder)]


def prepare_child(cpus):
    """Runs in the child before it becomes another program: its CPUs, its descriptors, its end with ours."""
    os.sched_setaffinity(0, cpus)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """A running server. Use it in a `with`: it is ended by its process id, whatever happens."""

    def __init__(self, subject, build, cpus, options=None, place=None):
        self.subject, self.cpus = subject, cpus
        self._folder = tempfile.TemporaryDirectory(prefix="roundhouse-bench-", dir=place.directory if place else None)
        folder = pathlib.Path(self._folder.name)
        self.stored_in = folder / "stored" if place else None
        if place:
            self.stored_in.mkdir()
        port = _free_port()
        self.command = _command(subject, build, folder, cpus, port, options or {}, self.stored_in)
        self._log = open(folder / "log", "w+b")
        self._start(folder, port)
        try:
            if place:
                stores.prepare(self)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder, port):
        says_ready = self.subject.kind in ("roundhouse", "relay")
        try:
            self.process = subprocess.Popen(self.command, cwd=folder, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE if says_ready else self._log, stderr=self._log,
                                            preexec_fn=lambda: prepare_child(self.cpus))
        except OSError as error:
            raise self._failed(f"can not be started: {error}") from error
        self.pid, self.address, self.admin = self.process.pid, f"127.0.0.1:{port}", None
        try:
            if says_ready:
                self._read_ready()
            else:
                self._await_port(port)
        except BaseException:
            self.stop()
            raise

    def restart(self):
        """Ends it and starts it again: Roundhouse, over what it stored."""
        self.end()
        self.process.stdout.close()
        self._start(pathlib.Path(self._folder.name), 0)

    def _failed(self, what):
        self._log.flush()
        self._log.seek(0)
        said = " ".join(self._log.read().decode(errors="replace").split())[-300:]
        return Failed(f"{self.subject.title} {what}{': ' + said if said else ''}")

    def _read_ready(self):
        """The line that says that it is ready, and where."""
        if not select.select([self.process.stdout], [], [], START_SECONDS)[0]:
            raise self._failed(f"was not ready within {START_SECONDS} s")
        line = self.process.stdout.readline().decode()
        found = re.match(r"ready (?:native=)?(\S+)(?: admin=(\S+))?", line)
        if not found:
            raise self._failed("did not start")
        self.address, self.admin = found[1], found[2]

    def _await_port(self, port):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise self._failed("did not start")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise self._failed(f"was not ready within {START_SECONDS} s")

    def metrics(self):
        """Roundhouse: every number of its metrics page, summed over the shards; the I/O body as `io`. Else empty."""
        if self.admin in (None, "off"):
            return {}
        try:
            with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as page:
                text = page.read().decode()
        except OSError as error:
            raise self._failed(f"does not tell its metrics: {error}") from error
        sums = {}
        for name, labels, value in re.findall(r"^(\w+)(\{[^}]*\})? (\S+)$", text, re.M):
            sums[name] = sums.get(name, 0.0) + float(value)
            body = re.search(r'body="(\w+)"', labels) if name == "roundhouse_io_body" else None
            if body:
                sums["io"] = body[1]
        return sums

    def alive(self):
        return self.process.poll() is None

    def end(self):
        """Ends the process; what it stored is still there."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.end()
        if self.process.stdout:
            self.process.stdout.close()
        self._log.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


VERSIONS = {"roundhouse": ["version"], "nats": ["nats-server", "--version"], "redis": ["redis-server", "--version"],
            "mosquitto": ["mosquitto", "-h"]}


def version(kind, build):
    """What the program says of itself: the first number with dots in it."""
    if kind not in VERSIONS:
        return "of this tree"
    command = [str(build / "roundhouse"), "version"] if kind == "roundhouse" else VERSIONS[kind]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.search(r"\d+\.\d+(\.\d+)*", ran.stdout + ran.stderr)
    return found[0] if found else "unknown"
