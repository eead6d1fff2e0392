"""`roundhouse shards`: what each shard and slot carries, and a better map."""

import json
import re
import subprocess

import pytest

import wire
from conftest import BINARY, LISTEN, Router
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED


@pytest.fixture
def started(body, tmp_path):
    """A router from a file, with no option that would win over it."""
    made = []

    def start(text):
        made.append(Router(tmp_path / f"router{len(made)}", LISTEN + "logs: { data: 8MiB }\n" + text, ["--io", body]))
        return made[-1]

    yield start
    try:
        for one in made:
            if one.process.returncode is None:
                one.stop()
    finally:
        for one in made:
            one.kill()


def shards(made, *arguments):
    return subprocess.run([BINARY, "shards", *arguments, "--admin", made.admin], text=True, capture_output=True, timeout=60)


def slots(made):
    return json.loads(made.http("/v1/slots"))


def publish(made, counts):
    """{topic: how many events}; returns {topic: its slot}."""
    found = {}
    with made.client(ack=ROUTED) as publisher:
        sent = 0
        for topic, count in counts.items():
            before = slots(made)["records_total"]
            publisher.send_bytes(b"".join(wire.numbered(topic, n) for n in range(count)))
            sent += count
            assert publisher.settle(sent) == {}
            after = slots(made)["records_total"]
            changed = [slot for slot in range(4096) if after[slot] != before[slot]]
            assert len(changed) == 1 and after[changed[0]] == before[changed[0]] + count
            found[topic] = changed[0]
    return found


def test_slots_count_what_comes_to_them(started):
    made = started("shards: 2\nslots: [ { shard: 1, range: 0-99 }, { shard: 0, range: 100-4095 } ]\n")
    found = publish(made, {f"t.{n}": 10 + n for n in range(12)})
    answer = slots(made)
    assert (answer["slots_total"], answer["shards_total"], answer["disk_records_total"]) == (4096, 2, [0, 0])
    assert answer["shard_of_slot"] == [1] * 100 + [0] * 3996
    assert sum(answer["records_total"]) == sum(10 + n for n in range(12)) and len(found) == 12


def test_disk_logs_count_for_their_shards(started, tmp_path):
    made = started(f"shards: 2\njournal: {{ dir: {tmp_path}/journal, logs: 1 }}\n")
    with made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(wire.numbered(f"t.{n}", n) for n in range(50)))
        assert publisher.settle(50) == {}
    answer = slots(made)
    assert sum(answer["records_total"]) == 0 and sum(answer["disk_records_total"]) >= 50
    assert 0 in answer["disk_records_total"], "one log, one shard"


def test_shards_shows_each_shard_and_each_range(started):
    made = started("shards: { count: 2, cpus: [0, 0x1] }\n".replace("0x1", "1"))
    with made.client() as subscriber:
        subscriber.subscribe("a", "b.>")
        done = shards(made, "--for", "100ms")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["SHARD", "CPU", "SLOTS", "CONNECTIONS", "SUBSCRIPTIONS", "EVENTS/S", "DELIVERIES/S",
                                "BUSY", "LOG"]
    rows = [line.split() for line in lines[1:3]]
    assert [row[:3] for row in rows] == [["0", "0", "2048"], ["1", "1", "2048"]]
    assert sum(int(row[3]) for row in rows) == 1 and sum(int(row[4]) for row in rows) == 2
    assert lines[3] == "" and lines[4].split()[:3] == ["SLOTS", "SHARD", "EVENTS/S"]
    assert [line.split()[:2] for line in lines[5:]] == [["0-2047", "0"], ["2048-4095", "1"]]
    assert json.loads(shards(made, "--json").stdout)["slots_total"] == 4096


def test_a_plan_moves_busy_slots_apart_and_is_taken_by_the_config(started, run):
    made = started("shards: 2\nslots: [ { shard: 0, range: 0-4095 } ]\n")
    found = publish(made, {"busy.a": 400, "busy.b": 400, "calm": 10})
    assert len(set(found.values())) == 3
    done = shards(made, "plan", "--total")
    assert done.returncode == 0, done.stderr
    head = re.match(r"# the busiest shard: 2\.00 of the mean, 1\.0\d with this map; (\d+) of 4096 slots", done.stdout)
    assert head, done.stdout
    diff = subprocess.run([BINARY, "config", "diff", "--partial", "-", "--admin", made.admin], input=done.stdout, text=True,
                          capture_output=True, timeout=60)
    assert diff.returncode == 0, diff.stderr
    assert f"{head.group(1)} of 4096 slots would change their shard" in diff.stdout
    owner = [None] * 4096
    for shard, first, last in re.findall(r"shard: (\d+), range: (\d+)(?:-(\d+))?", done.stdout):
        owner[int(first):int(last or first) + 1] = [int(shard)] * (int(last or first) + 1 - int(first))
    assert None not in owner and owner[found["busy.a"]] != owner[found["busy.b"]]
    assert owner.count(1) == int(head.group(1))


def test_a_plan_for_another_number_of_shards(started):
    made = started("shards: 4\n")
    done = shards(made, "plan", "--shards", "2", "--for", "10ms")
    assert done.returncode == 0 and "all slots count the same" in done.stderr
    assert "shards: 2\n" in done.stdout and not re.search(r"shard: [23],", done.stdout)


def test_a_plan_is_applied(started):
    made = started("shards: 2\nslots: [ { shard: 0, range: 0-4095 } ]\n")
    publish(made, {"busy.a": 300, "busy.b": 300})
    done = shards(made, "plan", "--total", "--apply")
    assert done.returncode == 0 and "slots have changed their shard" in done.stdout, done.stderr
    owner = slots(made)["shard_of_slot"]
    assert set(owner) == {0, 1}
    assert shards(made, "plan", "--total", "--apply").stdout == "no difference\n", "there is nothing better"
    assert shards(made, "plan", "--total", "--shards", "3", "--apply").returncode == 0
    assert slots(made)["shards_total"] == 3 and json.loads(made.http("/v1/shards"))["shards"][2]["slots"]
    with made.client(ack=ROUTED) as publisher, made.client() as subscriber:
        subscriber.subscribe("busy.>")
        publisher.send_bytes(b"".join(wire.numbered(topic, n) for n in range(50) for topic in ("busy.a", "busy.b")))
        assert publisher.settle(100) == {}
        assert len(subscriber.events(100)) == 100


def test_wrong_usage(run):
    for wrong in (["plan", "--shards", "0"], ["plan", "--for", "long"], ["plans"], ["--apply"], ["plan", "x"],
                  ["plan", "--json"], ["--nonsense"]):
        done = run("shards", *wrong)
        assert done.returncode == 64 and done.stdout == "" and done.stderr, wrong
    assert run("shards", "--admin", "127.0.0.1:1").returncode == 69
