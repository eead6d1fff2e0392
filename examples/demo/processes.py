"""Starts and ends the programs of the demo: the router, its subscribers, its publisher.

Everything is ended by its process id, and every wait has an end.
"""

import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

READY = re.compile(r"ready native=(\S+) admin=(\S+) shards=(\d+) io=(\S+) log=(\S+)")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment is not for loopback
CONFIG = 'listen: { native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off }\n'


class Trouble(Exception):
    """The demo could not be carried out; says nothing about the deliveries."""


class Program:
    """A child process whose standard output is read line by line into a queue, its standard error into a file."""

    def __init__(self, name, arguments, stdin=subprocess.DEVNULL):
        self.name = name
        self.lines = queue.Queue()
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=self._errors)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode("utf-8", "replace"))
        self.lines.put(None)

    def line(self, seconds):
        """The next line of its output, or None when there is none in time or its output has ended."""
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def errors(self):
        """What it wrote to standard error so far."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode("utf-8", "replace")

    def wait(self, seconds):
        """Its exit status; it is killed, and that is trouble, if it does not end in time."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Trouble(f"{self.name} did not end within {seconds} s; it said:\n{self.errors()}") from None
        self._reader.join(seconds)
        return status

    def stop(self, seconds):
        """Asks it to end (SIGTERM) and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def said(self, text, seconds):
        """Waits until it has written this to standard error."""
        end = time.monotonic() + seconds
        while text not in self.errors():
            if time.monotonic() > end or self.process.poll() is not None:
                raise Trouble(f"{self.name} did not say '{text}'; it said:\n{self.errors()}")
            time.sleep(0.02)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Demo:
    """The programs of one demo; a context manager, so that none of them survives it."""

    def __init__(self, binary, io, journal=None, config="", options=()):
        """`config` is added to the router's configuration, `options` to those of `roundhouse serve`."""
        self.binary = binary
        self._programs = []
        self._config = tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix="roundhouse-demo-")
        self._config.write(CONFIG + config)
        self._config.flush()
        self._serve = ["serve", "--config", self._config.name, "--io", io, *options, *(["--journal", journal] if journal else [])]
        self.router = self._start("the router", self._serve)
        self.native = self.admin = self.facts = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in reversed(self._programs):
            program.kill()
        self._config.close()

    def _start(self, name, arguments, **options):
        try:
            program = Program(name, [self.binary, *arguments], **options)
        except OSError as error:
            raise Trouble(f"cannot start {self.binary}: {error.strerror}") from error
        self._programs.append(program)
        return program

    def await_ready(self, seconds):
        """Reads the router's ready line; afterwards `native` and `admin` are its addresses."""
        line = self.router.line(seconds)
        found = READY.match(line or "")
        if not found:
            raise Trouble(f"the router printed no ready line but {line!r}; it said:\n{self.router.errors()}")
        self.native, self.admin = found.group(1), found.group(2)
        self.facts = line.strip()

    def kill_router(self):
        """As a crash or the power would: SIGKILL, without any chance to write something down."""
        self.router.kill()

    def restart_router(self, seconds):
        """The same again: from its journal it knows what was acknowledged."""
        self.router = self._start("the router", self._serve)
        self.await_ready(seconds)

    def start(self, name, command, *arguments):
        """Starts a program that connects to the router."""
        return self._start(name, [command, "--server", self.native, *arguments])

    def run(self, name, seconds, *arguments):
        """Runs a program to its end, which must be a good one; its lines of output."""
        program = self._start(name, list(arguments))
        status = program.wait(seconds)
        if status != 0:
            raise Trouble(f"{name} ended with status {status}; it said:\n{program.errors()}")
        lines = []
        while (line := program.line(0)) is not None:
            lines.append(line)
        return lines

    def subscribe(self, name, patterns):
        """Starts a subscriber; the program prints one line of JSON per delivery."""
        return self._start(name, ["sub", "--server", self.native, "--format", "json", *patterns])

    def metric(self, name):
        """A number from the router's metrics page, summed over its labels; 0 when it is not there."""
        with DIRECT.open(f"http://{self.admin}/metrics", timeout=10) as page:
            lines = page.read().decode("utf-8").splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(re.escape(name) + r"[ {]", line))

    def await_subscriptions(self, count, seconds):
        """Waits until the router counts so many subscriptions: only then may the first document be published."""
        end = time.monotonic() + seconds
        while self.metric("roundhouse_subscriptions") < count:
            if time.monotonic() > end:
                said = "\n".join(p.errors() for p in self._programs)
                raise Trouble(f"not all subscribers were subscribed within {seconds} s; they said:\n{said}")
            time.sleep(0.02)

    def publish(self, lines, seconds):
        """Publishes all lines with one connection and waits until the router has acknowledged every one."""
        with tempfile.TemporaryFile() as file:
            file.write("".join(lines).encode("utf-8"))
            file.seek(0)
            arguments = ["pub", "--server", self.native, "--format", "ndjson", "--ack", "routed"]
            publisher = self._start("the publisher", arguments, stdin=file)
            status = publisher.wait(seconds)
        if status != 0:
            raise Trouble(f"the publisher ended with status {status}; it said:\n{publisher.errors()}")
