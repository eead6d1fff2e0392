"""Bytes that are wrong get an error or a close: never a crash, a stall of others, or an event that harms a subscriber."""

import random

import pytest

import wire
from wire import ce, field, pb

ROUTED = pb.ACK_LEVEL_ROUTED
INVALID, PROTOCOL = pb.ERROR_CODE_INVALID, pb.ERROR_CODE_PROTOCOL
CONNECT = wire.frame(connect=pb.Connect(version=1, client="x", ack=ROUTED))


class Witness:
    """A healthy pair of connections beside the bad ones: it must keep working."""

    def __init__(self, made):
        self.made = made
        self.subscriber, self.publisher = made.client(), made.client()
        self.subscriber.subscribe(">")
        self.number = 0

    def check(self):
        """Nothing but the witness's own event has reached the subscriber, and it arrives."""
        assert self.made.alive(), f"the router has died; it said:\n{self.made.errors()}"
        self.number += 1
        self.publisher.send_bytes(wire.numbered("witness", self.number))
        got = self.subscriber.expect("event")
        assert got.topic == "witness" and wire.read_number(got) == self.number

    def skip_events(self, count):
        for event in self.subscriber.events(count):
            ce.CloudEvent.FromString(event.event)


def frame_of(body):
    """A Frame made by hand."""
    return wire.delimited(body)


def event_of(*fields):
    """An Event frame from the bytes of its fields."""
    return frame_of(field(1, 2, b"".join(fields)))


GOOD = wire.cloud_event(b"data")
TOPIC, EVENT, SEQUENCE = field(2, 2, b"a.b"), field(3, 2, GOOD), field(1, 1, 1)
ATTRIBUTE = field(5, 2, field(1, 2, b"name") + field(2, 2, field(3, 2, b"value")))
REQUIRED = {"id": field(1, 2, b"1"), "source": field(2, 2, b"/s"), "spec_version": field(3, 2, b"1.0"),
            "type": field(4, 2, b"t")}
ALL = b"".join(REQUIRED.values())


def attribute(name, value):
    return field(5, 2, field(1, 2, name) + field(2, 2, value))


BAD_EVENTS = {
    "no topic": [EVENT],
    "no event": [TOPIC],
    "empty": [],
    "two topics": [TOPIC, TOPIC, EVENT],
    "two different topics": [TOPIC, field(2, 2, b"c.d"), EVENT],
    "two events": [TOPIC, EVENT, EVENT],
    "two sequences": [SEQUENCE, SEQUENCE, TOPIC, EVENT],
    "sequence behind the topic": [TOPIC, SEQUENCE, EVENT],
    "sequence at the end": [TOPIC, EVENT, SEQUENCE],
    "topic with bad UTF-8": [field(2, 2, b"a.\xff"), EVENT],
    "topic with an overlong form": [field(2, 2, b"a.\xc0\xae"), EVENT],
    "topic with a surrogate": [field(2, 2, b"a.\xed\xa0\x80"), EVENT],
    "topic cut inside a character": [field(2, 2, b"a.\xe6\x9d"), EVENT],
    "topic above U+10FFFF": [field(2, 2, b"a.\xf4\x90\x80\x80"), EVENT],
    "topic with NUL": [field(2, 2, b"a\0b"), EVENT],
    "topic with a control": [field(2, 2, b"a.\x1b"), EVENT],
    "topic with a C1 control": [field(2, 2, b"a.\xc2\x85"), EVENT],
    "topic with a blank": [field(2, 2, b"a b"), EVENT],
    "topic with a noncharacter": [field(2, 2, b"a.\xef\xbf\xbf"), EVENT],
    "wildcard topic": [field(2, 2, b"a.*"), EVENT],
    "rest topic": [field(2, 2, b"a.>"), EVENT],
    "the router's own topic": [field(2, 2, b"$SYS.x"), EVENT],
    "mailbox of two tokens": [field(2, 2, b"@a.b"), EVENT],
    "topic of another wire type": [field(2, 0, 5), EVENT],
    "event of another wire type": [TOPIC, field(3, 0, 5)],
    "sequence of another wire type": [field(1, 0, 5), TOPIC, EVENT],
    "event that is noise": [TOPIC, field(3, 2, b"\xff\xff\xff\xff")],
    "event that is empty": [TOPIC, field(3, 2, b"")],
    "event with a field cut": [TOPIC, field(3, 2, GOOD[:-1])],
    "event with field number 0": [TOPIC, field(3, 2, ALL + b"\x00\x01")],
    "bad UTF-8 in id": [TOPIC, field(3, 2, ALL.replace(REQUIRED["id"], field(1, 2, b"\xff")))],
    "bad UTF-8 in source": [TOPIC, field(3, 2, ALL.replace(REQUIRED["source"], field(2, 2, b"\xc3")))],
    "bad UTF-8 in type": [TOPIC, field(3, 2, ALL.replace(REQUIRED["type"], field(4, 2, b"\xfe")))],
    "control in id": [TOPIC, field(3, 2, ALL.replace(REQUIRED["id"], field(1, 2, b"a\x00b")))],
    "another spec version": [TOPIC, field(3, 2, ALL.replace(REQUIRED["spec_version"], field(3, 2, b"0.3")))],
    "id twice": [TOPIC, field(3, 2, ALL + REQUIRED["id"])],
    "id as a number": [TOPIC, field(3, 2, ALL.replace(REQUIRED["id"], field(1, 0, 1)))],
    "bad UTF-8 in an attribute": [TOPIC, field(3, 2, ALL + attribute(b"x", field(3, 2, b"\xff")))],
    "bad UTF-8 in a uri": [TOPIC, field(3, 2, ALL + attribute(b"x", field(5, 2, b"\xff")))],
    "bad UTF-8 in a uri reference": [TOPIC, field(3, 2, ALL + attribute(b"x", field(6, 2, b"\xff")))],
    "bad UTF-8 in an attribute's name": [TOPIC, field(3, 2, ALL + attribute(b"\xff", field(3, 2, b"v")))],
    "attribute name in capitals": [TOPIC, field(3, 2, ALL + attribute(b"Name", field(3, 2, b"v")))],
    "attribute name with a dash": [TOPIC, field(3, 2, ALL + attribute(b"a-b", field(3, 2, b"v")))],
    "attribute without a name": [TOPIC, field(3, 2, ALL + attribute(b"", field(3, 2, b"v")))],
    "attribute named data": [TOPIC, field(3, 2, ALL + attribute(b"data", field(3, 2, b"v")))],
    "attribute twice": [TOPIC, field(3, 2, ALL + ATTRIBUTE + ATTRIBUTE)],
    "attribute without a value": [TOPIC, field(3, 2, ALL + field(5, 2, field(1, 2, b"name")))],
    "attribute with two values": [TOPIC, field(3, 2, ALL + attribute(b"x", field(3, 2, b"v") + field(2, 0, 1)))],
    "expirytime that is no time": [TOPIC, field(3, 2, ALL + attribute(b"expirytime", field(3, 2, b"tomorrow")))],
    "expirytime that is a number": [TOPIC, field(3, 2, ALL + attribute(b"expirytime", field(2, 0, 5)))],
    "bad UTF-8 in the text": [TOPIC, field(3, 2, ALL + field(7, 2, b"\xff"))],
    "two data": [TOPIC, field(3, 2, ALL + field(6, 2, b"a") + field(7, 2, b"b"))],
    "data twice": [TOPIC, field(3, 2, ALL + field(6, 2, b"a") + field(6, 2, b"b"))],
    "data of another wire type": [TOPIC, field(3, 2, ALL + field(6, 0, 1))],
    "an Any that is noise": [TOPIC, field(3, 2, ALL + field(8, 2, b"\x0a\x7f"))],
    "bad UTF-8 in an Any's type": [TOPIC, field(3, 2, ALL + field(8, 2, field(1, 2, b"\xff")))],
}
for name in REQUIRED:
    BAD_EVENTS[f"no {name}"] = [TOPIC, field(3, 2, b"".join(v for k, v in REQUIRED.items() if k != name))]
    empty = field({"id": 1, "source": 2, "spec_version": 3, "type": 4}[name], 2, b"")
    BAD_EVENTS[f"empty {name}"] = [TOPIC, field(3, 2, ALL.replace(REQUIRED[name], empty))]


def test_every_bad_event_is_refused_and_none_is_delivered(router):
    """Each between two good events on a connection of its own: told in-band, and the connection goes on."""
    made = router()
    witness = Witness(made)
    for name, fields in BAD_EVENTS.items():
        with made.client(ack=ROUTED) as client:
            client.publish("good", GOOD)
            client.send_bytes(event_of(*fields))
            witness.skip_events(1)
            refusals = client.settle(2)
            assert list(refusals) == [2], name
            assert refusals[2].code == INVALID and refusals[2].text and refusals[2].field, name
            client.publish("good", GOOD)
            assert client.settle(3) == {}, name
            witness.skip_events(1)
        witness.check()


FATAL = {
    "two bodies": frame_of(field(13, 2, b"") + field(14, 2, b"")),
    "the same body twice": frame_of(field(13, 2, b"") + field(13, 2, b"")),
    "event and ping": frame_of(field(1, 2, TOPIC + EVENT) + field(13, 2, b"")),
    "body of another wire type": frame_of(field(13, 0, 1)),
    "field number 0": frame_of(b"\x02\x00"),
    "a group": frame_of(b"\x0b\x0c"),
    "a body longer than its frame": frame_of(b"\x6a\x7f"),
    "a key without a value": frame_of(b"\x6a"),
    "a length prefix that never ends": b"\xff" * 11,
    "a second Connect": CONNECT,
    "Connected from a client": wire.frame(connected=pb.Connected(version=1)),
    "Subscribed from a client": wire.frame(subscribed=pb.Subscribed(id=1)),
    "PublishAck from a client": wire.frame(publish_ack=pb.PublishAck(through=1)),
    "Gap from a client": wire.frame(gap=pb.Gap()),
}


@pytest.mark.parametrize("name", FATAL)
def test_a_frame_that_is_none_ends_the_connection_with_an_error(router, name):
    made = router()
    witness = Witness(made)
    with made.client() as client:
        client.send_bytes(FATAL[name])
        error = client.refused()
        assert error.code in (PROTOCOL, INVALID, pb.ERROR_CODE_TOO_LARGE) and error.text
    witness.check()


MALFORMED_CONTROLS = {
    "Subscribe that is noise": field(4, 2, b"\xff\xff"),
    "Subscribe with bad UTF-8": field(4, 2, field(1, 0, 1) + field(2, 2, b"\xff")),
    "Subscribe cut": field(4, 2, field(1, 0, 1) + b"\x12\x05ab"),
    "Unsubscribe that is noise": field(6, 2, b"\x08"),
    "Ping that is noise": field(13, 2, b"\x0a\x09x"),
    "Goodbye with bad UTF-8": field(15, 2, field(1, 2, b"\xff")),
}


@pytest.mark.parametrize("name", MALFORMED_CONTROLS)
def test_a_malformed_control_frame_is_refused(router, name):
    made = router()
    witness = Witness(made)
    with made.client() as client:
        client.send_bytes(frame_of(MALFORMED_CONTROLS[name]))
        error = client.expect("error")
        assert error.code in (PROTOCOL, INVALID) and error.text
        if error.fatal:
            assert client.until_closed() == []
    witness.check()


STRANGERS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "TLS hello": bytes.fromhex("16030100c5010000c10303") + bytes(range(200)),
    "SSH": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "MQTT": bytes.fromhex("100c00044d5154540402003c0000"),
    "AMQP": b"AMQP\0\0\x09\x01",
    "NATS": b'CONNECT {"verbose":false}\r\nPING\r\n',
    "zeros": b"\0" * 1000,
    "zero length": b"\0",
    "frame without a body": frame_of(field(1000, 2, b"x")),
    "ones": b"\xff" * 1000,
    "an event first": wire.event_frame("a", GOOD),
    "a ping first": wire.frame(ping=pb.Ping()),
    "a subscribe first": wire.frame(subscribe=pb.Subscribe(id=1, patterns=["a"])),
    "Connect with bad UTF-8": frame_of(field(2, 2, field(1, 0, 1) + field(2, 2, b"\xff"))),
    "Connect with controls in its name": wire.frame(connect=pb.Connect(version=1, client="a\nb")),
    "Connect of noise": frame_of(field(2, 2, b"\xff\xff\xff")),
    "a newline": b"\n",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_turned_away(router, name):
    made = router(config_text="limits: { handshake: 1s }\n")
    witness = Witness(made)
    with made.client(hello=False) as client:
        client.send_bytes(STRANGERS[name])
        try:
            frames = client.until_closed()
        except wire.Closed:
            frames = []
        assert all(f.WhichOneof("body") == "error" and f.error.fatal for f in frames)
        assert frames, "closed without a word"
    witness.check()


STREAM = CONNECT + wire.frame(subscribe=pb.Subscribe(id=1, patterns=["cut.>"])) + wire.numbered("cut.a", 1, 300)


def test_a_stream_cut_anywhere_harms_nobody(router):
    made = router()
    witness = Witness(made)
    for length in range(len(STREAM)):
        client = made.client(hello=False)
        client.send_bytes(STREAM[:length])
        if length % 2:
            client.reset()
        else:
            client.close()
        if length % 50 == 0:
            witness.check()
    made.await_metric("roundhouse_connections", lambda value: value == 2)
    witness.check()


def test_a_stream_may_come_byte_by_byte(router):
    made = router()
    with made.client(hello=False) as client:
        for byte in STREAM:
            client.send_bytes(bytes([byte]))
        kinds = [client.next() for _ in range(4)]
        assert {f.WhichOneof("body") for f in kinds} == {"connected", "subscribed", "event", "publish_ack"}


def test_a_stream_may_be_split_anywhere(router):
    made = router()
    for length in range(1, len(STREAM)):
        with made.client(hello=False) as client:
            client.send_bytes(STREAM[:length])
            client.send_bytes(STREAM[length:])
            kinds = [client.next().WhichOneof("body") for _ in range(4)]
            assert kinds[:2] == ["connected", "subscribed"] and set(kinds[2:]) == {"event", "publish_ack"}


def test_every_flipped_byte_of_a_stream_harms_nobody(router):
    """Each byte is changed in turn. What arrives at others is a whole CloudEvent in every case."""
    made = router(config_text="limits: { handshake: 30s }\n")
    witness = Witness(made)
    rng = random.Random(7)
    tail = wire.frame(goodbye=pb.Goodbye())
    for place in range(len(STREAM)):
        data = bytearray(STREAM)
        data[place] ^= 1 << rng.randrange(8)
        with made.client(hello=False) as client:
            try:
                client.send_bytes(bytes(data) + tail)
            except ConnectionError:
                pass
            while client.poll_quietly(0.05) is not None:
                pass
    with made.client() as last, made.client(ack=ROUTED) as publisher:
        last.subscribe("after")
        publisher.publish("after", GOOD)
        assert last.expect("event").topic == "after"
    # The witness subscribes to everything: each event it got can be read by a protobuf library.
    witness.publisher.send_bytes(wire.numbered("witness", 1))
    while (got := witness.subscriber.expect("event")).topic != "witness":
        event = ce.CloudEvent.FromString(got.event)
        assert event.id and event.source and event.spec_version == "1.0" and event.type


@pytest.mark.parametrize("seed", range(5))
def test_noise_harms_nobody(router, seed):
    made = router(config_text="limits: { handshake: 1s }\n")
    witness = Witness(made)
    rng = random.Random(seed)
    for _ in range(40):
        noise = rng.randbytes(rng.randrange(1, 3000))
        client = made.client(hello=rng.random() < 0.5)
        try:
            for start in range(0, len(noise), 700):
                client.send_bytes(noise[start:start + 700])
        except ConnectionError:
            pass
        client.reset() if rng.random() < 0.5 else client.close()
    witness.check()


def test_a_reset_in_the_middle_of_anything_harms_nobody(router):
    made = router(shards=2)
    witness = Witness(made)
    for step in range(200):
        client = made.client(ack=ROUTED)
        client.send(subscribe=pb.Subscribe(id=1, patterns=["witness", f"reset.{step}"]))
        client.send_bytes(wire.numbered("nobody", step, 20_000)[:step * 100 + 1])
        client.reset()
        if step % 20 == 0:
            witness.publisher.send_bytes(wire.numbered("mark", step))
            while witness.subscriber.expect("event").topic != "mark":
                pass
    assert made.alive()
