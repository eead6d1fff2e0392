"""The conversation on one connection: handshake, subscriptions, events, acknowledgements, pings, farewells."""

import pytest

import wire
from wire import ce, pb

INVALID, PROTOCOL, UNSUPPORTED = pb.ERROR_CODE_INVALID, pb.ERROR_CODE_PROTOCOL, pb.ERROR_CODE_UNSUPPORTED
ROUTED = pb.ACK_LEVEL_ROUTED


def test_connected_tells_the_limits(router):
    made = router(shards=2, config_text="logs: { data: 8MiB }\nlimits: { frame: 256KiB, idle: 90s }\n")
    with made.client() as client:
        told = client.connected
    assert told.version == 1 and len(told.instance) == 16 and told.slots == 4096 and told.shards == 2
    assert told.frame_bytes_max == 256 * 1024 and told.topic_bytes_max == 255 and told.topic_tokens_max == 16
    assert told.patterns_max >= 1 and told.idle_ms == 90_000 and "oundhouse" in told.server


def test_two_runs_have_two_instances(router):
    first, second = router(), router()
    with first.client() as a, first.client() as b, second.client() as c:
        assert a.connected.instance == b.connected.instance != c.connected.instance


def test_features_that_nobody_knows_are_ignored(router):
    with router().client(hello=False) as client:
        client.send(connect=pb.Connect(version=1, client="x", features=["time-travel"]))
        assert "time-travel" not in client.expect("connected").features


def test_another_protocol_version_is_refused(router):
    with router().client(hello=False) as client:
        client.send(connect=pb.Connect(version=99, client="x"))
        assert client.refused().code in (UNSUPPORTED, INVALID, PROTOCOL)


def test_ack_level_disk_is_refused_on_a_memory_log(router):
    with router().client(hello=False) as client:
        client.send(connect=pb.Connect(version=1, client="x", ack=pb.ACK_LEVEL_DISK))
        assert client.refused().code == UNSUPPORTED


def mailbox(receiver, name):
    """Only for a mailbox that somebody has made events are taken."""
    receiver.send(subscribe=pb.Subscribe(id=1, queue=pb.Queue(name=name, volatile=True)))
    receiver.expect("subscribed")


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("pattern, reached", [
    ("orders.eu.created", {"orders.eu.created"}),
    ("orders.*.created", {"orders.eu.created", "orders.us.created"}),
    ("*.eu.*", {"orders.eu.created", "orders.eu.closed", "ordersx.eu.created", "Orders.eu.created"}),
    ("orders.>", {"orders.eu.created", "orders.us.created", "orders.eu.closed", "orders.x", "orders.eu.created.now"}),
    ("orders.eu.*", {"orders.eu.created", "orders.eu.closed"}),
    ("*", {"orders"}),
    ("orders.*.*.>", {"orders.eu.created.now"}),
])
def test_a_pattern_gets_exactly_what_matches(router, shards, pattern, reached):
    topics = ["orders.eu.created", "orders.us.created", "orders.eu.closed", "orders.x", "orders", "ordersx.eu.created",
              "orders.eu.created.now", "@box", "Orders.eu.created"]
    made = router(shards=shards)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher, made.client() as receiver:
        mailbox(receiver, "@box")
        subscriber.subscribe(pattern)
        for number, topic in enumerate(topics):
            publisher.send_bytes(wire.numbered(topic, number))
        assert publisher.settle(len(topics)) == {}
        got = subscriber.events(len(reached))
        assert {event.topic for event in got} == reached
        assert all(topics[wire.read_number(event)] == event.topic for event in got)
        # A last event, told apart by its topic, is the next frame: nothing stood between.
        subscriber.subscribe("last.of.all", id=2)
        publisher.publish("last.of.all", wire.cloud_event())
        assert subscriber.expect("event").topic == "last.of.all"


def test_no_leading_wildcard_matches_a_mailbox(router):
    made = router()
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher, made.client() as receiver:
        mailbox(receiver, "@box")
        subscriber.subscribe(">", "*")
        publisher.publish("@box", wire.cloud_event())
        publisher.publish("a", wire.cloud_event())
        assert publisher.settle(2) == {}
        assert subscriber.expect("event").topic == "a"


def test_topics_may_be_any_printable_utf8(router):
    topic = "übergabe.東京.ok"
    made = router()
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("übergabe.*.ok")
        publisher.publish(topic, wire.cloud_event())
        assert subscriber.expect("event").topic == topic


@pytest.mark.parametrize("shards", [1, 2])
def test_overlapping_patterns_deliver_once(router, shards):
    made = router(shards=shards)
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("a.b", "a.*", "a.>", ">")
        subscriber.subscribe("a.b", "*.b", id=2)
        for number in range(100):
            publisher.send_bytes(wire.numbered("a.b", number))
        assert [wire.read_number(event) for event in subscriber.events(100)] == list(range(100))
        assert subscriber.round_trip() == []


def test_an_event_arrives_byte_for_byte(router):
    event = ce.CloudEvent(id="7", source="/erp", spec_version="1.0", type="t")
    event.attributes["flag"].ce_boolean = True
    event.attributes["count"].ce_integer = -5
    event.attributes["blob"].ce_bytes = bytes(range(256))
    event.attributes["dataschema"].ce_uri = "urn:x"
    event.attributes["ref"].ce_uri_ref = "/x"
    event.attributes["time"].ce_timestamp.seconds = 1_700_000_000
    made = router()
    arms = []
    for arm in ("binary", "text", "proto", "none"):
        one = ce.CloudEvent.FromString(event.SerializeToString())
        if arm == "binary":
            one.binary_data = bytes(range(256)) * 4
        elif arm == "text":
            one.text_data = '{"a": "ü"}'
        elif arm == "proto":
            one.proto_data.Pack(pb.Ping(data=b"x"))
        # An unknown field of a later version of the format travels along.
        arms.append(one.SerializeToString() + wire.field(99, 2, b"future"))
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("x")
        for data in arms:
            publisher.publish("x", data)
        assert [got.event for got in subscriber.events(len(arms))] == arms


def test_a_publishers_sequence_is_ignored(router):
    made = router()
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("x")
        for sequence in (0, 1, 2**63, 5):
            publisher.send_bytes(wire.event_frame("x", wire.cloud_event(), sequence))
        got = [event.sequence for event in subscriber.events(4)]
    assert got == sorted(set(got)) and len(got) == 4 and 0 not in got


def test_publisher_and_subscriber_may_be_one_connection(router):
    with router(shards=2).client(ack=ROUTED) as client:
        client.subscribe("x")
        client.publish("x", wire.cloud_event())
        kinds = {client.next().WhichOneof("body"), client.next().WhichOneof("body")}
    assert kinds == {"event", "publish_ack"}


@pytest.mark.parametrize("shards", [1, 2])
def test_nothing_comes_after_unsubscribed(router, shards):
    made = router(shards=shards)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a.x", "b.>")
        subscriber.subscribe("c", id=2)
        publisher.publish("a.x", wire.cloud_event())
        assert subscriber.expect("event").topic == "a.x"
        subscriber.send(unsubscribe=pb.Unsubscribe(id=1))
        assert subscriber.expect("unsubscribed").id == 1
        for topic in ("a.x", "b.y", "c"):
            publisher.publish(topic, wire.cloud_event())
        assert publisher.settle(4) == {}
        assert subscriber.expect("event").topic == "c"
        assert subscriber.round_trip() == []


def test_a_topic_that_two_subscriptions_want_goes_on_when_one_ends(router):
    made = router()
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("a.*")
        subscriber.subscribe("a.b", id=2)
        subscriber.send(unsubscribe=pb.Unsubscribe(id=1))
        subscriber.expect("unsubscribed")
        publisher.publish("a.c", wire.cloud_event())
        publisher.publish("a.b", wire.cloud_event())
        assert subscriber.expect("event").topic == "a.b"


def test_the_id_of_an_ended_subscription_may_be_used_again(router):
    made = router()
    with made.client() as subscriber, made.client() as publisher:
        subscriber.subscribe("a")
        subscriber.send(unsubscribe=pb.Unsubscribe(id=1))
        subscriber.expect("unsubscribed")
        subscriber.subscribe("b")
        publisher.publish("a", wire.cloud_event())
        publisher.publish("b", wire.cloud_event())
        assert subscriber.expect("event").topic == "b"


def refusal_of(client, subscription):
    """The Error for a Subscribe or Unsubscribe, which leaves the connection alive."""
    error = client.expect("error")
    assert error.subscription == subscription and error.text
    if not error.fatal:
        assert client.round_trip() == []
    return error


@pytest.mark.parametrize("pattern", ["", ".", "a.", ".a", "a..b", "a.>.b", "a*.b", "a.b>", "a b", "a\x07", "x" * 256,
                                     ".".join("a" * 17), "a.\u00a0b"])
def test_a_bad_pattern_is_refused(router, pattern):
    with router().client() as client:
        client.send(subscribe=pb.Subscribe(id=9, patterns=["good", pattern]))
        assert refusal_of(client, 9).code in (INVALID, pb.ERROR_CODE_TOO_LARGE)


def test_a_refused_subscribe_subscribes_nothing(router):
    made = router()
    with made.client() as subscriber, made.client() as publisher:
        subscriber.send(subscribe=pb.Subscribe(id=1, patterns=["good", "a..b"]))
        assert not refusal_of(subscriber, 1).fatal
        subscriber.subscribe("other")
        publisher.publish("good", wire.cloud_event())
        publisher.publish("other", wire.cloud_event())
        assert subscriber.expect("event").topic == "other"


def test_a_subscribe_without_patterns_is_refused(router):
    with router().client() as client:
        client.send(subscribe=pb.Subscribe(id=9))
        assert refusal_of(client, 9).code == INVALID


def test_a_second_subscription_with_the_same_id_is_refused(router):
    with router().client() as client:
        client.subscribe("a", id=3)
        client.send(subscribe=pb.Subscribe(id=3, patterns=["b"]))
        assert refusal_of(client, 3).code == INVALID


def test_an_unknown_unsubscribe_is_refused(router):
    with router().client() as client:
        client.send(unsubscribe=pb.Unsubscribe(id=4))
        assert refusal_of(client, 4).code == INVALID


def test_conflicting_policies_on_a_connection_are_refused(router):
    with router().client() as client:
        client.subscribe("a", id=1, policy=pb.SLOW_POLICY_SKIP)
        client.send(subscribe=pb.Subscribe(id=2, patterns=["b"], policy=pb.SLOW_POLICY_DISCONNECT))
        assert refusal_of(client, 2).code == INVALID


def test_an_unknown_policy_is_refused(router):
    with router().client() as client:
        client.send(subscribe=pb.Subscribe(id=2, patterns=["b"], policy=17))
        assert refusal_of(client, 2).code in (INVALID, UNSUPPORTED)


def test_acknowledgements_are_cumulative_and_name_exceptions(router):
    bad = {3: "a..b", 5: "", 7: "$SYS.mine", 8: "a.*", 9: ">"}
    made = router(shards=2)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe(">")
        publisher.send_bytes(b"".join(wire.numbered(bad.get(n, f"topic.{n % 4}"), n) for n in range(1, 201)))
        exceptions = publisher.settle(200)
        assert set(exceptions) == set(bad)
        assert all(error.code == INVALID and error.field == "topic" and error.text for error in exceptions.values())
        assert {wire.read_number(event) for event in subscriber.events(195)} == set(range(1, 201)) - set(bad)
        assert publisher.round_trip() == []


def test_every_ack_says_its_level(router):
    with router().client(ack=ROUTED) as publisher:
        publisher.publish("a", wire.cloud_event())
        ack = publisher.expect("publish_ack")
        assert ack.through == 1 and ack.level == ROUTED


def test_without_acks_a_bad_event_is_told_by_an_error(router):
    with router().client() as publisher:
        publisher.publish("good", wire.cloud_event())
        publisher.publish("a..b", wire.cloud_event())
        error = publisher.expect("error")
        assert error.code == INVALID and error.field == "topic" and error.ordinal == 2 and not error.fatal
        assert publisher.round_trip() == []


def test_without_acks_none_are_sent(router):
    with router().client() as publisher:
        for number in range(50):
            publisher.send_bytes(wire.numbered("a", number))
        assert publisher.round_trip() == []


def test_what_is_acknowledged_is_delivered_to_who_subscribed_before(router):
    made = router(shards=4)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe(">")
        for number in range(1, 500):
            publisher.send_bytes(wire.numbered(f"t.{number % 32}", number))
        assert publisher.settle(499) == {}
        assert {wire.read_number(event) for event in subscriber.events(499)} == set(range(1, 500))


def test_ping_is_answered_in_order(router):
    with router().client(ack=ROUTED) as client:
        client.send_bytes(b"".join(wire.frame(ping=pb.Ping(data=b"%d" % n)) for n in range(64)))
        assert [client.expect("pong").data for _ in range(64)] == [b"%d" % n for n in range(64)]


def test_subscribed_and_pong_come_in_the_order_asked(router):
    with router().client() as client:
        client.send_bytes(wire.frame(subscribe=pb.Subscribe(id=1, patterns=["a"])) + wire.frame(ping=pb.Ping(data=b"1"))
                          + wire.frame(subscribe=pb.Subscribe(id=2, patterns=["b"])) + wire.frame(ping=pb.Ping()))
        assert [client.next().WhichOneof("body") for _ in range(4)] == ["subscribed", "pong", "subscribed", "pong"]


def test_a_ping_over_64_bytes_is_refused(router):
    with router().client() as client:
        client.send(ping=pb.Ping(data=b"x" * 65))
        error = client.expect("error")
        assert error.code in (INVALID, pb.ERROR_CODE_TOO_LARGE) and error.text


def test_a_pong_from_the_client_is_no_fault(router):
    with router().client() as client:
        client.send(pong=pb.Pong(data=b"x"))
        assert client.round_trip() == []


@pytest.mark.parametrize("shards", [1, 2])
def test_goodbye_is_answered_when_everything_is_acknowledged(router, shards):
    made = router(shards=shards)
    with made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(wire.numbered(f"t.{n}", n) for n in range(300)))
        publisher.send(goodbye=pb.Goodbye(reason="done"))
        frames = publisher.until_closed()
    kinds = [found.WhichOneof("body") for found in frames]
    assert kinds[-1] == "goodbye" and set(kinds[:-1]) == {"publish_ack"}
    assert frames[-2].publish_ack.through == 300 and frames[-1].goodbye.settled


def test_events_published_before_a_close_are_delivered(router):
    made = router(shards=2)
    with made.client() as subscriber:
        subscriber.subscribe("a.>")
        publisher = made.client()
        publisher.send_bytes(b"".join(wire.numbered(f"a.{n % 3}", n) for n in range(1000)))
        publisher.send(goodbye=pb.Goodbye())
        assert publisher.until_closed()[-1].goodbye.settled
        publisher.close()
        assert {wire.read_number(event) for event in subscriber.events(1000)} == set(range(1000))


def test_a_half_closed_publisher_gets_its_acks(router):
    made = router(shards=2)
    with made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(wire.numbered(f"a.{n % 3}", n) for n in range(1, 101)))
        assert publisher.settle(100) == {}


def test_unknown_kinds_and_fields_are_skipped(router):
    made = router()
    with made.client() as client:
        unknown_kind = wire.delimited(wire.field(1000, 2, b"from the future"))
        unknown_beside = wire.delimited(wire.field(900, 0, 7) + pb.Frame(ping=pb.Ping(data=b"a")).SerializeToString())
        inside = pb.Ping(data=b"b").SerializeToString() + wire.field(77, 1, 5) + wire.field(78, 5, 5)
        client.send_bytes(unknown_kind + unknown_beside + wire.delimited(wire.field(13, 2, inside)))
        assert client.expect("pong").data == b"a"
        assert client.expect("pong").data == b"b"


def test_unknown_fields_of_an_event_are_not_carried_on(router):
    made = router()
    with made.client() as client:
        client.subscribe("x")
        inside = pb.Event(topic="x", event=wire.cloud_event()).SerializeToString() + wire.field(50, 2, b"more")
        client.send_bytes(wire.delimited(wire.field(1, 2, inside)))
        got = client.expect("event")
        assert got.SerializeToString() == pb.Event(sequence=got.sequence, topic="x",
                                                   event=wire.cloud_event()).SerializeToString()


def test_empty_frames_are_skipped_after_connect(router):
    with router().client() as client:
        client.send_bytes(b"\0" * 100 + wire.frame(ping=pb.Ping(data=b"x")))
        assert client.expect("pong").data == b"x"


def test_frames_may_come_in_any_pieces(router):
    made = router()
    stream = b"".join(wire.numbered("a", n, size) for n, size in enumerate((0, 1, 127, 128, 300, 5000)))
    with made.client() as subscriber:
        subscriber.subscribe("a")
        for size in (1, 2, 3, 7, 64, 1000):
            with made.client() as publisher:
                for start in range(0, len(stream), size):
                    publisher.send_bytes(stream[start:start + size])
                got = subscriber.events(6)
                assert [wire.read_number(event, size) for event, size in zip(got, (0, 1, 127, 128, 300, 5000))] \
                    == list(range(6))


def test_a_large_event_comes_back_whole(router):
    made = router(config_text="logs: { data: 16MiB }\nlimits: { frame: 2MiB }\n", shards=2)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("big.>")
        sizes = [2 * 1024 * 1024 - 400, 1 << 20, 65536, 16384, 16383, 1]
        for number, size in enumerate(sizes):
            publisher.send_bytes(wire.numbered(f"big.{number}", number, size))
        assert publisher.settle(len(sizes)) == {}
        got = {event.topic: event for event in subscriber.events(len(sizes))}
        for number, size in enumerate(sizes):
            assert wire.read_number(got[f"big.{number}"], size) == number
