"""Content filters: a subscription gets of the events that match its patterns those whose attributes pass. Live, from the past, in catch-up,
as a queue and over a restart, over the wire, by the C library and by the command line."""

import json

import pytest

import wire
from cli_test import Watched
from durable_test import killed, saved
from protocol_doc_test import assert_described
from wire import ce, pb

ROUTED = pb.ACK_LEVEL_ROUTED
OLDEST, LAST = pb.Start(oldest=True), pb.Start(last_per_topic=True)


def compared(**dialect):
    """compared(exact={"type": "a"}): a filter with one dialect."""
    (name, values), = dialect.items()
    return pb.Filter(**{name: pb.Filter.Attributes(values=values)})


def both(*filters):
    return pb.Filter(all=pb.Filters(filters=filters))


def either(*filters):
    return pb.Filter(any=pb.Filters(filters=filters))


def no(inner):
    return pb.Filter(negation=inner)


EVEN = compared(exact={"parity": "even"})


def numbered(topic, number, size=0, **attributes):
    parity = "odd" if number % 2 else "even"
    event = wire.cloud_event(str(number).ljust(size), id=str(number), type=f"t.{parity}", parity=parity, **attributes)
    return wire.event_frame(topic, event)


def number_of(event):
    return int(ce.CloudEvent.FromString(event.event).id)


def published(made, numbers, topic="a", size=0, **attributes):
    with made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(numbered(topic, number, size, **attributes) for number in numbers))
        assert publisher.settle(len(numbers)) == {}


def subscribe(client, *patterns, id=1, **more):
    client.send(subscribe=pb.Subscribe(id=id, patterns=patterns, **more))
    return client.expect("subscribed")


def got(client, count):
    return [number_of(event) for event in client.events(count)]


@pytest.mark.parametrize("shards", [1, 2])
def test_only_what_passes_is_delivered(router, shards):
    made = router(shards=shards)
    with made.client() as even, made.client() as all_of_them:
        subscribe(even, ">", filters=[EVEN])
        subscribe(all_of_them, ">")
        published(made, range(1, 101))
        assert got(even, 50) == list(range(2, 101, 2))
        assert got(all_of_them, 100) == list(range(1, 101))
        assert even.round_trip() == []


def test_each_dialect_is_what_it_is(router):
    made = router()
    filters = {
        "exact": ([compared(exact={"type": "t.odd", "subject": "x"})], {1, 3}),
        "prefix": ([compared(prefix={"id": "1"})], {1, 10}),
        "suffix": ([compared(suffix={"type": ".even"})], {2, 10}),
        "all": ([both(EVEN, compared(exact={"id": "10"}))], {10}),
        "any": ([either(EVEN, compared(exact={"id": "3"}))], {2, 3, 10}),
        "not": ([no(EVEN)], {1, 3}),
        "several": ([EVEN, compared(prefix={"id": "1"})], {10}),
        "absent": ([compared(exact={"absent": "x"})], set()),
        "not absent": ([no(compared(exact={"absent": "x"}))], {1, 2, 3, 10}),
    }
    clients = {}
    for name, (list_of_filters, _) in filters.items():
        clients[name] = made.client()
        subscribe(clients[name], "a", filters=list_of_filters)
    published(made, [1, 2, 3, 10], subject="x")
    for name, (_, numbers) in filters.items():
        assert set(got(clients[name], len(numbers))) == numbers, name
        assert clients[name].round_trip() == [], name
        clients[name].close()


def test_typed_attributes_are_compared_as_text(router):
    made = router()
    event = ce.CloudEvent(id="1", source="/s", spec_version="1.0", type="t", text_data="x")
    event.attributes["number"].ce_integer = -7
    event.attributes["flag"].ce_boolean = True
    event.attributes["time"].ce_timestamp.FromJsonString("2026-11-28T09:30:00.25Z")
    event.attributes["bytes"].ce_bytes = b"\xff\x00"
    event.attributes["link"].ce_uri_ref = "/a"
    passes = [{"number": "-7"}, {"flag": "true"}, {"time": "2026-11-28T09:30:00.250Z"}, {"bytes": "/wA="}, {"link": "/a"}]
    with made.client() as client, made.client(ack=ROUTED) as publisher:
        for number, values in enumerate(passes, 1):
            subscribe(client, f"t.{number}", id=number, filters=[compared(exact=values)])
        for number in range(1, len(passes) + 1):
            publisher.publish(f"t.{number}", event.SerializeToString())
        publisher.settle(len(passes))
        assert [got.topic for got in client.events(len(passes))] == [f"t.{n}" for n in range(1, len(passes) + 1)]


def test_several_subscriptions_of_one_connection_give_an_event_once(router):
    made = router()
    with made.client() as client:
        subscribe(client, "a", id=1, filters=[EVEN])
        subscribe(client, "a", id=2, filters=[compared(prefix={"id": "1"})])
        published(made, range(1, 13))
        assert got(client, 8) == [1, 2, 4, 6, 8, 10, 11, 12]
        client.send(unsubscribe=pb.Unsubscribe(id=1))
        client.expect("unsubscribed")
        published(made, range(1, 13))
        assert got(client, 4) == [1, 10, 11, 12]
        client.send(unsubscribe=pb.Unsubscribe(id=2))
        client.expect("unsubscribed")
        subscribe(client, "a", id=3)
        published(made, [1, 2])
        assert got(client, 2) == [1, 2]
        assert client.round_trip() == []


def test_what_lies_in_the_past_is_filtered_too(router):
    made = router(shards=2)
    published(made, range(1, 101))
    with made.client() as client:
        subscribe(client, "a", start=OLDEST, filters=[EVEN])
        assert got(client, 50) == list(range(2, 101, 2))
        published(made, [101, 102])
        assert got(client, 1) == [102]


def test_the_last_of_a_topic_is_the_last_that_passes(router):
    made = router()
    published(made, range(1, 8), topic="a")
    published(made, [2, 1, 3], topic="b")
    published(made, [1, 3], topic="c")
    with made.client() as client:
        subscribe(client, "*", start=LAST, filters=[EVEN])
        assert sorted((event.topic, number_of(event)) for event in client.events(2)) == [("a", 6), ("b", 2)]
        published(made, [9, 10], topic="c")
        assert got(client, 1) == [10]
        assert client.round_trip() == []


def test_who_falls_back_gets_what_passes_all_the_same(router):
    made = router(config_text="logs: { data: 8MiB }\n")
    with made.client(receive_buffer=4096) as slow:
        subscribe(slow, "a", filters=[no(compared(suffix={"id": "0"}))], policy=pb.SLOW_POLICY_SKIP)
        published(made, range(1, 3401), size=2000)
        made.await_metric("roundhouse_catch_up_entered_total", lambda entered: entered > 0)
        assert got(slow, 3060) == [number for number in range(1, 3401) if number % 10]
        published(made, range(1, 11))
        assert got(slow, 9) == list(range(1, 10))


def test_equal_filters_are_evaluated_once_for_an_event(router):
    made = router(shards=1)
    clients = [made.client() for _ in range(10)]
    for client in clients:
        subscribe(client, "a", filters=[both(EVEN, no(compared(exact={"type": "x", "id": "5"})))])
    published(made, range(1, 101))
    for client in clients:
        assert got(client, 50) == list(range(2, 101, 2))
        client.close()
    assert made.metric("roundhouse_filter_evaluations_total") == 100
    assert made.metric("roundhouse_events_filtered_total") == 500


# --- Queues ---


def delivered(client, count):
    """So many events of a queue, each acknowledged."""
    found = []
    while len(found) < count:
        frame = client.next()
        if frame.WhichOneof("body") == "context":
            client.context = frame.context
            continue
        assert frame.WhichOneof("body") == "event", frame
        found.append(number_of(frame.event))
        client.send(ack=pb.Ack(subscription=client.context.subscription, delivery=client.context.delivery))
        client.context.delivery += 1
    return found


def acknowledged(client, numbers):
    assert delivered(client, len(numbers)) == numbers


def test_a_queue_gets_only_what_passes(router):
    made = router()
    queue = pb.Queue(name="work", volatile=True)
    with made.client() as member:
        subscribe(member, "a", id=5, queue=queue, filters=[EVEN])
        published(made, range(1, 11))
        acknowledged(member, [2, 4, 6, 8, 10])
        with made.client() as other:  # a replay is of what the queue gets
            other.send(replay=pb.Replay(id=1, queue="work"))
            acknowledged(member, [2, 4, 6, 8, 10])
            while not other.expect("replayed").over:
                pass
    published(made, range(11, 21))  # while nobody is there
    with made.client() as member:
        subscribe(member, id=5, queue=queue)
        acknowledged(member, [12, 14, 16, 18, 20])
        assert member.round_trip() == []


def test_a_group_shares_what_passes(router):
    made = router()
    queue = pb.Queue(name="work", volatile=True, group=True, window=2)
    with made.client() as one, made.client() as two:
        subscribe(one, "a", id=1, queue=queue, filters=[EVEN])
        subscribe(two, id=2, queue=queue)
        published(made, range(1, 9))
        assert sorted(delivered(one, 2) + delivered(two, 2)) == [2, 4, 6, 8]


def test_a_durable_queue_has_its_filters_after_a_restart(router, tmp_path):
    journal = ["--journal", tmp_path / "journal"]
    made = router(arguments=journal)
    with made.client() as member:
        subscribe(member, "a", id=1, queue=pb.Queue(name="work"), filters=[EVEN])
        published(made, [1, 2])
        acknowledged(member, [2])
        member.round_trip()
        saved(made)
    published(made, [3, 4])
    killed(made)
    made = router(arguments=journal)
    published(made, [5, 6])
    with made.client() as member:
        member.send(subscribe=pb.Subscribe(id=1, queue=pb.Queue(name="work"), filters=[no(EVEN)]))
        error = member.expect("error")
        assert_described(error)
        subscribe(member, id=1, queue=pb.Queue(name="work"), filters=[EVEN])
        acknowledged(member, [4, 6])
        published(made, [7, 8])
        acknowledged(member, [8])


# --- What is refused ---

DEEP = compared(exact={"a": "b"})
for _ in range(16):
    DEEP = no(DEEP)

REFUSED = {
    "no dialect": pb.Filter(),
    "no attributes": compared(exact={}),
    "an empty list": pb.Filter(all=pb.Filters()),
    "an empty name": compared(exact={"": "a"}),
    "a long name": compared(exact={"a" * 65: "a"}),
    "a name with capitals": compared(exact={"Type": "a"}),
    "data": compared(exact={"data": "a"}),
    "an empty value": compared(prefix={"type": ""}),
    "too deep": DEEP,
    "too many parts": either(*[compared(exact={"a": "b"})] * 256),
    "too many attributes": compared(exact={f"a{n}": "b" for n in range(33)}),
    "too many bytes": compared(exact={"type": "a" * 16381}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_filter_is_refused_and_described(router, name):
    made = router()
    with made.client() as client:
        client.send(subscribe=pb.Subscribe(id=7, patterns=["a"], filters=[REFUSED[name]]))
        error = client.expect("error")
        assert error.subscription == 7 and not error.fatal and error.field == "subscribe.filters"
        assert_described(error)
        subscribe(client, "a", id=7, filters=[EVEN])  # the connection goes on
        client.send(subscribe=pb.Subscribe(id=8, patterns=["a"], queue=pb.Queue(name="q", volatile=True), filters=[REFUSED[name]]))
        assert client.expect("error").text == error.text


def test_an_attribute_named_twice_is_refused(router):
    entry = wire.field(1, 2, wire.field(1, 2, b"a") + wire.field(2, 2, b"b"))
    with router().client() as client:
        body = pb.Subscribe(id=1, patterns=["a"]).SerializeToString() + wire.field(8, 2, wire.field(1, 2, entry * 2))
        client.send_bytes(wire.delimited(wire.field(4, 2, body)))
        assert_described(client.expect("error"))


def test_a_mailbox_has_no_filters(router):
    with router().client() as client:
        client.send(subscribe=pb.Subscribe(id=1, queue=pb.Queue(name="@a", volatile=True), filters=[EVEN]))
        assert_described(client.expect("error"))


def fatal(made, body):
    with made.client() as client:
        client.send_bytes(wire.delimited(wire.field(4, 2, pb.Subscribe(id=1, patterns=["a"]).SerializeToString() + body)))
        error = client.expect("error")
        assert error.fatal and error.field == "subscribe.filters"
        assert_described(error)


def test_filters_beyond_all_measure_end_the_connection_and_nothing_else(router):
    made = router()
    deep = b""
    for _ in range(60000):
        deep = wire.field(6, 2, deep)
        if len(deep) > 900000:
            break
    fatal(made, wire.field(8, 2, deep))
    fatal(made, wire.field(8, 2, b"") * 16385)
    fatal(made, wire.field(8, 2, wire.field(4, 2, wire.field(1, 2, wire.field(4, 2, wire.field(1, 2, b"") * 8192)) * 2)))
    with made.client() as client:
        subscribe(client, "a", filters=[EVEN])


# --- What operators see ---


def test_the_admin_plane_lists_filters(router):
    made = router()
    long = compared(exact={"subject": "x" * 600})
    with made.client() as client:
        subscribe(client, "a", id=1, filters=[EVEN, no(compared(prefix={"id": "1", "type": "t."}))])
        subscribe(client, "a", id=2, filters=[long])
        subscribe(client, "a", id=3)
        for id, filters in ((4, [EVEN]), (5, [long]), (6, [])):
            subscribe(client, "a", id=id, filters=filters, queue=pb.Queue(name=f"q{id}", volatile=True))
        rows = {row["id"]: row["filter"] for row in json.loads(made.http("/v1/subscriptions"))["subscriptions"]}
        queues = {row["queue"]: row["filter"] for row in json.loads(made.http("/v1/queues"))["queues"]}
    assert {id: rows[id] for id in (1, 2, 3)} == {1: [{"exact": {"parity": "even"}}, {"not": {"prefix": {"id": "1", "type": "t."}}}],
                                                  2: True, 3: None}
    assert queues == {"q4": [{"exact": {"parity": "even"}}], "q5": True, "q6": None}
    assert {rows[id] for id in (4, 5, 6)} == {None}, "they are the queue's"


# --- The command line ---


def test_sub_takes_filters_in_short_and_as_json(router, spawn):
    made = router()
    either_of = '[{"any": [{"exact": {"id": "3"}}, {"not": {"suffix": {"type": "odd"}}}]}]'
    asked = [(["--filter", "parity=even", "--filter", "id=prefix:1"], ["10", "12"]),
             (["--filter", either_of], ["2", "3"]),
             (["--filter", "type=suffix:.odd", "--filter", '[{"not": {"exact": {"id": "1"}}}]'], ["3", "7"]),
             (["--queue", "q", "--volatile", "--filter", '{"exact": {"id": "7"}}'], ["7"])]
    watched = [Watched(spawn, made, "--count", str(len(ids)), *arguments, "a") for arguments, ids in asked]
    published(made, [1, 2, 3, 10, 7, 12])
    for one, (_, ids) in zip(watched, asked):
        assert [line["event"]["id"] for line in one.lines()] == ids


@pytest.mark.parametrize("text, why", [
    ("type", "ATTRIBUTE=VALUE or JSON"),
    ("type=", "a value in a filter is not empty"),
    ("=a", "without a name"),
    ("Type=a", "small letters and digits"),
    ("[{", "neither JSON"),
    ('[{"sql": "TRUE"}]', "others are not known here"),
])
def test_sub_says_what_is_wrong_with_a_filter(run, text, why):
    ended = run("sub", "--filter", text, "a")
    assert ended.returncode == 64
    assert ended.stderr.startswith("roundhouse sub: --filter ") and why in ended.stderr
