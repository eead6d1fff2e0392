"""What the guarantees promise to subscribers: order per topic, an exact beginning, and resuming by Position."""

import contextlib
import threading

import pytest

import wire
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED


def in_order(events):
    """Per topic the numbers of the events, after checking that sequences grow."""
    numbers, last = {}, {}
    for event in events:
        assert event.sequence > last.get(event.topic, 0), f"the sequence of {event.topic} does not grow"
        last[event.topic] = event.sequence
        numbers.setdefault(event.topic, []).append(wire.read_number(event))
    return numbers


SIZE = 4000


@contextlib.contextmanager
def kept_awake(made):
    """Keeps a router of one shard from sleeping: what a connection does not take stays queued for it meanwhile."""
    done = threading.Event()

    def skipped_frames(client):
        while not done.is_set():
            client.send_bytes(b"\0" * 100_000)

    with made.client() as client:
        thread = threading.Thread(target=skipped_frames, args=[client])
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def publish_both(publisher, count):
    """Numbered events, odd ones on topic a and even ones on b: more than a connection takes that does not read."""
    publisher.send_bytes(b"".join(wire.numbered("ba"[n % 2], n, SIZE) for n in range(1, count + 1)))
    assert publisher.settle(count) == {}


def read_both(subscriber, *last):
    """The numbers of the events of a and of b until these have come."""
    numbers, wanted = {"a": [], "b": []}, set(last)
    while wanted:
        found = subscriber.next()
        if found.WhichOneof("body") == "event":
            number = wire.read_number(found.event, SIZE)
            numbers[found.event.topic].append(number)
            wanted.discard(number)
    return numbers["a"], numbers["b"]


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_each_topic_has_one_order_for_everybody(router, shards):
    made = router(shards=shards)
    topics = [f"order.{n}" for n in range(16)]
    rounds, publishers = 60, 3
    subscribers = [made.client() for _ in range(4)]
    for place, subscriber in enumerate(subscribers):
        subscriber.subscribe(*(["order.>"] if place % 2 else topics))
    senders = [made.client(ack=ROUTED) for _ in range(publishers)]
    for step in range(rounds):
        for who, sender in enumerate(senders):
            sender.send_bytes(b"".join(wire.numbered(t, who * rounds + step) for t in topics))
    for sender in senders:
        assert sender.settle(rounds * len(topics)) == {}
    seen = [in_order(subscriber.events(rounds * publishers * len(topics))) for subscriber in subscribers]
    # Several publishers interleave somehow, but for all subscribers alike, and each in its own order.
    assert all(other == seen[0] for other in seen[1:])
    for numbers in seen[0].values():
        assert len(numbers) == rounds * publishers
        for who in range(publishers):
            mine = [n for n in numbers if n // rounds == who]
            assert mine == list(range(who * rounds, (who + 1) * rounds))
    for client in subscribers + senders:
        client.close()


def test_a_connection_sees_its_topics_in_order_with_its_own_replies(router):
    made = router(shards=2)
    with made.client() as client:
        client.subscribe("x")
        for number in range(100):
            client.send_bytes(wire.numbered("x", number))
        assert [wire.read_number(event) for event in client.events(100)] == list(range(100))


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_a_subscription_begins_exactly(router, shards):
    """Nothing published and acknowledged before Subscribe is delivered, everything published after Subscribed is."""
    made = router(shards=shards)
    topics = [f"begin.{n}" for n in range(8)]
    with made.client(ack=ROUTED) as publisher:
        number, done = 0, 0
        for _ in range(20):
            publisher.send_bytes(b"".join(wire.numbered(topic, number) for topic in topics))
            done += len(topics)
            assert publisher.settle(done) == {}
            with made.client() as late:
                late.subscribe("begin.>")
                publisher.send_bytes(b"".join(wire.numbered(topic, number + 1) for topic in topics))
                done += len(topics)
                got = in_order(late.events(len(topics)))
                assert got == {topic: [number + 1] for topic in topics}
                assert publisher.settle(done) == {}
            number += 2


def until(joiner, right, last=None):
    """The events that come until so many `subscribed` frames, or events with the number `last`, have come."""
    events, found = [], {"subscribed": 0, "last": 0}
    while not right(found):
        frame = joiner.next()
        if frame.WhichOneof("body") == "event":
            events.append(frame.event)
            found["last"] += wire.read_number(frame.event) == last
        else:
            found[frame.WhichOneof("body")] += 1
    return events


@pytest.mark.parametrize("shards", [1, 2])
def test_a_subscription_begins_without_a_hole_under_load(router, shards):
    """While events stream, a new subscriber gets an unbroken tail of each topic, and a second pattern does not repeat it."""
    made = router(shards=shards)
    topics = [f"load.{n}" for n in range(4)]
    rounds = 400
    with made.client(ack=ROUTED) as publisher:
        joiners = []
        for number in range(rounds):
            if number == rounds - 1:  # the others may be routed before the last joiner's Subscribe is handled
                early = [until(joiner, lambda found: found["subscribed"] == 2) for joiner in joiners]
            publisher.send_bytes(b"".join(wire.numbered(topic, number) for topic in topics))
            if number % 50 == 25:
                joiner = made.client()
                joiner.send(subscribe=pb.Subscribe(id=1, patterns=["load.>"]))
                joiner.send(subscribe=pb.Subscribe(id=2, patterns=["load.1", "load.*"]))
                joiners.append(joiner)
        assert publisher.settle(rounds * len(topics)) == {}
        for joiner, events in zip(joiners, early):
            events += until(joiner, lambda found: found["last"] == len(topics), rounds - 1)
            for topic, numbers in in_order(events).items():
                assert numbers == list(range(numbers[0], rounds)), topic
            joiner.close()


def test_a_second_subscription_begins_later_than_the_first(router):
    made = router()
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a")
        publisher.send_bytes(wire.numbered("b", 1) + wire.numbered("a", 2))
        assert publisher.settle(2) == {}
        subscriber.send(subscribe=pb.Subscribe(id=2, patterns=["b"]))
        kinds = [subscriber.next() for _ in range(2)]
        assert {found.WhichOneof("body") for found in kinds} == {"event", "subscribed"}
        publisher.send_bytes(wire.numbered("b", 3))
        assert wire.read_number(subscriber.expect("event")) == 3


def test_a_subscription_begins_exactly_on_a_connection_that_does_not_read(router):
    """What was published before, and waits unsent for another subscription, does not come for the new one."""
    made = router()
    with made.client(receive_buffer=4096) as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a")
        with kept_awake(made):
            publish_both(publisher, 2000)
            subscriber.send(subscribe=pb.Subscribe(id=2, patterns=["b"]))
            made.await_metric("roundhouse_subscriptions", lambda value: value == 2)
        publisher.send_bytes(wire.numbered("b", 2002, SIZE))
        assert read_both(subscriber, 2002) == (list(range(1, 2000, 2)), [2002])


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_a_position_resumes_where_the_connection_stopped(router, shards):
    made = router(shards=shards)
    topics = [f"resume.{n}" for n in range(8)]

    def publish(publisher, number, done):
        publisher.send_bytes(b"".join(wire.numbered(topic, number) for topic in topics))
        assert publisher.settle(done) == {}

    with made.client(ack=ROUTED) as publisher:
        with made.client() as first:
            begin = first.subscribe("resume.>").position
            publish(publisher, 1, 8)
            first.events(8)
            first.send(ping=pb.Ping())
            later = first.expect("pong").position
        publish(publisher, 2, 16)
        with made.client() as second:
            second.subscribe("resume.>", position=later)
            publish(publisher, 3, 24)
            assert in_order(second.events(16)) == {topic: [2, 3] for topic in topics}
            assert second.round_trip() == []
        with made.client() as third:
            third.subscribe("resume.3", position=begin)
            assert in_order(third.events(3)) == {"resume.3": [1, 2, 3]}
            assert third.round_trip() == []


def test_resuming_loses_nothing_of_the_others_on_a_connection_that_does_not_read(router):
    """What waits unsent for a live subscription still comes, once, when another one goes back."""
    made = router()
    with made.client(receive_buffer=4096) as subscriber, made.client(ack=ROUTED) as publisher:
        position = subscriber.subscribe("a").position
        with kept_awake(made):
            publish_both(publisher, 2000)
            subscriber.send(subscribe=pb.Subscribe(id=2, patterns=["b"], position=position))
            made.await_metric("roundhouse_subscriptions", lambda value: value == 2)
        publisher.send_bytes(wire.numbered("b", 2002, SIZE))
        assert read_both(subscriber, 2002) == (list(range(1, 2000, 2)), list(range(2, 2003, 2)))


@pytest.mark.parametrize("shards", [1, 2])
def test_resuming_repeats_nothing_to_the_others_on_a_laggard(router, shards):
    made = router(shards=shards)
    with made.client(receive_buffer=4096) as subscriber, made.client(ack=ROUTED) as publisher:
        position = subscriber.subscribe("a").position
        publish_both(publisher, 2000)
        made.await_metric("roundhouse_laggards", lambda value: value == 1)
        subscriber.send(subscribe=pb.Subscribe(id=2, patterns=["b"], position=position))
        assert read_both(subscriber, 1999, 2000) == (list(range(1, 2000, 2)), list(range(2, 2001, 2)))
        assert subscriber.round_trip() == []


def test_a_position_of_another_run_is_answered_with_a_gap(router):
    first, second = router(), router()
    with first.client() as client:
        position = client.subscribe("a").position
    with second.client() as client, second.client() as publisher:
        client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], position=position))
        kinds = {}
        for _ in range(2):
            found = client.next()
            kinds[found.WhichOneof("body")] = found
        assert set(kinds) == {"gap", "subscribed"}
        assert kinds["gap"].gap.reason == pb.Gap.REASON_INSTANCE
        publisher.send_bytes(wire.numbered("a", 1))
        assert wire.read_number(client.expect("event")) == 1


def test_a_position_that_is_no_longer_kept_is_answered_with_a_gap(router):
    made = router(config_text="logs: { data: 1MiB }\nlimits: { frame: 128KiB }\n")
    with made.client() as client:
        position = client.subscribe("a").position
    with made.client(ack=ROUTED) as publisher:
        for number in range(1, 401):
            publisher.send_bytes(wire.numbered("a", number, 8000))
            if number % 20 == 0:
                assert publisher.settle(number) == {}
        with made.client() as client:
            client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], position=position))
            numbers, missing, subscribed = [], 0, False
            while not numbers or numbers[-1] != 400:
                found = client.next()
                if found.WhichOneof("body") == "gap":
                    assert found.gap.reason == pb.Gap.REASON_EXPIRED and not numbers
                    assert found.gap.to - getattr(found.gap, "from") + 1 == found.gap.at_most
                    missing += found.gap.at_most
                elif found.WhichOneof("body") == "subscribed":
                    subscribed = True
                else:
                    numbers.append(wire.read_number(found.event, 8000))
    assert subscribed and missing and numbers == list(range(missing + 1, 401))


@pytest.mark.parametrize("position", [b"x", b"\0" * 16, b"\xff" * 100])
def test_a_position_that_is_none_is_refused(router, position):
    with router().client() as client:
        client.send(subscribe=pb.Subscribe(id=5, patterns=["a"], position=position))
        error = client.expect("error")
        assert error.code == pb.ERROR_CODE_INVALID and error.subscription == 5 and error.field == "subscribe.position"


def test_who_does_not_subscribe_gets_nothing(router):
    made = router(shards=2)
    with made.client() as silent, made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(wire.numbered(f"a.{n}", n) for n in range(100)))
        assert publisher.settle(100) == {}
        assert silent.round_trip() == []


@pytest.mark.parametrize("io", ["uring:oneshot"])
@pytest.mark.parametrize("body", ["uring"])
def test_the_one_shot_mode_delivers_the_same(router, io, body):
    made = router(io=io, shards=2)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a.>")
        for number in range(1, 2001):
            publisher.send_bytes(wire.numbered(f"a.{number % 7}", number, 700))
        assert publisher.settle(2000) == {}
        events = subscriber.events(2000)
        assert {wire.read_number(event, 700) for event in events} == set(range(1, 2001))
