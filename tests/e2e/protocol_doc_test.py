"""docs/PROTOCOL.md against the .proto files and the router: its bytes are what it says, and what the router says, too."""

import json
import pathlib
import re

import pytest

import malformed_test
import wire
from wire import ce, pb

ROOT = pathlib.Path(wire.ROOT)
TEXT = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")
ROUTED = pb.ACK_LEVEL_ROUTED


# --- The hex blocks ---


class Line:
    """Some bytes of a frame and what they are. A note beside them is for the reader."""

    def __init__(self, data, meaning, path=(), note=""):
        self.data, self.meaning, self.path, self.note = data, meaning, path, note

    def __repr__(self):
        return f"{self.data.hex(' ')} | {self.meaning}"


class Block:
    """A frame in the document, from a block that opens with ```hex and, say, `crm sends`."""

    def __init__(self, title, rows):
        self.who, self.verb = title.split(maxsplit=1)
        self.lines = []
        for row in rows.splitlines():
            data, bar, meaning = row.partition("|")
            meaning, _, note = meaning.partition("<-")
            if bar:
                self.lines.append(Line(bytes.fromhex(data), meaning.strip(), note=note))
            else:  # the bytes of the line above go on
                self.lines[-1].data += bytes.fromhex(data)
        self.data = b"".join(line.data for line in self.lines)

    def frame(self):
        return pb.Frame.FromString(self.data[len(self.lines[0].data):])

    def kind(self):
        return self.frame().WhichOneof("body")

    def differing(self):
        """The fields that the document says are different each time, as paths: ("connected", "instance")."""
        true_lines = dissect(self.data)
        return [true.path for true, line in zip(true_lines, self.lines) if "differs" in line.note]


BLOCKS = [Block(*found) for found in re.findall(r"^```hex (.*)\n((?:.*\n)*?)```$", TEXT, re.MULTILINE)]


def read_varint(data, place):
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place


def value_text(field, value):
    """A value as the document writes it."""
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    if field.type == field.TYPE_BOOL:
        return str(bool(value)).lower()
    if field.type == field.TYPE_STRING:
        return json.dumps(value.decode(), ensure_ascii=False)
    if field.type == field.TYPE_BYTES:
        return f"{len(value)} byte{'s' if len(value) != 1 else ''}"
    return str(value)


def inner_of(field):
    """The type of message that a field has in it."""
    if field.full_name == "roundhouse.v1.Event.event":
        return ce.CloudEvent.DESCRIPTOR
    return field.message_type


def fields_of(descriptor, data, path=()):
    """A Line for each field, and for those that are messages the lines of what is in them."""
    place = 0
    while place < len(data):
        begin = place
        key, place = read_varint(data, place)
        field = descriptor.fields_by_number[key >> 3]
        if key & 7 == 0:
            value, place = read_varint(data, place)
        elif key & 7 == 1:
            value, place = int.from_bytes(data[place:place + 8], "little"), place + 8
        else:
            assert key & 7 == 2
            length, place = read_varint(data, place)
            head, value, place = data[begin:place], data[place:place + length], place + length
            if inner_of(field):
                yield Line(head, f"{field.name}, {length} bytes", path + (field.name,))
                yield from fields_of(inner_of(field), value, path + (field.name,))
                continue
        yield Line(data[begin:place], f"{field.name} = {value_text(field, value)}", path + (field.name,))


def dissect(data):
    """What the lines of a frame with its length in front have to be."""
    length, place = read_varint(data, 0)
    assert length == len(data) - place
    return [Line(data[:place], f"length {length}"), *fields_of(pb.Frame.DESCRIPTOR, data[place:])]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.who}_{block.kind()}")
def test_each_line_of_a_frame_is_what_it_says(block):
    assert list(map(repr, block.lines)) == list(map(repr, dissect(block.data)))
    # One form only, the shortest: a client's library writes these bytes.
    assert wire.delimited(block.frame().SerializeToString()) == block.data


def test_all_frames_that_matter_have_an_example():
    shown = {(block.verb, block.kind()) for block in BLOCKS}
    wanted = {("sends", kind) for kind in ("connect", "subscribe", "event", "unsubscribe", "ping", "goodbye")} | {
        ("gets", kind) for kind in ("connected", "subscribed", "event", "publish_ack", "unsubscribed", "pong", "gap",
                                    "error", "goodbye")}
    assert wanted <= shown
    assert any(block.frame().publish_ack.exceptions for block in BLOCKS)


# --- The conversation in hex, held with the router ---


class Player:
    """One of the clients in the document."""

    def __init__(self, made):
        self.client = made.client(hello=False)

    def frame(self, kind):
        """The next frame; Connected is passed over where the document does not show it again."""
        found = self.client.next()
        if found.WhichOneof("body") == "connected" and kind != "connected":
            found = self.client.next()
        return found

    def gets(self, block):
        wanted = block.frame()
        found = self.frame(block.kind())
        while block.kind() == "publish_ack" and found.publish_ack.through < wanted.publish_ack.through:
            found.MergeFrom(self.frame("publish_ack"))  # it may be said in several frames
        for path in block.differing():
            take_over(found, wanted, path)
        assert wire.delimited(found.SerializeToString()) == block.data, f"documented:\n{wanted}\nthe router says:\n{found}"


def take_over(found, wanted, path):
    """Puts the documented value in the place of one that differs each time, which must be there."""
    for name in path[:-1]:
        found, wanted = getattr(found, name), getattr(wanted, name)
    assert getattr(found, path[-1]), f"{'.'.join(path)} is missing"
    setattr(found, path[-1], getattr(wanted, path[-1]))


def test_the_router_answers_as_the_document_says(router):
    made = router()
    players, pending = {}, {}
    for block in BLOCKS:
        if block.who == "somebody":
            continue
        player = players.get(block.who) or players.setdefault(block.who, Player(made))
        if block.verb == "sends":  # what stands together in the document is sent together
            pending[block.who] = pending.get(block.who, b"") + block.data
            continue
        for who in list(pending):
            players[who].client.send_bytes(pending.pop(who))
        player.gets(block)
        if block.kind() == "goodbye" or block.frame().error.fatal:
            assert player.client.until_closed() == []
            players.pop(block.who).client.close()
    assert not pending
    for player in players.values():
        assert player.client.round_trip() == []
        player.client.close()


# --- Nothing of the .proto is left out ---


def sections():
    """The text below each heading of the third level."""
    parts = re.split(r"^### (.*)\n", TEXT, flags=re.MULTILINE)
    return {name.strip("` "): re.split(r"^## ", body, flags=re.MULTILINE)[0] for name, body in zip(parts[1::2], parts[2::2])}


def messages(descriptor):
    for message in descriptor.message_types_by_name.values():
        yield message
        yield from message.nested_types


@pytest.mark.parametrize("message", messages(pb.DESCRIPTOR), ids=lambda message: message.name)
def test_every_message_and_field_is_described(message):
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\S.*) \|$", sections()[message.name], re.MULTILINE)
    assert {(name, int(number)) for name, number, _ in rows} == {(f.name, f.number) for f in message.fields}


def enums(descriptor):
    yield from descriptor.enum_types_by_name.values()
    for message in messages(descriptor):
        yield from message.enum_types


def section_of(enum):
    return enum.full_name.removeprefix("roundhouse.v1.")


@pytest.mark.parametrize("enum", enums(pb.DESCRIPTOR), ids=lambda enum: enum.name)
def test_every_value_of_an_enum_is_described(enum):
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\S.*) \|$", sections()[section_of(enum)], re.MULTILINE)
    assert {(name, int(number)) for name, number, _ in rows} == {(v.name, v.number) for v in enum.values}


# --- The rules ---


def cells(row):
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def table(heading):
    """The rows of the first table below a heading."""
    body = re.split(rf"^#+ {re.escape(heading)}\n", TEXT, flags=re.MULTILINE)[1]
    found = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", body, re.MULTILINE)
    return [cells(row) for row in found.group(1).splitlines()]


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def refusals():
    """What the tables of refusals say: the text, with its code and the field to blame."""
    found = {}
    for row in re.findall(r"^\|.*\|$", TEXT, re.MULTILINE):
        parts = cells(row)
        if len(parts) == 4 and re.fullmatch(r"`[A-Z_]+`", parts[1]) and not parts[2].isdigit():
            for name in quoted(parts[2]) or [""]:
                found.setdefault(parts[3], set()).add((quoted(parts[1])[0], name))
    return found


def assert_described(error):
    """The tables have this text, with this code and this field."""
    code = pb.ErrorCode.Name(error.code).removeprefix("ERROR_CODE_")
    assert (code, error.field) in refusals().get(error.text, set()), error


def test_patterns_match_what_the_document_says(router):
    made = router()
    rows = [[quoted(cell) for cell in row] for row in table("Which topics a pattern matches")]
    assert len(rows) > 5
    topics = sorted({topic for _, matching, others in rows for topic in matching + others})
    with made.client(ack=ROUTED) as publisher, made.client() as receiver:
        for number, topic in enumerate([topic for topic in topics if topic[0] == "@"], 1):
            receiver.send(subscribe=pb.Subscribe(id=number, queue=pb.Queue(name=topic, volatile=True)))
            receiver.expect("subscribed")
        for done, (patterns, matching, others) in enumerate(rows, 1):
            assert len(patterns) == 1 and matching and others
            with made.client() as subscriber:
                subscriber.subscribe(*patterns, "the.end")
                for topic in topics + ["the.end"]:
                    publisher.publish(topic, wire.cloud_event())
                assert publisher.settle(done * (len(topics) + 1)) == {}
                got = {event.topic for event in events_until(subscriber, "the.end")}
                assert set(matching) <= got and not set(others) & got, patterns


def events_until(subscriber, topic):
    while (event := subscriber.expect("event")).topic != topic:
        yield event


def test_what_is_no_topic_is_refused(router):
    examples = quoted(re.search(r"^These are no topics: (.*?)\. ", TEXT, re.MULTILINE).group(1))
    with router().client(ack=ROUTED) as publisher:
        for topic in examples:
            publisher.publish(topic, wire.cloud_event())
        assert len(publisher.settle(len(examples))) == len(examples) > 5


def test_what_is_no_pattern_is_refused(router):
    examples = quoted(re.search(r"These are no patterns: ((?:.|\n)*?)\.\n", TEXT).group(1))
    assert len(examples) > 3
    with router().client() as subscriber:
        for pattern in examples:
            subscriber.send(subscribe=pb.Subscribe(id=1, patterns=[pattern]))
            assert not subscriber.expect("error").fatal


def test_refused_events_are_told_as_the_document_says(router):
    made = router()
    long_topics = {"long": "x" * 256, "many tokens": ".".join("x" * 17)}
    bad = [malformed_test.event_of(*fields) for fields in malformed_test.BAD_EVENTS.values()]
    bad += [wire.event_frame(topic, malformed_test.GOOD) for topic in long_topics.values()]
    with made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(bad))
        exceptions = publisher.settle(len(bad))
        assert len(exceptions) == len(bad)
        for error in exceptions.values():
            assert not error.fatal and not error.ordinal
            assert_described(error)


def subscribe(id=1, patterns=("a",), **more):
    return wire.frame(subscribe=pb.Subscribe(id=id, patterns=patterns, **more))


FATAL = {
    **malformed_test.FATAL,
    **{name: wire.delimited(frame) for name, frame in malformed_test.MALFORMED_CONTROLS.items()},
    "a list beyond all measure": subscribe(patterns=["a"] * 16385),
    "a pattern with a zero byte": subscribe(patterns=["a.\0"]),
    "a Goodbye with a zero byte": wire.frame(goodbye=pb.Goodbye(reason="\0")),
    "a long Ping": wire.frame(ping=pb.Ping(data=b"x" * 65)),
    "many unknown fields": wire.delimited(wire.field(13, 2, b"".join(wire.field(20 + i, 0, 1) for i in range(65)))),
}


@pytest.mark.parametrize("name", FATAL)
def test_fatal_errors_are_told_as_the_document_says(router, name):
    with router().client() as client:
        client.send_bytes(FATAL[name])
        error = client.expect("error")
        assert error.fatal and not error.ordinal and not error.subscription
        assert_described(error)


REFUSED_SUBSCRIPTIONS = {
    "no pattern": subscribe(patterns=[]),
    "too many patterns": subscribe(patterns=["a"] * 1025),
    "far too many patterns": subscribe(patterns=["a"] * 16384),
    "an empty pattern": subscribe(patterns=[""]),
    "a long pattern": subscribe(patterns=["x" * 256]),
    "many tokens": subscribe(patterns=[".".join("x" * 17)]),
    "an empty token": subscribe(patterns=["a..b"]),
    "a blank": subscribe(patterns=["a b"]),
    "a wildcard in a token": subscribe(patterns=["a*"]),
    "a rest in the middle": subscribe(patterns=["a.>.b"]),
    "a mailbox with a dot": subscribe(patterns=["@a.b"]),
    "a mailbox": subscribe(patterns=["@a"]),
    "an unknown policy": subscribe(policy=17),
    "an id in use": subscribe(id=7, policy=pb.SLOW_POLICY_SKIP),
    "another policy": subscribe(policy=pb.SLOW_POLICY_DISCONNECT),
    "no Position": subscribe(policy=pb.SLOW_POLICY_SKIP, position=b"x"),
    "no start": subscribe(policy=pb.SLOW_POLICY_SKIP, start=pb.Start()),
    "a sequence of a wildcard": subscribe(policy=pb.SLOW_POLICY_SKIP, patterns=["a.*"], start=pb.Start(sequence=1 << 48 | 1)),
    "no sequence": subscribe(policy=pb.SLOW_POLICY_SKIP, start=pb.Start(sequence=0)),
    "a sequence to come": subscribe(policy=pb.SLOW_POLICY_SKIP, start=pb.Start(sequence=2 << 48)),
    "a time to come": subscribe(policy=pb.SLOW_POLICY_SKIP, start=pb.Start(time_ns=1 << 63)),
    "an unknown policy for what is gone": subscribe(policy=pb.SLOW_POLICY_SKIP, gone=17),
    "gone": subscribe(policy=pb.SLOW_POLICY_SKIP, start=pb.Start(sequence=1), gone=pb.GONE_POLICY_REFUSE),
    "an unknown id": wire.frame(unsubscribe=pb.Unsubscribe(id=1)),
    "an unknown queue": wire.frame(unsubscribe=pb.Unsubscribe(id=1, remove="work")),
    "no name of a queue": wire.frame(unsubscribe=pb.Unsubscribe(id=1, remove="a b")),
}


def test_refused_subscriptions_are_told_as_the_document_says(router):
    with router().client() as client:
        client.subscribe("b", id=7, policy=pb.SLOW_POLICY_SKIP)
        for name, frame in REFUSED_SUBSCRIPTIONS.items():
            client.send_bytes(frame)
            error = client.expect("error")
            assert not error.fatal and error.subscription == (7 if name == "an id in use" else 1), name
            assert_described(error)


REFUSED_CONNECTS = {
    "version": pb.Connect(version=2),
    "disk": pb.Connect(version=1, ack=pb.ACK_LEVEL_DISK),
    "level": pb.Connect(version=1, ack=17),
    "name": pb.Connect(version=1, client="x" * 129),
    "name with a control character": pb.Connect(version=1, client="a\u0085b"),
    "name with a noncharacter": pb.Connect(version=1, client="a\uffff"),
    "first frame": pb.Connect(version=1, features=["x" * 4096]),
}


@pytest.mark.parametrize("name", REFUSED_CONNECTS)
def test_refused_connects_are_told_as_the_document_says(router, name):
    with router().client(hello=False) as client:
        client.send(connect=REFUSED_CONNECTS[name])
        error = client.expect("error")
        assert error.fatal
        assert_described(error)


SOURCES = ("codecs/event/check.c", "codecs/wire/scan.c", "codecs/wire/control.c", "core/base/topic.c",
           "core/session/session.c", "core/shard/subs.c", "core/shard/memberships.c", "core/shard/keeper.c",
           "core/queue/terms.c", "core/queue/queue.c", "core/shard/acks.c", "core/shard/peer.c",
           "core/shard/catchup.c", "core/shard/ingress.c", "core/shard/starts.c", "core/shard/removals.c",
           "core/shard/replays.c", "core/shard/replayers.c", "core/shard/keeper.h", "core/filter/build.c",
           "core/filter/message.c")
NOT_SENT = re.compile(r"/\*.*?\*/|^#include.*?$|\b(?:static_assert|logfmt|CHECK)\(.*?\);", re.DOTALL | re.MULTILINE)
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*')


def texts_in_sources():
    """All sentences in the sources that make errors: whatever literal has more than two words."""
    for name in SOURCES:
        for literal in LITERAL.findall(NOT_SENT.sub("", (ROOT / name).read_text())):
            text = "".join(json.loads(part) for part in re.findall(r'"(?:[^"\\]|\\.)*"', literal))
            if text.count(" ") > 1:
                yield name, text


# It is refused earlier, as text that is not UTF-8; and what only the saved state of a queue can have.
NEVER_SENT = {"pattern is not valid UTF-8", "the patterns end in the middle of one", "not so many patterns as said",
              "no serialized filters"}


def test_every_text_of_an_error_stands_in_the_document():
    described = set(refusals()) | NEVER_SENT | {json.loads(line.meaning.split(" = ")[1]) for block in BLOCKS
                                                for line in block.lines if line.meaning.startswith("reason = \"")}
    missing = [(name, text) for name, text in texts_in_sources() if text not in described]
    assert not missing
    assert not set(refusals()) - {text for _, text in texts_in_sources()}, "the document tells of errors that are none"
