"""Durable queues: subscriptions, groups and mailboxes that outlive the router, however it ends."""

import signal
import time

import pytest

import wire
from queue_test import DONE, REFUSE, THROUGH, Member, publish
from wire import ce, pb

DISK = pb.ACK_LEVEL_DISK
SMALL = "logs: { data: 8MiB }\njournal: { segment: 1MiB, logs: 2 }\n"


class Durable(Member):
    def join(self, name, *patterns, **queue):
        queue.setdefault("volatile", False)
        return super().join(name, *patterns, **queue)


@pytest.fixture
def journalled(router, tmp_path):
    def start(shards=2, config_text=SMALL):
        return router(shards=shards, config_text=config_text, arguments=["--journal", str(tmp_path / "journal")])

    return start


def killed(made):
    made.signal(signal.SIGKILL)
    assert made.wait() == -signal.SIGKILL


def saved(made):
    """What members have said until now is in the journal: some more states are written behind it."""
    states = made.metric("roundhouse_queue_states_total")
    made.await_metric("roundhouse_queue_states_total", lambda n: n > states)
    time.sleep(0.3)  # that of the same queue, and its group commit


def test_a_durable_subscription_outlives_kills_and_other_numbers_of_shards(journalled):
    made = journalled(shards=2)
    publisher = made.client(ack=DISK)
    member = Durable(made, "order.>", window=100)
    topics = [f"order.{n}" for n in range(6)]
    for topic in topics:
        assert publish(publisher, topic, 1, 2) == {}
    got = member.events(12)
    member.ack(8, THROUGH)
    member.client.round_trip()
    saved(made)
    killed(made)
    for shards in (1, 4, 3):
        made = journalled(shards=shards)
        assert made.metric("roundhouse_queues_durable") == 1
        again = Durable(made, window=100)  # it is known, patterns need not be said again
        assert sorted(number for number, _, _ in again.events(4)) == sorted(number for number, _, _ in got[8:])
        again.silent()
        killed(made)
    made = journalled(shards=2)
    publisher = made.client(ack=DISK)
    for topic in topics:
        assert publish(publisher, topic, 3) == {}
    again = Durable(made, window=100)
    assert sorted(number for number, _, _ in again.events(10)) == sorted([n for n, _, _ in got[8:]] + [3] * 6)
    again.ack(10, THROUGH)
    again.client.round_trip()
    made.stop()
    made = journalled(shards=2)
    again = Durable(made, window=100)
    again.silent()  # a clean stop forgets nothing that was acknowledged


def test_attempts_and_holes_are_remembered(journalled):
    made = journalled()
    publisher = made.client(ack=DISK)
    member = Durable(made, "a", window=100)
    assert publish(publisher, "a", *range(10)) == {}
    got = {number: delivery for number, delivery, _ in member.events(10)}
    for number in (1, 2, 5, 9):
        member.ack(got[number])
    member.client.round_trip()
    saved(made)
    killed(made)
    again = Durable(journalled(), window=100)
    assert [(number, attempt) for number, _, attempt in again.events(6)] == [(n, 2) for n in (0, 3, 4, 6, 7, 8)]
    again.silent()


def test_a_mailbox_of_a_system_that_is_away(journalled):
    made = journalled()
    sender = made.client(ack=DISK)
    assert publish(sender, "@crm", 0)[1].code == pb.ERROR_CODE_INVALID
    receiver = Durable(made, name="@crm", capacity=5)
    assert publish(sender, "@crm", 1) == {} and receiver.event() == (1, 1, 1)
    receiver.ack(1)
    receiver.client.round_trip()
    saved(made)
    receiver.close()
    assert publish(sender, "@crm", 2, 3, 4) == {}
    killed(made)
    made = journalled(shards=3)
    sender = made.client(ack=DISK)
    assert publish(sender, "@crm", 5, 6) == {}, "it is known, and has room for two"
    full = publish(sender, "@crm", 7)
    assert [(n, e.code) for n, e in full.items()] == [(3, pb.ERROR_CODE_EXHAUSTED)]
    killed(made)
    made = journalled(shards=1)
    sender = made.client(ack=DISK)
    assert list(publish(sender, "@crm", 8)) == [1], "it is still full"
    receiver = Durable(made, name="@crm")
    assert [number for number, _, _ in receiver.events(5)] == [2, 3, 4, 5, 6]
    receiver.ack(2, THROUGH)
    receiver.client.round_trip()
    assert publish(sender, "@crm", 9, 10) == {}
    assert [number for number, _, _ in receiver.events(2)] == [9, 10]
    receiver.silent()


def test_a_name_that_is_held_terms_and_volatile_ones_beside_it(journalled):
    made = journalled(shards=3)
    publisher = made.client(ack=DISK)
    first = Durable(made, "a", name="mine", lease_ms=20_000)
    killed(made)
    made = journalled(shards=2)
    publisher = made.client(ack=DISK)
    first = Durable(made, name="mine")
    assert publish(publisher, "a", 1) == {} and first.event() == (1, 1, 1)
    second = Durable(made, join=False)
    assert second.join("mine", "a").error.code == pb.ERROR_CODE_UNAVAILABLE
    assert second.join("mine", "a", volatile=True).error.field == "subscribe.queue.volatile"
    assert second.join("mine", "b").error.field == "subscribe.patterns"
    assert second.join("mine", lease_ms=10_000).error.field == "subscribe.queue.lease_ms"
    assert second.join("mine", "a", take_over=True).WhichOneof("body") == "subscribed"
    assert second.event() == (1, 1, 2)
    assert first.next().error.code == pb.ERROR_CODE_UNAVAILABLE


def test_members_of_a_group_and_dead_letters_after_a_kill(journalled):
    made = journalled()
    publisher = made.client(ack=DISK)
    letters = Durable(made, "$dlq.>", name="letters", window=1000)
    members = [Durable(made, "job.>", group=True, window=50) for _ in range(2)]
    assert publish(publisher, "job.a", *range(100)) == {}
    got = [member.events(50) for member in members]
    for member, events in zip(members, got):
        member.ack(events[0][1], REFUSE, reason="no such customer")
        member.ack(events[1][1])
        member.client.round_trip()
    dead = sorted(events[0][0] for events in got)
    assert [letters.next().event.topic for _ in range(2)] == ["$dlq.work"] * 2
    saved(made)
    killed(made)
    made = journalled(shards=1)
    letters = Durable(made, name="letters", window=1000)
    found = [ce.CloudEvent.FromString(letters.next().event.event) for _ in range(2)]
    assert {event.type for event in found} == {"roundhouse.deadletter.v1"}
    assert {event.attributes["reason"].ce_string for event in found} == {"no such customer"}
    member = Durable(made, name="work", group=True, window=100)
    done = dead + [events[1][0] for events in got]
    assert sorted(number for number, _, _ in member.events(96)) == [n for n in range(100) if n not in done]
    member.silent()
    letters.silent()


def test_what_can_not_be_acknowledged_is_told_apart_also_over_a_restart(journalled):
    made = journalled()
    publisher = made.client(ack=DISK)
    first, second = [Durable(made, "a", group=True, window=1) for _ in range(2)]
    assert publish(publisher, "a", 1) == {}
    holder = first if first.next(1) is not None else second
    other = second if holder is first else first
    never = holder.refused(2)
    assert never.code == pb.ERROR_CODE_INVALID and never.field == "ack.delivery" and "delivered" in never.text
    assert other.refused(1).text == never.text, "it went to another connection"
    holder.ack(1)
    twice = holder.refused(1)
    assert twice.field == "ack.delivery" and twice.text != never.text
    saved(made)
    killed(made)
    made = journalled(shards=3)
    again = Durable(made, group=True, window=1)
    assert again.refused(1).text == never.text, "numbers of an earlier connection are nobody's"
    assert publish(made.client(ack=DISK), "a", 2) == {}
    assert again.event() == (2, 1, 1), "what was refused has changed nothing"
    again.ack(1)
    again.silent()


def test_what_only_the_journal_still_has_is_delivered(journalled):
    config = "logs: { data: 1MiB }\nlimits: { frame: 65KiB }\njournal: { segment: 1MiB, logs: 1 }\n"
    made = journalled(config_text=config)
    publisher = made.client(ack=DISK)
    member = Durable(made, "big.>", window=20)
    member.close()
    for n in range(0, 200, 20):
        publisher.send_bytes(b"".join(wire.numbered("big.a", m, 30_000) for m in range(n, n + 20)))
        publisher.sent = n + 20
        assert publisher.settle(n + 20) == {}
    for end in (100, 200):
        member = Durable(made, window=20)
        for n in range(end - 100, end):
            frame = member.next()
            assert frame.WhichOneof("body") == "event", frame
            assert wire.read_number(frame.event, 30_000) == n
            member.ack(member.context.delivery)
            member.context.delivery += 1
        member.client.round_trip()
        saved(made)
        killed(made)
        made = journalled(config_text=config)
    Durable(made, window=20).silent()


def test_states_are_written_anew_before_their_segments_go(journalled):
    config = "logs: { data: 1MiB }\nlimits: { frame: 65KiB }\njournal: { segment: 1MiB, logs: 1, retain_bytes: 2MiB }\n"
    made = journalled(config_text=config)
    sender = made.client(ack=DISK)
    away = Durable(made, name="@away")
    away.close()
    held = Durable(made, "never", name="idle")
    sent = 0
    for _ in range(40):
        sender.send_bytes(b"".join(wire.numbered("bulk", n, 30_000) for n in range(10)))
        sent += 10
        assert sender.settle(sent) == {}
    made.await_metric("roundhouse_journal_trimmed_total", lambda n: n >= 3)
    held.silent()
    killed(made)
    made = journalled(config_text=config)
    made.await_metric("roundhouse_queues_durable", lambda n: n == 2)
    assert publish(made.client(ack=DISK), "@away", 1) == {}
    idle = Durable(made, name="idle")
    idle.silent()  # no Gap: it had seen everything
    assert Durable(made, name="@away").event() == (1, 1, 1)


@pytest.mark.parametrize("field, more", [
    ("subscribe.start", dict(start=pb.Start(time_ns=1))),
    ("subscribe.start", dict(start=pb.Start(last_per_topic=True))),
    ("subscribe.policy", dict(policy=pb.SLOW_POLICY_BLOCK)),
    ("subscribe.policy", dict(policy=pb.SLOW_POLICY_SKIP)),
    ("subscribe.gone", dict(gone=pb.GONE_POLICY_REFUSE)),
])
def test_what_can_not_be_said_with_a_queue_is_refused(journalled, field, more):
    with journalled().client() as client:
        client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], queue=pb.Queue(name="q"), **more))
        error = client.next().error
        assert error.field == field and error.code == pb.ERROR_CODE_INVALID and not error.fatal


def test_a_queue_that_is_made_may_begin_at_the_oldest_event(journalled):
    made = journalled()
    publisher = made.client(ack=DISK)
    assert publish(publisher, "a", 1, 2) == {}
    client = made.client()
    client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], queue=pb.Queue(name="q"), start=pb.Start(oldest=True)))
    assert client.next().WhichOneof("body") == "subscribed"
    frames = [client.next() for _ in range(3)]
    assert [wire.read_number(f.event) for f in frames if f.WhichOneof("body") == "event"] == [1, 2]


def test_a_mailbox_is_no_topic_to_subscribe_to(journalled):
    with journalled().client() as client:
        client.send(subscribe=pb.Subscribe(id=1, patterns=["@crm"]))
        error = client.next().error
        assert error.code == pb.ERROR_CODE_NOT_ALLOWED and "queue" in error.text and not error.fatal


def mailboxes_made(made, clients, count, volatile):
    """So many, by all clients in turn, who leave them at once; the resident bytes of each."""
    before = made.memory()
    for n in range(0, count, len(clients)):
        for i, client in enumerate(clients):
            queue = pb.Queue(name=f"@box-{n + i}", volatile=volatile)
            client.send(subscribe=pb.Subscribe(id=n + 1, queue=queue))
            client.send(unsubscribe=pb.Unsubscribe(id=n + 1))
        for client in clients:
            assert client.next().WhichOneof("body") == "subscribed"
            assert client.next().WhichOneof("body") == "unsubscribed"
    return (made.memory() - before) / count


@pytest.mark.slow
@pytest.mark.parametrize("volatile", [False, True], ids=["durable", "volatile"])
def test_ten_thousand_empty_mailboxes_take_less_than_a_kibibyte_each(router, journalled, volatile):
    made = router() if volatile else journalled(shards=1)
    bare = made.memory()
    clients = [made.client() for _ in range(100)]
    Durable(made, name="@first", volatile=volatile)
    each = mailboxes_made(made, clients, 10_000, volatile)
    print(f"{each:.0f} bytes for each mailbox")
    assert each < 1024
    assert made.metric("roundhouse_queues") == 10_001
    assert made.metric("roundhouse_queues_durable") == (0 if volatile else 10_001)
    if volatile:
        return
    killed(made)
    made = journalled(shards=1)
    again = (made.memory() - bare) / 10_000
    print(f"{again:.0f} bytes for each mailbox after a restart")
    assert made.metric("roundhouse_queues_durable") == 10_001
    assert again < 1024
