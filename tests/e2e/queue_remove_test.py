"""Ending a queue for good: what goes with it, who is told, and that no crash brings it back."""

import pytest

import wire
from durable_test import DISK, Durable, journalled, killed  # noqa: F401 (a fixture)
from queue_test import REFUSE, ROUTED, Member, publish
from wire import pb

SMALL = "logs: { data: 1MiB }\nlimits: { frame: 65KiB }\njournal: { segment: 1MiB, logs: 2, retain_bytes: 4MiB }\n"


@pytest.fixture(params=[1, 2, 4])
def shards(request):
    return request.param


def remove(client, name, id=77, take_over=False):
    """None when it is gone, else the Error."""
    client.send(unsubscribe=pb.Unsubscribe(id=id, remove=name, take_over=take_over))
    frame = client.next()
    if frame.WhichOneof("body") == "unsubscribed":
        assert frame.unsubscribed.id == id
        return None
    assert frame.WhichOneof("body") == "error" and not frame.error.fatal and frame.error.subscription == id, frame
    return frame.error


def test_a_removed_queue_forgets_what_it_had(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    member = Member(made, "a", window=2)
    publish(publisher, "a", 1, 2, 3)
    assert member.events(2) == [(1, 1, 1), (2, 2, 1)]
    member.client.send(unsubscribe=pb.Unsubscribe(id=1))
    assert member.next().unsubscribed.id == 1
    assert remove(publisher, "work") is None
    assert made.metric("roundhouse_queues") == 0
    assert remove(publisher, "work").field == "unsubscribe.remove", "it is not there any more"
    error = member.join("work").error
    assert error.field == "subscribe.patterns" and "no queue has this name" in error.text
    assert member.join("work", "b", attempts=9).WhichOneof("body") == "subscribed", "on other terms than before"
    publish(publisher, "b", 4)
    assert member.event() == (4, 1, 1)
    member.silent()


def test_a_queue_with_members_is_removed_only_when_that_is_asked_for(router, shards):
    made = router(shards=shards)
    publisher = made.client(ack=ROUTED)
    members = [Member(made, "a", group=True) for _ in range(3)]
    error = remove(publisher, "work")
    assert error.code == pb.ERROR_CODE_UNAVAILABLE and error.field == "unsubscribe.remove" and "take_over" in error.text
    assert remove(members[0].client, "work").code == pb.ERROR_CODE_UNAVAILABLE, "also its own members leave first"
    publish(publisher, "a", 1)
    assert sum(member.next(1) is not None for member in members) == 1, "nothing has changed"
    assert remove(publisher, "work", take_over=True) is None
    for member in members:
        lost = member.next().error
        assert lost.code == pb.ERROR_CODE_UNAVAILABLE and lost.field == "subscribe.queue.name" and "removed" in lost.text
        assert member.next().unsubscribed.id == 1
        assert member.refused(1).field == "ack.subscription"
    publish(publisher, "a", 2)
    for member in members:
        member.silent()


def test_senders_to_a_removed_mailbox_are_refused(router, shards):
    made = router(shards=shards)
    sender = made.client(ack=ROUTED)
    receiver = Member(made, name="@crm")
    assert publish(sender, "@crm", 1) == {} and receiver.event() == (1, 1, 1)
    receiver.close()
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    assert publish(sender, "@crm", 2) == {}
    assert remove(sender, "@crm") is None
    refused = publish(sender, "@crm", 3)
    assert [(n, e.code, e.field) for n, e in refused.items()] == [(3, pb.ERROR_CODE_INVALID, "topic")]
    receiver = Member(made, name="@crm")
    receiver.silent()  # a new one is empty
    assert publish(sender, "@crm", 4) == {} and receiver.event() == (4, 1, 1)


@pytest.mark.parametrize("id, name, field", [
    (0, "work", "unsubscribe.id"), (1, "work", "unsubscribe.id"), (7, "work", "unsubscribe.id"),
    (9, "never heard of", "unsubscribe.remove"), (9, "unknown", "unsubscribe.remove"), (9, "@", "unsubscribe.remove"),
    (9, "x" * 300, "unsubscribe.remove"), (9, "a..b", "unsubscribe.remove"),
])
def test_a_removal_that_can_not_be_right_is_refused_and_changes_nothing(router, id, name, field):
    made = router(shards=2)
    member = Member(made, "a")
    member.client.send(subscribe=pb.Subscribe(id=7, patterns=["p"]))
    assert member.next().subscribed.id == 7
    error = remove(member.client, name, id)
    assert error.code == pb.ERROR_CODE_INVALID and error.field == field and error.text
    publish(made.client(ack=ROUTED), "a", 5)
    assert member.event() == (5, 1, 1)
    assert made.metric("roundhouse_queues") == 1


def test_frames_behind_a_removal_are_handled_when_it_is_done(router, shards):
    made = router(shards=shards)
    member = Member(made, "a")
    member.client.send(unsubscribe=pb.Unsubscribe(id=1))
    member.client.send(unsubscribe=pb.Unsubscribe(id=2, remove="work"))
    member.client.send(subscribe=pb.Subscribe(id=1, patterns=["b"], queue=pb.Queue(name="work", volatile=True)))
    member.client.send(ping=pb.Ping(data=b"x"))
    kinds = [member.next().WhichOneof("body") for _ in range(4)]
    assert kinds == ["unsubscribed", "unsubscribed", "subscribed", "pong"]


def test_whoever_asks_may_leave_before_the_answer(router):
    made = router(shards=2)
    Member(made, "a").close()
    made.await_metric("roundhouse_connections", lambda n: n == 0)
    client = made.client()
    client.send(unsubscribe=pb.Unsubscribe(id=2, remove="work"))
    client.close()
    made.await_metric("roundhouse_queues", lambda n: n == 0)
    made.await_metric("roundhouse_connections", lambda n: n == 0)


def test_a_durable_queue_that_was_removed_does_not_come_back(journalled):  # noqa: F811
    made = journalled(shards=2)
    publisher = made.client(ack=DISK)
    for name, patterns in (("work", ["a"]), ("other", ["a"]), ("@crm", []), ("@box", [])):
        Durable(made, *patterns, name=name).close()
    assert publish(publisher, "a", 1, 2) == {} and publish(publisher, "@crm", 3) == {} and publish(publisher, "@box", 4) == {}
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    assert remove(publisher, "work") is None and remove(publisher, "@crm") is None
    killed(made)
    for shards in (1, 4, 2):
        made = journalled(shards=shards)
        assert made.metric("roundhouse_queues_durable") == 2
        publisher = made.client(ack=DISK)
        assert [e.code for e in publish(publisher, "@crm", 5).values()] == [pb.ERROR_CODE_INVALID]
        assert Durable(made, join=False).join("work").error.field == "subscribe.patterns"
        assert remove(publisher, "work").code == pb.ERROR_CODE_INVALID
        killed(made)
    made = journalled(shards=3)
    assert Durable(made, name="other").events(2) == [(1, 1, 1), (2, 2, 1)], "its neighbours are as they were"
    assert Durable(made, name="@box").event() == (4, 1, 1)


def test_what_has_the_name_of_a_removed_queue_begins_anew_also_after_kills(journalled):  # noqa: F811
    made = journalled(shards=2)
    publisher = made.client(ack=DISK)
    Durable(made, "a").close()
    Durable(made, name="@crm", capacity=3).close()
    assert publish(publisher, "a", 1) == {} and publish(publisher, "@crm", 1, 2, 3) == {}
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    assert remove(publisher, "work") is None and remove(publisher, "@crm") is None
    Durable(made, "b", lease_ms=5000).close()
    Durable(made, name="@crm", capacity=2).close()
    assert publish(publisher, "b", 7) == {} and publish(publisher, "@crm", 8) == {}
    killed(made)
    made = journalled(shards=1)
    publisher = made.client(ack=DISK)
    assert publish(publisher, "@crm", 9) == {}
    assert [e.code for e in publish(publisher, "@crm", 10).values()] == [pb.ERROR_CODE_EXHAUSTED], "what it held before counts no more"
    member, receiver = Durable(made, "b", lease_ms=5000), Durable(made, name="@crm")
    assert member.event() == (7, 1, 1)
    assert receiver.events(2) == [(8, 1, 1), (9, 2, 1)]
    member.silent()
    receiver.silent()


def test_a_queue_that_is_removed_while_it_is_used_stays_away(journalled):  # noqa: F811
    """Members hold, refuse and acknowledge; states are about to be written."""
    made = journalled(shards=2)
    publisher = made.client(ack=DISK)
    members = [Durable(made, "a", group=True, window=10) for _ in range(2)]
    assert publish(publisher, "a", *range(30)) == {}
    for member in members:
        member.events(10)
        member.ack(1)
        member.ack(2, REFUSE, reason="no")
    assert remove(publisher, "work", take_over=True) is None
    for member in members:
        while member.next().WhichOneof("body") != "unsubscribed":
            pass
    assert made.metric("roundhouse_queues_durable") == 0
    killed(made)
    made = journalled(shards=4)
    assert made.metric("roundhouse_queues_durable") == 0
    made.stop()


def test_a_removed_queue_holds_nothing_back_from_being_trimmed(journalled):  # noqa: F811
    made = journalled(shards=1, config_text=SMALL)
    publisher = made.client(ack=DISK)
    names = [f"q{n}" for n in range(8)]
    for name in names:
        Durable(made, "never", name=name).close()
    Durable(made, "never", name="kept").close()
    made.await_metric("roundhouse_connections", lambda n: n == 1)
    for name in names:
        assert remove(publisher, name) is None
    sent = 0
    for _ in range(40):
        publisher.send_bytes(b"".join(wire.numbered(f"bulk.{n}", n, 30_000) for n in range(10)))
        sent += 10
        assert publisher.settle(sent) == {}
    made.await_metric("roundhouse_journal_trimmed_total", lambda n: n >= 4)
    killed(made)
    made = journalled(shards=2, config_text=SMALL)
    assert made.metric("roundhouse_queues_durable") == 1
    Durable(made, name="kept").silent()


def test_the_command_removes_queues_and_says_what_it_could_not(router, run):
    made = router(shards=2)
    for name, patterns in (("work", ["a"]), ("other", ["a"]), ("@crm", [])):
        Member(made, *patterns, name=name).close()
    made.await_metric("roundhouse_connections", lambda n: n == 0)
    held = Member(made, name="held", *["a"])
    done = run("queue", "rm", "--server", made.address, "work", "nothing", "@crm", "held", "a b")
    assert done.returncode == 65 and done.stdout == "removed work\nremoved @crm\n"
    assert "nothing: there is no queue of this name" in done.stderr and "a b: no queue can have this name" in done.stderr
    assert "held: this queue has members" in done.stderr and "--take-over" in done.stderr
    done = run("queue", "rm", "--server", made.address, "--take-over", "held", "other")
    assert (done.returncode, done.stdout, done.stderr) == (0, "removed held\nremoved other\n", "")
    assert "removed" in held.next().error.text
    assert made.metric("roundhouse_queues") == 0


def test_the_command_removes_durable_queues_for_good(router, run, tmp_path):
    journal = ["--journal", str(tmp_path / "journal")]
    made = router(arguments=journal)
    Durable(made, name="@crm").close()
    made.await_metric("roundhouse_connections", lambda n: n == 0)
    done = run("queue", "rm", "--server", made.address, "@crm")
    assert (done.returncode, done.stdout) == (0, "removed @crm\n"), done.stderr
    killed(made)
    made = router(arguments=journal)
    assert made.metric("roundhouse_queues_durable") == 0
    done = run("pub", "--server", made.address, "@crm", "1")
    assert done.returncode == 65 and "no mailbox of this name" in done.stderr
