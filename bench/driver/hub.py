"""The hub: a whole router with one spoke. Files are renamed into an inbox when they are due, and a subscriber says when it has what they
hold; or events wait in the queue of a webhook, and a sink counts what is posted to it."""

import json
import math
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time
import urllib.request

from driver import documents, native
from driver.failure import Failed
from driver.servers import Server, prepare_child

START_SECONDS = 20
RUN_SECONDS = 120
SILENCE_SECONDS = 5  # nothing comes for so long: what is missing is lost
AFTER_SECONDS = 0.3  # so long something may come once too often
ORDER_TOPIC, EVENT_TOPIC = "erp.order.created", "hub.event"
ORDER_NUMBER = re.compile(rb"PO(\d{8})")

INBOX = """transport: directory
directory: {{ inbox: "{inbox}", complete: rename }}
inbound: {{ format: edifact }}
"""
WEBHOOK = """transport: webhook
webhook: {{ url: "http://127.0.0.1:{port}/events" }}
outbound: {{ topics: {topic}{mapping} }}
"""


def _folder(place):
    return tempfile.TemporaryDirectory(prefix="roundhouse-bench-hub-", dir=place.directory if place else None)


def _spoke(folder, text):
    """The options of a server with this one spoke."""
    (folder / "spokes").mkdir()
    (folder / "spokes" / "bench.yaml").write_text(text, encoding="utf-8")
    return {"spokes": folder / "spokes", "spokes_state": folder / "state"}


def _await_spoke(server):
    end = time.monotonic() + START_SECONDS
    while True:
        with urllib.request.urlopen(f"http://{server.admin}/v1/spokes", timeout=START_SECONDS) as answer:
            spokes = json.load(answer)["spokes"]
        if [spoke["state"] for spoke in spokes] == ["running"]:
            return
        if time.monotonic() > end:
            raise Failed(f"the spoke does not run: {spokes}")
        time.sleep(0.01)


def _processes(pid):
    """It, and those that it has started: what runs jq."""
    return [pid] + [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def _cpu_ns(pid):
    """CPU time of all its threads and processes, from their clocks: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)."""
    return sum(time.clock_gettime_ns((~one << 3) | 2) for one in _processes(pid))


def _percentile(ordered, percent):
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


# --- From a directory to a subscriber ---------------------------------------------------------------------------------


class Arrivals:
    """When each file was due, and when what it holds has come."""

    def __init__(self, connection, count):
        self.connection, self.count = connection, count
        self.due, self.late, self.came = [], [], {}

    def take(self, seconds):
        """What comes first within the time; whether anything came."""
        found = self.connection.read(seconds)
        now = time.monotonic_ns()
        for field, body in found:
            number = ORDER_NUMBER.search(body) if field == native.EVENT else None
            if number is None:
                continue
            number = int(number[1])
            if number in self.came or number >= len(self.due):
                raise Failed(f"file {number} of {self.count} was delivered twice, or before it was there")
            self.came[number] = now
        return bool(found)

    def rename(self, files, inbox, rate):
        """Each when it is due, whatever has come, until all have come."""
        begin, heard = time.monotonic_ns() + 10_000_000, time.monotonic()
        while len(self.came) < self.count:
            left, now = self.count - len(self.due), time.monotonic_ns()
            due = begin + len(self.due) * 1_000_000_000 // rate
            if left and now >= due:
                self.due.append(due)
                os.rename(files[len(self.due) - 1], inbox / files[len(self.due) - 1].name)
                self.late.append(now - due)
            elif self.take((due - now) / 1e9 if left else SILENCE_SECONDS):
                heard = time.monotonic()
            elif time.monotonic() > heard + SILENCE_SECONDS:
                raise Failed(f"{len(self.due) - len(self.came)} of {self.count} files were not delivered")

    def quiet(self):
        """Nothing comes any more."""
        end = time.monotonic() + AFTER_SECONDS
        while (left := end - time.monotonic()) > 0:
            self.take(left)


def _files(folder, count, lines):
    (folder / "ready").mkdir()
    files = [folder / "ready" / f"{number:08d}.edi" for number in range(count)]
    for number, path in enumerate(files):
        path.write_bytes(documents.order_file(number, lines))
    return files


def _await_done(inbox, count):
    """All were moved to where files go that were read."""
    end = time.monotonic() + SILENCE_SECONDS
    while (done := len(os.listdir(inbox / "done"))) != count:
        if time.monotonic() > end:
            raise Failed(f"{done} of {count} files are where files go that were read")
        time.sleep(0.01)


def _directory(build, cpus, subject, options, place):
    rate, warm_up = options["rate"], round(options["rate"] * options["warm-up"])
    count = warm_up + max(round(rate * options["seconds"]), 1)
    with _folder(place) as name:
        folder = pathlib.Path(name)
        files, inbox = _files(folder, count, options["lines"]), folder / "inbox"
        inbox.mkdir()
        with Server(subject, build, cpus.server(), _spoke(folder, INBOX.format(inbox=inbox)), place) as server, \
                native.Connection(server.address, "bench") as connection:
            _await_spoke(server)
            connection.subscribe(ORDER_TOPIC)
            arrivals, before = Arrivals(connection, count), _cpu_ns(server.pid)
            arrivals.rename(files, inbox, rate)
            used = _cpu_ns(server.pid) - before
            arrivals.quiet()
            _await_done(inbox, count)
            facts = {"io": server.metrics().get("io"), "command": server.command}
    measured = range(warm_up, count)
    times = sorted(arrivals.came[number] - arrivals.due[number] for number in measured)
    seconds = (max(arrivals.came.values()) - arrivals.due[warm_up]) / 1e9
    values = {**{f"p{percent}_ns": _percentile(times, percent) for percent in (50, 90, 99)}, "max_ns": times[-1],
              "send_lag_p99_ns": _percentile(sorted(arrivals.late[warm_up:]), 99), "cpu_ns_per_file": used / count,
              "files_per_s": rate}
    return {"seconds": seconds, "values": values, "verified": {"checked": True, "deliveries": count}}, facts


# --- From the router to a webhook -------------------------------------------------------------------------------------


class Sink:
    """The system behind the webhook, a process on the generator's CPU. Use it in a `with`."""

    def __init__(self, build, cpu, events):
        self.process = subprocess.Popen([str(build / "bench" / "sink"), str(events)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1, preexec_fn=lambda: prepare_child([cpu]))
        self.port = int(self._line(START_SECONDS).split()[1])

    def _line(self, seconds):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise Failed("the sink does not answer")
        return self.process.stdout.readline()

    def serve(self, requests, silence=SILENCE_SECONDS):
        """From now on; `served` waits for its end."""
        self.process.stdin.write(f"{requests} {round(silence * 1000)}\n")

    def served(self):
        """Requests of this time; of all times events, events that had come before and what was none; when the last one was answered."""
        words = self._line(RUN_SECONDS).split()
        if len(words) != 5:
            raise Failed("the sink has ended")
        return [int(word) for word in words]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def _event(number, payload):
    """A frame with an event whose data are so many bytes of JSON."""
    data = f'{{"number":{number},"text":"'
    return native.event_frame(EVENT_TOPIC.encode(), f"e{number:08d}".encode(), b"application/json",
                              f'{data}{"x" * (payload - len(data) - 2)}"}}'.encode())


def _posted(sink, connection, events, have):
    """Publishes them, and waits until the sink has all, each once; (when it began, when the last was answered)."""
    frames = b"".join(events)
    sink.serve(len(events))
    begin = time.monotonic_ns()
    connection.send(frames)
    _, came, repeated, strange, end = sink.served()
    if repeated or strange:
        raise Failed(f"{repeated} events were posted more than once, and {strange} requests are of no event")
    if came != have + len(events):
        raise Failed(f"{have + len(events) - came} of {len(events)} events were not posted")
    return begin, end


def _webhook(build, cpus, subject, options):
    warm_up, count = (max(round(options["rate"] * options[name]), 1) for name in ("warm-up", "seconds"))
    events = [_event(number, options["payload"]) for number in range(warm_up + count)]
    mapping = f", mapping: '{options['mapping']}'" if "mapping" in options else ""
    with _folder(None) as name, Sink(build, cpus.generator, warm_up + count) as sink:
        spoke = _spoke(pathlib.Path(name), WEBHOOK.format(port=sink.port, topic=EVENT_TOPIC, mapping=mapping))
        with Server(subject, build, cpus.server(), spoke) as server, native.Connection(server.address, "bench") as connection:
            _await_spoke(server)
            _posted(sink, connection, events[:warm_up], 0)
            before = _cpu_ns(server.pid)
            begin, end = _posted(sink, connection, events[warm_up:], warm_up)
            used = _cpu_ns(server.pid) - before
            sink.serve(1, AFTER_SECONDS)
            if sink.served()[0] != 0:
                raise Failed("an event was posted more than once")
            facts = {"io": server.metrics().get("io"), "command": server.command}
    seconds = (end - begin) / 1e9
    values = {"posts_per_s": count / seconds, "cpu_ns_per_post": used / count, "server_cpu_share": used / 1e9 / seconds}
    return {"seconds": seconds, "values": values, "verified": {"checked": True, "deliveries": warm_up + count}}, facts


def sample(build, cpus, subject, options, place):
    """One router, one spoke, one measurement. `options`: those of the row, with `seconds` and `warm-up`."""
    try:
        return _directory(build, cpus, subject, options, place) if options["hub"] == "directory" else _webhook(build, cpus, subject, options)
    except OSError as error:
        raise Failed(f"{subject.title} did not survive the measurement: {error}") from error
