"""Events that are followed on their way, and what following them leaves alone."""

import json
import threading
import time
import urllib.error

import pytest

import wire
from wire import pb

ROUTED, SKIP, DISK = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP, pb.ACK_LEVEL_DISK


def passing(dialect, values):
    return pb.Filter(**{dialect: pb.Filter.Attributes(values=values)})


def ask(made, query):
    return json.loads(made.http(f"/v1/trace?{query}"))


def refused(made, query):
    with pytest.raises(urllib.error.HTTPError) as error:
        made.http(f"/v1/trace?{query}")
    return error.value.code, json.loads(error.value.read())["error"]


class Publishing:
    """Publishes on topics in turn, one event after the other, until it is ended."""

    def __init__(self, made, *topics, ack=ROUTED, pause=0.002):
        self.client, self.topics, self.pause = made.client(ack=ack), topics, pause
        self.sent, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(self.pause):
            self.sent += 1
            self.client.send_bytes(wire.numbered(self.topics[self.sent % len(self.topics)], self.sent, 10))
            assert self.client.settle(self.sent) == {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.client.close()


def trace(made, query):
    """All events of a trace."""
    answer = ask(made, query)
    events = answer["events"]
    while not answer["over"]:
        answer = ask(made, f"trace={answer['trace']}")
        events += answer["events"]
    return events


def test_an_event_is_followed_to_the_last_subscriber(router):
    made = router(shards=3)
    readers = [made.client(name=f"r{i}") for i in range(5)]
    for number, reader in enumerate(readers):
        reader.subscribe("a.>" if number % 2 else "a.b", id=1)
    queue = made.client()
    queue.send(subscribe=pb.Subscribe(id=1, patterns=["a.*"], queue=pb.Queue(name="q", group=True, volatile=True,
                                                                             window=8192)))
    queue.expect("subscribed")
    with Publishing(made, "a.b", "x.y"):
        events = trace(made, "topic=a.*&count=5")
    assert len(events) == 5 and all(event["topic"] == "a.b" for event in events)
    sequences = [int(event["sequence"]) for event in events]
    assert sequences == list(range(sequences[0], sequences[0] + 5)), "one after the other, and none left out"
    for event in events:
        assert event["connections"] == event["sent"] == 5 and event["queues"] == 1
        assert not event["complete"] and event["settled"] == 0, "a member has it, and says nothing of it"
        assert event["class"] == "memory" and event["synced_us"] is None and event["source"] == "/test"
        assert 0 <= event["appended_us"] <= event["first_sent_us"] <= event["last_sent_us"]
        assert event["appended_us"] <= event["routed_us"] and event["received_at"].endswith("Z")
        assert event["lagging"] == event["behind"] == event["lost"] == event["expired"] == 0


class Member:
    """A member of a queue that does with each delivery what `answer` says of its attempt, until it is closed."""

    def __init__(self, made, name, queue, answer, pattern="a.>"):
        self.client, self.answer, self.over, self.got = made.client(name=name), answer, threading.Event(), 0
        self.client.send(subscribe=pb.Subscribe(id=1, patterns=[pattern] if pattern else [], queue=queue))
        self.client.expect("subscribed")
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        delivery = attempt = 0
        while not self.over.is_set():
            frame = self.client.poll(0.05)
            if frame is None:
                continue
            kind = frame.WhichOneof("body")
            if kind == "context" and frame.context.delivery:
                delivery, attempt = frame.context.delivery, frame.context.attempt
            elif kind == "event":
                self.got += 1
                ack = self.answer(attempt)
                if ack is not None:
                    self.client.send(ack=pb.Ack(subscription=1, delivery=delivery, **ack))
                delivery += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.client.close()


DONE = {"kind": pb.Ack.KIND_DONE}


def group(name, **more):
    return pb.Queue(name=name, group=True, volatile=True, **more)


def test_queues_are_followed_to_their_members_and_what_those_say(router):
    made = router(shards=3)
    with Member(made, "one", group("q", lease_ms=7000), lambda _: DONE), Member(made, "two", group("q", lease_ms=7000), lambda _: DONE), \
            Member(made, "other", group("r"), lambda _: DONE), Publishing(made, "a.b"):
        events = trace(made, "topic=a.*&count=6")
    seen = set()
    for event in events:
        assert event["queues"] == event["settled"] == 2 and event["complete"] and event["untold"] == 0
        deliveries = {one["queue"]: one for one in event["deliveries"]}
        assert sorted(deliveries) == ["q", "r"] and len(event["deliveries"]) == 2
        assert deliveries["q"]["client"] in ("one", "two") and deliveries["r"]["client"] == "other"
        assert deliveries["q"]["lease_ms"] == 7000 and deliveries["r"]["lease_ms"] == 30000
        for one in event["deliveries"]:
            assert (one["attempt"], one["extended"], one["outcome"]) == (1, 0, "done")
            shard, serial = one["connection"].split(".")
            assert 0 <= int(shard) < 3 and serial.isdecimal()
            assert 0 <= one["given_us"] <= one["ended_us"] and one["given_us"] <= one["sent_us"]
            seen.add((one["client"], one["connection"]))
    assert len({client for client, _ in seen}) == len(seen) == len({connection for _, connection in seen}), "each has one"


def test_each_attempt_of_an_event_is_told_with_its_end(router):
    made = router(shards=2)
    answers = {1: {"kind": pb.Ack.KIND_RETRY, "after_ms": 20}, 2: None, 3: {"kind": pb.Ack.KIND_REFUSE, "reason": "no"}}
    with Member(made, "worker", group("q", lease_ms=200, backoff_ms=10), answers.get), Publishing(made, "a.b", pause=0.3):
        events = trace(made, "topic=a.b&count=3")
    ends = [(1, "retried"), (2, "lease_ended"), (3, "refused")]
    whole = [event for event in events if [(one["attempt"], one["outcome"]) for one in event["deliveries"]] == ends]
    assert whole and all(event["settled"] == 1 and event["complete"] for event in whole), events


def test_a_member_that_leaves_and_one_that_asks_for_time_are_told_of(router):
    made = router(shards=2)
    with Publishing(made, "a.b", pause=0.02):
        with Member(made, "slow", group("q"), lambda _: {"kind": pb.Ack.KIND_EXTEND}):
            held = trace(made, "topic=a.b&count=2")
        for event in held:
            one, = event["deliveries"]
            assert (one["outcome"], one["ended_us"]) == ("held", None) and one["extended"] >= 1 and not event["complete"]
        rest = []
        with Member(made, "leaver", group("s"), lambda _: None) as leaver:
            thread = threading.Thread(target=lambda: rest.extend(trace(made, "topic=a.b&count=100&timeout_ms=3000")))
            thread.start()
            end = time.monotonic() + wire.WAIT_SECONDS
            while refused(made, "trace=2")[0] != 409:  # it has not come yet
                assert time.monotonic() < end
            begun = leaver.got
            while leaver.got < begun + 10:
                assert time.monotonic() < end
                time.sleep(0.01)
        thread.join(wire.WAIT_SECONDS)
    assert any(one["outcome"] == "left" and one["queue"] == "s" for event in rest for one in event["deliveries"])


def test_durable_queues_and_mailboxes_are_followed_too(router, tmp_path):
    made = router(shards=2, arguments=("--journal", tmp_path / "journal"))
    with Member(made, "durable", pb.Queue(name="d"), lambda _: DONE), \
            Member(made, "box", pb.Queue(name="@box"), lambda _: DONE, pattern=None), Publishing(made, "a.b", "@box", ack=DISK):
        for topic, queue in (("a.b", "d"), ("@box", "@box")):
            for event in trace(made, f"topic={topic}&count=2"):
                one, = event["deliveries"]
                assert one["queue"] == queue and one["outcome"] == "done" and event["complete"]
                assert event["synced_us"] <= one["ended_us"] + 1000


def test_events_on_disk_are_synced_before_they_are_sent(router, tmp_path):
    made = router(shards=2, arguments=("--journal", tmp_path / "journal"))
    reader = made.client()
    reader.subscribe("a", id=1)
    with Publishing(made, "a", ack=DISK):
        events = trace(made, "topic=a&count=3")
    for event in events:
        assert event["class"] == "disk" and event["complete"] and event["sent"] == 1
        assert event["appended_us"] <= event["synced_us"] and event["synced_us"] <= event["last_sent_us"] + 1000
        assert event["log"] >= 32


def test_nobody_gets_more_or_less_because_somebody_traces(router):
    made = router(shards=2)
    reader = made.client()
    reader.subscribe("a.>", id=1, policy=SKIP)
    with Publishing(made, "a.1", "a.2", pause=0) as publishing:
        for _ in range(3):
            assert len(trace(made, "topic=%3E&count=20")) == 20
    got = reader.events(publishing.sent)
    assert sorted(wire.read_number(event, 10) for event in got) == list(range(1, publishing.sent + 1))
    assert reader.round_trip() == []


def test_a_subscriber_that_does_not_read_is_told_of(router):
    made = router(shards=1, config_text="logs: { data: 8MiB }\n")
    stuck = made.client(receive_buffer=4096)
    stuck.subscribe("a", id=1, policy=SKIP)
    publisher = made.client(ack=ROUTED)
    publisher.send_bytes(b"".join(wire.numbered("a", number, 100_000) for number in range(1, 60)))
    assert publisher.settle(59) == {}
    made.await_metric("roundhouse_laggards", lambda value: value == 1)
    with Publishing(made, "a"):
        event = trace(made, "topic=a&count=1")[0]
    assert (event["connections"], event["lagging"], event["sent"]) == (0, 1, 0)
    assert event["first_sent_us"] is None and event["complete"]


def test_filters_that_turn_an_event_away_are_counted(router):
    made = router(shards=2)
    clients = [made.client() for _ in range(3)]
    for number, client in enumerate(clients):
        kind = "test.event" if number == 0 else "other"
        client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], filters=[passing("exact", {"type": kind})]))
        client.expect("subscribed")
    member = made.client()
    member.send(subscribe=pb.Subscribe(id=1, patterns=["a"], filters=[passing("exact", {"type": "other"})],
                                       queue=pb.Queue(name="q", group=True, volatile=True)))
    member.expect("subscribed")
    with Publishing(made, "a"):
        event = trace(made, "topic=a&count=1")[0]
    assert (event["connections"], event["sent"], event["filtered"], event["queues"]) == (1, 1, 3, 0)
    assert event["complete"]


def test_a_trace_without_events_ends_in_time_and_makes_room(router):
    made = router(shards=2)
    answer = ask(made, "topic=nothing&timeout_ms=50")
    assert answer["events"] == [] and answer["over"]
    assert refused(made, f"trace={answer['trace']}") in [(404, "no_trace")]
    for _ in range(10):
        assert ask(made, "topic=nothing&timeout_ms=1")["over"]


def test_events_that_came_before_the_time_was_over_are_told_of_when_somebody_asks_again(router):
    made = router(shards=2)
    with Publishing(made, "a"):
        begun = ask(made, "topic=a&count=100&timeout_ms=400")
        events = begun["events"]
        assert 1 <= len(events) < 100 and not begun["over"]
        time.sleep(0.6)  # its time is over meanwhile, and nobody has asked
        rest = trace(made, f"trace={begun['trace']}")
    sequences = [int(event["sequence"]) for event in events + rest]
    assert len(sequences) == len(set(sequences)) and len(rest) > 0
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert refused(made, f"trace={begun['trace']}") == (404, "no_trace")


def test_only_so_many_trace_at_once(router):
    made = router(shards=2)
    over = threading.Event()

    def wait(number):
        while not over.is_set():
            try:
                ask(made, f"topic=n{number}&timeout_ms=300")
            except urllib.error.HTTPError as error:
                assert error.code == 503

    waiting = [threading.Thread(target=wait, args=(number,)) for number in range(4)]
    for thread in waiting:
        thread.start()
    end, answer = time.monotonic() + wire.WAIT_SECONDS, None
    while answer is None and time.monotonic() < end:
        try:
            ask(made, "topic=a&timeout_ms=1")
        except urllib.error.HTTPError as error:
            answer = error.code, json.loads(error.read())["error"]
    over.set()
    for thread in waiting:
        thread.join()
    assert answer == (503, "busy")
    while True:  # a place is free as soon as the workers have let go of what was there
        try:
            assert ask(made, "topic=a&timeout_ms=1")["over"]
            break
        except urllib.error.HTTPError:
            assert time.monotonic() < end


@pytest.mark.parametrize("query, answer", [
    ("", (400, "no_topic")), ("topic=a..b", (422, "bad_topic")), ("topic=a&count=0", (400, "bad_parameter")),
    ("topic=a&count=101", (400, "bad_parameter")), ("trace=7", (404, "no_trace")), ("topic=a&what=1", (400, "bad_parameter")),
    ("trace=x", (400, "bad_parameter")),
])
def test_what_can_not_be_followed_is_refused(router, query, answer):
    code, error = refused(router(), query)
    assert code == answer[0] and (error == answer[1] or answer[1] == "bad_parameter"), error


def test_the_command_prints_a_block_or_a_line_for_each_event(router, run):
    made = router(shards=2)
    reader = made.client()
    reader.subscribe("erp.>", id=1)
    with Publishing(made, "erp.order.created"):
        done = run("trace", "--admin", made.admin, "--count", "2", "erp.order.*")
        lines = run("trace", "--admin", made.admin, "--count", "3", "--json", "erp.>")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("erp.order.created  source=/test id=") == 2
    assert done.stdout.count("  received   20") == done.stdout.count("  passed on  +") == 2
    assert "us first, +" in done.stdout and ": 1 of 1\n" in done.stdout
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    assert len(rows) == 3 and all(row["sent"] == 1 for row in rows)
    with Member(made, "worker", group("q"), lambda _: DONE, pattern="erp.>"), Publishing(made, "erp.order.created"):
        done = run("trace", "--admin", made.admin, "--count", "1", "erp.order.*")
    assert "  queue      q to worker " in done.stdout and ", attempt 1, lease 30000 ms: given +" in done.stdout and ", done +" in done.stdout
    done = run("trace", "--admin", made.admin, "--timeout", "50ms", "nothing")
    assert done.returncode == 0 and "the time is over, 0 of 10 events came" in done.stderr
    done = run("trace", "--admin", made.admin, "a..b")
    assert done.returncode == 65 and "empty token" in done.stderr
    assert run("trace", "--admin", "127.0.0.1:1", "a").returncode == 69
    for arguments, text in [((), "TOPIC is missing"), (("a", "b"), "one argument too many"),
                            (("--count", "0", "a"), "--count is a number"), (("--what", "a"), "--what"),
                            (("--timeout", "2h", "a"), "--timeout is a time"), (("a" * 256,), "at most 255 bytes")]:
        done = run("trace", *arguments)
        assert done.returncode == 64 and text in done.stderr
    assert run("trace", "--help").stdout.startswith("usage: roundhouse trace")


def test_a_router_stops_while_somebody_traces(router):
    made = router(shards=2)
    answers = []

    def wait():
        try:
            answers.append(ask(made, "topic=a&timeout_ms=60000"))
        except (urllib.error.URLError, OSError) as error:
            answers.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    end = time.monotonic() + wire.WAIT_SECONDS
    while made.metric("roundhouse_admin_connections") < 2:
        assert time.monotonic() < end
    made.stop()
    thread.join(wire.WAIT_SECONDS)
    assert len(answers) == 1
