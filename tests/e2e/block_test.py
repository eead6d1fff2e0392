"""The policy `block`: publishers wait for who reads too slowly, for a bounded time, and nobody else does."""

import json
import subprocess
import time

import pytest

import wire
from wire import pb

ROUTED, SKIP, BLOCK = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP, pb.SLOW_POLICY_BLOCK
CONFIG = "logs: {{ data: 2MiB, grace: 1ms }}\nlimits: {{ frame: 128KiB, block: {} }}\n"
SIZE = 4000


def held(made, client, topic, limit=20_000):
    """Publishes numbered events without waiting until the router holds the connection back. Returns how many were sent whole."""
    client.socket.setblocking(False)
    number, rest = 0, b""
    end = time.monotonic() + wire.WAIT_SECONDS
    try:
        while made.metric("roundhouse_held_back_total") == 0 or rest == b"":
            assert time.monotonic() < end and number < limit, f"nobody was held back, {number} events"
            for _ in range(50):
                if not rest:
                    number += 1
                    rest = wire.numbered(topic, number, SIZE)
                try:
                    rest = rest[client.socket.send(rest):]
                except BlockingIOError:
                    break
    finally:
        client.socket.settimeout(wire.WAIT_SECONDS)
    client.rest = rest
    return number


@pytest.mark.parametrize("shards", [1, 2])
def test_a_publisher_waits_and_nothing_is_lost(router, shards):
    made = router(shards=shards, config_text=CONFIG.format("60s"))
    slow, publisher = made.client(receive_buffer=16384), made.client(ack=ROUTED)
    slow.subscribe("flood", policy=BLOCK)
    sent = held(made, publisher, "flood")
    assert made.metric("roundhouse_blocking") == 1 and made.metric("roundhouse_blocked_slots") == 1
    # Another topic goes on meanwhile, for another publisher, and for one that has not published to the blocked one.
    with made.client(ack=ROUTED) as free, made.client() as reader:
        reader.subscribe("free.*")
        for number in range(20):
            free.send_bytes(wire.numbered(f"free.{number}", number))
        assert free.settle(20) == {}
        assert sorted(wire.read_number(event) for event in reader.events(20)) == list(range(20))
    assert made.metric("roundhouse_parked") == 1
    # It reads: all comes, in order and without a hole; then everybody is free.
    got = 0
    while got < sent - 1:
        got += 1
        assert wire.read_number(slow.expect("event"), SIZE) == got
    publisher.send_bytes(publisher.rest)
    assert wire.read_number(slow.expect("event"), SIZE) == sent
    while publisher._settled < sent:  # between the acknowledgements are the signs of life
        found = publisher.next()
        assert found.WhichOneof("body") in ("publish_ack", "ping") and not found.publish_ack.exceptions
        publisher._settled = max(publisher._settled, found.publish_ack.through)
    made.await_metric("roundhouse_blocked_slots", lambda value: value == 0)
    assert made.metric("roundhouse_slow_disconnects_total") == 0 and made.metric("roundhouse_gaps_total") == 0


@pytest.mark.parametrize("shards", [1, 2])
def test_it_ends_in_a_disconnect(router, shards):
    made = router(shards=shards, config_text=CONFIG.format("500ms"))
    slow, publisher = made.client(receive_buffer=16384), made.client(ack=ROUTED)
    slow.subscribe("flood", policy=BLOCK)
    sent = held(made, publisher, "flood")
    publisher.send_bytes(publisher.rest)  # waits until it is read again
    while publisher._settled < sent:
        publisher._settled = max(publisher._settled, publisher.next().publish_ack.through)
    assert made.metric("roundhouse_block_timeouts_total") == made.metric("roundhouse_slow_disconnects_total") == 1
    assert made.metric("roundhouse_blocking") == made.metric("roundhouse_blocked_slots") == 0


def test_who_publishes_to_his_own_subscription_does_not_wait_for_himself(router):
    """It writes all before it reads anything, which would stand still for ever if it waited for itself."""
    made = router(config_text=CONFIG.format("1h"))
    with made.client(receive_buffer=16384) as client:
        client.subscribe("own", policy=BLOCK)
        count = 0
        while made.metric("roundhouse_blocks_total") == 0:
            for _ in range(20):  # so few that it stays well within the ring
                count += 1
                client.send_bytes(wire.numbered("own", count, SIZE))
            made.await_metric("roundhouse_events_in_total", lambda value: value == count)
            assert count < 20_000
        for _ in range(20):
            count += 1
            client.send_bytes(wire.numbered("own", count, SIZE))
        made.await_metric("roundhouse_events_in_total", lambda value: value == count)
        assert made.metric("roundhouse_held_back_total") == 0
        assert [wire.read_number(event, SIZE) for event in client.events(count)] == list(range(1, count + 1))


def test_the_end_of_the_subscriber_lets_the_publisher_go_on(router):
    made = router(shards=2, config_text=CONFIG.format("1h"))
    slow, publisher = made.client(receive_buffer=16384), made.client(ack=ROUTED)
    slow.subscribe("flood", policy=BLOCK)
    sent = held(made, publisher, "flood")
    slow.reset()
    publisher.send_bytes(publisher.rest)
    while publisher._settled < sent:
        publisher._settled = max(publisher._settled, publisher.next().publish_ack.through)


def test_a_stop_does_not_wait_for_it(router):
    made = router(shards=2, config_text=CONFIG.format("1h"))
    slow, publisher = made.client(receive_buffer=16384), made.client()
    slow.subscribe("flood", policy=BLOCK)
    held(made, publisher, "flood")
    slow.close()
    made.stop()


def test_pub_waits_for_a_stopped_sub(router, spawn, run):
    """Both by the client library: pub is held back for longer than its Pings go unanswered, and stays connected."""
    made = router(config_text=CONFIG.format("60s"))
    slow = made.client(receive_buffer=16384)
    slow.subscribe("flood", policy=BLOCK)
    count = 3000
    publisher = spawn("pub", "--server", made.address, "--count", str(count), "flood", "x" * SIZE, stderr=subprocess.PIPE)
    made.await_metric("roundhouse_held_back_total", lambda value: value >= 1)
    time.sleep(6)
    assert publisher.poll() is None and made.metric("roundhouse_connections_accepted_total") == 2
    ids = [wire.ce.CloudEvent.FromString(slow.expect("event").event).id for _ in range(count)]
    assert len(set(ids)) == count
    _, errors = publisher.communicate(timeout=wire.WAIT_SECONDS)
    assert publisher.returncode == 0, errors
    assert made.metric("roundhouse_connections_accepted_total") == 2


def test_sub_takes_the_policy(router, spawn, run):
    made = router()
    watched = spawn("sub", "--server", made.address, "--policy", "block", "--count", "1", "a")
    made.await_metric("roundhouse_subscriptions", lambda value: value == 1)
    assert run("pub", "--server", made.address, "--id", "9", "a", "x").returncode == 0
    out, _ = watched.communicate(timeout=wire.WAIT_SECONDS)
    assert json.loads(out)["event"]["id"] == "9"
