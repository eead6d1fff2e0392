"""Subscribers that do not read: they hurt nobody, take no memory, and are told exactly what they missed."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

import wire
from wire import pb

ROUTED, SKIP = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP
RING = 1 << 20
CONFIG = "logs: { data: 1MiB, grace: 20ms }\nlimits: { frame: 128KiB }\n"
SIZE = 4000
CHUNK = 32  # events between two looks at the healthy ones: an eighth of the ring


class Feed:
    """Publishes numbered events in chunks; after each chunk all healthy subscribers have read it, so none of them lags."""

    def __init__(self, made, topics, healthy):
        self.publisher = made.client(ack=ROUTED)
        self.topics, self.healthy, self.number, self.bytes = topics, healthy, 0, 0

    def chunk(self):
        data = b""
        for _ in range(CHUNK):
            self.number += 1
            data += wire.numbered(self.topics[self.number % len(self.topics)], self.number, SIZE)
        self.bytes += len(data)
        self.publisher.send_bytes(data)
        assert self.publisher.settle(self.number) == {}
        for client in self.healthy:
            got = [wire.read_number(event, SIZE) for event in client.events(CHUNK)]
            assert got == list(range(self.number - CHUNK + 1, self.number + 1))

    def rings(self, count):
        """Publishes so many rings full."""
        end = self.bytes + count * RING
        while self.bytes < end:
            self.chunk()


def read_with_gaps(client, last):
    """Reads events and Gaps up to event `last`; every number is either delivered once or covered by exactly one Gap."""
    expected, missed, gaps, positions = 1, 0, 0, None
    while expected <= last:
        found = client.next()
        kind = found.WhichOneof("body")
        if kind == "gap":
            gap = found.gap
            begin, end = getattr(gap, "from"), gap.to
            assert gap.reason == pb.Gap.REASON_SLOW and gap.position
            assert end - begin + 1 == gap.at_most, "the Gap's count is not that of its positions"
            assert positions is None or begin == positions + 1, "the Gap does not begin behind the last event"
            positions = end
            expected += gap.at_most
            missed += gap.at_most
            gaps += 1
            continue
        assert kind == "event", found
        number = wire.read_number(found.event, SIZE)
        assert number == expected, f"event {number} came where {expected} was due"
        assert positions is None or wire.position(found.event) == positions + 1
        positions = wire.position(found.event)
        expected += 1
    assert expected == last + 1
    return missed, gaps


def until_stuck(made, feed):
    """Publishes until the router has noticed that somebody does not read."""
    while made.metric("roundhouse_laggards") == 0:
        feed.rings(1)
        assert feed.bytes < 64 << 20, "nobody became a laggard"


def test_a_skipping_subscriber_that_stops_gets_an_exact_gap(router):
    made = router(config_text=CONFIG)
    healthy = [made.client() for _ in range(9)]
    for client in healthy:
        client.subscribe("flood")
    stopped = made.client(receive_buffer=16384)
    stopped.subscribe("flood", policy=SKIP)
    feed = Feed(made, ["flood"], healthy)
    until_stuck(made, feed)
    feed.rings(10)
    # It reads again: the same connection, an exact Gap, and then events without a break.
    missed, gaps = read_with_gaps(stopped, feed.number)
    assert gaps >= 1 and missed > 9 * RING // (SIZE + 200)
    feed.healthy = healthy + [stopped]
    feed.chunk()
    assert made.metric("roundhouse_gaps_total") == gaps
    assert made.metric("roundhouse_gap_records_total") == missed
    assert made.metric("roundhouse_slow_disconnects_total") == 0


STOPPED = r"""
import sys
sys.path.insert(0, sys.argv[1])
import slow_test, wire
client = wire.Client(sys.argv[2], receive_buffer=16384)
client.subscribe("flood", policy=wire.pb.SLOW_POLICY_SKIP)
print("subscribed", flush=True)
last = int(sys.stdin.readline())
print(*slow_test.read_with_gaps(client, last), flush=True)
"""


def line_of(process):
    assert select.select([process.stdout], [], [], wire.WAIT_SECONDS)[0], "the subscribing process says nothing"
    return process.stdout.readline()


def test_a_process_stopped_by_a_signal_continues_on_the_same_connection(router):
    made = router(config_text=CONFIG)
    healthy = [made.client() for _ in range(9)]
    for client in healthy:
        client.subscribe("flood")
    here = os.path.dirname(os.path.abspath(__file__))
    process = subprocess.Popen([sys.executable, "-B", "-c", STOPPED, here, made.address], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, bufsize=1)
    try:
        assert line_of(process) == "subscribed\n"
        process.send_signal(signal.SIGSTOP)
        feed = Feed(made, ["flood"], healthy)
        until_stuck(made, feed)
        feed.rings(10)
        process.send_signal(signal.SIGCONT)
        print(feed.number, file=process.stdin, flush=True)
        missed, gaps = map(int, line_of(process).split())
        assert gaps >= 1 and missed > 9 * RING // (SIZE + 200)
        assert process.wait(wire.WAIT_SECONDS) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_at_most_counts_the_events_of_all_topics(router):
    """Another topic's events lie in the Gap too: it may say more than was missed, never less."""
    made = router(config_text=CONFIG)
    healthy = made.client()
    healthy.subscribe(">")
    stopped = made.client(receive_buffer=16384)
    stopped.subscribe("mine", policy=SKIP)
    feed = Feed(made, ["mine", "other"], [healthy])
    until_stuck(made, feed)
    feed.rings(5)
    last = feed.number - feed.number % 2  # even numbers are of topic "mine"
    seen, at_most = [], 0
    while not seen or seen[-1] != last:
        found = stopped.next()
        if found.WhichOneof("body") == "gap":
            at_most += found.gap.at_most
        else:
            assert found.event.topic == "mine"
            seen.append(wire.read_number(found.event, SIZE))
    missing = last // 2 - len(seen)
    assert seen == sorted(set(seen)) and all(number % 2 == 0 for number in seen)
    assert missing > 0 and missing <= at_most <= 2 * missing + CHUNK


def test_who_falls_off_the_ring_is_disconnected_by_default(router):
    made = router(config_text=CONFIG)
    healthy = made.client()
    healthy.subscribe("flood")
    stopped = made.client(receive_buffer=16384)
    stopped.subscribe("flood")
    feed = Feed(made, ["flood"], [healthy])
    while made.metric("roundhouse_slow_disconnects_total") == 0:
        feed.rings(1)
        assert feed.bytes < 64 << 20
    made.await_metric("roundhouse_connections", lambda value: value == 2)
    # What had been sent before arrives whole and without a hole; nothing but an Error follows.
    frames, expected = [], 1
    try:
        while True:
            found = stopped.next()
            if found.WhichOneof("body") == "event":
                assert wire.read_number(found.event, SIZE) == expected
                expected += 1
            else:
                frames.append(found)
    except (wire.Closed, AssertionError) as end:
        assert isinstance(end, wire.Closed) or "middle of a frame" in str(end), end
    assert all(f.WhichOneof("body") == "error" and f.error.code == pb.ERROR_CODE_SLOW_CONSUMER for f in frames)
    feed.chunk()


@pytest.mark.parametrize("policy", [pb.SLOW_POLICY_SKIP, pb.SLOW_POLICY_DISCONNECT])
def test_subscribers_that_never_read_take_no_memory(router, policy):
    made = router(config_text=CONFIG)
    healthy = made.client()
    healthy.subscribe("flood")
    feed = Feed(made, ["flood"], [healthy])
    feed.rings(2)
    stopped = [made.client(receive_buffer=16384) for _ in range(20)]
    for client in stopped:
        client.subscribe("flood", policy=policy)
    before = made.memory()
    feed.rings(30)
    assert made.memory() - before < 8 << 20
    assert made.metric("roundhouse_laggards") + made.metric("roundhouse_slow_disconnects_total") > 0
    for client in stopped:
        client.close()


@pytest.mark.parametrize("shards", [2])
def test_a_stopped_subscriber_of_another_shard_harms_nobody(router, shards):
    """With several logs a stopped subscriber stands in each of them; every topic still goes on for the others."""
    made = router(config_text=CONFIG, shards=shards)
    topics = [f"flood.{n}" for n in range(8)]
    healthy = [made.client() for _ in range(4)]
    stopped = [made.client(receive_buffer=16384) for _ in range(4)]
    for client in healthy:
        client.subscribe("flood.*")
    for client in stopped:
        client.subscribe("flood.*", policy=SKIP)
    with made.client(ack=ROUTED) as publisher:
        number = 0
        for _ in range(300):
            publisher.send_bytes(b"".join(wire.numbered(topic, number + 1, SIZE) for topic in topics for _ in range(4)))
            number += 1
            assert publisher.settle(number * 4 * len(topics)) == {}
            for client in healthy:
                assert sorted(event.topic for event in client.events(4 * len(topics))) == sorted(topics * 4)
        for client in stopped:
            ended, last, gaps = 0, {}, 0
            while ended < 4 * len(topics):
                found = client.next()
                if found.WhichOneof("body") == "gap":
                    gaps += 1
                    continue
                event = found.event
                assert event.sequence > last.get(event.topic, 0)
                last[event.topic] = event.sequence
                ended += wire.read_number(event, SIZE) == number
            assert gaps


def test_subscribers_paused_for_a_moment_lose_nothing(router):
    """Less than a ring behind: no Gap, no disconnect, everything in order."""
    made = router(config_text="logs: { data: 32MiB }\nlimits: { frame: 1MiB }\n")
    clients = [made.client(receive_buffer=16384) for _ in range(30)]
    for client in clients:
        client.subscribe("pause")
    count = 4000
    with made.client(ack=ROUTED) as publisher:
        for number in range(1, count + 1):
            publisher.send_bytes(wire.numbered("pause", number, SIZE))
        assert publisher.settle(count) == {}
        for client in clients:
            assert [wire.read_number(event, SIZE) for event in client.events(count)] == list(range(1, count + 1))
        made.await_metric("roundhouse_laggards", lambda value: value == 0)
        publisher.send_bytes(wire.numbered("pause", 0, SIZE))
        for client in clients:
            assert wire.read_number(client.expect("event"), SIZE) == 0
            client.close()
    assert made.metric("roundhouse_gaps_total") == 0 and made.metric("roundhouse_slow_disconnects_total") == 0


def test_a_slow_reader_gets_every_byte_right(router):
    """Short sends at every place of a frame: a reader that takes odd pieces compares all of it."""
    made = router(config_text="logs: { data: 16MiB }\n")
    with made.client(receive_buffer=4096) as reader, made.client(ack=ROUTED) as publisher:
        reader.subscribe("slow")
        for number in range(1, 1201):
            publisher.send_bytes(wire.numbered("slow", number, 1 + number * 7 % 9000))
        assert publisher.settle(1200) == {}
        for number in range(1, 1201):
            assert wire.read_number(reader.expect("event"), 1 + number * 7 % 9000) == number
            if number % 100 == 0:
                time.sleep(0.01)
