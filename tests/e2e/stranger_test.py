"""docs/PROTOCOL.md on trial: a client written from it alone (stranger.py) meets the router, section by section."""

import os
import signal
import socket
import threading
import time

import pytest
import stranger
from stranger import Link, LinkLost, delimited, varint, wire

Attribute = stranger.cloudevents.CloudEvent.CloudEventAttributeValue

# A small log, which is soon overwritten.
SMALL_LOG = "limits: { frame: 128KiB }\nlogs: { data: 1MiB }\n"
LONG = 30  # seconds until a test that waits in vain gives up


# --- Helpers: bytes by hand, where the library would not write them -------------------------------------------------


def field(number, content):
    """A field of protobuf: length-delimited for bytes, else a varint."""
    if isinstance(content, bytes):
        return varint(number << 3 | 2) + varint(len(content)) + content
    return varint(number << 3) + varint(content % 2**64)


def fixed64(number, value=1):
    return varint(number << 3 | 1) + value.to_bytes(8, "little")


def frame(**body):
    return delimited(wire.Frame(**body).SerializeToString())


def event_frame(event):
    return delimited(field(1, event))


def cloudevent(id_="1", **more):
    data = {} if more.keys() & {"binary_data", "text_data", "proto_data"} else {"text_data": str(id_)}
    return stranger.cloudevents.CloudEvent(
        id=str(id_), source="/stranger", spec_version="1.0", type="test", **data, **more
    )


def an_event(topic, id_="1", **more):
    return wire.Event(sequence=1, topic=topic, event=cloudevent(id_, **more).SerializeToString())


def linked(made, ack=wire.ACK_LEVEL_ROUTED, **more):
    link = Link(made.address, **more)
    link.handshake("stranger", ack)
    return link


def take(link, kind):
    """The next frame, which has to be of this kind."""
    got = link.receive(LONG)
    assert got is not None, f"no {kind} came"
    assert got.WhichOneof("body") == kind, got
    return getattr(got, kind)


def until(link, kind):
    """The next frame of this kind, and those before it."""
    before = []
    while True:
        got = link.receive(LONG)
        assert got is not None, f"no {kind} came, but {before}"
        if got.WhichOneof("body") == kind:
            return getattr(got, kind), before
        before.append(got)


def settled(link, through):
    """What became of the events up to an ordinal: the exceptions, by ordinal."""
    exceptions = {}
    last = 0
    while last < through:
        ack, _ = until(link, "publish_ack")
        assert ack.through >= last and ack.level == wire.ACK_LEVEL_ROUTED
        last = ack.through
        for x in ack.exceptions:
            assert x.ordinal not in exceptions and x.ordinal <= through
            assert x.error.ordinal == 0 and not x.error.fatal and x.error.text
            exceptions[x.ordinal] = x.error
    assert last == through
    return exceptions


def assert_ends(link):
    """Nothing but the end comes. Who has half-closed does not have to wait for the server to close first."""
    try:
        link.socket.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it is closed already
    with pytest.raises(LinkLost):
        while True:
            assert link.receive(LONG) is None, "a frame behind the last one"
            pytest.fail("the connection does not end")


def subscribe(link, id_, *patterns, policy=wire.SLOW_POLICY_SKIP, position=b""):
    link.send(subscribe=wire.Subscribe(id=id_, patterns=patterns, policy=policy, position=position))


def number_of(event):
    return int(stranger.cloudevents.CloudEvent.FromString(event).id)


def received(client, count, timeout=LONG):
    """The numbers of the next events that a Client gets."""
    return [number_of(client.wait(stranger.Delivered, timeout).event) for _ in range(count)]


# --- Frames ---------------------------------------------------------------------------------------------------------


def test_a_varint_is_as_the_document_shows_it():
    assert varint(5) == b"\x05" and varint(300) == b"\xac\x02"
    unframer = stranger.Unframer(1000)
    for byte in varint(300) + b"x" * 300 + b"\x00" + b"\x81\x00y":
        unframer.feed(bytes([byte]))
    assert [len(unframer.next()) for _ in range(3)] == [300, 0, 1] and unframer.next() is None


def test_frames_may_come_in_pieces_and_with_long_lengths(router):
    with Link(router().address) as link:
        for byte in frame(connect=wire.Connect(version=1)):
            link.send_bytes(bytes([byte]))
            link.flush()
        link.wait_connected()
        link.send_bytes(b"\x85\x80\x80\x80\x80\x80\x80\x80\x80\x00" + b"\x6a\x03\x0a\x011")  # 5, in ten bytes
        assert take(link, "pong").data == b"1"


def test_what_is_unknown_is_skipped(router):
    with Link(router().address) as link:
        link.send_bytes(delimited(field(2, field(1, 1) + field(99, b"new") + field(98, 7)) + field(77, b"beside")))
        link.wait_connected()
        link.send_bytes(b"\x00")
        link.send_bytes(delimited(field(40, b"a new kind")))
        link.send_bytes(delimited(field(1000, b"a new kind")))
        link.send_bytes(delimited(field(13, field(1, b"1") + field(500, b"new")) + field(40, b"beside")))
        assert take(link, "pong").data == b"1"
        # An Event may have more than 64 unknown fields; they are not carried on.
        subscribe(link, 1, "a")
        take(link, "subscribed")
        body = cloudevent().SerializeToString()
        many = b"".join(field(100 + i, b"") for i in range(65))
        link.send_bytes(event_frame(field(2, b"a") + field(3, body) + many))
        assert take_event(link) == field(2, b"a") + field(3, body)


def take_event(link):
    """The bytes of the next event that is delivered, behind its sequence."""
    got, _ = until(link, "event")
    event = got.SerializeToString()
    assert event[0] == 0x09 and got.sequence != 0
    assert link.body == field(1, event), "delivered in another form than its library would write"
    return event[9:]


def test_limits_of_a_frame(router):
    made = router(config_text="limits: { frame: 128KiB }\n")
    with linked(made) as link:
        longest = link.connected.frame_bytes_max
        assert longest == 128 * 1024
        subscribe(link, 1, "a")
        empty = len(event_frame(field(2, b"a") + field(3, cloudevent(text_data="").SerializeToString())))
        for room in range(20):
            text = "x" * (longest - empty - room)
            body = field(1, field(2, b"a") + field(3, cloudevent(text_data=text).SerializeToString()))
            if len(body) == longest:
                break
        else:
            pytest.fail("the frame was not to be had in this length")
        take(link, "subscribed")
        with linked(made) as publisher:
            publisher.send_bytes(delimited(body))
            assert settled(publisher, 1) == {}
        take_event(link)
        assert longest < len(link.body) <= longest + 64
        link.send_bytes(varint(longest + 1))
        error = take(link, "error")
        assert error.code == wire.ERROR_CODE_TOO_LARGE and error.fatal
        assert_ends(link)


# --- The handshake --------------------------------------------------------------------------------------------------


def test_connected_tells_the_limits(router):
    made = router(shards=2)
    with Link(made.address) as one, Link(made.address) as other:
        connected = one.handshake("one", features=["something.new", "other"])
        assert connected.version == 1 and len(connected.instance) == 16
        assert connected.slots == 4096 and connected.shards == 2
        assert connected.frame_bytes_max >= 66560 and connected.idle_ms == 0
        assert (connected.topic_bytes_max, connected.topic_tokens_max) == (255, 16)
        assert connected.patterns_max > 0 and connected.server and not connected.features
        assert other.handshake("one").instance == connected.instance
    with Link(router().address) as third:
        assert third.handshake().instance != connected.instance


def test_a_client_may_go_on_without_waiting_for_connected(router):
    with Link(router().address) as link:
        link.send(connect=wire.Connect(version=1, ack=wire.ACK_LEVEL_ROUTED))
        subscribe(link, 1, "a.*")
        link.send(event=an_event("a.b", 1))
        link.send(ping=wire.Ping(data=b"x"))
        link.wait_connected()
        take(link, "subscribed")
        kinds = set()
        while kinds != {"event", "pong", "publish_ack"}:
            kinds.add(link.receive(LONG).WhichOneof("body"))


CONNECTS_REFUSED = [
    (frame(ping=wire.Ping()), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(goodbye=wire.Goodbye()), wire.ERROR_CODE_PROTOCOL, ""),
    (b"\x00", wire.ERROR_CODE_PROTOCOL, ""),
    (delimited(field(16, b"")), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(connect=wire.Connect()), wire.ERROR_CODE_UNSUPPORTED, "connect.version"),
    (frame(connect=wire.Connect(version=2)), wire.ERROR_CODE_UNSUPPORTED, "connect.version"),
    (frame(connect=wire.Connect(version=1, ack=2)), wire.ERROR_CODE_UNSUPPORTED, "connect.ack"),
    (frame(connect=wire.Connect(version=1, ack=3)), wire.ERROR_CODE_INVALID, "connect.ack"),
    (frame(connect=wire.Connect(version=1, client="a\tb")), wire.ERROR_CODE_INVALID, "connect.client"),
    (frame(connect=wire.Connect(version=1, client="ü" * 64 + "x")), wire.ERROR_CODE_INVALID, "connect.client"),
    (delimited(field(2, field(1, 1) + field(2, b"\xff"))), wire.ERROR_CODE_INVALID, "connect.client"),
    (delimited(field(2, field(1, 1) + field(2, b"a\0"))), wire.ERROR_CODE_INVALID, "connect.client"),
    (frame(connect=wire.Connect(version=1, client="a\u0085")), wire.ERROR_CODE_INVALID, "connect.client"),
    (varint(4097), wire.ERROR_CODE_TOO_LARGE, ""),
]


def test_a_connect_that_is_refused(router):
    made = router()
    for first, code, name in CONNECTS_REFUSED:
        with Link(made.address) as link:
            link.send_bytes(first)
            link.send(ping=wire.Ping())
            error = take(link, "error")
            assert (error.code, error.field, error.fatal) == (code, name, True), (first, error)
            assert_ends(link)


def test_the_longest_name_of_a_client(router):
    with Link(router().address) as link:
        link.handshake("ü" * 64)


# --- Errors ---------------------------------------------------------------------------------------------------------

FATAL = [
    (frame(connect=wire.Connect(version=1)), wire.ERROR_CODE_PROTOCOL, ""),
    (b"\x80" * 10 + b"\x01", wire.ERROR_CODE_PROTOCOL, ""),
    (delimited(b"\x00\x00"), wire.ERROR_CODE_PROTOCOL, ""),
    (delimited(field(13, b"\x0a\x05")), wire.ERROR_CODE_PROTOCOL, ""),
    (delimited(field(13, 1)), wire.ERROR_CODE_PROTOCOL, ""),
    (delimited(field(13, b"") + field(14, b"")), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(connected=wire.Connected()), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(subscribed=wire.Subscribed(id=1)), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(unsubscribed=wire.Unsubscribed(id=1)), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(publish_ack=wire.PublishAck()), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(context=wire.Context()), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(gap=wire.Gap()), wire.ERROR_CODE_PROTOCOL, ""),
    (frame(error=wire.Error()), wire.ERROR_CODE_PROTOCOL, ""),
    (delimited(field(9, field(5, b"\xff"))), wire.ERROR_CODE_INVALID, "ack.reason"),
    (delimited(field(4, field(1, 1) + field(2, b"a.\xff"))), wire.ERROR_CODE_INVALID, "subscribe.patterns"),
    (delimited(field(4, field(1, 1) + field(2, b"a.\0"))), wire.ERROR_CODE_INVALID, "subscribe.patterns"),
    (delimited(field(15, field(1, b"\xff"))), wire.ERROR_CODE_INVALID, "goodbye.reason"),
    (delimited(field(13, b"".join(field(20 + i, 0) for i in range(65)))), wire.ERROR_CODE_TOO_LARGE, ""),
    (frame(subscribe=wire.Subscribe(id=1, patterns=["a"] * 16385)), wire.ERROR_CODE_TOO_LARGE, "subscribe.patterns"),
    (frame(ping=wire.Ping(data=b"x" * 65)), wire.ERROR_CODE_INVALID, "ping.data"),
]


def test_what_ends_a_connection(router):
    made = router()
    for bad, code, name in FATAL:
        with linked(made) as link:
            link.send_bytes(bad)
            link.send(ping=wire.Ping())
            error = take(link, "error")
            assert (error.code, error.field, error.fatal) == (code, name, True), (bad, error)
            assert error.text and not error.ordinal and not error.subscription
            assert_ends(link)


def test_a_client_does_not_try_again_what_is_hopeless(router):
    with stranger.Client(router().address, "a\0b") as client, pytest.raises(stranger.Rejected) as refused:
        client.wait(stranger.Up)
    assert refused.value.error.code == wire.ERROR_CODE_INVALID
    with stranger.Client(router().address) as client:
        client.wait(stranger.Up)
        client.link.send(gap=wire.Gap())
        with pytest.raises(stranger.Rejected) as refused:
            client.wait(stranger.Down)
    assert refused.value.error.code == wire.ERROR_CODE_PROTOCOL


def test_too_many_connections(router):
    made = router(config_text="limits: { connections: 1 }\n")
    with linked(made) as first, stranger.Client(made.address) as client:
        down = client.wait(stranger.Down)
        assert down.error.code == wire.ERROR_CODE_EXHAUSTED and down.error.fatal and down.error.retry_after_ms == 1000
        first.close()
        client.wait(stranger.Up)


def test_no_connect_in_time(router):
    with Link(router(config_text="limits: { handshake: 50ms }\n").address) as link:
        error = take(link, "error")
        assert error.code == wire.ERROR_CODE_TIMEOUT and error.fatal
        assert_ends(link)


def test_a_silent_client_is_ended_and_one_that_pings_is_not(router):
    made = router(config_text="limits: { idle: 1s }\n")
    with linked(made) as silent, stranger.Client(made.address, ping_every=60) as client:
        assert silent.connected.idle_ms == 1000
        client.wait(stranger.Up)
        ended = threading.Event()
        errors = []

        def wait_for_the_end():
            errors.append(take(silent, "error"))
            ended.set()

        thread = threading.Thread(target=wait_for_the_end)
        thread.start()
        pongs = 0
        while not ended.is_set() or pongs < 3:  # it pings as often as idle_ms asks for, and not once in 60 s
            pongs += isinstance(client.wait(stranger.Ponged), stranger.Ponged)
        thread.join()
        assert errors[0].code == wire.ERROR_CODE_TIMEOUT and errors[0].fatal
        assert not any(isinstance(h, stranger.Down) for h in client.happened)


# --- Topics and patterns --------------------------------------------------------------------------------------------

PATTERNS = """
erp.order.created | erp.order.created | erp.order erp.order.created.now erp.Order.created
erp.*.created | erp.order.created erp.invoice.created | erp.created erp.order.line.created
erp.order.* | erp.order.created erp.order.closed | erp.order erp.order.created.now
*.order.* | erp.order.created shop.order.created | order.created erp.order
erp.> | erp.order erp.order.created erp.order.created.now | erp shop.order.created
erp.*.> | erp.order.created erp.order.created.now | erp erp.order
* | erp orders | erp.order @office
> | erp erp.order übergabe.東京 | @office
@office | @office | office
übergabe.* | übergabe.東京 | ubergabe.x
"""
TABLE = [[part.split() for part in line.split("|")] for line in PATTERNS.split("\n") if line]


def mailboxes(link, topics):
    """Only for a mailbox that somebody has made events are taken."""
    for number, topic in enumerate([t for t in topics if t[0] == "@"], 1):
        link.send(subscribe=wire.Subscribe(id=number, queue=wire.Queue(name=topic, volatile=True, capacity=1000)))
        take(link, "subscribed")


def test_patterns_match_as_the_table_says_and_the_client_agrees_with_the_server(router):
    for (pattern,), yes, no in TABLE:
        assert all(stranger.matches(pattern, t) for t in yes) and not any(stranger.matches(pattern, t) for t in no)
    topics = sorted({t for _, yes, no in TABLE for t in yes + no})
    made = router(shards=2)
    with linked(made) as publisher, linked(made) as receiver:
        mailboxes(receiver, topics)
        published = 0
        for (pattern,), _, _ in TABLE:
            with linked(made) as link:
                subscribe(link, 1, pattern)
                if pattern[0] == "@":  # for its own receiver only, as a queue
                    assert take(link, "error").code == wire.ERROR_CODE_NOT_ALLOWED
                    continue
                take(link, "subscribed")
                for topic in topics:
                    publisher.send(event=an_event(topic, 1))
                published += len(topics)
                assert settled(publisher, published) == {}
                # The events of one topic keep their order: behind the second one the first does not come any more.
                readable = [t for t in topics if t[0] != "@"]
                subscribe(link, 2, *readable)
                subscribed, before = until(link, "subscribed")
                assert subscribed.id == 2
                for topic in readable:
                    publisher.send(event=an_event(topic, 2))
                published += len(readable)
                assert settled(publisher, published) == {}
                got = [f.event for f in before]
                while sum(number_of(e.event) == 2 for e in got) < len(readable):
                    got.append(take(link, "event"))
                first = sorted(e.topic for e in got if number_of(e.event) == 1)
                assert first == [t for t in topics if stranger.matches(pattern, t)], pattern


def test_what_is_no_topic_and_what_is_no_pattern(router):
    topics = ["erp..created", ".erp", "erp.", "erp order", "erp.*", "erp.a>", "$erp", "@a.b", "@", "a.\u0085"]
    topics += ["a.\u2028b", "a\u00a0b", "a\u3000", "a\ufdd0", "a\U0010ffff", "a\x7f", "a\0", "\n", "*", ">", "a.>"]
    with linked(router()) as link:
        for topic in topics:
            link.send(event=an_event(topic))
        long_ones = ["x" * 256, "ü" * 128, ".".join("x" * 17)]
        for topic in long_ones:
            link.send(event=an_event(topic))
        good_ones = ["x" * 255, ".".join("x" * 16), "a.@b", "a.$b", "a\u200b"]
        for topic in good_ones:
            link.send(event=an_event(topic))
        exceptions = settled(link, len(topics + long_ones + good_ones))
        assert {e.field for e in exceptions.values()} == {"topic"}
        for i, topic in enumerate(topics + long_ones, 1):
            expected = wire.ERROR_CODE_INVALID if topic in topics else wire.ERROR_CODE_TOO_LARGE
            assert exceptions.pop(i).code == expected, topic
        assert exceptions == {}

        patterns = ["erp.>.created", "erp.o*", "erp..*", "a.b>", "@*", "", "@a.b", "@", "a b", "a\x85", "@a.>"]
        for pattern in patterns + long_ones:
            subscribe(link, 7, "good", pattern)
            error = take(link, "error")
            expected = wire.ERROR_CODE_INVALID if pattern in patterns else wire.ERROR_CODE_TOO_LARGE
            assert (error.code, error.field) == (expected, "subscribe.patterns"), pattern
            assert error.subscription == 7 and not error.fatal
        subscribe(link, 7, *good_ones, "@ü")  # a mailbox: for its own receiver only, as a queue
        assert take(link, "error").code == wire.ERROR_CODE_NOT_ALLOWED
        subscribe(link, 7, *good_ones, "*.@b", "$anything.*", "$")
        assert take(link, "subscribed").id == 7


# --- Publishing -----------------------------------------------------------------------------------------------------


def all_kinds_of_attributes():
    stamp = {"seconds": 253402300799, "nanos": 999999999}
    return {
        "subject": Attribute(ce_string="der Gegenstand ☂"),
        "flag": Attribute(ce_boolean=False),
        "number": Attribute(ce_integer=-(2**31)),
        "bytes": Attribute(ce_bytes=b"\x00\xff"),
        "dataschema": Attribute(ce_uri="http://example.com/x"),
        "ref": Attribute(ce_uri_ref="/x"),
        "time": Attribute(ce_timestamp=stamp),
    }


def test_delivered_byte_for_byte(router):
    made = router()
    any_ = {"type_url": "type.example.com/x", "value": b"\x08\x01"}
    bodies = [
        cloudevent(text_data="für alle").SerializeToString(),
        cloudevent(binary_data=bytes(range(256)), attributes=all_kinds_of_attributes()).SerializeToString(),
        cloudevent(proto_data=any_).SerializeToString(),
        # Fields unknown to the server, and an order and a form that no library would write.
        field(500, b"new") + field(4, b"t") + field(3, b"1.0") + field(2, b"s") + b"\x8a\x00\x81\x001" + field(501, 7),
    ]
    with linked(made) as publisher, linked(made) as subscriber:
        subscribe(subscriber, 1, "a.*")
        take(subscriber, "subscribed")
        sequences = []
        for body in bodies:
            for start in (b"", fixed64(1, 0), fixed64(1), fixed64(1, 2**64 - 1)):
                publisher.send_bytes(event_frame(start + field(2, b"a.b") + field(3, body)))
                publisher.flush()
                assert take_event(subscriber) == field(2, b"a.b") + field(3, body)
                sequences.append(wire.Frame.FromString(subscriber.body).event.sequence)
        assert settled(publisher, len(sequences)) == {}
        assert sequences == sorted(set(sequences)) and sequences[0] > 0


GOOD = {1: b"i", 2: b"s", 3: b"1.0", 4: b"t"}


def cloud(more=b"", **changed):
    """A CloudEvent by hand: the required fields, some left out (None), and something behind them."""
    content = GOOD | {int(k[1:]): v for k, v in changed.items()}
    return b"".join(field(k, v) for k, v in content.items() if v is not None) + more


def attribute(name=b"a", value=field(3, b"v")):
    return field(5, field(1, name) + field(2, value))


def stamp(seconds, nanos=0):
    return attribute(value=field(7, field(1, seconds) + field(2, nanos)))


# What is refused of the CloudEvent: bytes, and the field that the answer names. None is an event that is routed.
CLOUDEVENTS = [
    (cloud(), None),
    (b"", "event.id"),
    (b"\x0a", "event"),
    (b"\x0a\x05abc", "event"),
    (cloud(b"\x03\x04"), "event"),  # field number 0
    (cloud(b"\xa3\x06\xa4\x06"), "event"),  # a group
    (cloud(b"\x80\x80\x80\x80\x80\x01"), "event"),  # a tag of six bytes
    (cloud(b"\xa0\x06" + b"\xff" * 10 + b"\x01"), "event"),  # a varint of eleven bytes
    (cloud(_1=None) + field(1, 5), "event"),
    (cloud(_1=None), "event.id"),
    (cloud(_1=b""), "event.id"),
    (cloud(field(1, b"j")), "event.id"),
    (cloud(_1=b"\xff"), "event.id"),
    (cloud(_1=b"a\tb"), "event.id"),
    (cloud(_1="a b".encode()), None),
    (cloud(_2=None), "event.source"),
    (cloud(_2=b""), "event.source"),
    (cloud(field(2, b"j")), "event.source"),
    (cloud(_2=b"\xc0\x80"), "event.source"),
    (cloud(_2="\ufffe".encode()), "event.source"),
    (cloud(_3=None), "event.spec_version"),
    (cloud(_3=b""), "event.spec_version"),
    (cloud(field(3, b"1.0")), "event.spec_version"),
    (cloud(_3=b"1.0.1"), "event.spec_version"),
    (cloud(_4=None), "event.type"),
    (cloud(_4=b""), "event.type"),
    (cloud(field(4, b"j")), "event.type"),
    (cloud(_4="\u0080".encode()), "event.type"),
    (cloud(field(5, b"")), "event.attributes"),
    (cloud(field(5, field(1, b"a"))), "event.attributes"),
    (cloud(field(5, field(2, field(3, b"v")))), "event.attributes"),
    (cloud(attribute(b"A")), "event.attributes"),
    (cloud(attribute(b"")), "event.attributes"),
    (cloud(attribute(b"a-b")), "event.attributes"),
    *[(cloud(attribute(name)), "event.attributes") for name in (b"id", b"source", b"specversion", b"type", b"data")],
    (cloud(attribute(b"datacontenttype")), None),
    (cloud(attribute() + attribute()), "event.attributes"),
    (cloud(b"".join(attribute(b"a%d" % i) for i in range(64))), None),
    (cloud(b"".join(attribute(b"a%d" % i) for i in range(65))), "event.attributes"),
    (cloud(attribute(value=b"\x1a\x05")), "event.attributes"),
    (cloud(attribute(value=field(3, 1))), "event.attributes"),
    (cloud(attribute(value=b"")), "event.attributes"),
    (cloud(attribute(value=field(8, b"v"))), "event.attributes"),
    (cloud(attribute(value=field(1, 1) + field(2, 1))), "event.attributes"),
    *[(cloud(attribute(value=field(n, b"\xff"))), "event.attributes") for n in (3, 5, 6)],
    (cloud(attribute(value=field(4, b"\xff"))), None),
    (cloud(attribute(value=field(2, 2**40))), "event.attributes"),
    (cloud(attribute(value=field(2, -1))), None),
    (cloud(stamp(-62135596800)), None),
    (cloud(stamp(-62135596801)), "event.attributes"),
    (cloud(stamp(253402300799, 999999999)), None),
    (cloud(stamp(253402300800)), "event.attributes"),
    (cloud(stamp(0, -1)), "event.attributes"),
    (cloud(stamp(0, 10**9)), "event.attributes"),
    (cloud(attribute(b"time", field(3, b"soon"))), None),
    (cloud(field(6, b"x") + field(6, b"x")), "event.data"),
    (cloud(field(6, b"x") + field(7, b"x")), "event.data"),
    (cloud(field(7, b"\xff")), "event.data"),
    (cloud(field(6, b"\xff")), None),
    (cloud(field(8, field(1, b"\xff"))), "event.data"),
    (cloud(field(8, field(1, b"a") + field(1, b"a"))), "event.data"),
    (cloud(field(8, b"\x0a\x05")), "event.data"),
    (cloud(field(8, b"")), None),
]

# The same for the Event around it.
SOME = cloud()
EVENTS = [
    (b"\x12", "event"),
    (field(2, b"a") + fixed64(1) + field(3, SOME), "sequence"),
    (fixed64(1) + fixed64(1) + field(2, b"a") + field(3, SOME), "sequence"),
    (field(1, 1) + field(2, b"a") + field(3, SOME), "sequence"),
    (field(2, b"a") + field(2, b"a") + field(3, SOME), "topic"),
    (field(2, b"a") + field(3, SOME) + field(3, SOME), "event"),
    (field(2, 1) + field(3, SOME), "topic"),
    (field(2, b"a") + field(3, 1), "event"),
    (field(3, SOME), "topic"),
    (field(2, b"a"), "event"),
    (field(2, b"") + field(3, SOME), "topic"),
    (field(2, b"a.\xff") + field(3, SOME), "topic"),
    (field(3, SOME) + field(2, b"a"), None),
]
ALL_EVENTS = EVENTS + [(fixed64(1) + field(2, b"a") + field(3, body), name) for body, name in CLOUDEVENTS]


def test_exceptions_are_told_and_the_neighbours_are_routed(router):
    made = router()
    with linked(made) as publisher, linked(made) as subscriber:
        subscribe(subscriber, 1, "good")
        take(subscriber, "subscribed")
        for i, (event, _) in enumerate(ALL_EVENTS):
            publisher.send_bytes(event_frame(event))
            publisher.send(event=an_event("good", i))
        exceptions = settled(publisher, 2 * len(ALL_EVENTS))
        for i, (event, name) in enumerate(ALL_EVENTS):
            error = exceptions.pop(2 * i + 1, None)
            assert (error.field if error else None) == name, (event, error)
            assert error is None or error.code == wire.ERROR_CODE_INVALID
        assert exceptions == {}
        assert [number_of(take(subscriber, "event").event) for _ in ALL_EVENTS] == list(range(len(ALL_EVENTS)))


def test_without_acknowledgement_only_refusals_are_told(router):
    made = router()
    with linked(made, ack=wire.ACK_LEVEL_NONE) as publisher, linked(made) as subscriber:
        subscribe(subscriber, 1, "a")
        take(subscriber, "subscribed")
        publisher.send(event=an_event("a", 1))
        publisher.send(event=an_event("a..b", 2))
        publisher.send(event=an_event("a", 3))
        publisher.send(ping=wire.Ping(data=b"x"))
        error = take(publisher, "error")
        assert (error.code, error.field, error.ordinal) == (wire.ERROR_CODE_INVALID, "topic", 2) and not error.fatal
        assert take(publisher, "pong").data == b"x"
        publisher.send(event=an_event("a", 4))
        publisher.send(event=an_event("", 5))
        publisher.send(goodbye=wire.Goodbye())
        assert take(publisher, "error").ordinal == 5
        take(publisher, "goodbye")
        assert_ends(publisher)
        assert [number_of(take(subscriber, "event").event) for _ in range(3)] == [1, 3, 4]


def test_a_flood_of_refusals_does_not_get_stuck(router):
    """The answers are many times what the server keeps for a client that does not read them."""
    with linked(router()) as link:
        count = 20000
        for _ in range(count):
            link.send(event=wire.Event(sequence=1, topic="a..b"))
        link.flush(LONG)
        assert len(settled(link, count)) == count


def test_a_client_without_acknowledgement(router):
    with stranger.Client(router().address, acknowledge=False, ping_every=None) as client:
        numbers = [client.publish(topic, cloudevent()) for topic in ("a", "a..b", "a", "$a")]
        client.goodbye("done")
        client.wait(stranger.Finished)
        refused = [what for what in client.happened if isinstance(what, stranger.Refused)]
        assert [what.number for what in refused] == [numbers[1], numbers[3]]


def test_the_client_tells_what_became_of_each_event(router):
    with stranger.Client(router().address, "publisher") as client:
        topics = ["a.b", "a..b", "c"] * 300
        numbers = [client.publish(topic, cloudevent(i)) for i, topic in enumerate(topics)]
        with pytest.raises(stranger.TooLarge):
            client.publish("a", cloudevent(text_data="x" * client.limits.frame_bytes_max))
        client.goodbye("done")
        client.wait(stranger.Finished, LONG)
        outcomes = {}
        while client.happened:
            what = client.next(0)
            if isinstance(what, (stranger.Routed, stranger.Refused)):
                assert what.number not in outcomes
                outcomes[what.number] = what
        assert sorted(outcomes) == numbers
        for number, topic in zip(numbers, topics):
            if topic == "a..b":
                assert outcomes[number].error.code == wire.ERROR_CODE_INVALID
            else:
                assert isinstance(outcomes[number], stranger.Routed)


# --- Subscribing ----------------------------------------------------------------------------------------------------


def test_a_subscription_begins_exactly_and_ends_exactly(router):
    made = router()
    with linked(made) as link, linked(made) as other:
        other.send(event=an_event("a.b", 1))
        assert settled(other, 1) == {}
        subscribe(link, 1, "a.*")
        link.send(event=an_event("a.b", 2))  # at once: it gets its own event, and not the one before
        assert take(link, "subscribed").id == 1
        event, _ = until(link, "event")
        assert number_of(event.event) == 2
        # Several patterns that match, in one subscription or in two, make no second event of it.
        subscribe(link, 2, "a.b", ">", "*.b", "a.b")
        until(link, "subscribed")
        for i in (3, 4):
            other.send(event=an_event("a.b", i))
        other.flush()
        assert [number_of(take(link, "event").event) for _ in range(2)] == [3, 4]
        # One ends, the other goes on.
        link.send(unsubscribe=wire.Unsubscribe(id=2))
        assert take(link, "unsubscribed").id == 2
        for i, topic in ((5, "a.b"), (6, "x"), (7, "a.b")):
            other.send(event=an_event(topic, i))
        other.flush()
        assert [number_of(take(link, "event").event) for _ in range(2)] == [5, 7]
        # The id is free again, and what came without it is not delivered.
        link.send(unsubscribe=wire.Unsubscribe(id=1))
        assert take(link, "unsubscribed").id == 1
        other.send(event=an_event("a.b", 8))
        settled(other, 7)
        subscribe(link, 1, "a.b")
        assert take(link, "subscribed").id == 1
        other.send(event=an_event("a.b", 9))
        other.flush()
        assert number_of(take(link, "event").event) == 9


def test_the_client_subscribes_and_unsubscribes(router):
    with stranger.Client(router().address) as client:
        ids = [client.subscribe("a"), client.subscribe("b.*")]
        assert [client.wait(stranger.Began).subscription for _ in ids] == ids
        client.publish("a", cloudevent(1))
        assert received(client, 1) == [1]
        client.unsubscribe(ids[0])
        assert client.wait(stranger.Ended).subscription == ids[0]
        client.publish("a", cloudevent(2))
        client.publish("b.c", cloudevent(3))
        assert received(client, 1) == [3]
        bad = client.subscribe("a.>.b")
        trouble = client.wait(stranger.Trouble)
        assert trouble.subscription == bad and not trouble.again and trouble.error.code == wire.ERROR_CODE_INVALID
        # After a lost connection those that are live come again, and no others.
        client.link.close()
        client.wait(stranger.Down)
        assert client.wait(stranger.Began).subscription == ids[1]
        client.publish("b.c", cloudevent(4))
        assert received(client, 1) == [4] and list(client.subscriptions) == [ids[1]]


def test_a_subscribe_that_is_refused_changes_nothing(router):
    with linked(router()) as link:
        subscribe(link, 1, "a")
        take(link, "subscribed")
        refused = [
            (wire.Subscribe(id=2, policy=1), "subscribe.patterns"),
            (wire.Subscribe(id=2, patterns=["b"], policy=7), "subscribe.policy"),
            (wire.Subscribe(id=2, patterns=["b"], policy=wire.SLOW_POLICY_DISCONNECT), "subscribe.policy"),
            (wire.Subscribe(id=1, patterns=["b"], policy=1), "subscribe.id"),
            (wire.Subscribe(id=2, patterns=["b"], policy=1, position=b"no Position"), "subscribe.position"),
        ]
        for message, name in refused:
            link.send(subscribe=message)
            error = take(link, "error")
            assert (error.code, error.field, error.fatal) == (wire.ERROR_CODE_INVALID, name, False), message
            assert error.subscription == message.id
        link.send(unsubscribe=wire.Unsubscribe(id=2))
        error = take(link, "error")
        assert (error.code, error.field, error.subscription) == (wire.ERROR_CODE_INVALID, "unsubscribe.id", 2)
        link.send(event=an_event("b", 1))
        link.send(event=an_event("a", 2))
        got, _ = until(link, "event")
        assert number_of(got.event) == 2
        # Another policy is possible when no subscription is live.
        link.send(unsubscribe=wire.Unsubscribe(id=1))
        until(link, "unsubscribed")
        subscribe(link, 1, "a", policy=wire.SLOW_POLICY_DISCONNECT)
        take(link, "subscribed")


def test_more_patterns_than_the_server_holds(router):
    made = router(config_text="limits: { subscriptions: 2 }\n")
    with linked(made) as other, stranger.Client(made.address) as client:
        subscribe(other, 1, "a", "b")
        take(other, "subscribed")
        id_ = client.subscribe("c")
        trouble = client.wait(stranger.Trouble)
        assert trouble.error.code == wire.ERROR_CODE_EXHAUSTED and not trouble.error.fatal
        assert trouble.error.field == "subscribe.patterns" and trouble.subscription == id_ and trouble.again
        other.send(unsubscribe=wire.Unsubscribe(id=1))
        until(other, "unsubscribed")
        assert client.wait(stranger.Began).subscription == id_


# --- Positions ------------------------------------------------------------------------------------------------------


def test_resume_in_the_same_instance_loses_nothing_and_repeats_nothing(router):
    made = router(shards=2)
    topics = ["a.b", "c.d.e", "f"]
    with stranger.Client(made.address, ping_every=None) as subscriber, linked(made) as publisher:
        subscriber.subscribe("a.*", "c.>")
        subscriber.subscribe("f", "a.b")
        for _ in range(2):
            subscriber.wait(stranger.Began)
        sent, got = 0, []
        for cut in range(6):
            subscriber.wait(stranger.Up)
            for sent in range(sent + 1, sent + 201):
                publisher.send(event=an_event(topics[sent % 3], sent))
            settled(publisher, sent)
            # Read a part of it only, with a Pong in the middle of it or without one, and lose the connection.
            got += [subscriber.wait(stranger.Delivered) for _ in range(60)]
            if cut % 2:
                subscriber.ping(b"here")
                subscriber.wait(stranger.Ponged)
            subscriber.link.close()
            subscriber.wait(stranger.Down)
        while len(got) < sent:
            got.append(subscriber.wait(stranger.Delivered))
        publisher.send(event=an_event("f", sent + 1))
        publisher.flush()
        got.append(subscriber.wait(stranger.Delivered))
        numbers = [number_of(e.event) for e in got]
        assert sorted(numbers) == list(range(1, sent + 2))
        for topic in topics:
            own = [e for e in got if e.topic == topic]
            assert [number_of(e.event) for e in own] == sorted(number_of(e.event) for e in own)
            assert [e.sequence for e in own] == sorted({e.sequence for e in own})
        assert not any(isinstance(h, stranger.Missing) for h in subscriber.happened)


def test_a_position_goes_on_exactly_where_it_was_given(router):
    made = router()
    with linked(made) as first, linked(made) as publisher:
        subscribe(first, 1, "a")
        start = take(first, "subscribed").position
        for i in range(1, 101):
            publisher.send(event=an_event("a", i))
            publisher.send(event=an_event("b", -i))
        settled(publisher, 200)
        got = [number_of(take(first, "event").event) for _ in range(100)]
        assert got == list(range(1, 101))
        first.send(ping=wire.Ping())
        later = take(first, "pong").position
        assert len(start) <= 4096 and len(later) <= 4096
        for i in range(101, 111):
            publisher.send(event=an_event("a", i))
        settled(publisher, 210)
    for position, missed in ((start, 1), (later, 101)):
        with linked(made) as second:
            subscribe(second, 9, "a", position=position)
            assert take(second, "subscribed").id == 9
            assert [number_of(take(second, "event").event) for _ in range(missed, 111)] == list(range(missed, 111))
    # "A Position may be used for any pattern"
    with linked(made) as third:
        subscribe(third, 1, "b", position=start)
        take(third, "subscribed")
        assert [number_of(take(third, "event").event) for _ in range(100)] == list(range(-1, -101, -1))


@pytest.mark.parametrize("pong", [False, True])
def test_subscriptions_with_positions_of_their_own_over_a_lost_connection(router, pong):
    """Two want the same topic from different places, and the connection ends before the older one has it all."""
    made = router()
    with linked(made) as probe, linked(made) as publisher:
        positions = []
        for i in range(1, 101):
            if i in (1, 51):
                probe.send(ping=wire.Ping())
                positions.append(take(probe, "pong").position)
            publisher.send(event=an_event("a", i))
            take(publisher, "publish_ack")
    old, new = positions
    with stranger.Client(made.address, ping_every=None) as client:
        client.subscribe("a", position=new)
        client.wait(stranger.Began)
        assert received(client, 50) == list(range(51, 101))
        client.subscribe("a", position=old)
        client.wait(stranger.Began)
        if pong:  # Its Position may lie before what the first subscription has had.
            client.ping(b"")
            client.wait(stranger.Ponged)
        client.link.close()
        client.wait(stranger.Down)
        rest = []
        while not set(range(1, 51)) <= set(rest):
            rest += received(client, 1)
        assert rest == list(range(1, 51))
        assert not any(isinstance(h, stranger.Missing) for h in client.happened)


def test_a_position_of_another_instance(router):
    one, other = router(), router()
    with linked(one) as link:
        subscribe(link, 1, "a")
        position = take(link, "subscribed").position
    with linked(other) as link:
        link.send(event=an_event("a", 1))
        settled(link, 1)
        subscribe(link, 1, "a", position=position)
        subscribe(link, 2, "b")
        subscribed = take(link, "subscribed")
        gap = take(link, "gap")
        assert subscribed.id == 1 and gap.reason == wire.Gap.REASON_INSTANCE
        assert (gap.log, gap.position) == (0, subscribed.position)
        assert (getattr(gap, "from"), gap.to, gap.at_most) == (0, 0, 0)
        assert take(link, "subscribed").id == 2
        link.send(event=an_event("a", 2))
        got, _ = until(link, "event")
        assert number_of(got.event) == 2


def test_after_a_restart_the_client_is_told_of_the_gap_and_sends_again(router):
    one = router()
    with stranger.Client(one.address) as subscriber, stranger.Client(one.address) as publisher:
        id_ = subscriber.subscribe("a")
        subscriber.wait(stranger.Began)
        publisher.publish("a", cloudevent(1))
        publisher.wait(stranger.Routed)
        assert received(subscriber, 1) == [1]
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()
        # One that nobody takes any more: it is sent to the next server.
        lost = publisher.publish("a", cloudevent(2))
        other = router()
        subscriber.address = publisher.address = other.address
        subscriber.wait(stranger.Up), subscriber.wait(stranger.Up)
        assert subscriber.wait(stranger.Began).subscription == id_
        missing = subscriber.wait(stranger.Missing)
        assert missing.gap.reason == wire.Gap.REASON_INSTANCE and missing.subscription == id_
        assert publisher.wait(stranger.Routed).number == lost
        assert received(subscriber, 1) == [2]


# --- Slow subscribers, and Gaps -------------------------------------------------------------------------------------


def publish_several_megabytes(publisher, topics, count=8000, already=0):
    for i in range(1, count + 1):
        publisher.send(event=an_event(topics[i % len(topics)], i, binary_data=b"x" * 1000))
    assert settled(publisher, already + count) == {}


@pytest.mark.parametrize("shards", [1, 2])
def test_a_slow_subscriber_with_policy_skip_gets_a_gap(router, shards):
    made = router(shards=shards, config_text=SMALL_LOG)
    topics = ["a", "b.c", "d", "e.f.g"]
    with linked(made) as publisher, linked(made, receive_buffer=4096) as slow:
        subscribe(slow, 1, ">")
        begin = take(slow, "subscribed").position
        publish_several_megabytes(publisher, topics)
        # It has not read anything until now.
        got, missing, last_gap = read_with_gaps(slow, wire.Gap.REASON_SLOW, shards, last={7997, 7998, 7999, 8000})
        assert 0 < 8000 - len(got) <= missing
        # The connection goes on, and so does its Position.
        publisher.send(event=an_event("a", 8001))
        assert settled(publisher, 8001) == {}
        assert number_of(take(slow, "event").event) == 8001
        if shards == 1:  # What is behind the last Gap is got again with its Position.
            position, behind = last_gap
            with linked(made) as again:
                subscribe(again, 1, ">", position=position)
                take(again, "subscribed")
                assert [number_of(take(again, "event").event) for _ in range(len(behind) + 1)] == behind + [8001]
    # Who resumes from before it all gets a Gap, too, whatever the policy.
    with linked(made) as late:
        subscribe(late, 1, ">", policy=wire.SLOW_POLICY_DISCONNECT, position=begin)
        take(late, "subscribed")
        got, missing, _ = read_with_gaps(late, wire.Gap.REASON_EXPIRED, shards, last={7998, 7999, 8000, 8001})
        assert 0 < 8001 - len(got) <= missing


def read_with_gaps(link, reason, shards, last):
    """Reads until the last event of each topic has come. Gives the numbers that came, how many are told to be missing,
    and the Position of the last Gap with the numbers that came behind it."""
    got, missing, ends, last_gap = [], 0, {}, None
    allowed = 0  # how many numbers the Gaps right before the next event allow to be left out
    while not last <= set(got[-1000:]):
        what = link.receive(LONG)
        assert what is not None, (got[-10:], missing)
        if what.HasField("gap"):
            gap = what.gap
            begin = getattr(gap, "from")
            assert gap.reason == reason and gap.log < shards and gap.position
            assert 0 < begin <= gap.to and gap.at_most == gap.to - begin + 1
            assert begin > ends.get(gap.log, 0), "two Gaps of one log overlap"
            ends[gap.log] = gap.to
            missing += gap.at_most
            allowed += gap.at_most
            last_gap = gap.position, len(got)
        else:
            number = number_of(what.event.event)
            if shards == 1:  # One log: all comes in the order in which it was published, and is left out at Gaps only.
                assert 0 < number - (got[-1] if got else 0) <= 1 + allowed
                allowed = 0
            got.append(number)
    assert len(set(got)) == len(got)
    return got, missing, last_gap and (last_gap[0], got[last_gap[1] :])


def test_a_gap_may_count_events_of_other_topics(router):
    made = router(config_text=SMALL_LOG)
    with linked(made) as publisher, linked(made, receive_buffer=4096) as slow:
        subscribe(slow, 1, "wanted")
        begin = take(slow, "subscribed").position
        publisher.send(event=an_event("quiet", 1))
        assert settled(publisher, 1) == {}
        publish_several_megabytes(publisher, ["wanted", "other"], already=1)
        got, missing = [], 0
        while not got or got[-1] != 8000:
            what = slow.receive(LONG)
            if what.HasField("gap"):
                missing += what.gap.at_most
            else:
                got.append(number_of(what.event.event))
        assert 4000 - len(got) <= missing <= 8001
        assert all(n % 2 == 0 for n in got) and got == sorted(set(got))
    with linked(made) as late:
        subscribe(late, 1, "quiet", position=begin)
        take(late, "subscribed")
        gap = take(late, "gap")
        assert gap.reason == wire.Gap.REASON_EXPIRED and 1 <= gap.at_most <= 8001


def test_a_slow_subscriber_with_policy_disconnect(router):
    made = router(config_text=SMALL_LOG)
    with linked(made) as publisher, stranger.Client(made.address, ping_every=None, receive_buffer=4096) as slow:
        slow.subscribe(">", policy=wire.SLOW_POLICY_DISCONNECT)
        slow.wait(stranger.Began)
        publish_several_megabytes(publisher, ["a"])
        down = slow.wait(stranger.Down, LONG)
        # "A client that does not read at all may find only the connection closed."
        assert down.error is None or (down.error.code, down.error.fatal) == (wire.ERROR_CODE_SLOW_CONSUMER, True)
        missing = slow.wait(stranger.Missing, LONG)
        assert missing.gap.reason == wire.Gap.REASON_EXPIRED and missing.gap.at_most > 0
        while number_of(slow.wait(stranger.Delivered).event) != 8000:
            pass


# --- Ping, Pong -----------------------------------------------------------------------------------------------------


def test_pongs_come_in_order_with_the_data_of_their_pings(router):
    with linked(router()) as link:
        link.send(pong=wire.Pong(data=b"nobody asked for it"))
        data = [b"", b"x" * 64, b"\x00\xff"] + [b"%d" % i for i in range(1000)]
        for d in data:
            link.send(ping=wire.Ping(data=d))
        assert [take(link, "pong").data for _ in data] == data


# --- What will change, and what not ---------------------------------------------------------------------------------


def serve_once(listener, frames, heard):
    """A server of the future, for one connection: says what it has to say, and keeps what it hears."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(LONG)
        connected = wire.Connected(version=1, instance=b"i" * 16, frame_bytes_max=100000)
        connection.sendall(frame(connected=connected) + b"".join(frames))
        unframer = stranger.Unframer(100000)
        while data := connection.recv(65536):
            unframer.feed(data)
            while (body := unframer.next()) is not None:
                heard.append(wire.Frame.FromString(body))


def test_a_client_takes_what_a_newer_server_may_say():
    outcomes = [wire.AckException(ordinal=3), wire.AckException(ordinal=1, duplicate_of=77)]
    frames = [
        frame(ping=wire.Ping(data=b"?")),
        delimited(field(40, b"a new kind")),
        b"\x00",
        frame(context=wire.Context(replay=True)),
        frame(gap=wire.Gap(reason=99, at_most=5)),
        frame(error=wire.Error(code=99, text="a new one")),
        frame(publish_ack=wire.PublishAck(through=1, level=1, exceptions=outcomes)),
        frame(publish_ack=wire.PublishAck(through=3, level=1)),
        frame(error=wire.Error(code=98, text="a new one that is fatal", fatal=True)),
    ]
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LONG)
        serve = threading.Thread(target=serve_once, args=(listener, frames, heard))
        serve.start()
        with stranger.Client("127.0.0.1:%d" % listener.getsockname()[1]) as client:
            client.wait(stranger.Up)
            numbers = [client.publish("a", cloudevent(i)) for i in range(3)]
            down = client.wait(stranger.Down)
            assert down.error.code == 98 and client.pause > 0  # it would try again
            assert [client.wait(stranger.Refused).number for _ in range(2)] == [numbers[2], numbers[0]]
            assert client.wait(stranger.Routed).number == numbers[1]
            assert client.wait(stranger.Missing).gap.reason == 99
            assert client.wait(stranger.Trouble).error.code == 99
            assert not client.unsettled
        serve.join()
    assert [f.WhichOneof("body") for f in heard[:1]] == ["connect"]


def test_a_client_answers_the_ping_of_a_server():
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LONG)
        serve = threading.Thread(target=serve_once, args=(listener, [frame(ping=wire.Ping(data=b"?"))], heard))
        serve.start()
        with stranger.Client("127.0.0.1:%d" % listener.getsockname()[1], ping_every=None) as client:
            client.wait(stranger.Up)
            deadline = time.monotonic() + LONG
            while len(heard) < 2:
                assert time.monotonic() < deadline
                client.next(0.01)
        serve.join()
    assert [f.WhichOneof("body") for f in heard] == ["connect", "pong"] and heard[1].pong.data == b"?"


# --- Byte by byte ---------------------------------------------------------------------------------------------------


def blocks():
    """What each ```hex block of the document shows: who, and the bytes left of the bar."""
    who, data = None, b""
    for line in (stranger.PROTO_ROOT.parent / "docs" / "PROTOCOL.md").read_text(encoding="utf-8").split("\n"):
        if line.startswith("```hex "):
            who, data = line[7:], b""
        elif line.startswith("```") and who:
            yield who, data
            who = None
        elif who:
            data += bytes.fromhex(line.split("|")[0])


def test_each_block_of_bytes_is_one_frame_and_the_client_writes_the_same():
    seen = []
    for who, data in blocks():
        unframer = stranger.Unframer(100000)
        unframer.feed(data)
        message = wire.Frame.FromString(unframer.next())
        assert unframer.next() is None
        assert delimited(message.SerializeToString()) == data, who
        seen.append((who, message.WhichOneof("body")))
    assert seen[:3] == [("crm sends", "connect"), ("crm gets", "connected"), ("crm sends", "subscribe")]
    assert {kind for _, kind in seen} >= {"event", "publish_ack", "ping", "pong", "gap", "error", "goodbye"}


# --- Goodbye --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_close", [False, True])
def test_goodbye_is_answered_when_all_is_settled(router, half_close):
    made = router()
    with linked(made) as subscriber, linked(made) as publisher:
        subscribe(subscriber, 1, "a")
        take(subscriber, "subscribed")
        for i in range(1000):
            publisher.send(event=an_event("a", i))
        if half_close:
            publisher.end_sending()
        else:
            publisher.send(goodbye=wire.Goodbye(reason="done"))
            publisher.send(event=an_event("a", 1000))  # is not read
        goodbye, before = until(publisher, "goodbye")
        assert goodbye.reason and goodbye.settled and before[-1].publish_ack.through == 1000
        assert_ends(publisher)
        assert [number_of(take(subscriber, "event").event) for _ in range(1000)] == list(range(1000))


def test_goodbye_ends_delivery(router):
    made = router()
    with linked(made) as subscriber, linked(made) as publisher:
        subscribe(subscriber, 1, "a")
        take(subscriber, "subscribed")
        subscriber.send(goodbye=wire.Goodbye())
        take(subscriber, "goodbye")
        publisher.send(event=an_event("a", 1))
        settled(publisher, 1)
        with pytest.raises(LinkLost):
            subscriber.receive(LONG)


def test_a_server_that_stops_delivers_and_says_goodbye(router):
    made = router()
    with linked(made) as subscriber, linked(made) as publisher:
        subscribe(subscriber, 1, "a")
        take(subscriber, "subscribed")
        for i in range(100):
            publisher.send(event=an_event("a", i))
        settled(publisher, 100)
        os.kill(made.process.pid, signal.SIGTERM)
        goodbye, before = until(subscriber, "goodbye")
        assert goodbye.reason and not goodbye.settled and [number_of(f.event.event) for f in before] == list(range(100))
        assert_ends(subscriber)
        until(publisher, "goodbye")
        assert_ends(publisher)


# --- Order and duplicates; both roles at once -----------------------------------------------------------------------


def test_two_clients_in_both_roles(router):
    made = router(shards=2)
    count = 3000
    topics = ("from.one", "from.two")
    with stranger.Client(made.address, "one") as one, stranger.Client(made.address, "two") as two:
        got = {client: {topic: [] for topic in topics} for client in (one, two)}
        routed = {one: 0, two: 0}

        def look(client, timeout=0.0):
            """All that has happened so far; waits for it a little if asked to."""
            what = client.next(timeout)
            while what is not None:
                if isinstance(what, stranger.Delivered):
                    got[client][what.topic].append(what)
                elif isinstance(what, stranger.Routed):
                    routed[client] += 1
                else:
                    assert isinstance(what, (stranger.Ponged, stranger.Up)), what
                what = client.next(0)

        for client in got:
            client.subscribe("from.*")
            client.wait(stranger.Began)
        for i in range(count):
            for client, topic in zip(got, topics):
                client.publish(topic, cloudevent(i))
                look(client)
        deadline = time.monotonic() + LONG
        while min(*routed.values(), *(len(events) for own in got.values() for events in own.values())) < count:
            assert time.monotonic() < deadline, (routed, got)
            look(one, 0.01)
            look(two, 0.01)
        for topic in topics:
            assert [number_of(e.event) for e in got[one][topic]] == list(range(count))
            assert got[one][topic] == got[two][topic]  # the same order, the same sequences, the same bytes


def test_a_publisher_over_lost_connections_loses_nothing(router):
    made = router()
    with stranger.Client(made.address) as subscriber, stranger.Client(made.address) as publisher:
        subscriber.subscribe("a")
        subscriber.wait(stranger.Began)
        numbers = []
        for i in range(2000):
            numbers.append(publisher.publish("a", cloudevent(i)))
            if i % 500 == 250:
                publisher.link.flush()
                publisher.link.close()
        routed = []
        while len(routed) < len(numbers):
            routed.append(publisher.wait(stranger.Routed).number)
        assert sorted(routed) == numbers
        # Some may come twice; by source and id they are known, and the first ones are in order.
        seen = dict.fromkeys(received(subscriber, 1))
        while len(seen) < 2000:
            seen[received(subscriber, 1)[0]] = None
        assert list(seen) == list(range(2000))


def test_the_router_counts_what_the_stranger_does(router):
    made = router()
    with linked(made) as one, linked(made) as two:
        assert made.metric("roundhouse_connections") == 2
        for link in (one, two):
            link.send(goodbye=wire.Goodbye())
            take(link, "goodbye")
