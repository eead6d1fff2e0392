"""Every limit is refused with a clear Error frame before the connection is closed, and others do not notice."""

import time

import pytest

import wire
from conftest import SANITIZED
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED
TOO_LARGE, EXHAUSTED, TIMEOUT = pb.ERROR_CODE_TOO_LARGE, pb.ERROR_CODE_EXHAUSTED, pb.ERROR_CODE_TIMEOUT
INVALID = pb.ERROR_CODE_INVALID


def works(made):
    """Whether the router still carries an event from one new connection to another."""
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("still.alive")
        publisher.publish("still.alive", wire.cloud_event())
        return subscriber.expect("event").topic == "still.alive"


def exact_event(topic, frame_bytes):
    """An Event frame whose Frame has exactly so many bytes (the length in front not counted)."""
    size = frame_bytes - 200
    while True:
        made = pb.Frame(event=pb.Event(topic=topic, event=wire.cloud_event(b"x" * size))).SerializeToString()
        if len(made) == frame_bytes:
            return wire.delimited(made)
        size += frame_bytes - len(made)


def test_the_largest_frame_passes_and_one_byte_more_is_refused(router):
    made = router(config_text="limits: { frame: 128KiB }\nlogs: { data: 2MiB }\n")
    limit = 128 * 1024
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a")
        largest = exact_event("a", publisher.connected.frame_bytes_max)
        publisher.send_bytes(largest)
        assert publisher.settle(1) == {}
        assert len(subscriber.expect("event").event) > limit - 100
        publisher.send_bytes(exact_event("a", limit + 1)[:4096])
        error = publisher.refused()
        assert error.code == TOO_LARGE and "frame" in error.text
    assert works(made)


@pytest.mark.parametrize("shards", [1, 2])
def test_the_largest_frame_fits_the_smallest_log(router, shards):
    """The record of an event is longer than the publisher's frame, which has no sequence."""
    made = router(shards=shards, config_text="limits: { frame: 128KiB }\nlogs: { data: 1MiB }\n")
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe(">")
        for number in range(40):
            publisher.send_bytes(exact_event(f"t{number}", 128 * 1024))
            assert publisher.settle(number + 1) == {}
            assert subscriber.expect("event").topic == f"t{number}"
    assert works(made)


@pytest.mark.parametrize("announced", [2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1])
def test_a_frame_is_refused_by_its_length_alone(router, announced):
    made = router()
    with made.client() as client:
        before = made.memory()
        client.send_bytes(wire.varint(announced))
        assert client.refused().code in (TOO_LARGE, pb.ERROR_CODE_PROTOCOL)
        assert made.memory() - before < 4 << 20
    assert works(made)


def test_memory_grows_with_the_bytes_received_not_announced(router):
    made = router(config_text="limits: { frame: 8MiB }\nlogs: { data: 64MiB }\n")
    clients = [made.client() for _ in range(100)]
    before = made.memory()
    for client in clients:
        client.send_bytes(wire.varint(8 << 20) + wire.field(1, 2, b"x" * 2000)[:1000])
    made.await_metric("roundhouse_connections", lambda value: value == 100)
    with made.client() as other:
        other.round_trip()
    assert made.memory() - before < 16 << 20, "a hundred announced frames of 8 MiB have taken memory"
    for client in clients:
        client.close()


def test_the_first_frame_may_have_4_kib_at_most(router):
    made = router()
    with made.client(hello=False) as client:
        client.send_bytes(wire.varint(4097))
        assert client.refused().code in (TOO_LARGE, pb.ERROR_CODE_PROTOCOL)
    with made.client(hello=False) as client:
        client.send(connect=pb.Connect(version=1, client="x", features=["y" * 30] * 100))
        assert client.expect("connected").version == 1


def test_a_client_name_over_128_bytes_is_refused(router):
    with router().client(hello=False) as client:
        client.send(connect=pb.Connect(version=1, client="x" * 129))
        assert client.refused().field.endswith("client")


@pytest.mark.parametrize("topic, right", [("t" * 255, True), ("t" * 256, False), (".".join("a" * 16), True),
                                          (".".join("a" * 17), False), ("ü" * 127, True), ("ü" * 128, False)])
def test_topics_have_255_bytes_and_16_tokens_at_most(router, topic, right):
    made = router()
    with made.client(ack=ROUTED) as client:
        client.subscribe(">")
        client.publish(topic, wire.cloud_event())
        if right:
            frames = [client.next() for _ in range(2)]
            assert {f.WhichOneof("body") for f in frames} == {"event", "publish_ack"}
            assert any(f.event.topic == topic for f in frames)
        else:
            error = client.settle(1)[1]
            assert error.code in (TOO_LARGE, INVALID) and error.field == "topic"
            assert client.round_trip() == []


def test_patterns_of_one_subscribe_are_bounded(router):
    with router().client() as client:
        most = client.connected.patterns_max
        client.subscribe(*[f"p.{n}" for n in range(most)], id=1)
        client.send(subscribe=pb.Subscribe(id=2, patterns=[f"q.{n}" for n in range(most + 1)]))
        error = client.expect("error")
        assert error.code in (TOO_LARGE, EXHAUSTED) and error.text
        assert error.fatal or error.subscription == 2


def test_subscriptions_are_bounded_and_come_back(router):
    made = router(config_text="limits: { subscriptions: 10 }\n", shards=1)
    with made.client() as first, made.client() as second:
        first.subscribe(*[f"a.{n}" for n in range(8)])
        second.subscribe("b.1", "b.2")
        second.send(subscribe=pb.Subscribe(id=2, patterns=["c"]))
        error = second.expect("error")
        assert error.code == EXHAUSTED and error.subscription == 2 and "subscription" in error.text
        first.send(unsubscribe=pb.Unsubscribe(id=1))
        first.expect("unsubscribed")
        first.close()
        made.await_metric("roundhouse_subscriptions", lambda value: value == 2)
        with made.client() as third:
            third.subscribe(*[f"d.{n}" for n in range(8)])


def test_subscriptions_of_closed_connections_come_back(router):
    made = router(config_text="limits: { subscriptions: 10 }\n", shards=2)
    for _ in range(20):
        client = made.client()
        client.subscribe(*[f"a.{n}" for n in range(10)])
        client.reset()
        made.await_metric("roundhouse_subscriptions", lambda value: value == 0)


@pytest.mark.parametrize("shards", [1, 3])
def test_connections_are_bounded_and_come_back(router, shards):
    made = router(config_text="limits: { connections: 8 }\n", shards=shards)
    clients = [made.client() for _ in range(8)]
    with made.client(hello=False) as ninth:
        ninth.send(connect=pb.Connect(version=1, client="x"))
        error = ninth.refused()
        assert error.code == EXHAUSTED and "connection" in error.text
    assert made.metric("roundhouse_connections_refused_total") >= 1
    clients.pop().close()
    made.await_metric("roundhouse_connections", lambda value: value == 7)
    clients.append(made.client())
    for client in clients:
        assert client.round_trip() == []
        client.close()


def test_a_silent_stranger_is_closed(router):
    made = router(config_text="limits: { handshake: 200ms }\n")
    with made.client(hello=False) as silent, made.client(hello=False) as half:
        half.send_bytes(wire.frame(connect=pb.Connect(version=1, client="x"))[:3])
        assert silent.refused().code == TIMEOUT
        assert half.refused().code == TIMEOUT
    assert made.metric("roundhouse_handshake_timeouts_total") == 2


def test_a_stranger_that_trickles_is_closed(router):
    made = router(config_text="limits: { handshake: 300ms }\n")
    with made.client(hello=False) as client:
        data = wire.frame(connect=pb.Connect(version=1, client="x" * 120))
        try:
            for byte in data[:-1]:
                client.send_bytes(bytes([byte]))
                time.sleep(0.01)
        except ConnectionError:
            return
        assert client.refused().code == TIMEOUT


def test_who_has_shaken_hands_may_be_silent(router):
    made = router(config_text="limits: { handshake: 100ms }\n")
    with made.client() as client:
        made.client(hello=False).refused()
        assert client.round_trip() == []


def test_an_idle_client_is_closed_and_ping_keeps_alive(router):
    made = router(config_text="limits: { idle: 500ms }\n")
    with made.client() as idle, made.client() as lively:
        assert idle.connected.idle_ms == 500
        end = None
        while end is None:
            lively.round_trip()
            end = idle.poll(0.05)
        assert end.error.fatal and end.error.code == TIMEOUT
        lively.round_trip()
    assert made.metric("roundhouse_idle_timeouts_total") == 1


def test_replies_that_are_not_read_are_bounded(router):
    """A client that asks without end and reads nothing is not read from any more; others go on."""
    made = router(config_text="limits: { private: 64KiB }\n")
    with made.client(receive_buffer=4096) as greedy, made.client() as other:
        before = made.memory()
        pings = wire.frame(ping=pb.Ping(data=b"x" * 64)) * 1000
        greedy.socket.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += greedy.socket.send(pings)
        except TimeoutError:
            pass
        assert sent < 64 << 20, "the router takes any number of pings without its replies being read"
        assert other.round_trip() == []
        if not SANITIZED:  # a sanitizer keeps freed memory on purpose
            assert made.memory() - before < 4 << 20
        assert made.metric("roundhouse_private_high_water") <= 64 * 1024 + 4096
        greedy.socket.settimeout(wire.WAIT_SECONDS)
        # It reads again: every answer to a whole ping is there, in order, and the connection works.
        for _ in range(100):
            assert greedy.expect("pong").data == b"x" * 64


def test_errors_about_events_that_are_not_read_are_bounded(router):
    made = router(config_text="limits: { private: 64KiB }\n")
    with made.client(receive_buffer=4096) as bad, made.client() as other:
        before = made.memory()
        flood = wire.event_frame("a..b", b"") * 1000
        bad.socket.settimeout(1)
        sent = 0
        try:
            while sent < 16 << 20:
                sent += bad.socket.send(flood)
        except (TimeoutError, ConnectionError):
            pass
        assert other.round_trip() == []
        if not SANITIZED:  # a sanitizer keeps freed memory on purpose
            assert made.memory() - before < 8 << 20


def test_topics_are_bounded(router):
    """More topics than the tables hold are routed all the same; the tables forget, the memory does not grow."""
    made = router(config_text="limits: { topics: 1000 }\nlogs: { data: 8MiB }\n", shards=1)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("many.>")
        done = 0
        for start in range(0, 10_000, 500):
            publisher.send_bytes(b"".join(wire.numbered(f"many.{n}", n) for n in range(start, start + 500)))
            done += 500
            assert publisher.settle(done) == {}
            assert [wire.read_number(e) for e in subscriber.events(500)] == list(range(start, start + 500))
        made.await_metric("roundhouse_topics_evicted_total", lambda value: value >= 9000)
        assert made.metric("roundhouse_topics") <= 1000


def test_large_frames_for_another_worker_are_bounded_while_its_log_is_held(router):
    """A laggard within its grace holds the log of shard 1; what shard 0 has for it waits at the publisher, not in memory."""
    made = router(shards=2, config_text="""logs: { data: 8MiB, grace: 60s }
slots: [{ shard: 1, range: 0-4095 }]
""")
    large = wire.numbered("held", 1, 1_000_000)
    deaf = [made.client(receive_buffer=4096) for _ in range(2)]
    for client in deaf:
        client.subscribe("held", policy=pb.SLOW_POLICY_SKIP)
    publishers = [made.client() for _ in range(2)]
    before = made.memory()
    for publisher in publishers:  # one of them is at shard 0
        publisher.socket.settimeout(2)
        sent = 0
        try:
            while sent < 256 << 20:
                sent += publisher.socket.send(large[sent % len(large):])
        except TimeoutError:
            pass
        assert sent < 256 << 20, "the publisher is never made to wait"
    assert made.metric("roundhouse_events_forwarded_total", shard="0") > 0
    assert made.metric("roundhouse_parked") == 2
    if not SANITIZED:  # a sanitizer keeps freed memory on purpose
        assert made.memory() - before < 32 << 20
    for client in deaf + publishers:
        client.reset()
