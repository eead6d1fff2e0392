"""The bench suite measures what it says: a server that loses, alters, repeats or reorders an event gets no number, and a small run
of the suite leaves a result file that keeps its format, with every delivery accounted for. No speed is asserted."""

import json
import os
import re
import socket
import subprocess
import sys
import threading

import pytest

import wire
from conftest import BINARY

BUILD = os.environ.get("RH_BUILD", os.path.dirname(BINARY))
LOAD = os.path.join(BUILD, "bench", "load")
RUN = os.path.join(wire.ROOT, "bench", "run")
sys.path.insert(0, os.path.join(wire.ROOT, "bench"))

from driver import schema, stats  # noqa: E402

pytestmark = pytest.mark.slow  # the bench programs are in the optimised build only

HELLO_BYTES = 4
CLOSES_AFTER = 1 << 16  # bytes from the publisher
COMPARED_BYTES = 65536  # at the beginning and the end, some 400 events; what lies between is counted


class FaultyRelay:
    """A relay with one publisher and some subscribers that does something to one event on its way to the first of them."""

    def __init__(self, subscribers, fault, event):
        self.fault, self.event, self.subscribers = fault, event, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.wanted = subscribers
        self.position, self.size = 0, None  # bytes from the publisher so far; of one frame
        self.closes, self.over = None, threading.Event()  # which connection it closes in the middle
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _welcome(self):
        connection, _ = self.listener.accept()
        hello = connection.recv(HELLO_BYTES, socket.MSG_WAITALL)
        connection.sendall(b"!")
        return connection, hello[:1]

    def _serve(self):
        publisher = None
        while publisher is None or len(self.subscribers) < self.wanted:
            connection, role = self._welcome()
            if role == b"P":
                publisher = connection
            else:
                self.subscribers.append(connection)
        try:
            while data := publisher.recv(1 << 16):
                self._forward(data)
                if self.position > CLOSES_AFTER and self.closes == "all":
                    break
                if self.position > CLOSES_AFTER and self.closes is not None:
                    (publisher if self.closes == "publisher 0" else self.subscribers[0]).shutdown(socket.SHUT_RDWR)
                    self.over.wait(wire.WAIT_SECONDS)  # the others stay open
        except OSError:
            pass  # the load generator has seen enough
        for connection in [publisher, *self.subscribers]:
            connection.close()

    def _forward(self, data):
        if self.size is None:
            length, prefix = data[0] & 127 | (data[1] & 127) << 7, 2 if data[0] > 127 else 1
            self.size = prefix + (length if prefix == 2 else data[0])
        for subscriber in self.subscribers[1:]:
            subscriber.sendall(data)
        self.subscribers[0].sendall(self._spoilt(data))

    def _spoilt(self, data):
        """The bytes as the first subscriber gets them. The faulty event is held back until all of it has come."""
        begin, end = self.event * self.size - self.position, (self.event + 1) * self.size - self.position
        self.position += len(data)
        if self.fault is None or end <= 0 or begin >= len(data):
            return data
        if begin < 0 or end > len(data):  # it lies across two receives: the next one of the same kind will not
            self.event += 1
            return data
        event = data[begin:end]
        replaced = {"lost": b"", "repeated": event + event, "altered": event[:-1] + bytes([event[-1] ^ 1]),
                    "halved": event[:self.size // 2]}[self.fault]
        self.fault = None
        return data[:begin] + replaced + data[end:]

    def close(self):
        self.over.set()
        self.listener.close()


def load(relay, *options):
    """Runs the load generator; (status, its JSON object)."""
    command = [LOAD, "--protocol", "relay", "--address", relay.address, "--seconds", "0.1", "--warm-up", "0.05", "--check",
               str(COMPARED_BYTES), "--stall", "1.5", *map(str, options)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, json.loads(ran.stdout)


@pytest.fixture
def relay():
    made = []

    def make(subscribers=1, fault=None, event=0):
        made.append(FaultyRelay(subscribers, fault, event))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("mode", ["max", "paced"])
@pytest.mark.parametrize("subscribers", [1, 3])
def test_a_server_that_does_nothing_wrong_gets_a_number_and_every_delivery_is_counted(relay, mode, subscribers):
    status, said = load(relay(subscribers), "--subscribers", subscribers, "--mode", mode)
    assert status == 0 and said["ok"] is True, said
    assert said["verified_deliveries"] == said["published"] * subscribers
    assert said["compared_bytes"] >= 2 * (COMPARED_BYTES - said["deliver_bytes"]) or mode == "paced"
    assert said["compared_bytes"] > 0 and 0 < said["deliveries"] <= said["verified_deliveries"]


# Event 100 is among those compared at the beginning, event 1000 among those only counted: the window alone holds more.
@pytest.mark.parametrize("event", [100, 1000])
@pytest.mark.parametrize("fault", ["lost", "repeated", "halved"])
@pytest.mark.parametrize("subscribers", [1, 3])
def test_an_event_that_is_lost_or_repeated_fails_the_measurement(relay, subscribers, fault, event):
    status, said = load(relay(subscribers, fault, event), "--subscribers", subscribers)
    assert status == 65 and said["ok"] is False, said
    assert "verified_deliveries" not in said and said["error"]


def test_an_altered_event_is_found_where_events_are_compared(relay):
    status, said = load(relay(fault="altered", event=50))
    assert status == 65 and "not what it must be" in said["error"], said


@pytest.mark.parametrize("fault", ["lost", "repeated", "altered"])
def test_the_paced_mode_finds_it_too(relay, fault):
    status, said = load(relay(2, fault, 2000), "--subscribers", 2, "--mode", "paced", "--rate", "50000")
    assert status == 65 and "not what was published" in said["error"], said


@pytest.mark.parametrize("mode", ["max", "paced"])
@pytest.mark.parametrize("whose", ["subscriber 0", "publisher 0"])
def test_a_server_that_closes_a_connection_fails_the_measurement(relay, whose, mode):
    made = relay(2)
    made.closes = whose
    status, said = load(made, "--subscribers", 2, "--seconds", "20", "--mode", mode)
    assert status == 65 and f"the connection of {whose} ended after" in said["error"], said


def test_a_server_that_goes_away_fails_the_measurement_whosever_connection_is_missed_first(relay):
    made = relay(2)
    made.closes = "all"
    status, said = load(made, "--subscribers", 2, "--seconds", "20")
    assert status == 65 and "ended after" in said["error"], said


@pytest.mark.parametrize("options", [["--payload", "15"], ["--topics", "3", "--share", "split", "--subscribers", "2"],
                                     ["--rate", "0"], ["--nonsense", "1"], ["--mode", "paced", "--topics", "2"]])
def test_options_that_make_no_sense_are_refused(relay, options):
    status, said = load(relay(), *options)
    assert status == 64 and said["error"]


def suite(folder, *options):
    """Runs bench/run with the programs that are built; (status, result, what it printed)."""
    ran = subprocess.run([sys.executable, RUN, "--build", BUILD, "--out", str(folder), "--repetitions", "1", "--seconds", "0.1",
                          *options], capture_output=True, text=True, timeout=110, check=False)
    result = json.loads((folder / "result.json").read_text()) if (folder / "result.json").exists() else None
    return ran.returncode, result, ran.stdout + ran.stderr


def test_a_small_run_leaves_a_result_file_in_which_every_delivery_is_accounted_for(tmp_path):
    only = ["router/1-1*/128", "router/8-8/128", "router/tenths/128", "latency/10k/1-10", "idle/1"]
    status, result, printed = suite(tmp_path, "--subjects", "roundhouse,roundhouse-epoll,relay",
                                    *[word for glob in only for word in ("--only", glob)])
    assert status == 0, printed
    assert schema.mistakes(result) == []
    assert result["run"]["complete"] and not result["failures"]
    rows = {row["id"]: row for row in result["rows"]}
    assert set(rows) >= {"router/1-1/128", "router/1-10/128", "router/8-8/128", "latency/10k/1-10", "idle/1"}
    assert len(result["samples"]) == sum(len(row["subjects"]) for row in result["rows"])
    for sample in result["samples"]:
        load_of = rows[sample["row"]]["workload"]
        if load_of["mode"] != "idle":
            copies = load_of["subscribers"] if load_of["share"] == "all" else 1
            assert sample["verified"]["deliveries"] == copies * sample["verified"]["published"]
            assert sample["verified"]["compared_bytes"] > 0
    assert result["subjects"]["roundhouse-epoll"]["io"] == "epoll"
    assert result["machine"]["kernel"] and result["build"]["commit"] and result["network"]["congestion_control"]
    assert any(bar["verdict"] != "not measured" for bar in result["bars"])
    for row in result["rows"]:
        assert row["title"] in printed


def test_a_measurement_that_fails_is_reported_and_the_run_exits_non_zero(tmp_path):
    """A router that is none: it says that it is ready, and nobody listens there."""
    build = tmp_path / "build"
    (build / "bench").mkdir(parents=True)
    os.symlink(LOAD, build / "bench" / "load")
    (build / "roundhouse").write_text("#!/bin/sh\n[ $1 = version ] && exit\necho 'ready native=127.0.0.1:1 admin=off shards=1 io=epoll log=1MiB'\nexec sleep 60\n")
    (build / "roundhouse").chmod(0o755)
    status, result, printed = suite(tmp_path / "out", "--only", "router/1-1/128", "--subjects", "roundhouse", "--build", str(build))
    assert status == 1, printed
    assert schema.mistakes(result) == []
    assert [failure["row"] for failure in result["failures"]] == ["router/1-1/128"] and not result["samples"]
    assert "FAILED" in printed


def test_a_document_is_measured_and_its_messages_are_counted(tmp_path):
    status, result, printed = suite(tmp_path, "--only", "documents/x12")
    assert status == 0, printed
    assert schema.mistakes(result) == []
    sample, = result["samples"]
    assert sample["verified"]["messages"] > 10000
    assert sample["values"]["rss_peak_bytes"] > 1 << 20
    assert "Documents" in (tmp_path / "report.html").read_text()


def test_a_converter_that_loses_messages_has_no_number(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    (build / "roundhouse").write_text("#!/bin/sh\n[ $1 = version ] && exit\nhead -c 1000 >/dev/null\nexec cat >/dev/null\n")
    (build / "roundhouse").chmod(0o755)
    status, result, printed = suite(tmp_path / "out", "--only", "documents/x12", "--build", str(build))
    assert status == 1 and not result["samples"], printed
    assert "did not find all messages" in printed


@pytest.mark.parametrize("row", ["directory/memory", "directory/journal", "webhook/plain", "webhook/mapped"])
def test_the_hub_is_measured_and_every_delivery_is_counted(tmp_path, row):
    status, result, printed = suite(tmp_path, "--only", f"hub/{row}", "--journal-dir", str(tmp_path / "stored"))
    assert status == 0, printed
    assert schema.mistakes(result) == []
    sample, = result["samples"]
    warm_up, seconds, rate = (result["run"]["warm_up_seconds"], result["run"]["stretch_seconds"], result["rows"][0]["workload"]["rate"])
    assert sample["verified"]["deliveries"] == round(rate * warm_up) + round(rate * seconds)
    assert all(sample["values"][name] > 0 for name in result["rows"][0]["metrics"])
    assert row.startswith("webhook") or sample["values"]["p50_ns"] <= sample["values"]["p99_ns"] <= sample["values"]["max_ns"]
    assert "Hub" in (tmp_path / "report.html").read_text()


def changed_spoke(folder, change):
    """A build whose router has its spoke's file changed by sed before it starts."""
    build = folder / "build"
    (build / "bench").mkdir(parents=True)
    os.symlink(os.path.join(BUILD, "bench", "sink"), build / "bench" / "sink")
    (build / "roundhouse").write_text(f"#!/bin/sh\n[ $1 = serve ] && sed -i '{change}' \"$(sed -n 's/^spokes: \"\\(.*\\)\"$/\\1/p' \"$4\")/bench.yaml\"\n"
                                      f"exec {BINARY} \"$@\"\n")
    (build / "roundhouse").chmod(0o755)
    return str(build)


@pytest.mark.parametrize("row, change, told", [
    ("directory/memory", 's/complete:/pattern: "*[0-8].edi", complete:/', "files were not delivered"),
    ("directory/memory", 's/format: edifact/mapping: ".,.", message: Order/', "delivered twice"),
    ("webhook/plain", "s/hub.event/hub.event, filter: .number!=7/", "1 of [0-9]+ events were not posted"),
    ("webhook/mapped", 's/mapping: .*}/mapping: ".,." }/', "requests are of no event"),
], ids=["a lost file", "a file twice", "a lost event", "an event twice"])
def test_a_hub_that_loses_or_repeats_something_has_no_number(tmp_path, row, change, told):
    status, result, printed = suite(tmp_path / "out", "--only", f"hub/{row}", "--build", changed_spoke(tmp_path, change))
    assert status == 1 and not result["samples"], printed
    assert re.search(told, printed), printed


def test_the_format_is_checked():
    assert schema.mistakes([]) and schema.mistakes({"format": schema.FORMAT})


def test_the_interval_of_a_median_comes_from_order_statistics():
    assert stats.interval(list(range(1, 6))) is None
    assert stats.interval(list(range(1, 7))) == [1, 6]
    assert stats.interval(list(range(1, 21))) == [6, 15]
    assert stats.median([3, 1, 2]) == 2 and stats.median([4, 1, 2, 3]) == 2.5


def test_parts_alone_are_measured_by_name_and_are_on_the_page(tmp_path):
    status, result, printed = suite(tmp_path, "--only", "micro/wake/*d")
    assert status == 0, printed
    assert schema.mistakes(result) == [] and not result["failures"]
    assert {row["id"] for row in result["rows"]} == {"micro/wake/elided"}
    assert {sample["repetition"] for sample in result["samples"]} == set(range(25))
    assert result["metrics"]["ns_per_op"]["better"] == "lower"
    assert "wake/elided" in printed
    assert "wake/elided" in (tmp_path / "report.html").read_text()


def test_a_part_with_a_wrong_result_fails_the_run(tmp_path):
    """A bench_micro whose every result is falsified."""
    build = tmp_path / "build"
    (build / "bench/micro").mkdir(parents=True)
    program = build / "bench/micro/bench_micro"
    program.write_text(f'#!/bin/sh\nexec "{BUILD}/bench/micro/bench_micro" --break "$@"\n')
    program.chmod(0o755)
    status, result, printed = suite(tmp_path / "out", "--only", "micro/wake/elided", "--build", str(build))
    assert status == 1, printed
    assert [failure["row"] for failure in result["failures"]] == ["micro/bench_micro"] and not result["samples"]
    assert "was not checked" in printed
