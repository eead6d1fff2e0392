"""Descriptors, memory, many connections, many topics: what is taken is given back."""

import gc
import resource
import socket

import pytest

import wire
from conftest import SANITIZED
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED


def churn(made, count):
    """Connects, says hello and a little more, and resets, so many times in a row."""
    pieces = [b"", wire.frame(connect=pb.Connect(version=1, client="churn"))]
    pieces.append(pieces[1] + wire.frame(subscribe=pb.Subscribe(id=1, patterns=["churn.>", "churn.x"])))
    pieces.append(pieces[2] + wire.numbered("churn.x", 1, 100))
    pieces.append(pieces[2] + wire.numbered("churn.x", 1, 5000)[:3000])
    address = wire.end_point(made.address)
    for number in range(count):
        client = socket.create_connection(address, timeout=wire.WAIT_SECONDS)
        client.sendall(pieces[number % len(pieces)])
        if number % 7 == 0 and number % len(pieces):
            client.recv(1)  # the router has answered: it has seen this one
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()


def resets_leave_nothing(made, warm_up, count):
    churn(made, warm_up)
    made.await_metric("roundhouse_connections", lambda value: value == 0)
    memory, descriptors = made.memory(), made.settled_descriptors()
    churn(made, count)
    made.await_metric("roundhouse_connections", lambda value: value == 0)
    made.await_metric("roundhouse_subscriptions", lambda value: value == 0)
    made.await_descriptors(descriptors)
    if not SANITIZED:  # a sanitizer keeps freed memory on purpose
        assert made.memory() <= memory * 1.01, f"memory grew from {memory} to {made.memory()}"
    with made.client() as client:
        assert client.round_trip() == []


@pytest.mark.parametrize("shards", [2])
def test_ten_thousand_resets_leave_nothing_behind(router, shards):
    resets_leave_nothing(router(shards=shards), 10_000, 10_000)


@pytest.mark.soak
def test_a_hundred_thousand_resets_leave_nothing_behind(router):
    resets_leave_nothing(router(shards=2), 10_000, 100_000)


def crowd(made, subscribers, topics):
    """So many subscribers, each with a share of the topics and one pattern for all; every topic gets one event."""
    clients = []
    for number in range(subscribers):
        client = made.client()
        mine = [f"crowd.t{n}" for n in range(number, topics, subscribers)]
        for start in range(0, len(mine), 500):
            client.send(subscribe=pb.Subscribe(id=start + 1, patterns=mine[start:start + 500]))
        clients.append((client, set(mine)))
    for client, mine in clients:
        for _ in range(0, len(mine), 500):
            client.expect("subscribed")
    everything = made.client()
    everything.subscribe("crowd.*")
    with made.client(ack=ROUTED) as publisher:
        for start in range(0, topics, 1000):
            publisher.send_bytes(b"".join(wire.numbered(f"crowd.t{n}", n) for n in range(start, min(start + 1000, topics))))
            assert publisher.settle(min(start + 1000, topics)) == {}
            got = {wire.read_number(e) for e in everything.events(min(1000, topics - start))}
            assert got == set(range(start, min(start + 1000, topics)))
    for client, mine in clients:
        events = client.events(len(mine))
        assert {event.topic for event in events} == mine
        assert all(event.topic == f"crowd.t{wire.read_number(event)}" for event in events)
        assert client.poll() is None
        client.close()
    everything.close()
    gc.collect()


def test_two_hundred_subscribers_and_ten_thousand_topics(router, many_descriptors):
    crowd(router(shards=2, config_text="logs: { data: 16MiB }\n"), 200, 10_000)


@pytest.mark.soak
def test_a_thousand_subscribers_and_a_hundred_thousand_topics(router, many_descriptors):
    crowd(router(shards=2, config_text="limits: { subscriptions: 200000 }\n"), 1000, 100_000)


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_running_out_of_descriptors_is_survived(router, many_descriptors):
    made = router(preexec=few_descriptors)
    first = made.client()
    first.subscribe("a")
    begin = made.metric("roundhouse_turns_total")
    waiting = [made.client(hello=False) for _ in range(100)]
    # No new connection can be served (an admin one neither), the old one goes on, and no worker turns in circles.
    for number in range(50):
        first.send_bytes(wire.numbered("a", number))
        assert wire.read_number(first.expect("event")) == number
        assert first.poll(0.02) is None
    for client in waiting:
        client.close()
    assert made.metric("roundhouse_turns_total") - begin < 5000, "the workers spin"
    with made.client() as later:
        assert later.round_trip() == []


def test_an_idle_router_sleeps(router):
    made = router(shards=2)
    clients = [made.client() for _ in range(10)]
    for client in clients:
        client.subscribe("idle.>")
    begin = made.metric("roundhouse_turns_total")
    assert clients[0].poll(1) is None
    assert made.metric("roundhouse_turns_total") - begin < 1000, "the workers spin"
    assert made.metric("roundhouse_backstop_hits_total") == 0
    for client in clients:
        client.close()


def test_subscriptions_come_and_go_without_growing(router):
    made = router(shards=2)

    def rounds(client, count):
        for number in range(count):
            client.send(subscribe=pb.Subscribe(id=number, patterns=[f"s.{number % 977}.x", f"s.*.{number}", "s.>"]))
            client.expect("subscribed")
            client.send_bytes(wire.numbered(f"s.{number % 977}.x", number))
            client.send(unsubscribe=pb.Unsubscribe(id=number))
            kinds = [client.next().WhichOneof("body")]
            while kinds[-1] != "unsubscribed":
                kinds.append(client.next().WhichOneof("body"))
            assert set(kinds) <= {"event", "unsubscribed"}

    with made.client() as first, made.client() as second:  # one at each worker, so that both have touched their buffers
        rounds(first, 1500)
        rounds(second, 1500)
    memory = made.memory()
    with made.client() as client:
        rounds(client, 4000)
    if not SANITIZED:
        assert made.memory() - memory < 1 << 20
    made.await_metric("roundhouse_subscriptions", lambda value: value == 0)
