"""Events whose time is over: stored and acknowledged, and delivered to nobody."""

import time

import pytest

import wire
from wire import ce, pb

ROUTED = pb.ACK_LEVEL_ROUTED
PAST, FUTURE = "2001-02-03T04:05:06Z", "2201-02-03T04:05:06+01:00"


def stamped(number, seconds):
    """An event whose expirytime is a timestamp and not a text."""
    event = ce.CloudEvent(id=str(number), source="/test", spec_version="1.0", type="test.event")
    event.attributes["expirytime"].ce_timestamp.seconds = seconds
    return event.SerializeToString()


def ids(events):
    return [ce.CloudEvent.FromString(event.event).id for event in events]


def expired(made):
    return made.metric("roundhouse_events_expired_total")


@pytest.mark.parametrize("shards", [1, 2])
def test_an_expired_event_is_left_out_and_the_others_come(router, shards):
    made = router(shards=shards)
    with made.client() as reader, made.client() as other, made.client(ack=ROUTED) as publisher:
        reader.subscribe(">")
        other.subscribe("a.*")
        events = [wire.cloud_event(id="1", expirytime=PAST), wire.cloud_event(id="2", expirytime=FUTURE),
                  stamped(3, 1), wire.cloud_event(id="4"), stamped(5, 1 << 34), wire.cloud_event(id="6", expirytime=PAST),
                  wire.cloud_event(id="7")]
        for event in events:
            publisher.publish("a.b", event)
        assert publisher.settle(len(events)) == {}, "an event that is over when it comes is acknowledged like others"
        assert ids(reader.events(4)) == ids(other.events(4)) == ["2", "4", "5", "7"]
        assert made.await_metric("roundhouse_events_expired_total", lambda value: value >= 6) == 6
        assert made.metric("roundhouse_events_appended_total") == len(events)


def test_a_flood_of_one_shape_is_told_apart_by_its_time(router):
    """So many alike that they are taken over as they lie, in rows; a row that has expired, one that has not, in turns."""
    made = router()
    rows, each = 8, 2000
    with made.client() as reader, made.client(ack=ROUTED) as publisher:
        reader.subscribe("flood")
        for row in range(rows):
            time_of_row = FUTURE if row % 2 else PAST
            data = [wire.event_frame("flood", wire.cloud_event(id=f"{row * each + n:06}", expirytime=time_of_row), sequence=1)
                    for n in range(each)]
            publisher.send_bytes(b"".join(data))
        assert publisher.settle(rows * each) == {}
        wanted = [f"{row * each + n:06}" for row in range(1, rows, 2) for n in range(each)]
        assert ids(reader.events(len(wanted))) == wanted
        assert reader.round_trip() == []
    assert expired(made) >= rows * each // 2


def test_a_topic_gives_its_events_a_lifetime(router):
    """The reader resumes behind the moment when they were received: what has expired meanwhile does not come."""
    made = router(config_text='topics: [{ match: "short.>", expiry: 50ms }, { match: "long.>", expiry: 1h }]\n')
    with made.client(ack=ROUTED) as publisher:
        with made.client() as reader:
            position = reader.subscribe("short.*", "long.*", "free").position
        publisher.publish("short.a", wire.cloud_event(id="1"))
        publisher.publish("long.a", wire.cloud_event(id="2"))
        publisher.publish("short.a", wire.cloud_event(id="3", expirytime=FUTURE))  # its own time goes before the rule's
        publisher.publish("long.a", wire.cloud_event(id="4", expirytime=PAST))
        publisher.publish("free", wire.cloud_event(id="5"))
        assert publisher.settle(5) == {}
        time.sleep(0.1)
        with made.client() as reader:
            reader.subscribe("short.*", "long.*", "free", position=position)
            assert ids(reader.events(3)) == ["2", "3", "5"]
            assert reader.round_trip() == []
    assert expired(made) >= 2
