"""Disk logs behind their rings: what is no longer in memory, or was never since the start, comes from the journal."""

import json
import pathlib
import time

import pytest

import wire
from wire import ce, pb

DISK, SKIP, REFUSE = pb.ACK_LEVEL_DISK, pb.SLOW_POLICY_SKIP, pb.GONE_POLICY_REFUSE
SMALL = "logs: { data: 1MiB }\nlimits: { frame: 128KiB }\njournal: { segment: 1MiB%s }\n"
OLDEST, LAST = pb.Start(oldest=True), pb.Start(last_per_topic=True)
TOPICS, SIZE = 7, 400
MILLION = 1_000_000
OVER = "2001-02-03T04:05:06Z"


@pytest.fixture
def journalled(router, tmp_path):
    """A function that starts a router with the journal of this test, and rings that keep little of it."""

    def start(shards=2, keep="", rules="", **options):
        return router(shards=shards, config_text=SMALL % keep + rules, arguments=["--journal", str(tmp_path / "journal")], **options)

    return start


def published(made, first, end, size=SIZE, topics=TOPICS):
    """Numbers from `first` to below `end`, on disk when this returns."""
    with made.client(ack=DISK) as publisher:
        for at in range(first, end, 500):
            publisher.send_bytes(b"".join(wire.numbered(f"t.{n % topics}", n, size) for n in range(at, min(at + 500, end))))
        assert publisher.settle(end - first) == {}


def by_topic(pairs):
    found = {}
    for topic, number in pairs:
        found.setdefault(topic, []).append(number)
    return found


def all_of(end, first=0, topics=TOPICS):
    return by_topic((f"t.{n % topics}", n) for n in range(first, end))


def read(client, count, size=SIZE):
    return by_topic((event.topic, wire.read_number(event, size)) for event in client.events(count))


def resumed(client, shards, **where):
    """After a restart: what was in memory is of another run, in the log of each shard, and what is on disk is not."""
    client.subscribe("t.*", **where)
    gaps = [client.expect("gap") for _ in range(shards)]
    assert sorted((gap.log, gap.reason) for gap in gaps) == [(log, pb.Gap.REASON_INSTANCE) for log in range(shards)]


@pytest.mark.parametrize("shards", [1, 2])
def test_oldest_is_the_first_in_the_journal_and_all_comes_once_and_in_order(journalled, spawn, shards):
    made = journalled(shards=shards)
    count = 20_000
    published(made, 0, count)

    def sub():
        watched = spawn("sub", "--server", made.address, "--from", "oldest", "--count", str(count), "t.*")
        out, errors = watched.communicate(timeout=wire.WAIT_SECONDS)
        assert watched.returncode == 0 and b"gap" not in errors, errors
        lines = [json.loads(line) for line in out.splitlines()]
        sequences = [(line["topic"], int(line["sequence"])) for line in lines]
        assert len(set(sequences)) == count
        for topic, got in by_topic(sequences).items():
            assert got == sorted(got) and len(got) == len(all_of(count)[topic])
        return sequences

    before = sub()
    assert made.metric("roundhouse_history_bytes_total") > 4 << 20
    made.stop()
    made = journalled(shards=shards)
    assert sorted(sub()) == sorted(before)
    with made.client() as client:
        client.subscribe("t.*", start=OLDEST)
        assert read(client, count) == all_of(count)
        published(made, count, count + 100)
        assert read(client, 100) == all_of(count + 100, count)
        assert client.round_trip() == []


def test_a_slow_subscriber_of_a_disk_topic_loses_nothing(journalled):
    made = journalled()
    count = 30_000
    with made.client(receive_buffer=16384) as slow, made.client() as fast:
        slow.subscribe("t.*")
        slow.subscribe("t.1", "t.>", id=2)
        fast.subscribe("t.*")
        published(made, 0, count)
        assert read(slow, count) == all_of(count)
        assert read(fast, count) == all_of(count)
        published(made, count, count + 10)
        assert read(slow, 10) == all_of(count + 10, count)
        assert slow.round_trip() == []
    assert made.metric("roundhouse_slow_disconnects_total") == 0 and made.metric("roundhouse_gaps_total") == 0


@pytest.mark.slow
def test_a_million_events_for_a_slow_consumer_disturb_nobody(journalled, run, spawn):
    """Whoever begins with all that is kept, and does not read it, costs a position: no memory, and nobody's time."""
    made = journalled(shards=2)
    done = run("pub", "--server", made.address, "--count", MILLION, "--quiet", "bulk", "x" * 40)
    assert done.returncode == 0, done.stderr
    before = made.memory()
    slow = spawn("sub", "--server", made.address, "--from", "oldest", "--format", "raw", "--count", MILLION, "bulk")
    made.await_metric("roundhouse_laggards", lambda n: n == 1)  # its pipe is full, and it reads no more
    with made.client() as live, made.client(ack=wire.pb.ACK_LEVEL_DISK) as publisher:
        live.subscribe("live")
        for number in range(1, 201):
            publisher.send_bytes(wire.numbered("live", number))
            assert publisher.settle(number) == {} and wire.read_number(live.expect("event")) == number
    assert made.memory() - before < 48 << 20, "stretches and buffers, and nothing that grows with what waits"
    lines = 0
    while data := slow.stdout.read(1 << 20):
        lines += data.count(b"\n")
    assert lines == MILLION and slow.wait() == 0, slow.stderr.read()


@pytest.mark.parametrize("again", [False, True], ids=["behind the ring", "of an earlier run"])
def test_what_has_expired_is_passed_over_and_is_no_hole(journalled, again):
    """Of three events one is over when it comes, one when its topic's lifetime is, and one is not: the others are counted, and no Gap tells of
    what nobody was to get."""
    rules = 'topics: [{ match: "t.1", expiry: 20ms }]\n'
    made = journalled(rules=rules)
    count = 15_000
    with made.client(ack=DISK) as publisher:
        for first in range(0, count, 500):
            publisher.send_bytes(b"".join(
                wire.event_frame(f"t.{n % 3}", wire.cloud_event(id=f"{n:06}", data=b"x" * SIZE, **({"expirytime": OVER} if n % 3 == 2 else {})))
                for n in range(first, first + 500)))
        assert publisher.settle(count) == {}
    time.sleep(0.03)
    if again:
        made.stop()
        made = journalled(rules=rules)
    with made.client() as client:
        client.subscribe("t.*", start=OLDEST)
        got = [ce.CloudEvent.FromString(event.event).id for event in client.events(count // 3)]
        assert got == [f"{n:06}" for n in range(0, count, 3)]
        assert client.round_trip() == []
    assert made.metric("roundhouse_events_expired_total") == count - len(got)
    assert made.metric("roundhouse_history_bytes_total") > 4 << 20 and made.metric("roundhouse_gaps_total") == 0


def test_a_position_goes_on_where_it_stood_after_a_restart(journalled):
    made = journalled()
    count = 12_000
    published(made, 0, count)
    with made.client() as client:
        client.subscribe("t.*", start=OLDEST)
        had = [(event.topic, wire.read_number(event, SIZE)) for event in client.events(3_000)]
        client.send(ping=pb.Ping())
        while not (frame := client.next()).HasField("pong"):
            had.append((frame.event.topic, wire.read_number(frame.event, SIZE)))
    made.stop()
    made = journalled(shards=3)
    with made.client() as client:
        resumed(client, 3, position=frame.pong.position)
        rest = [(event.topic, wire.read_number(event, SIZE)) for event in client.events(count - len(had))]
        assert by_topic(had + rest) == all_of(count)
        assert client.round_trip() == []
    with made.client() as client:
        live = client.subscribe("t.*").position
    published(made, count, count + 500)
    made.stop()
    made = journalled()
    with made.client() as client:
        resumed(client, 2, position=live)
        assert read(client, 500) == all_of(count + 500, count)
        assert client.round_trip() == []


def test_a_sequence_and_a_time_are_found_in_the_journal(journalled):
    made = journalled()
    published(made, 0, 8_000)
    then = time.time_ns()
    published(made, 8_000, 16_000)
    for _ in range(2):
        with made.client() as client:
            client.subscribe("t.3", start=OLDEST)
            first = client.events(700)[-1].sequence
        with made.client() as client:
            client.subscribe("t.3", start=pb.Start(sequence=first), gone=REFUSE)
            got = read(client, len(all_of(16_000)["t.3"]) - 699)
            assert got == {"t.3": all_of(16_000)["t.3"][699:]}
        with made.client() as client:
            client.subscribe("t.*", start=pb.Start(time_ns=then), gone=REFUSE)
            assert read(client, 8_000) == all_of(16_000, 8_000)
            assert client.round_trip() == []
        with made.client() as client:
            client.subscribe("t.*", start=pb.Start(time_ns=time.time_ns()))
            assert client.round_trip() == []
        made.stop()
        made = journalled()


def test_the_last_events_of_topics_are_found_in_the_journal(journalled):
    made = journalled()
    published(made, 0, 300, topics=300)  # of most topics nothing comes any more
    published(made, 1_000, 12_000)
    for _ in range(2):
        with made.client() as client:
            client.subscribe("t.*", start=LAST)
            got = read(client, 300)
            expected = {f"t.{n}": [n] for n in range(300)} | {topic: numbers[-1:] for topic, numbers in all_of(12_000, 1_000).items()}
            assert got == expected
            assert client.round_trip() == []
        made.stop()
        made = journalled()


def test_what_retention_has_removed_is_a_gap(journalled):
    made = journalled(shards=1, keep=", retain_bytes: 3MiB")
    with made.client(receive_buffer=16384) as skips, made.client(receive_buffer=16384) as ends:
        skips.subscribe("t.*", policy=SKIP)
        ends.subscribe("t.*")
        published(made, 0, 60_000)
        made.await_metric("roundhouse_journal_trimmed_total", lambda trimmed: trimmed > 5)
        pairs, gone = [], 0
        while len(pairs) + gone < 60_000:  # more may be removed while it catches up: that is another Gap
            frame = skips.next()
            if frame.HasField("event"):
                pairs.append((frame.event.topic, wire.read_number(frame.event, SIZE)))
                continue
            gap = frame.gap
            assert gap.reason == pb.Gap.REASON_EXPIRED and gap.to - getattr(gap, "from") + 1 == gap.at_most
            gone += gap.at_most
        assert gone > 0 and all(numbers == sorted(set(numbers)) for numbers in by_topic(pairs).values())
        while (frame := ends.next()).HasField("event"):
            pass
        assert frame.error.code == pb.ERROR_CODE_SLOW_CONSUMER and "journal no longer keeps" in frame.error.text
    made.await_metric("roundhouse_journal_segments_bytes", lambda size: size <= 4 << 20)  # nothing more goes
    with made.client() as client:
        client.subscribe("t.*", start=OLDEST)
        first = client.expect("event")
    with made.client() as client:
        client.subscribe("t.*", start=pb.Start(time_ns=1))
        gap = client.expect("gap")
        assert gap.reason == pb.Gap.REASON_EXPIRED and gap.to >= wire.position(first) - 1


def test_a_damaged_journal_is_told_to_who_needs_it(journalled, tmp_path):
    made = journalled(shards=1)
    published(made, 0, 20_000)
    segment = sorted(pathlib.Path(tmp_path, "journal").glob("*/*.jnl"))[2]
    with segment.open("r+b") as file:
        file.seek(4096 + 200)  # in its first group
        file.write(b"damage")
    with made.client() as client, made.client() as live:
        live.subscribe("t.*")
        client.subscribe("t.*", start=OLDEST)
        got = []
        while (frame := client.next()).HasField("event"):
            got.append((frame.event.topic, wire.read_number(frame.event, SIZE)))
        assert by_topic(got) == all_of(len(got)) and 0 < len(got) < 20_000
        assert frame.error.code == pb.ERROR_CODE_INTERNAL and frame.error.fatal and "can not be read" in frame.error.text
        published(made, 20_000, 20_010)
        assert read(live, 10) == all_of(20_010, 20_000)
    assert made.metric("roundhouse_history_failures_total") == 1
    assert "the journal can not be read" in made.errors()
