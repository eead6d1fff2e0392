"""Events that are sent again within the window that the config gives to their topic are not stored again."""

import threading

import pytest

import wire
from wire import ce, pb

ROUTED = pb.ACK_LEVEL_ROUTED
CONFIG = 'topics: [{ match: "once.>", duplicates: { window: 1h } }, { match: "few.>", duplicates: { window: 1h, count: 4 } }]\n'


def settle(client, through, settled=0):
    """Reads PublishAcks until all up to `through` are settled; returns {ordinal: sequence of the first one}."""
    firsts = {}
    while settled < through:
        ack = client.expect("publish_ack")
        for exception in ack.exceptions:
            assert exception.WhichOneof("outcome") == "duplicate_of", exception
            assert settled < exception.ordinal <= ack.through and exception.ordinal not in firsts
            firsts[exception.ordinal] = exception.duplicate_of
        settled = ack.through
    assert settled == through
    return firsts


def same(number, topic="once.a", source="/test"):
    return topic, wire.cloud_event(b"data", id=str(number), source=source)


@pytest.mark.parametrize("shards", [1, 4])
def test_what_is_sent_again_is_not_stored_again_and_named(router, shards):
    """With four shards, most topics have their home at another worker than the publisher."""
    made = router(shards=shards, config_text=CONFIG + "logs: { data: 8MiB }\n")
    topics = [f"once.{n}" for n in range(16)]
    with made.client() as reader, made.client(ack=ROUTED) as publisher, made.client(ack=ROUTED) as other:
        reader.subscribe("once.*")
        for topic in topics:
            publisher.publish(*same(1, topic))
        assert settle(publisher, 16) == {}
        first = {event.topic: event.sequence for event in reader.events(16)}
        for topic in topics:
            publisher.publish(*same(1, topic))
            publisher.publish(*same(2, topic))
        assert settle(publisher, 48, settled=16) == {17 + 2 * n: first[topic] for n, topic in enumerate(topics)}
        for topic in topics:
            other.publish(*same(1, topic))
        assert settle(other, 16) == {1 + n: first[topic] for n, topic in enumerate(topics)}
        second = reader.events(16)
        assert {ce.CloudEvent.FromString(event.event).id for event in second} == {"2"}
        assert reader.round_trip() == []
    assert made.metric("roundhouse_events_duplicate_total") == 32
    assert made.metric("roundhouse_events_appended_total") == 32


def test_topic_source_and_id_make_the_event_and_other_topics_are_free(router):
    made = router(config_text=CONFIG)
    with made.client(ack=ROUTED) as publisher:
        for event in (same(1), same(1, source="/other"), same(1, topic="once.b"), same(2), same(1, topic="free"),
                      same(1, topic="free")):
            publisher.publish(*event)
        assert settle(publisher, 6) == {}
        publisher.publish(*same(1))
        assert list(settle(publisher, 7, settled=6)) == [7]


def test_only_the_last_so_many_are_known(router):
    made = router(config_text=CONFIG)
    with made.client(ack=ROUTED) as publisher:
        for number in (1, 2, 3, 4, 5, 1, 5):
            publisher.publish(*same(number, topic="few.a"))
        assert list(settle(publisher, 7)) == [7]


def test_without_acknowledgement_it_is_passed_over_and_nothing_said(router):
    made = router(config_text=CONFIG)
    with made.client() as reader, made.client() as publisher:
        reader.subscribe("once.a")
        for number in (1, 1, 2):
            publisher.publish(*same(number))
        assert publisher.round_trip() == []
        assert [ce.CloudEvent.FromString(event.event).id for event in reader.events(2)] == ["1", "2"]
        assert reader.round_trip() == []


def test_of_many_publishers_of_the_same_events_each_event_is_stored_once(router):
    """They send the same thousand events at the same time: each is stored once, and all are told of the same one."""
    made = router(shards=2, config_text=CONFIG + "logs: { data: 8MiB }\n")
    told = [None] * 4

    def publish(place):
        with made.client(ack=ROUTED) as publisher:
            for number in range(1000):
                publisher.publish(*same(number, f"once.{number % 8}"))
            told[place] = settle(publisher, 1000)

    with made.client() as reader:
        reader.subscribe("once.*")
        threads = [threading.Thread(target=publish, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        events = {int(ce.CloudEvent.FromString(event.event).id): event.sequence for event in reader.events(1000)}
        assert reader.round_trip() == []
    assert len(events) == 1000
    for firsts in told:
        assert all(events[ordinal - 1] == sequence for ordinal, sequence in firsts.items())
    assert sum(len(firsts) for firsts in told) == 3000


def test_what_is_in_the_journal_is_known_after_a_start(router, tmp_path):
    """The first run is killed: what it has acknowledged as on disk is not stored again by the second."""
    arguments = ["--journal", str(tmp_path / "journal")]
    made = router(shards=2, config_text=CONFIG, arguments=arguments)
    with made.client(ack=pb.ACK_LEVEL_DISK) as publisher:
        for number in range(40):
            publisher.publish(*same(number, f"once.{number % 8}"))
        assert settle(publisher, 40) == {}
    made.process.kill()
    made.process.wait()
    made = router(shards=2, config_text=CONFIG, arguments=arguments)
    with made.client(ack=pb.ACK_LEVEL_DISK) as publisher:
        for number in range(41):
            publisher.publish(*same(number, f"once.{number % 8}"))
        firsts = settle(publisher, 41)
        assert list(firsts) == list(range(1, 41)) and all(firsts.values())
    assert made.metric("roundhouse_events_appended_total") == 1


def test_pub_counts_them_and_says_so(router, run):
    made = router(config_text=CONFIG)
    lines = "".join('{"specversion":"1.0","id":"%s","source":"/s","type":"t","data":"x"}\n' % name for name in "abab")
    ran = run("pub", "--server", made.address, "--ack", "routed", "once.x", "--format", "ndjson", input=lines)
    assert ran.returncode == 0, ran.stderr
    assert "line 3" in ran.stderr and "line 4" in ran.stderr
    assert "published 4 events, 4 acknowledged as routed, 2 of them duplicates, not stored again" in ran.stderr
