"""Where a subscription begins: with the oldest event, a sequence, a time, the last event of each topic, a Position; and what is
answered when that is gone, lies in the future, or is none."""

import json
import time

import pytest

import wire
from cli_test import Watched
from wire import pb

ROUTED, SKIP, REFUSE = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP, pb.GONE_POLICY_REFUSE
SMALL = "logs: { data: 1MiB }\nlimits: { frame: 128KiB }\n"
OLDEST, LAST = pb.Start(oldest=True), pb.Start(last_per_topic=True)


def published(made, *pairs, size=0):
    """Publishes (topic, number) pairs and waits until all are routed."""
    with made.client(ack=ROUTED) as publisher:
        for topic, number in pairs:
            publisher.send_bytes(wire.numbered(topic, number, size))
        assert publisher.settle(len(pairs)) == {}


def numbers(client, count, size=0):
    return [wire.read_number(event, size) for event in client.events(count)]


def refusal(made, *patterns, **asked):
    with made.client() as client:
        client.send(subscribe=pb.Subscribe(id=7, patterns=patterns, **asked))
        error = client.expect("error")
        assert error.subscription == 7 and not error.fatal
        client.subscribe("a", id=7)  # the id is free, the connection goes on
        return error


@pytest.mark.parametrize("shards", [1, 2])
def test_oldest_begins_with_all_that_is_kept(router, shards):
    made = router(shards=shards)
    published(made, *[(f"t.{n % 5}", n) for n in range(1, 101)])
    with made.client() as client:
        client.subscribe("t.*", start=OLDEST)
        assert sorted(numbers(client, 100)) == list(range(1, 101))
        published(made, ("t.1", 101))
        assert numbers(client, 1) == [101]
        assert client.round_trip() == []


def test_a_sequence_begins_with_its_event(router):
    made = router(shards=2)
    published(made, *[("a", n) if n % 2 else ("b", n) for n in range(1, 21)])
    with made.client() as first:
        first.subscribe("a", start=OLDEST)
        sequences = [event.sequence for event in first.events(10)]
    for at, sequence in enumerate(sequences):
        with made.client() as client:
            client.subscribe("a", start=pb.Start(sequence=sequence))
            assert [event.sequence for event in client.events(10 - at)] == sequences[at:]
            assert client.round_trip() == []
    with made.client() as client:
        client.subscribe("a", start=pb.Start(sequence=sequences[-1] + 1))
        assert client.round_trip() == [], "behind the last one it is live"
        published(made, ("a", 21))
        assert numbers(client, 1) == [21]


def test_a_time_begins_with_the_first_event_received_then(router):
    made = router(shards=2)
    published(made, *[(f"t.{n}", n) for n in range(10)])
    then = time.time_ns()
    published(made, *[(f"t.{n}", n) for n in range(10, 20)])
    with made.client() as client:
        client.subscribe("t.*", start=pb.Start(time_ns=then))
        assert sorted(numbers(client, 10)) == list(range(10, 20))
        client.subscribe("t.*", id=2, start=pb.Start(time_ns=time.time_ns()))
        assert client.round_trip() == []
    with made.client() as client:
        client.subscribe("t.*", start=pb.Start(time_ns=1))
        assert sorted(numbers(client, 20)) == list(range(20))


@pytest.mark.parametrize("shards", [1, 2])
def test_last_per_topic_is_one_event_of_each_and_then_all(router, shards):
    made = router(shards=shards, config_text="logs: { data: 32MiB }\n")
    topics, rounds = 2000, 10
    published(made, *[(f"t.{n % topics}", n) for n in range(topics * rounds)], ("other", 1))
    with made.client() as client:
        client.subscribe("t.*", start=LAST)
        assert sorted(numbers(client, topics)) == list(range(topics * (rounds - 1), topics * rounds))
        published(made, ("t.5", 1), ("other", 2), ("t.5", 2), ("t.new", 3))
        assert sorted(numbers(client, 3)) == [1, 2, 3]
        assert client.round_trip() == []


@pytest.mark.parametrize("shards", [1, 2])
def test_last_per_topic_has_no_gap_and_no_duplicate_under_load(router, shards):
    """Each topic counts up: what comes first may be anything, but from then on every number comes once and in order."""
    made = router(shards=shards, config_text="logs: { data: 8MiB }\n")
    topics = 50
    with made.client(ack=ROUTED) as publisher:
        number, clients, due = 0, [], {}

        def some(rounds):
            nonlocal number
            for _ in range(rounds):
                publisher.send_bytes(b"".join(wire.numbered(f"t.{t}", number) for t in range(topics)))
                number += 1

        some(200)
        for _ in range(5):
            client = made.client()
            client.send(subscribe=pb.Subscribe(id=1, patterns=["t.*"], start=LAST, policy=SKIP))
            clients.append(client)
            some(40)
        assert publisher.settle(number * topics) == {}
        for client in clients:
            client.expect("subscribed")
            due.clear()
            while any(due.get(t, 0) < number for t in range(topics)):
                event = client.expect("event")
                topic, got = int(event.topic[2:]), wire.read_number(event)
                assert got == due.get(topic, got)
                due[topic] = got + 1
            assert client.round_trip() == []
            client.close()


def test_a_connection_that_ends_within_the_last_events_gets_them_again_and_none_that_is_older(router):
    made = router(config_text="logs: { data: 32MiB }\n")
    topics, size = 3000, 2000
    published(made, *[(f"t.{n % topics}", n) for n in range(topics * 2)], size=size)
    client = made.client(receive_buffer=16384)
    position = client.subscribe("t.*", start=LAST).position
    had = {event.topic: wire.read_number(event, size) for event in client.events(100)}
    client.close()
    published(made, ("t.0", 100_000), size=size)
    with made.client() as client:
        client.subscribe("t.*", start=LAST, position=position)
        got = {event.topic: wire.read_number(event, size) for event in client.events(topics)}
        assert got.pop("t.0") == 100_000 and all(n == topics + int(t[2:]) for t, n in got.items())
        assert all(n >= had.get(t, 0) for t, n in got.items())
        client.send(ping=pb.Ping())
        position = client.expect("pong").position
    published(made, ("t.1", 1), ("t.1", 2), size=size)
    with made.client() as client:
        client.subscribe("t.*", start=LAST, position=position)
        assert numbers(client, 2, size) == [1, 2], "all of what came since, and no last events again"
        assert client.round_trip() == []


def gone(made):
    """Fills the ring until event 1 of topic a is overwritten; returns its sequence and a Position of before it."""
    with made.client() as client:
        position = client.subscribe("a").position
        published(made, ("a", 1), size=8000)
        sequence = client.expect("event").sequence
    for _ in range(10):
        published(made, *[("a", n) for n in range(2, 40)], size=8000)
    return sequence, position


def test_what_is_gone_is_told_by_a_gap_or_refused(router):
    made = router(config_text=SMALL)
    sequence, position = gone(made)
    asked = {"sequence": {"start": pb.Start(sequence=sequence)}, "time": {"start": pb.Start(time_ns=1)}, "position": {"position": position}}
    for name, begin in asked.items():
        with made.client() as client:
            client.subscribe("a", **begin)
            gap = client.expect("gap")
            first = wire.position(client.expect("event"))
            assert gap.reason == pb.Gap.REASON_EXPIRED and getattr(gap, "from") == 1, name
            assert gap.to == first - 1 and gap.at_most == gap.to, name
        error = refusal(made, "a", gone=REFUSE, **begin)
        assert error.code == pb.ERROR_CODE_INVALID and error.field == "subscribe.gone", name
    for start in (OLDEST, LAST):  # these are never gone
        with made.client() as client:
            client.subscribe("a", start=start, gone=REFUSE)
            client.expect("event")


def test_what_is_not_gone_is_not_refused(router):
    made = router(config_text=SMALL)
    with made.client() as client:
        position = client.subscribe("rare", "a").position
    published(made, ("rare", 1))
    with made.client() as client:
        client.subscribe("rare", position=position, gone=REFUSE)
        assert numbers(client, 1) == [1]
        client.send(ping=pb.Ping())
        position = client.expect("pong").position
    gone(made)
    with made.client() as client:  # the ring has gone round, but nothing was for it
        client.subscribe("rare", position=position, gone=REFUSE)
        assert client.round_trip() == []


def test_another_run_is_told_or_refused_and_it_begins_as_it_says(router):
    first, second = router(), router()
    with first.client() as client:
        position = client.subscribe("a").position
    published(second, ("a", 1), ("a", 2))
    for start, expected in ((None, []), (OLDEST, [1, 2]), (LAST, [2]), (pb.Start(time_ns=1), [1, 2]), (pb.Start(sequence=1 << 48 | 1), [])):
        with second.client() as client:
            client.subscribe("a", position=position, start=start)
            assert client.expect("gap").reason == pb.Gap.REASON_INSTANCE
            assert numbers(client, len(expected)) == expected
            assert client.round_trip() == []
    error = refusal(second, "a", position=position, gone=REFUSE)
    assert error.code == pb.ERROR_CODE_INVALID and error.field == "subscribe.gone"


def test_a_sequence_of_an_older_epoch_is_of_another_run(router):
    made = router()
    published(made, ("a", 1))
    with made.client() as client:
        client.subscribe("a", start=pb.Start(sequence=5))
        assert client.expect("gap").reason == pb.Gap.REASON_INSTANCE
        assert client.round_trip() == []
    assert refusal(made, "a", start=pb.Start(sequence=5), gone=REFUSE).field == "subscribe.gone"


FUTURE = 1 << 63
BAD = {
    "sequence 0": (["a"], {"start": pb.Start(sequence=0)}, "subscribe.start", "no event has the sequence 0"),
    "a wildcard": (["a.*"], {"start": pb.Start(sequence=1 << 48 | 1)}, "subscribe.start", "one pattern without wildcards"),
    "two patterns": (["a", "b"], {"start": pb.Start(sequence=1 << 48 | 1)}, "subscribe.start", "one pattern without wildcards"),
    "a sequence to come": (["a"], {"start": pb.Start(sequence=1 << 48 | 100)}, "subscribe.start", "in the future"),
    "a later epoch": (["a"], {"start": pb.Start(sequence=2 << 48 | 1)}, "subscribe.start", "in the future"),
    "a time to come": (["a"], {"start": pb.Start(time_ns=FUTURE)}, "subscribe.start", "in the future"),
    "nothing": (["a"], {"start": pb.Start()}, "subscribe.start", "a start says one of"),
    "not oldest": (["a"], {"start": pb.Start(oldest=False)}, "subscribe.start", "a start says one of"),
    "not last": (["a"], {"start": pb.Start(last_per_topic=False)}, "subscribe.start", "a start says one of"),
    "gone 2": (["a"], {"gone": 2}, "subscribe.gone", "GAP or REFUSE"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_start_that_can_not_be_is_refused(router, name):
    patterns, asked, field, text = BAD[name]
    error = refusal(router(), *patterns, **asked)
    assert error.code == pb.ERROR_CODE_INVALID and error.field == field and text in error.text


def test_too_many_last_events_are_refused(router):
    made = router(config_text="logs: { data: 16MiB }\n")
    published(made, *[(f"t.{n}", n) for n in range(65_537)])
    error = refusal(made, "t.*", start=LAST)
    assert error.code == pb.ERROR_CODE_EXHAUSTED and error.field == "subscribe.start" and "narrower" in error.text
    with made.client() as client:
        client.subscribe("t.7", start=LAST)
        assert numbers(client, 1) == [7]


def test_sub_begins_as_it_is_told(router, spawn):
    made = router()
    published(made, ("a", 1), ("b", 2), ("a", 3))
    with made.client() as client:
        client.subscribe("a", start=OLDEST)
        sequence = client.events(2)[1].sequence

    def sub(*arguments, count):
        watched = spawn("sub", "--server", made.address, "--count", str(count), *arguments)
        out, errors = watched.communicate(timeout=wire.WAIT_SECONDS)
        assert watched.returncode == 0, errors
        return [json.loads(line)["event"]["id"] for line in out.splitlines()]

    assert sub("--from", "oldest", ">", count=3) == ["1", "2", "3"]
    assert sub("--from", "last", ">", count=2) == ["2", "3"]
    assert sub("--from", str(sequence), "a", count=1) == ["3"]
    assert sub("--from", "-1h", "a", count=2) == ["1", "3"]
    assert sub("--from", "2020-01-01T00:00:00Z", "b", count=1) == ["2"]


def test_sub_with_gone_refuse_ends_with_65(router, spawn):
    made = router(config_text=SMALL)
    sequence, _ = gone(made)
    refused = spawn("sub", "--server", made.address, "--from", str(sequence), "--gone", "refuse", "a")
    _, errors = refused.communicate(timeout=wire.WAIT_SECONDS)
    assert refused.returncode == 65 and b"is no longer kept" in errors
    told = spawn("sub", "--server", made.address, "--from", str(sequence), "--count", "1", "a")
    _, errors = told.communicate(timeout=wire.WAIT_SECONDS)
    assert told.returncode == 0 and b"gap: at most" in errors


def test_sub_from_last_shows_no_older_event_after_a_restart(router, run, spawn):
    """Its Position is of another run: it gets the last events of the new one, and is told."""
    first = router()
    published(first, ("a", 1), ("a", 2))
    watched = Watched(spawn, first, "--from", "last", "--count", "2", "a")
    first.stop()
    second = router(arguments=["--listen", first.address])
    published(second, ("a", 3))
    out, errors = watched.process.communicate(timeout=wire.WAIT_SECONDS)
    assert [json.loads(line)["event"]["id"] for line in out.splitlines()] == ["2", "3"], errors
    assert b"gap: events may be missing" in errors
