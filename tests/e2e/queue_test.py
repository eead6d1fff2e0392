"""Queues in memory: durable subscriptions over reconnects, groups, keys, mailboxes, leases, dead letters."""

import pytest

import wire
from wire import ce, pb

ROUTED = pb.ACK_LEVEL_ROUTED
DONE, THROUGH, RETRY, REFUSE, EXTEND = range(5)


class Member:
    """A connection with one subscription to a queue."""

    def __init__(self, made, *patterns, id=1, name="work", join=True, **queue):
        self.client = made.client(ack=ROUTED)
        self.id, self.context = id, None
        if join:
            answer = self.join(name, *patterns, **queue)
            assert answer.WhichOneof("body") == "subscribed", answer

    def join(self, name, *patterns, start=None, **queue):
        queue.setdefault("volatile", True)
        self.client.send(subscribe=pb.Subscribe(id=self.id, patterns=patterns, start=start, queue=pb.Queue(name=name, **queue)))
        return self.next()

    def next(self, seconds=None):
        """The next frame that is no Context; those are kept in mind."""
        while True:
            frame = self.client.next() if seconds is None else self.client.poll(seconds)
            if frame is None or frame.WhichOneof("body") != "context":
                return frame
            self.context = frame.context

    def event(self):
        """(number, delivery, attempt) of the next event, which must be the queue's."""
        frame = self.next()
        assert frame.WhichOneof("body") == "event", frame
        assert self.context.subscription == self.id
        delivery = self.context.delivery
        self.context.delivery += 1
        return wire.read_number(frame.event), delivery, self.context.attempt

    def events(self, count):
        return [self.event() for _ in range(count)]

    def ack(self, delivery, kind=DONE, **more):
        self.client.send(ack=pb.Ack(subscription=self.id, delivery=delivery, kind=kind, **more))

    def refused(self, delivery, kind=DONE, **more):
        self.ack(delivery, kind, **more)
        frame = self.next()
        assert frame.WhichOneof("body") == "error" and not frame.error.fatal, frame
        assert frame.error.subscription == self.id
        return frame.error

    def silent(self):
        """Nothing but Contexts is on its way."""
        frames = [f for f in self.client.round_trip() if f.WhichOneof("body") != "context"]
        assert frames == []

    def close(self):
        self.client.close()


def publish(publisher, topic, *numbers):
    publisher.send_bytes(b"".join(wire.numbered(topic, n) for n in numbers))
    publisher.sent = getattr(publisher, "sent", 0) + len(numbers)
    return publisher.settle(publisher.sent)


def keyed(topic, number, key):
    return wire.event_frame(topic, wire.cloud_event(wire.payload(number, 0), id=str(number), partitionkey=key))


@pytest.fixture(params=[1, 2, 4])
def shards(request):
    return request.param


def test_a_durable_subscription_goes_on_where_it_was_acknowledged(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    topics = [f"order.{n}" for n in range(6)]
    member = Member(made, "order.>", window=100)
    for topic in topics:
        publish(publisher, topic, 1, 2)
    got = member.events(12)
    assert [delivery for _, delivery, _ in got] == list(range(1, 13))
    assert {attempt for _, _, attempt in got} == {1}
    member.ack(8, THROUGH)
    member.client.round_trip()
    member.close()
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    for topic in topics:
        publish(publisher, topic, 3)
    again = Member(made, window=100)  # it is known, patterns need not be said again
    rest = again.events(4 + 6)
    assert [(number, attempt) for number, _, attempt in rest[:4]] == [(number, 2) for number, _, _ in got[8:]]
    assert [(number, attempt) for number, _, attempt in rest[4:]] == [(3, 1)] * 6
    again.ack(10, THROUGH)
    again.silent()


def test_members_of_a_group_share_the_events_and_take_over_from_one_that_leaves(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    members = [Member(made, "job", group=True, window=10) for _ in range(4)]
    publish(publisher, "job", *range(40))
    got = [member.events(10) for member in members]
    assert sorted(number for events in got for number, _, _ in events) == list(range(40))
    for member in members:
        member.silent()
    publish(publisher, "job", 40)
    members[3].silent()  # no window is left
    members[0].close()
    members[1].ack(10, THROUGH)
    numbers = [number for number, _, _ in members[1].events(10)]
    members[2].ack(1)
    rest = members[2].event()[0]
    assert sorted([*numbers, rest]) == sorted([40, *(number for number, _, _ in got[0])])
    again = [number for number in numbers if number != 40]
    assert again == sorted(again), "what the other held comes in order"


def test_a_window_is_never_exceeded_however_much_waits(router):
    made = router(shards=2)
    publisher = made.client(ack=ROUTED)
    member = Member(made, "a.>", window=3)
    publish(publisher, "a.b", *range(1000))
    seen = []
    while len(seen) < 1000:
        got = member.events(min(3, 1000 - len(seen)))
        member.silent()
        seen += [number for number, _, _ in got]
        member.ack(got[-1][1], THROUGH)
    assert seen == list(range(1000))


def test_a_window_of_zero_is_the_default_and_none_that_stands_still(router):
    made = router(shards=2)
    publisher = made.client(ack=ROUTED)
    member = Member(made, "a", window=0)
    publish(publisher, "a", *range(300))
    assert [number for number, _, _ in member.events(256)] == list(range(256))
    member.silent()
    member.ack(256, THROUGH)
    assert [number for number, _, _ in member.events(44)] == list(range(256, 300))


def test_equal_keys_come_one_after_the_other_and_a_failing_key_parks_only_itself(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    members = [Member(made, "k", group=True, window=10) for _ in range(2)]
    frames = [keyed("k", n, key) for n, key in enumerate(["a", "a", "b", "a", "b", "c"])]
    publisher.send_bytes(b"".join(frames))
    assert publisher.settle(6) == {}
    holders = {}
    for _ in range(3):
        for member in members:
            while (frame := member.next(0.2)) is not None:
                number = wire.read_number(frame.event)
                holders[number] = (member, member.context.delivery)
                member.context.delivery += 1
    assert sorted(holders) == [0, 2, 5], "the first of each key"
    member, delivery = holders[0]
    member.ack(delivery, RETRY, after_ms=3_600_000)
    member, delivery = holders[2]
    member.ack(delivery)
    found = [frame for m in members if (frame := m.next(1)) is not None]
    assert [wire.read_number(frame.event) for frame in found] == [4], "b goes on, a is parked"


def test_a_lease_that_ends_is_told_and_the_event_comes_again(router):
    made = router(shards=2)
    publisher = made.client(ack=ROUTED)
    member = Member(made, "a", lease_ms=60, backoff_ms=10, attempts=3)
    publish(publisher, "a", 7)
    assert member.event() == (7, 1, 1)
    assert member.context.lease_ms == 60
    frame = member.next()
    assert frame.lease_expired == pb.LeaseExpired(subscription=1, delivery=1)
    error = member.refused(1)
    assert error.code == pb.ERROR_CODE_INVALID and "lease" in error.text
    assert made.metric("roundhouse_queue_leases_ended_total") == 1
    assert member.event() == (7, 2, 2)
    for _ in range(4):
        assert member.next(0.03) is None
        member.ack(2, EXTEND)
    member.ack(2)
    member.silent()


def test_what_can_not_be_acknowledged_is_told_apart(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    first, second = [Member(made, "a", group=True, window=1) for _ in range(2)]
    publish(publisher, "a", 1)
    holder = first if first.next(1) is not None else second
    other = second if holder is first else first
    never = holder.refused(2)
    assert never.field == "ack.delivery" and "delivered" in never.text
    assert other.refused(1).text == never.text, "it went to another connection"
    holder.ack(1)
    twice = holder.refused(1)
    assert twice.field == "ack.delivery" and twice.text != never.text
    assert holder.refused(1, 77).field == "ack.kind"
    holder.id = 9
    stranger = holder.refused(1)
    assert stranger.field == "ack.subscription" and stranger.text not in (never.text, twice.text)


def test_a_name_that_somebody_holds_is_refused_or_taken_over(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    first = Member(made, "a", name="mine")
    publish(publisher, "a", 1)
    assert first.event() == (1, 1, 1)
    second = Member(made, join=False)
    error = second.join("mine", "a").error
    assert error.code == pb.ERROR_CODE_UNAVAILABLE and "take_over" in error.text and not error.fatal
    assert second.join("mine", "a", take_over=True).WhichOneof("body") == "subscribed"
    assert second.event() == (1, 1, 2)
    lost = first.next().error
    assert lost.code == pb.ERROR_CODE_UNAVAILABLE and lost.subscription == 1
    assert first.next().unsubscribed.id == 1
    assert first.refused(1).field == "ack.subscription"
    second.ack(1)
    second.silent()


def test_a_queue_may_begin_with_the_oldest_event_when_it_is_made(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    for topic in ("o.a", "o.b", "o.c"):
        publish(publisher, topic, 1, 2)
    member = Member(made, "o.>", name="old", start=pb.Start(oldest=True))
    assert sorted(number for number, _, _ in member.events(6)) == [1, 1, 1, 2, 2, 2]
    publish(publisher, "o.a", 3)
    assert member.event()[0] == 3
    member.ack(7, THROUGH)
    member.client.round_trip()
    member.close()
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    again = Member(made, name="old", start=pb.Start(oldest=True))
    again.silent()
    late = Member(made, "o.>", name="live")
    late.silent()
    other = Member(made, join=False)
    for start in (pb.Start(sequence=1), pb.Start(time_ns=1), pb.Start(last_per_topic=True)):
        assert other.join("new", "o.>", start=start).error.field == "subscribe.start"


@pytest.mark.parametrize("queue, field", [
    (dict(name="no name"), "subscribe.queue.name"),
    (dict(name="x", volatile=False), "subscribe.queue.volatile"),
    (dict(name="x", lease_ms=1), "subscribe.queue.lease_ms"),
    (dict(name="x", lease_ms=2 ** 63), "subscribe.queue.lease_ms"),
    (dict(name="x", attempts=1001), "subscribe.queue.attempts"),
    (dict(name="x", window=10_000), "subscribe.queue.window"),
    (dict(name="x", key="Not"), "subscribe.queue.key"),
    (dict(name="x", capacity=5), "subscribe.queue.capacity"),
    (dict(name="x", dead_letter="a"), "subscribe.queue.dead_letter"),
    (dict(name="@x"), "subscribe.patterns"),
])
def test_bad_terms_are_refused_and_the_connection_goes_on(router, queue, field):
    made = router(shards=2)
    member = Member(made, join=False)
    terms = dict(queue)
    error = member.join(terms.pop("name"), "a", **terms).error
    assert error.field == field and error.text and not error.fatal and error.subscription == 1
    assert member.join("good", "a").WhichOneof("body") == "subscribed"


def test_an_existing_queue_is_joined_on_its_terms_only(router):
    made = router(shards=2)
    Member(made, "a", group=True, name="g", attempts=7)
    other = Member(made, join=False)
    for queue, field in [(dict(), "group"), (dict(group=True, attempts=8), "attempts"),
                         (dict(group=True, key="other"), "key")]:
        assert other.join("g", "a", **queue).error.field == f"subscribe.queue.{field}"
    assert other.join("g", "b", group=True).error.field == "subscribe.patterns"
    assert other.join("unknown").error.field == "subscribe.patterns", "nothing to make it of"
    assert other.join("g", "a", group=True, attempts=7).WhichOneof("body") == "subscribed"
    other.client.send(subscribe=pb.Subscribe(id=1, patterns=["x"]))
    assert other.next().error.field == "subscribe.id"


def test_behind_unsubscribe_nothing_comes_and_the_queue_stays(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    member = Member(made, "a")
    publish(publisher, "a", 1)
    assert member.event() == (1, 1, 1)
    member.client.send(unsubscribe=pb.Unsubscribe(id=1))
    assert member.next().unsubscribed.id == 1
    publish(publisher, "a", 2)
    member.silent()
    assert member.join("work").WhichOneof("body") == "subscribed"
    assert member.events(2) == [(1, 1, 2), (2, 2, 1)]


def test_other_subscriptions_of_the_connection_are_told_apart_by_the_context(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    member = Member(made, "q.>", id=5)
    member.client.send(subscribe=pb.Subscribe(id=6, patterns=["p.>"]))
    assert member.next().subscribed.id == 6
    for n in range(200):
        publish(publisher, "q.a" if n % 3 else "p.a", n)
    found = {5: [], 0: []}
    while sum(map(len, found.values())) < 200:
        frame = member.next()
        number = wire.read_number(frame.event)
        whose = member.context.subscription if member.context else 0
        assert frame.event.topic == ("q.a" if whose == 5 else "p.a")
        found[whose].append(number)
    assert found == {5: [n for n in range(200) if n % 3], 0: list(range(0, 200, 3))}


def test_refused_and_failed_events_become_dead_letters_with_their_bytes(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    reader = made.client()
    reader.subscribe("$dlq.>", "alarm")
    member = Member(made, "a", attempts=2, backoff_ms=1)
    publish(publisher, "a", 1, 2)
    assert member.events(2) == [(1, 1, 1), (2, 2, 1)]
    member.ack(1, REFUSE, reason="no such customer")
    letter = reader.expect("event")
    assert letter.topic == "$dlq.work"
    event = ce.CloudEvent.FromString(letter.event)
    assert event.type == "roundhouse.deadletter.v1" and event.spec_version == "1.0"
    assert event.binary_data == wire.cloud_event(wire.payload(1, 0), id="1")
    words = {name: value.ce_string for name, value in event.attributes.items() if value.WhichOneof("attr") == "ce_string"}
    assert words["reason"] == "no such customer" and words["stage"] == "refused"
    assert words["queue"] == "work" and words["topic"] == "a" and int(words["sequence"]) > 0
    assert event.attributes["attempts"].ce_integer == 1
    assert event.attributes["firsttime"].HasField("ce_timestamp") and event.attributes["lasttime"].HasField("ce_timestamp")
    member.ack(2, RETRY)
    assert member.event() == (2, 3, 2)
    member.ack(3, RETRY, reason="again")
    event = ce.CloudEvent.FromString(reader.expect("event").event)
    assert event.attributes["stage"].ce_string == "attempts" and event.attributes["attempts"].ce_integer == 2
    assert event.id != ""
    member.silent()
    made.await_metric("roundhouse_dead_letters_total", lambda count: count == 2)


def test_a_mailbox_holds_what_its_receiver_has_not_got_and_is_bounded(router, shards):
    made = router(shards=shards)
    sender = made.client(ack=ROUTED)
    unknown = publish(sender, "@crm", 0)[1]
    assert unknown.code == pb.ERROR_CODE_INVALID and unknown.field == "topic" and "mailbox" in unknown.text
    receiver = Member(made, name="@crm", capacity=5)
    assert publish(sender, "@crm", 1) == {}
    assert receiver.event() == (1, 1, 1)
    receiver.ack(1)
    receiver.client.round_trip()
    receiver.close()
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    assert publish(sender, "@crm", 2, 3, 4, 5, 6) == {}, "it holds five while the receiver is away"
    full = publish(sender, "@crm", 7)
    assert [(n, e.code, e.field) for n, e in full.items()] == [(8, pb.ERROR_CODE_EXHAUSTED, "topic")]
    assert "capacity" in full[8].text
    assert made.metric("roundhouse_mailbox_full_total") == 1, "who is unknown is not full"
    receiver = Member(made, name="@crm")
    assert [number for number, _, _ in receiver.events(5)] == [2, 3, 4, 5, 6]
    receiver.ack(2, THROUGH)
    receiver.client.round_trip()
    assert publish(sender, "@crm", 8, 9) == {}
    assert list(publish(sender, "@crm", 10)) == [11]
    assert [number for number, _, _ in receiver.events(2)] == [8, 9]
    other = Member(made, join=False)
    assert other.join("@crm").error.code == pb.ERROR_CODE_UNAVAILABLE


def test_an_ephemeral_mailbox_goes_with_its_connection(router, shards):
    made = router(shards=shards)
    sender = made.client(ack=ROUTED)
    receiver = Member(made, name="@inbox-1", ephemeral=True)
    assert publish(sender, "@inbox-1", 1) == {}
    assert receiver.event() == (1, 1, 1)
    receiver.close()
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    late = publish(sender, "@inbox-1", 2)
    assert late[2].code == pb.ERROR_CODE_UNAVAILABLE and "gone" in late[2].text


def test_what_a_volatile_queue_has_lost_is_told_by_a_gap(router):
    made = router(shards=1, config_text="logs: { data: 1MiB }\nlimits: { frame: 65KiB }\n")
    publisher = made.client(ack=ROUTED)
    member = Member(made, "a", window=1)
    publish(publisher, "a", 1)
    assert member.event() == (1, 1, 1)
    member.client.send(unsubscribe=pb.Unsubscribe(id=1))
    assert member.next().unsubscribed.id == 1
    for n in range(2, 102):
        publisher.send_bytes(wire.numbered("a", n, 30_000))
    publisher.sent += 100
    assert publisher.settle(publisher.sent) == {}
    assert member.join("work", window=8).WhichOneof("body") == "subscribed"
    lost, numbers = 0, []
    while not numbers or numbers[-1] < 101:
        frame = member.next()
        if frame.WhichOneof("body") == "gap":
            assert member.context.subscription == 1 and frame.gap.reason == pb.Gap.REASON_EXPIRED
            lost += frame.gap.to - frame.gap.__getattribute__("from") + 1
            continue
        numbers.append(wire.read_number(frame.event, 30_000))
        member.ack(member.context.delivery, THROUGH)
        member.context.delivery += 1
    assert numbers == list(range(numbers[0], 102)) and lost == numbers[0] - 1


def test_a_member_that_does_not_read_holds_up_nobody(router):
    made = router(shards=2)
    publisher = made.client(ack=ROUTED)
    slow = Member(made, "a", group=True, window=50)
    quick = Member(made, "a", group=True, window=50)
    for n in range(400):
        publisher.send_bytes(wire.numbered("a", n, 20_000))
    assert publisher.settle(400) == {}
    for _ in range(300):
        frame = quick.next()
        wire.read_number(frame.event, 20_000)
        quick.ack(quick.context.delivery)
        quick.context.delivery += 1
    slow.close()


def test_beside_a_journal_queues_read_the_disk_logs_and_forget_what_has_expired(router, shards, tmp_path):
    made = router(shards=shards, arguments=["--journal", str(tmp_path / "journal")])
    sender = made.client(ack=pb.ACK_LEVEL_DISK)
    box = Member(made, name="@crm", capacity=3, window=1)
    durable = Member(made, join=False)
    assert durable.join("work", "order.>").WhichOneof("body") == "subscribed"
    assert publish(sender, "order.a", 1, 2) == {} and durable.events(2) == [(1, 1, 1), (2, 2, 1)]
    assert publish(sender, "@crm", 3) == {} and box.event() == (3, 1, 1)
    late = wire.cloud_event(wire.payload(4, 0), id="4", expirytime="2020-01-01T00:00:00Z")
    box.ack(1)
    for _ in range(4):  # never more than three that are not done; those over in time take no room once they are passed
        sender.publish("@crm", late)
        sender.sent += 1
        exceptions = sender.settle(sender.sent)
        assert {e.code for e in exceptions.values()} <= {pb.ERROR_CODE_EXHAUSTED}
        box.client.round_trip()
    assert publish(sender, "@crm", 5) == {}
    assert box.event()[0] == 5
