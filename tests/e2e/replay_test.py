"""Replays: a stretch of what is kept goes to one queue once more, beside what is new, and nothing else changes."""

import os
import signal
import struct
import time

import pytest

import wire
from conftest import SANITIZED
from c_example_test import BUILD
from durable_test import Durable, saved
from cli_queue_test import VOLATILE
from cli_queue_test import Member as Command
from python_example_test import folder, program  # noqa: F401  (fixtures)
from queue_test import REFUSE, ROUTED, THROUGH, Member, keyed, publish
from wire import ce, pb

DISK = pb.ACK_LEVEL_DISK
OLDEST = pb.Start(oldest=True)
SMALL = "logs: { data: 1MiB }\nlimits: { frame: 128KiB }\njournal: { segment: 1MiB, logs: 2%s }\n"


class Asker:
    """A connection that asks for replays."""

    def __init__(self, made):
        self.client = made.client()

    def ask(self, queue="work", id=1, **replay):
        """The answer: a Replayed or an Error."""
        self.client.send(replay=pb.Replay(id=id, queue=queue, **replay))
        frame = self.client.next()
        return getattr(frame, frame.WhichOneof("body"))

    def begin(self, **replay):
        answer = self.ask(**replay)
        assert isinstance(answer, pb.Replayed) and not answer.over, answer
        return answer

    def refused(self, **replay):
        error = self.ask(**replay)
        assert isinstance(error, pb.Error) and not error.fatal and error.text, error
        assert error.subscription == replay.get("id", 1)
        return error.code, error.field

    def over(self):
        """The last Replayed; what is told only grows."""
        before = pb.Replayed()
        while True:
            now = self.client.expect("replayed")
            assert now.acknowledged + now.failed <= now.delivered and now.delivered >= before.delivered
            assert now.acknowledged >= before.acknowledged and now.missing >= before.missing
            before = now
            if now.over:
                assert now.left == 0
                return now


def taken(member, count, ack=True):
    """(number, replay) of the next events of a member, each acknowledged."""
    found = []
    for _ in range(count):
        number, delivery, attempt = member.event()
        assert attempt == 1
        found.append((number, member.context.replay))
        if ack:
            member.ack(delivery)
    return found


def live(*numbers):
    return [(number, False) for number in numbers]


def again(*numbers):
    return [(number, True) for number in numbers]


def sequences(made, topic):
    """Of the events on a topic, by number."""
    with made.client() as client:
        client.subscribe(topic, start=OLDEST)
        return {wire.read_number(frame.event): frame.event.sequence for frame in client.round_trip()}


@pytest.fixture(params=[1, 2, 4])
def shards(request):
    return request.param


@pytest.fixture
def journalled(router, tmp_path):
    """A function that starts a router with the journal of this test, and rings that keep little of it."""

    def start(shards=2, keep="", **options):
        return router(shards=shards, config_text=SMALL % keep, arguments=["--journal", str(tmp_path / "journal")], **options)

    return start


def test_what_was_done_comes_again_marked_and_only_to_that_queue(router, shards):
    made = router(shards=shards)
    publisher, asker, other = made.client(ack=ROUTED), Asker(made), made.client()
    member, neighbour = Member(made, "a.>", window=100), Member(made, "a.>", name="neighbour", window=100)
    other.subscribe("a.>")
    topics = [f"a.{n}" for n in range(5)]
    for topic in topics:
        publish(publisher, topic, 1, 2)
    for one in (member, neighbour):
        assert sorted(taken(one, 10)) == sorted(5 * live(1, 2))
        one.silent()
    assert len(other.events(10)) == 10
    asker.begin()
    assert sorted(taken(member, 10)) == sorted(5 * again(1, 2))
    over = asker.over()
    assert (over.delivered, over.acknowledged, over.failed, over.missing) == (10, 10, 0, 0)
    for one in (member, neighbour):
        one.silent()
    assert other.round_trip() == []
    publish(publisher, "a.0", 3)
    assert taken(member, 1) == live(3), "the next one is live again"
    assert made.metric("roundhouse_replayed_total") == 10 and made.metric("roundhouse_replays") == 0


def test_what_the_queue_has_not_got_yet_is_not_replayed_and_comes_once(router, shards):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=2)
    publish(publisher, "a", *range(6))
    assert taken(member, 2, ack=False) == live(0, 1)
    asker.begin()  # 2 to 5 wait for credit, so the replay ends in front of them
    member.ack(2, THROUGH)
    found = taken(member, 6)
    assert [number for number, replay in found if not replay] == [2, 3, 4, 5]
    assert [number for number, replay in found if replay] == [0, 1]
    assert asker.over().acknowledged == 2
    member.silent()


def test_live_events_go_first_and_half_of_a_window_is_theirs(router):
    made = router(shards=2)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=4)
    publish(publisher, "a", *range(4))
    taken(member, 4)
    publish(publisher, "a", *range(4, 8))
    taken(member, 4)
    member.silent()
    asker.begin()
    held = taken(member, 2, ack=False)
    assert held == again(0, 1)
    member.silent()  # nothing more, though two places are free
    publish(publisher, "a", 8, 9, 10)
    assert taken(member, 2, ack=False) == live(8, 9)
    member.silent()
    member.ack(12, THROUGH)
    found = taken(member, 7)
    assert found[0] == (10, False) and [n for n, replay in found if replay] == list(range(2, 8))
    assert asker.over().acknowledged == 8


@pytest.mark.parametrize("start, expected", [("sequence", range(5, 10)), ("time", range(5, 10)), ("oldest", range(10))])
def test_it_begins_where_it_is_asked_to(router, shards, start, expected):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=100)
    publish(publisher, "a", *range(5))
    time.sleep(0.02)
    now = time.time_ns()
    publish(publisher, "a", *range(5, 10))
    taken(member, 10)
    where = {"sequence": dict(sequence=sequences(made, "a")[5]), "time": dict(time_ns=now), "oldest": dict(oldest=True)}
    asker.begin(start=pb.Start(**where[start]))
    assert taken(member, len(expected)) == again(*expected)
    assert asker.over().delivered == len(expected)
    member.silent()


def test_it_ends_in_front_of_a_time(router, shards):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "t.>", window=100)
    marks = []
    for part in range(3):
        for n in range(4):
            publish(publisher, f"t.{n}", part)
        time.sleep(0.02)
        marks.append(time.time_ns())
    taken(member, 12)
    asker.begin(to_time_ns=marks[0])
    assert taken(member, 4) == again(0, 0, 0, 0)
    assert asker.over().acknowledged == 4
    asker.begin(start=pb.Start(time_ns=marks[0]), to_time_ns=marks[1])
    assert taken(member, 4) == again(1, 1, 1, 1)
    asker.over()
    asker.begin(start=pb.Start(time_ns=marks[1]), to_time_ns=marks[2] + 3600 * 10 ** 9)
    assert taken(member, 4) == again(2, 2, 2, 2)
    asker.over()
    asker.begin(start=pb.Start(time_ns=marks[2]))
    assert asker.over().delivered == 0
    member.silent()


@pytest.mark.parametrize("pattern, expected", [("o.*.b", [2, 4]), ("o.x.>", [1, 2]), ("o.y.a", [3])])
def test_a_filter_picks_topics(router, shards, pattern, expected):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "o.>", window=100)
    for number, topic in enumerate(("o.x.a", "o.x.b", "o.y.a", "o.y.b"), 1):
        publish(publisher, topic, number)
    publish(publisher, "p.x.b", 9)
    taken(member, 4)
    asker.begin(filter=pattern)
    assert sorted(taken(member, len(expected))) == again(*expected)
    assert asker.over().acknowledged == len(expected)
    member.silent()


def test_equal_keys_keep_their_order_in_a_replay_too(router, shards):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    members = [Member(made, "k", group=True, window=20) for _ in range(2)]
    publisher.send_bytes(b"".join(keyed("k", n, "ab"[n % 2]) for n in range(20)))
    assert publisher.settle(20) == {}

    def rounds():
        order = []
        while len(order) < 20:
            for member in members:
                while (frame := member.next(0.05)) is not None:
                    order.append((wire.read_number(frame.event), member.context.replay))
                    member.ack(member.context.delivery)
                    member.context.delivery += 1
        return order

    rounds()
    asker.begin()
    order = rounds()
    assert all(replay for _, replay in order)
    for key in range(2):
        assert [n for n, _ in order if n % 2 == key] == list(range(key, 20, 2))
    assert asker.over().acknowledged == 20


def test_a_mailbox_is_replayed_to_its_receiver_and_holds_no_more_for_that(router, shards):
    made = router(shards=shards)
    sender, asker = made.client(ack=ROUTED), Asker(made)
    receiver = Member(made, name="@crm", capacity=3)
    for n in range(5):
        assert publish(sender, "@crm", n) == {}
        assert taken(receiver, 1) == live(n)
        receiver.silent()
    asker.begin(queue="@crm")
    assert taken(receiver, 5, ack=False) == again(*range(5))
    assert publish(sender, "@crm", 5, 6, 7) == {}
    assert list(publish(sender, "@crm", 8)) == [9], "it holds what was sent, and not what is replayed"
    assert taken(receiver, 3) == live(5, 6, 7)
    receiver.ack(receiver.context.delivery - 1, THROUGH)
    receiver.ack(10, THROUGH)
    assert asker.over().acknowledged == 5


def test_what_is_refused_or_fails_too_often_becomes_a_dead_letter_and_is_counted(router):
    made = router(shards=2)
    publisher, asker, reader = made.client(ack=ROUTED), Asker(made), made.client()
    reader.subscribe("$dlq.>")
    member = Member(made, "a", attempts=2, backoff_ms=1, window=10)
    publish(publisher, "a", 1, 2, 3)
    taken(member, 3)
    asker.begin()
    assert taken(member, 3, ack=False) == again(1, 2, 3)
    member.ack(4)
    member.ack(5, REFUSE, reason="still no such customer")
    member.ack(6, 2)  # retry
    assert member.event() == (3, 7, 2) and member.context.replay
    member.ack(7, 2)
    over = asker.over()
    assert (over.delivered, over.acknowledged, over.failed) == (3, 1, 2)
    letters = [ce.CloudEvent.FromString(event.event) for event in reader.events(2)]
    assert [letter.attributes["stage"].ce_string for letter in letters] == ["refused", "attempts"]
    member.silent()


def test_who_leaves_hands_on_what_was_replayed_and_a_replay_waits_for_members(router, shards):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=4)
    publish(publisher, "a", 1, 2, 3)
    taken(member, 3)
    member.client.send(unsubscribe=pb.Unsubscribe(id=1))
    member.next()
    assert asker.refused() == (pb.ERROR_CODE_UNAVAILABLE, "replay.wait")
    assert asker.begin(wait=True).waiting
    assert member.join("work", window=4).WhichOneof("body") == "subscribed"
    assert taken(member, 2, ack=False) == again(1, 2)
    member.close()
    while not (told := asker.client.expect("replayed")).waiting:
        assert not told.over
    second = Member(made, window=4)
    found = [second.event() for _ in range(2)]
    assert [(number, attempt) for number, _, attempt in found] == [(1, 2), (2, 2)] and second.context.replay
    second.ack(2, THROUGH)
    assert taken(second, 1) == again(3)
    over = asker.over()
    assert (over.delivered, over.acknowledged) == (3, 3)


def test_what_can_not_be_is_refused_and_the_connection_goes_on(router, shards):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a.>", window=10)
    publish(publisher, "a.b", 1)
    taken(member, 1)
    invalid, unavailable = pb.ERROR_CODE_INVALID, pb.ERROR_CODE_UNAVAILABLE
    nan, infinite = struct.unpack("<2d", struct.pack("<2Q", 0x7FF8 << 48, 0x7FF0 << 48))
    future = time.time_ns() + 3600 * 10 ** 9
    sequence = sequences(made, "a.b")[1]
    for wrong, field in [
        (dict(id=0), "id"), (dict(queue=""), "queue"), (dict(queue="nobody"), "queue"), (dict(queue="@nobody"), "queue"),
        (dict(queue="x" * 300), "queue"), (dict(queue="@" + "x" * 300), "queue"), (dict(filter="a..b"), "filter"),
        (dict(filter="b.>"), "filter"), (dict(filter="$dlq.work"), "filter"), (dict(gone=7), "gone"), (dict(rate=-1), "rate"),
        (dict(rate=nan), "rate"), (dict(rate=infinite), "rate"), (dict(rate=1e-9), "rate"),
        (dict(start=pb.Start(last_per_topic=True)), "start"), (dict(start=pb.Start()), "start"),
        (dict(start=pb.Start(sequence=0)), "start"), (dict(start=pb.Start(sequence=sequence)), "start"),
        (dict(start=pb.Start(sequence=sequence + 1000), filter="a.b"), "start"),
        (dict(start=pb.Start(time_ns=future)), "start"), (dict(start=pb.Start(time_ns=5), to_time_ns=5), "to_time_ns"),
    ]:
        assert asker.refused(**wrong) == (invalid, f"replay.{field}"), wrong
    member.client.send(replay=pb.Replay(id=1, queue="work"))
    assert member.next().error.field == "replay.id", "it is the id of its subscription"
    publish(publisher, "a.b", 2)
    assert taken(member, 1) == live(2)
    asker.begin(start=pb.Start(sequence=sequence), filter="a.b")
    assert asker.refused(id=2) == (unavailable, "replay.queue"), "one at a time"
    assert asker.refused() == (invalid, "replay.id")
    asker.client.send(subscribe=pb.Subscribe(id=1, patterns=["x"]))
    assert asker.client.expect("error").field == "subscribe.id"
    asker.client.send(ack=pb.Ack(subscription=1, delivery=1))
    assert asker.client.expect("error").field == "ack.subscription"
    assert taken(member, 2) == again(1, 2)
    assert asker.over().acknowledged == 2


@pytest.mark.parametrize("how", ["unsubscribe", "close", "reset"])
def test_a_replay_ends_with_whoever_has_asked_for_it(router, shards, how):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=4)
    for n in range(5):
        publish(publisher, "a", 2 * n, 2 * n + 1)
        taken(member, 2)
    asker.begin(rate=1000)
    assert taken(member, 2, ack=False) == again(0, 1)
    if how == "unsubscribe":
        asker.client.send(unsubscribe=pb.Unsubscribe(id=1))
        while not (last := asker.client.expect("replayed")).over:
            pass
        assert last.left >= 8 and last.delivered == 2
        assert asker.client.round_trip() == []
    else:
        getattr(asker.client, how)()
    made.await_metric("roundhouse_replays", lambda n: n == 0)
    member.ack(11)
    member.ack(12, 2)  # what it puts back is forgotten, too
    publish(publisher, "a", 10)
    assert taken(member, 1) == live(10)
    member.silent()
    next_one = Asker(made)
    next_one.begin()
    assert taken(member, 11) == again(*range(11))
    assert next_one.over().acknowledged == 11


def test_a_queue_that_goes_ends_its_replay(router, shards):
    made = router(shards=shards)
    sender, asker = made.client(ack=ROUTED), Asker(made)
    receiver = Member(made, name="@inbox-1", ephemeral=True)
    publish(sender, "@inbox-1", 1)
    taken(receiver, 1)
    asker.begin(queue="@inbox-1")
    assert taken(receiver, 1, ack=False) == again(1)
    receiver.close()
    while (frame := asker.client.next()).WhichOneof("body") == "replayed":
        assert not frame.replayed.over
    assert (frame.error.code, frame.error.field, frame.error.subscription) == (pb.ERROR_CODE_UNAVAILABLE, "replay.queue", 1)
    assert asker.client.round_trip() == []


def test_a_queue_that_is_removed_ends_its_replay(router, shards):
    made = router(shards=shards)
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=4)
    publish(publisher, "a", 1, 2, 3)
    taken(member, 3)
    asker.begin(rate=1)
    assert taken(member, 1) == again(1)
    publisher.send(unsubscribe=pb.Unsubscribe(id=9, remove="work", take_over=True))
    assert publisher.expect("unsubscribed").id == 9
    while (frame := asker.client.next()).WhichOneof("body") == "replayed":
        assert not frame.replayed.over
    assert (frame.error.code, frame.error.field, frame.error.subscription) == (pb.ERROR_CODE_UNAVAILABLE, "replay.queue", 1)
    assert asker.refused() == (pb.ERROR_CODE_INVALID, "replay.queue")
    assert made.metric("roundhouse_replays") == 0


def test_what_the_ring_has_lost_is_counted_or_refuses_it(router):
    made = router(shards=1, config_text="logs: { data: 1MiB }\nlimits: { frame: 65KiB }\n")
    publisher, asker = made.client(ack=ROUTED), Asker(made)
    member = Member(made, "a", window=200)
    sent = time.time_ns()
    publish(publisher, "a", 0)
    first = sequences(made, "a")[0]
    for n in range(1, 101):
        publisher.send_bytes(wire.numbered("a", n, 30_000))
    publisher.sent += 100
    assert publisher.settle(publisher.sent) == {}
    for n in range(101):
        frame = member.next()
        assert wire.read_number(frame.event, 30_000 if n else 0) == n
    member.ack(101, THROUGH)
    member.silent()
    for start in (pb.Start(sequence=first), pb.Start(time_ns=sent)):
        begun = asker.begin(start=start)
        numbers = []
        while not numbers or numbers[-1] < 100:
            frame = member.next()
            assert member.context.replay
            member.context.delivery += 1
            numbers.append(wire.read_number(frame.event, 30_000))
        member.ack(member.context.delivery - 1, THROUGH)
        over = asker.over()
        assert numbers == list(range(numbers[0], 101)) and over.missing == numbers[0] > 0, begun
        assert asker.begin(start=start, gone=pb.GONE_POLICY_REFUSE)
        error = asker.client.expect("error")
        assert (error.code, error.field, error.subscription) == (pb.ERROR_CODE_INVALID, "replay.gone", 1)
    member.silent()


def test_behind_the_ring_and_across_a_restart_it_comes_from_the_journal(journalled):
    made, count, size = journalled(), 6000, 1000
    publisher, member = made.client(ack=DISK), Durable(made, "t.>", window=500)
    for n in range(count):
        publisher.send_bytes(wire.numbered(f"t.{n % 7}", n, size))
    assert publisher.settle(count) == {}

    def read(some, replay):
        numbers = []
        while len(numbers) < count:
            numbers.append(wire.read_number(some.next().event, size))
            assert some.context.replay == replay and some.context.attempt == 1
            some.context.delivery += 1
            if len(numbers) % 100 == 0:
                some.ack(some.context.delivery - 1, THROUGH)
        assert sorted(numbers) == list(range(count))
        for topic in range(7):
            assert [n for n in numbers if n % 7 == topic] == list(range(topic, count, 7))

    read(member, False)
    before = made.metric("roundhouse_history_bytes_total")
    asker = Asker(made)
    asker.begin()
    read(member, True)
    over = asker.over()
    assert (over.delivered, over.acknowledged, over.missing) == (count, count, 0)
    assert made.metric("roundhouse_history_bytes_total") > before + (1 << 19), "most of it is no longer in the rings"
    saved(made)
    made.signal(signal.SIGKILL)
    made.wait()
    made = journalled()
    member, asker = Durable(made, window=500), Asker(made)
    asker.begin()
    read(member, True)
    over = asker.over()
    assert (over.delivered, over.acknowledged, over.missing) == (count, count, 0)
    member.silent()


def test_what_the_journal_has_given_up_is_counted(journalled):
    made, size = journalled(keep=", retain_bytes: 4MiB"), 1000
    publisher, member, asker = made.client(ack=DISK), Durable(made, "t", window=1000), Asker(made)
    count = 0
    while made.metric("roundhouse_journal_trimmed_total") == 0:
        publisher.send_bytes(b"".join(wire.numbered("t", n, size) for n in range(count, count + 500)))
        count += 500
        assert publisher.settle(count) == {}
        for _ in range(500):
            member.next()
            member.context.delivery += 1
        member.ack(member.context.delivery - 1, THROUGH)
        assert count < 50_000
    member.silent()
    asker.begin(start=pb.Start(sequence=(1 << 48) + 1), filter="t")
    numbers = []
    while not numbers or numbers[-1] < count - 1:
        numbers.append(wire.read_number(member.next().event, size))
        assert member.context.replay
        member.context.delivery += 1
        member.ack(member.context.delivery - 1)
    over = asker.over()
    assert numbers == sorted(set(numbers)) and numbers[0] > 0
    assert over.missing >= count - len(numbers), "what is given up meanwhile, too; states of queues lie between the events"
    assert over.delivered == over.acknowledged == len(numbers)


@pytest.mark.slow
def test_a_million_events_to_a_slow_member_take_no_memory_and_hold_up_nobody(router, tmp_path):
    """The member acknowledges one at a time, a few in all; what is new goes on, to it and to others."""
    made = router(shards=2, config_text="logs: { data: 16MiB }\njournal: { logs: 2 }\n", arguments=["--journal", str(tmp_path / "journal")])
    total = 1_000_000 if not SANITIZED else 50_000
    block = b"".join(wire.numbered(f"m.{n % 10}", n) for n in range(1000))
    with made.client(ack=DISK) as publisher:
        for sent in range(0, total, 1000):
            publisher.send_bytes(block)
            if sent % 100_000 == 0:
                publisher.settle(sent + 1000)
        assert publisher.settle(total) == {}
    member, asker, other, publisher = Durable(made, "m.>", window=64), Asker(made), made.client(), made.client(ack=DISK)
    other.subscribe("m.>")
    # The queue is new, so it stands behind all of them: a replay is how it gets them.
    before = made.memory()
    begun = asker.begin()
    assert begun.delivered == 0
    held = taken(member, 32, ack=False)
    assert all(replay for _, replay in held)
    for n in range(2000):
        publisher.send_bytes(wire.numbered("m.0", n))
    assert publisher.settle(2000) == {}
    assert [wire.read_number(event) for event in other.events(2000)] == list(range(2000))
    new, replays = [], 0
    while len(new) < 2000:
        number, delivery, _ = member.event()
        if member.context.replay:
            replays += 1
        else:
            new.append(number)
        member.ack(delivery)
    assert new == list(range(2000)), "what is new is not held up by what is old, and keeps its order"
    told = asker.client.expect("replayed")
    while made.metric("roundhouse_replayed_total") > told.delivered:
        told = asker.client.expect("replayed")
    assert not told.over and told.left > total - 32 - 64 - 2000 - replays
    assert made.memory() - before < 48 << 20
    asker.client.close()
    made.await_metric("roundhouse_replays", lambda n: n == 0)


@pytest.mark.parametrize("language", ["python", "c"])
def test_a_consumer_that_knows_nothing_of_replays_handles_them_as_any_delivery(router, run, begun, program, language):
    made = router(shards=2)
    arguments = ["--volatile", made.address, "q", 6, "a"]
    if language == "python":
        consumer = program("subscribed\n", "consume.py", *arguments)
    else:
        consumer = begun("subscribed\n", os.path.join(BUILD, "examples", "consume"), *arguments)
    with made.client(ack=ROUTED) as publisher:
        publisher.send_bytes(b"".join(wire.event_frame("a", wire.cloud_event(str(n), id=str(n))) for n in range(3)))
        assert publisher.settle(3) == {}
    lines = [consumer.stdout.readline() for _ in range(3)]
    assert language == "c" or lines == [f"a {n}\n" for n in range(3)]
    done = run("replay", "--server", made.address, "--to", "q")
    assert (done.returncode, done.stdout) == (0, "replayed to q: 3 delivered, 3 acknowledged\n"), done.stderr
    out, errors = consumer.communicate(timeout=wire.WAIT_SECONDS)
    assert consumer.returncode == 0 and out == "".join(lines), errors


# --- The command ---


def volatile_queue(made, spawn, *arguments, count=5):
    """A `sub` that is a member of the queue q, and has got 0 to count - 1."""
    member = Command(spawn, made, "sub", "--queue", "q", VOLATILE, "--format", "raw", *arguments, "a.>", says="subscribed")
    with made.client(ack=ROUTED) as publisher:
        for n in range(count):
            publisher.send_bytes(wire.event_frame(f"a.{n}", wire.cloud_event(str(n), id=str(n))))
        assert publisher.settle(count) == {}
    assert sorted(int(member.process.stdout.readline()) for _ in range(count)) == list(range(count))
    return member


def test_the_command_replays_and_says_what_became_of_it(router, run, spawn):
    made = router(shards=2)
    member = volatile_queue(made, spawn)
    done = run("replay", "--server", made.address, "--to", "q")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "replayed to q: 5 delivered, 5 acknowledged\n"
    assert done.stderr == "replay to q has begun\n"
    assert sorted(int(member.process.stdout.readline()) for _ in range(5)) == list(range(5))
    for arguments, count in [(["--from", "-1h", "--to-time", "-1ms", "--rate", "100000"], 5), (["--filter", "a.3"], 1),
                             (["--from", "-1h", "--to-time", "-30m"], 0)]:
        done = run("replay", "--server", made.address, "--to", "q", *arguments)
        assert (done.returncode, done.stdout) == (0, f"replayed to q: {count} delivered, {count} acknowledged\n"), done.stderr
    member.stop()


def test_the_command_ends_with_65_when_something_was_refused(router, run, spawn):
    made = router(shards=2)
    member = volatile_queue(made, spawn)
    member.stop()
    done = run("replay", "--server", made.address, "--to", "q")
    assert done.returncode == 65 and "--wait" in done.stderr and done.stdout == ""
    assert run("replay", "--server", made.address, "--to", "nobody").returncode == 65
    waiting = Command(spawn, made, "replay", "--to", "q", "--wait", says="waiting for one")
    consumer = Command(spawn, made, "sub", "--queue", "q", VOLATILE, "--exec", 'test "$(cat)" = 3 && exit 65; exit 0',
                       "--format", "raw", says="subscribed")
    assert waiting.rest(65) == b"replayed to q: 5 delivered, 4 acknowledged, 1 failed: dead letters now\n"
    consumer.stop()


def test_ctrl_c_ends_the_replay(router, spawn):
    made = router(shards=2)
    member = volatile_queue(made, spawn)
    replay = Command(spawn, made, "replay", "--to", "q", "--rate", "0.001", says="has begun")
    assert int(member.process.stdout.readline()) in range(5)
    made.await_metric("roundhouse_replayed_total", lambda n: n == 1)
    replay.process.send_signal(signal.SIGINT)
    out = replay.rest(-signal.SIGINT)
    assert out in (b"ended early to q: 1 delivered, %d acknowledged, at most %d left\n" % (n, 5 - n) for n in (0, 1))
    made.await_metric("roundhouse_replays", lambda n: n == 0)
    assert member.stop() == b""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_says_that_a_replay_ends_with_the_router(router, spawn, how):
    made = router(shards=2)
    member = volatile_queue(made, spawn)
    replay = Command(spawn, made, "replay", "--to", "q", "--rate", "0.001", says="has begun")
    made.signal(how)
    made.wait()
    out = replay.rest(69)
    assert out.startswith(b"ended early to q: ") and b"a replay ends with its connection" in replay.said
    member.process.terminate()


@pytest.mark.parametrize("arguments, said", [
    ([], "--to NAME is missing"), (["--to", "q", "x"], "one argument too many"), (["--to", "q", "--from", "live"], "--from"),
    (["--to", "q", "--from", "last"], "--from"), (["--to", "q", "--from", "x"], "--from"), (["--to", "q", "--to-time", "7"], "--to-time"),
    (["--to", "q", "--rate", "0"], "--rate"), (["--to", "q", "--rate", "0.0001"], "--rate"), (["--to", "q", "--filter", "a..b"], "--filter"),
    (["--to", "q", "--gone", "x"], "--gone"), (["--to", "q", "--from", "-1m", "--to-time", "-2m"], "--to-time"),
    (["--to", "q", "--what"], "--what"),
])
def test_mistakes_on_the_command_line_are_told(run, arguments, said):
    done = run("replay", *arguments)
    assert done.returncode == 64 and said in done.stderr and done.stdout == ""
