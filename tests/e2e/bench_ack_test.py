"""Acknowledgements in the bench suite: an event that is not acknowledged, or only at a lower level, or more often than it was sent, gives no
number; what is acknowledged as stored is found in the store. No speed is asserted."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading

import pytest

import wire
from bench_test import BUILD, LOAD, suite

sys.path.insert(0, os.path.join(wire.ROOT, "bench"))

from driver import bars, schema, stores  # noqa: E402
from driver.failure import Failed  # noqa: E402
from driver.servers import Server  # noqa: E402
from driver.rows import all_rows  # noqa: E402
from driver.subjects import SUBJECTS  # noqa: E402

pytestmark = pytest.mark.slow  # the bench programs are in the optimised build only

SPOILT = 500  # this event's acknowledgement is spoilt


class FakeStore:
    """A server that stores nothing and acknowledges everything, but for one event of its first publisher."""

    def __init__(self, protocol, fault=None):
        self.protocol, self.fault = protocol, fault
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        serve = {"native": self._native, "jetstream": self._jetstream, "streams": self._streams}[self.protocol]
        fault = self.fault
        try:
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._guarded, args=(serve, connection, fault), daemon=True).start()
                fault = None
        except OSError:
            pass  # closed by the test

    @staticmethod
    def _guarded(serve, connection, fault):
        try:
            with connection, connection.makefile("rb") as stream:
                serve(connection, stream, fault)
        except (OSError, ValueError):
            pass  # the load generator has seen enough

    # --- Roundhouse: cumulative, with a level ---

    @staticmethod
    def _frame(stream):
        length, shift = 0, 0
        while True:
            byte = stream.read(1)
            if not byte:
                raise ValueError("the end")
            length |= (byte[0] & 127) << shift
            shift += 7
            if byte[0] < 128:
                return wire.pb.Frame.FromString(stream.read(length))

    @staticmethod
    def _ack(ordinal, level, fault):
        spoilt = fault if ordinal == SPOILT else None
        if spoilt == "lost" or (fault == "lost" and ordinal > SPOILT):
            return b""
        ack = wire.pb.PublishAck(through=ordinal + (5000 if spoilt == "beyond" else 0), level=1 if spoilt == "lower" else level)
        if spoilt == "refused":
            ack.exceptions.add(ordinal=ordinal).error.code = 4
        if spoilt == "duplicate":
            ack.exceptions.add(ordinal=ordinal).duplicate_of = 1
        return wire.frame(publish_ack=ack) * (2 if spoilt == "repeated" else 1)

    def _native(self, connection, stream, fault):
        level, ordinal = 0, 0
        while True:
            got = self._frame(stream)
            kind = got.WhichOneof("body")
            if kind == "connect":
                level = got.connect.ack
                connection.sendall(wire.frame(connected=wire.pb.Connected(version=1)))
            elif kind == "ping":
                connection.sendall(wire.frame(pong=wire.pb.Pong(data=got.ping.data)))
            elif kind == "event":
                ordinal += 1
                connection.sendall(self._ack(ordinal, level, fault))

    # --- the others: one answer for each event ---

    @staticmethod
    def _answer(count, fault, good, bad):
        spoilt = fault if count == SPOILT else None
        return {None: good, "lost": b"", "refused": bad, "repeated": good + good}[spoilt]

    def _jetstream(self, connection, stream, fault):
        connection.sendall(b"INFO {}\r\n")
        count = 0
        for line in stream:
            if line.startswith(b"PING"):
                connection.sendall(b"PONG\r\n")
            if not line.startswith(b"PUB "):
                continue
            _, _, answer, size = line.split()
            stream.read(int(size) + 2)
            count += 1
            good, bad = b'{"stream":"BENCH","seq":%d}' % count, b'{"error":{"code":503}}'
            reply = [b"MSG %s 1 %d\r\n%s\r\n" % (answer, len(body), body) for body in (good, bad)]
            connection.sendall(self._answer(count, fault, *reply))

    @staticmethod
    def _words(stream):
        count = stream.readline()
        return [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(count[1:]))] if count else []

    def _streams(self, connection, stream, fault):
        count = 0
        while words := self._words(stream):
            if words[0] == b"PING":
                connection.sendall(b"+PONG\r\n")
                continue
            count += 1
            connection.sendall(self._answer(count, fault, b"$5\r\n%03d-0\r\n" % (count % 1000), b"-OOM command not allowed\r\n"))

    def close(self):
        self.listener.close()


@pytest.fixture
def store():
    made = []

    def make(protocol, fault=None):
        made.append(FakeStore(protocol, fault))
        return made[-1]

    yield make
    for one in made:
        one.close()


def load(server, *options, publishers=2):
    """Runs the load generator in its mode for acknowledgements; (status, its JSON object)."""
    ack = ["--ack", "disk" if server.protocol == "native" else "own"]
    command = [LOAD, "--protocol", server.protocol, "--address", server.address, "--mode", "acked", *ack, "--publishers", publishers,
               "--topics", publishers, "--seconds", "0.3", "--warm-up", "0.05", "--stall", "1.5", *options]
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, json.loads(ran.stdout)


PROTOCOLS = ["native", "jetstream", "streams"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("outstanding", [1, 100])
def test_every_acknowledgement_is_counted(store, protocol, outstanding):
    status, said = load(store(protocol), "--outstanding", outstanding)
    assert status == 0 and said["ok"] is True, said
    assert said["verified_acknowledged"] == said["published"] >= said["acknowledged"] > 0
    assert 0 < said["p50_ns"] <= said["max_ns"]
    assert sum(count for _, count in said["histogram"]) == said["acknowledged"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("fault", ["lost", "refused", "repeated"])
def test_an_event_without_its_one_acknowledgement_gives_no_number(store, protocol, fault):
    status, said = load(store(protocol, fault), "--outstanding", 64)
    assert status == 65 and said["ok"] is False and "acknowledged" not in said, said
    assert "acknowledged" in said["error"] or "may not come here" in said["error"], said


@pytest.mark.parametrize("fault", ["lower", "duplicate", "beyond"])
def test_a_lower_level_a_duplicate_or_more_than_was_sent_gives_no_number(store, fault):
    status, said = load(store("native", fault), "--outstanding", 64)
    assert status == 65 and "acknowledged" in said["error"], said


@pytest.mark.parametrize("options, words", [
    (["--protocol", "native", "--mode", "acked"], "needs acknowledgements"),
    (["--protocol", "native", "--mode", "acked", "--ack", "own"], "no acknowledgement of its own"),
    (["--protocol", "native", "--mode", "acked", "--ack", "disk", "--publishers", "2", "--topics", "4"], "has one topic"),
    (["--protocol", "native", "--mode", "acked", "--ack", "disk", "--stopped", "1"], "nobody subscribes"),
    (["--protocol", "jetstream", "--mode", "acked", "--ack", "disk"], "in its own way"),
    (["--protocol", "streams", "--ack", "own"], "in its own way"),
    (["--protocol", "nats", "--ack", "routed"], "acknowledges nothing"),
    (["--protocol", "native", "--ack", "quickly"], "no such choice"),
    (["--protocol", "native", "--outstanding", "0"], "must be a number"),
    (["--protocol", "nats", "--mode", "replay", "--events", "5"], "no past"),
    (["--protocol", "native", "--mode", "replay"], "all --events"),
    (["--mode", "disk"], "--directory"),
    (["--mode", "disk", "--directory", "/", "--write", "5000"], "whole blocks"),
])
def test_options_that_make_no_sense_are_refused(options, words):
    ran = subprocess.run([LOAD, "--address", "127.0.0.1:1", *options], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 64 and words in json.loads(ran.stdout)["error"], ran.stdout


def test_the_disk_alone_is_measured_and_leaves_nothing_behind(tmp_path):
    ran = subprocess.run([LOAD, "--mode", "disk", "--directory", tmp_path, "--write", "65536", "--seconds", "0.1"], capture_output=True,
                         text=True, timeout=60, check=False)
    said = json.loads(ran.stdout)
    assert ran.returncode == 0 and said["ok"] is True, said
    assert said["written_bytes"] == 65536 * said["writes"] > 0 and said["max_ns"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_disk_alone_is_read_and_leaves_nothing_behind(tmp_path):
    ran = subprocess.run([LOAD, "--mode", "disk", "--read", "--directory", tmp_path, "--write", "65536", "--seconds", "0.1"], capture_output=True,
                         text=True, timeout=60, check=False)
    said = json.loads(ran.stdout)
    assert ran.returncode == 0 and said["ok"] is True, said
    assert said["read_bytes"] == 65536 * said["reads"] > 0 and "written_bytes" not in said
    assert list(tmp_path.iterdir()) == []


def replayed(server, events):
    """What the load generator says of a replay of what `load` left behind."""
    command = [LOAD, "--protocol", "native", "--address", server.address, "--mode", "replay", "--publishers", 2, "--topics", 2, "--events", events,
               "--stall", "1.5"]
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, json.loads(ran.stdout)


def test_a_replay_delivers_what_was_published_and_neither_less_nor_more(tmp_path):
    place = stores.Place(tmp_path)
    with Server(SUBJECTS["roundhouse"], pathlib.Path(BUILD), sorted(os.sched_getaffinity(0))[:1], None, place) as server:
        status, filled = load(type("Named", (), {"protocol": "native", "address": server.address}))
        assert status == 0, filled
        server.restart()
        stores.forget(server.stored_in)
        events = filled["verified_acknowledged"]
        status, said = replayed(server, events)
        assert status == 0 and said["verified_deliveries"] == said["deliveries"] == events > 0 and said["compared_bytes"] > 0, said
        status, said = replayed(server, events + 1)
        assert status == 65 and "missing" in said["error"], said
        status, said = replayed(server, events - 1)
        assert status == 65 and "bytes of deliveries" in said["error"], said


def test_a_small_run_replays_the_journal_beside_the_disk(tmp_path):
    place = tmp_path / "on disk"
    status, result, printed = suite(tmp_path / "out", "--only", "ack/replay/1024", "--journal-dir", str(place))
    assert status == 0, printed
    assert schema.mistakes(result) == []
    ours, disk = ({s["subject"]: s for s in result["samples"]}[name] for name in ("roundhouse", "disk-read"))
    assert ours["verified"]["deliveries"] > 0 and ours["values"]["journal_bytes_per_s"] > ours["values"]["replayed_bytes_per_s"] > 0
    assert disk["values"]["journal_bytes_per_s"] > 0 and disk["verified"]["reads"] > 0
    assert [bar["row"] for bar in result["bars"] if bar["verdict"] != "not measured"] == ["ack/replay/1024"]
    assert list(place.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    ran = subprocess.run([LOAD, "--mode", "disk", "--directory", tmp_path / "none"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 69 and "can not be made" in json.loads(ran.stdout)["error"]


def test_a_small_run_finds_in_the_journal_what_was_acknowledged_and_tells_the_state(tmp_path):
    place = tmp_path / "on disk"
    status, result, printed = suite(tmp_path / "out", "--subjects", "roundhouse,disk",
                                    "--only", "ack/disk/1/128", "--only", "ack/disk/64/128", "--journal-dir", str(place))
    assert status == 0, printed
    assert schema.mistakes(result) == []
    assert result["storage"]["directory"] == str(place) and result["storage"]["file_system"] in printed
    for row in result["rows"]:
        assert row["workload"]["ack"] == "disk" and row["workload"]["device"] == result["storage"]["device"]
        assert "RWF_DSYNC" in row["states"]["roundhouse"] and row["states"]["roundhouse"] in printed
    ours = [s for s in result["samples"] if s["subject"] == "roundhouse"]
    assert len(ours) == 2 and len(result["samples"]) == 4
    for sample in ours:
        assert sample["verified"]["stored"] == sample["verified"]["acknowledged"] == sample["verified"]["published"] > 0
    assert list(place.iterdir()) == []


def test_acknowledgements_of_level_routed_are_counted_beside_the_deliveries(tmp_path):
    status, result, printed = suite(tmp_path, "--only", "ack/routed/64-8")
    assert status == 0, printed
    assert schema.mistakes(result) == []
    routed, none = ({s["subject"]: s for s in result["samples"]}[name] for name in ("roundhouse, ack routed", "roundhouse"))
    assert routed["verified"]["acknowledged"] == routed["verified"]["published"] == routed["verified"]["deliveries"] > 0
    assert "acknowledged" not in none["verified"]
    assert [bar["row"] for bar in result["bars"] if bar["verdict"] != "not measured"] == ["ack/routed/64-8"]


def test_a_journal_that_lost_what_was_acknowledged_fails_the_run(tmp_path):
    """A router whose `journal verify` finds fewer events than it has acknowledged."""
    build = tmp_path / "build"
    (build / "bench").mkdir(parents=True)
    os.symlink(LOAD, build / "bench" / "load")
    (build / "roundhouse").write_text(f'#!/bin/bash\n[ "$1" != journal ] && exec "{BUILD}/roundhouse" "$@"\n'
                                      'echo "log 0: good: 1 segments, 1 to 1; positions 1 to 7; last group 3, sealed"\n')
    (build / "roundhouse").chmod(0o755)
    status, result, printed = suite(tmp_path / "out", "--only", "ack/disk/1/128", "--subjects", "roundhouse", "--build", str(build),
                                    "--journal-dir", str(tmp_path / "place"))
    assert status == 1 and not result["samples"], printed
    assert re.search(r"\d+ events are acknowledged, 7 are stored", result["failures"][0]["error"])


def test_a_damaged_journal_fails_the_measurement(tmp_path):
    with pytest.raises(Failed, match="not good"):
        stores.stored_by_roundhouse(pathlib.Path(BUILD), tmp_path / "none")


def test_the_place_is_told_with_the_longest_mount_that_it_is_in(tmp_path):
    place = stores.Place(tmp_path / "a b")
    assert place.directory == tmp_path / "a b" and place.directory.is_dir() and place.file_system != "unknown"


def judged(acked, written, alone, sync):
    """The verdicts of the bars about disk acknowledgements, from one sample of each."""
    samples = []
    for subject, values in (("roundhouse", {"acked_per_s": acked, "stored_bytes_per_s": acked * 128}), ("disk", {"stored_bytes_per_s": written})):
        samples.append({"row": "ack/disk/64/128", "subject": subject, "repetition": 0, "values": values})
    for subject, value in (("roundhouse", alone), ("disk", sync)):
        samples.append({"row": "ack/disk/1/128", "subject": subject, "repetition": 0, "values": {"p50_ns": value}})
    result = {"rows": [{"id": "ack/disk/64/128"}, {"id": "ack/disk/1/128"}], "samples": samples,
              "metrics": {name: {"better": better} for name, better in (("acked_per_s", "higher"), ("stored_bytes_per_s", "higher"), ("p50_ns", "lower"))},
              "summary": [{"row": s["row"], "subject": s["subject"], "metric": metric, "median": value, "interval": None}
                          for s in samples for metric, value in s["values"].items()]}
    return [(bar["verdict"], bar["metric"], bar["value"]) for bar in bars.judge(result)]


def test_the_bar_of_many_publishers_is_met_by_bandwidth_or_by_events_whichever_is_less():
    assert judged(100_000, 20e6, 1, 1)[0] == ("met", "stored_bytes_per_s", 0.64)
    assert judged(400_000, 900e6, 1, 1)[0] == ("met", "acked_per_s", 400_000)
    assert judged(100_000, 900e6, 1, 1)[0][:2] == ("missed", "stored_bytes_per_s")


def test_the_bar_of_one_publisher_alone_is_about_one_sync():
    assert [judged(1, 1, alone, 100)[1][0] for alone in (140, 190, 210)] == ["aim", "met", "missed"]


def test_every_subject_that_stores_says_when_it_syncs():
    stored_by = {name for row in all_rows() if row.stores for name in row.subjects}
    assert stored_by == set(stores.STATES) and stored_by <= set(SUBJECTS)
