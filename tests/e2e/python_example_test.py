"""The Python example, made as its README says, does what its README says: also when connections break."""

import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import threading

import pytest

import wire
from wire import ce

ROOT = pathlib.Path(wire.ROOT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the example, with the modules made by the first command of its README."""
    root = tmp_path_factory.mktemp("tree")
    made = root / "examples" / "python"
    shutil.copytree(ROOT / "examples" / "python", made, ignore=shutil.ignore_patterns("*_pb2.py", "__pycache__"))
    (root / "include").symlink_to(ROOT / "include")
    command = re.search(r"```sh\n(.*?)```", (made / "README.md").read_text(), re.DOTALL).group(1)
    subprocess.run(["bash", "-eu", "-c", command], cwd=root, check=True, timeout=60)
    return made


@pytest.fixture
def subscriber(folder):
    """A function that starts subscribe.py and waits until it is subscribed."""
    programs = []

    def start(*arguments):
        program = subprocess.Popen(["/usr/bin/python3", "-B", folder / "subscribe.py", *map(str, arguments)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        programs.append(program)
        assert program.stdout.readline() == "subscribed\n", program.stderr.read()
        return program

    yield start
    for program in programs:
        if program.poll() is None:
            program.kill()
        program.communicate()


@pytest.fixture
def publish(folder):
    """A function that runs publish.py to its end."""

    def run(*arguments):
        return subprocess.run(["/usr/bin/python3", "-B", folder / "publish.py", *map(str, arguments)], text=True,
                              capture_output=True, timeout=60)

    return run


class Breaker:
    """Stands between clients and a router. Of the first connections each is reset after so many bytes from one side."""

    def __init__(self, address, side, limits):
        self.to, self.side, self.limits = wire.end_point(address), side, list(limits)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.broken = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            limit = self.limits.pop(0) if self.limits else float("inf")
            threading.Thread(target=self.carry, args=[client, limit], daemon=True).start()

    def carry(self, client, limit):
        server = socket.create_connection(self.to)
        others, carried = {client: server, server: client}, {client: 0, server: 0}
        counted = client if self.side == "client" else server
        try:
            while carried[counted] < limit:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(min(1 << 16, limit) if side is counted else 1 << 16)
                    if not data:
                        return
                    others[side].sendall(data)
                    carried[side] += len(data)
            self.broken += 1
        except ConnectionError:
            pass
        finally:
            for side in others:  # both are reset
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                side.close()


@pytest.fixture
def breaker():
    made = []

    def start(*arguments):
        made.append(Breaker(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.listener.close()


def test_what_one_publishes_the_other_prints(router, subscriber, publish):
    made = router(shards=2)
    printing = subscriber(made.address, 460, "hello.*", "other", "large")
    long = "x" * 300
    done = publish(made.address, "hello.world", long, 300)
    assert done.returncode == 0 and done.stderr == ""
    assert publish(made.address, "not.this", "no").returncode == 0
    assert publish(made.address, "other", "", 100).returncode == 0
    # More than may be unsettled: publishing has to wait for acknowledgements.
    assert publish(made.address, "large", "y" * 100_000, 60).returncode == 0
    output, errors = printing.communicate(timeout=30)
    lines = output.splitlines()
    assert printing.returncode == 0 and errors == "" and len(lines) == 460
    assert lines.count(f"hello.world {long}") == 300 and lines.count("other ") == 100
    assert lines.count("large " + "y" * 100_000) == 60


def test_a_refused_event_is_told(router, publish):
    made = router()
    done = publish(made.address, "a..b", "x", 2)
    assert done.returncode == 1 and "event 1 refused" in done.stderr and "event 2 refused" in done.stderr


DUPLICATES = """
import sys, publish
first, other = publish.make_event("x"), publish.make_event("x")
publish.make_event = lambda text, events=[first, other, first, first]: events.pop(0)
sys.exit(publish.main(sys.argv[1], "a", "x", 4))
"""


def test_an_event_that_was_stored_before_is_told_with_its_sequence(router, folder):
    made = router(config_text="topics: [{ match: a, duplicates: { window: 1h } }]\n")
    with made.client() as subscriber:
        subscriber.subscribe("a")
        done = subprocess.run(["/usr/bin/python3", "-B", "-c", DUPLICATES, made.address], cwd=folder, text=True,
                              capture_output=True, timeout=60)
        sequences = [event.sequence for event in subscriber.events(2)]
        assert subscriber.round_trip() == []
    assert done.returncode == 0 and done.stdout == ""
    assert done.stderr == "".join(f"event {n} was stored before, with the sequence {sequences[0]}\n" for n in (3, 4))


def test_a_refused_pattern_is_told(router, folder):
    made = router()
    done = subprocess.run(["/usr/bin/python3", "-B", folder / "subscribe.py", made.address, "1", "a..b"], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 1 and "empty token" in done.stderr


def test_a_subscribe_without_room_is_told_and_tried_again(router, folder, subscriber):
    made = router(config_text="limits: { subscriptions: 1 }\n")
    first = subscriber(made.address, 1, "a")
    second = subprocess.Popen(["/usr/bin/python3", "-B", folder / "subscribe.py", made.address, "1", "b"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    bound = threading.Timer(wire.WAIT_SECONDS, second.kill)  # then it has told nothing
    bound.start()
    with second:
        told = second.stderr.readline()
        first.send_signal(signal.SIGINT)  # which makes room
        subscribed = second.stdout.readline()
        second.kill()
    bound.cancel()
    assert "Subscribe is refused and tried again" in told and "limits.subscriptions" in told
    assert subscribed == "subscribed\n"


@pytest.mark.parametrize("name, arguments", [("subscribe.py", ["many", "a"]), ("subscribe.py", ["-1", "a"]),
                                             ("publish.py", ["a", "x", "many"]), ("publish.py", ["a"])])
def test_a_count_that_is_no_number_is_usage(folder, name, arguments):
    done = subprocess.run(["/usr/bin/python3", "-B", folder / name, "127.0.0.1:1", *arguments], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 64 and done.stderr.startswith(f"{name} HOST:PORT") and done.stdout == ""


def test_nobody_there_is_told(publish):
    done = publish("127.0.0.1:1", "a", "x")
    assert done.returncode == 1 and "Connection refused" in done.stderr


def test_the_subscriber_comes_again_after_a_restart(router, subscriber, publish):
    made = router(config_text="")
    printing = subscriber(made.address, 2, "a")
    assert publish(made.address, "a", "one").returncode == 0
    made.signal(signal.SIGTERM)
    assert made.wait() == 0
    again = router(config_text="", arguments=["--listen", made.address])
    assert printing.stdout.readline() == "a one\n"
    assert printing.stdout.readline() == "subscribed\n"
    assert publish(again.address, "a", "two").returncode == 0
    output, errors = printing.communicate(timeout=30)
    assert printing.returncode == 0 and output == "a two\n"
    assert "events may be missing" in errors, "the restart's Gap was not told"


def test_a_silent_subscriber_is_kept_alive_by_its_pings(router, subscriber, publish):
    made = router(config_text="limits: { idle: 300ms }\n")
    printing = subscriber(made.address, 1, "a")
    for _ in range(3):  # others who say nothing are turned away meanwhile
        with made.client() as idle:
            assert idle.refused().code == wire.pb.ERROR_CODE_TIMEOUT
    assert publish(made.address, "a", "still here").returncode == 0
    assert printing.communicate(timeout=30) == ("a still here\n", "")


@pytest.mark.parametrize("shards", [1, 2])
def test_a_subscriber_whose_connection_breaks_misses_nothing_and_gets_nothing_twice(router, subscriber, breaker, shards):
    made = router(shards=shards)
    broken = breaker(made.address, "server", [20_000, 150_000, 200_001, 250_002])
    topics, count = [f"break.{n}" for n in range(4)], 1000
    printing = subscriber(broken.address, count * len(topics), "break.*")
    with made.client(ack=1) as publisher:
        publisher.send_bytes(b"".join(wire.event_frame(topic, wire.cloud_event(str(number)))
                                      for number in range(count) for topic in topics))
        assert publisher.settle(count * len(topics)) == {}
    output, errors = printing.communicate(timeout=60)
    assert printing.returncode == 0, errors
    lines = [line.split() for line in output.splitlines() if line != "subscribed"]
    for topic in topics:
        assert [number for name, number in lines if name == topic] == [str(number) for number in range(count)]
    assert broken.broken > 1 and "the connection is lost" in errors


OVERLAPPING = """
import sys, roundhouse
numbers = []
client = roundhouse.Client(sys.argv[1], on_event=lambda topic, event, sequence: numbers.append(event.id))
for patterns in (["a", "b"], ["a", "*"], ["*"]):
    client.subscribe(*patterns)
print("subscribed", flush=True)
client.run(50, until=lambda: numbers[-1:] == ["end"])
print(*numbers)
"""


@pytest.mark.parametrize("shards", [1, 2])
def test_subscriptions_that_want_the_same_get_it_once_over_lost_connections(router, folder, breaker, shards):
    """Each of them resumes by itself, so what one has had comes again for the next."""
    made = router(shards=shards)
    broken = breaker(made.address, "server", [20_000, 90_000, 90_001, 150_002])
    program = subprocess.Popen(["/usr/bin/python3", "-B", "-c", OVERLAPPING, broken.address], cwd=folder, text=True,
                               stdout=subprocess.PIPE)
    with program, made.client(ack=1) as publisher:
        assert program.stdout.readline() == "subscribed\n"
        count = 3000
        publisher.send_bytes(b"".join(wire.event_frame("a", wire.cloud_event(id=str(number))) for number in range(count)))
        publisher.send_bytes(wire.event_frame("a", wire.cloud_event(id="end")))
        assert publisher.settle(count + 1) == {}
        assert program.communicate(timeout=60)[0].split() == [*map(str, range(count)), "end"]
    assert broken.broken > 1


def test_a_position_that_the_server_does_not_take_is_given_up(router, folder):
    made = router()
    program = """
import sys, roundhouse
gaps = []
client = roundhouse.Client(sys.argv[1], on_gap=gaps.append)
id = client.subscribe("a")
client._subscriptions[id].position = b"of another version"
client._lost("for a try")
client.run(30, until=lambda: client._subscriptions[id].begun)
print([gap.reason for gap in gaps], client._subscriptions[id].position != b"of another version")
"""
    done = subprocess.run(["/usr/bin/python3", "-B", "-c", program, made.address], cwd=folder, text=True,
                          capture_output=True, timeout=60)
    assert done.stdout == f"[{wire.pb.Gap.REASON_INSTANCE}] True\n", done.stderr


def test_a_publisher_whose_connection_breaks_loses_nothing(router, publish, breaker):
    made = router()
    broken = breaker(made.address, "client", [5_000, 50_000, 99_999])
    count = 2000
    with made.client() as subscriber:
        subscriber.subscribe("a")
        done = publish(broken.address, "a", "x" * 100, count)
        assert done.returncode == 0, done.stderr
        subscriber.send(ping=wire.pb.Ping())
        ids = set()
        while len(ids) < count:
            found = subscriber.next()
            if found.WhichOneof("body") == "event":
                ids.add(ce.CloudEvent.FromString(found.event.event).id)
    assert broken.broken == 3 and "the connection is lost" in done.stderr


def test_the_example_needs_nothing_but_python_and_protobuf(folder):
    for name in ("roundhouse.py", "publish.py", "subscribe.py", "consume.py", "request.py"):
        text = (folder / name).read_text()
        imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
        assert set(imported) <= {"collections", "logging", "publish", "random", "secrets", "select", "socket", "sys", "time", "types", "uuid",
                                 "google", "roundhouse", "cloudevents_pb2", "wire_pb2"}


BEGINS = r"""
import sys
sys.path.insert(0, sys.argv[1])
import roundhouse
import wire_pb2 as wire
seen = []
with roundhouse.Client(sys.argv[2], on_event=lambda topic, event, sequence: seen.append((topic, event.id))) as client:
    client.subscribe(">", start=wire.Start(last_per_topic=True))
    client.run(30, until=lambda: len(seen) == 2)
    print(sorted(seen))
    try:
        client.subscribe("a", start=wire.Start(sequence=1), gone=wire.GONE_POLICY_REFUSE)
    except roundhouse.Refused as error:
        print(error)
"""


def test_a_subscription_begins_as_it_is_told(router, folder):
    made = router()
    with made.client(ack=wire.pb.ACK_LEVEL_ROUTED) as publisher:
        for number, topic in enumerate(("a", "b", "a"), 1):
            publisher.send_bytes(wire.numbered(topic, number))
        assert publisher.settle(3) == {}
    done = subprocess.run(["/usr/bin/python3", "-B", "-c", BEGINS, folder, made.address], text=True, capture_output=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert first == "[('a', '3'), ('b', '2')]" and "no longer kept" in second, done


@pytest.fixture
def program(folder, begun):
    """A function that starts one of the example's programs, and waits for its first line."""
    return lambda first, name, *arguments: begun(first, "/usr/bin/python3", "-B", folder / name, *arguments)


def test_the_consumer_goes_on_where_it_has_acknowledged(router, program, publish):
    made = router(shards=2)
    first = program("subscribed\n", "consume.py", "--volatile", made.address, "q", 2, "a.>")
    assert publish(made.address, "a.b", "x", 5).returncode == 0
    output, errors = first.communicate(timeout=30)
    assert first.returncode == 0 and output == "a.b x\n" * 2, errors
    second = program("subscribed\n", "consume.py", "--volatile", made.address, "q", 3)
    output, errors = second.communicate(timeout=30)
    assert second.returncode == 0 and output == "a.b x\n" * 3, errors


def test_the_consumer_loses_nothing_when_its_connection_breaks(router, program, publish, breaker):
    made = router(shards=2)
    between = breaker(made.address, "server", [400, 900, 2000])
    printing = program("subscribed\n", "consume.py", "--volatile", between.address, "q", 1000, "a.>")
    publisher = made.client(ack=wire.pb.ACK_LEVEL_ROUTED)
    for n in range(60):
        publisher.send_bytes(wire.event_frame("a.b", wire.cloud_event(f"number {n}".encode(), id=str(n))))
    assert publisher.settle(60) == {}
    seen = set()
    while len(seen) < 60:  # at least once
        line = printing.stdout.readline()
        assert line, printing.stderr.read()
        seen |= set(re.findall(r"number \d+", line))
    assert between.broken >= 2


def test_a_request_is_answered_or_refused(router, program, folder):
    made = router(shards=2)
    program("answering\n", "request.py", made.address, "--answer", "@capitals")
    for mailbox, output, error in (("@capitals", "WHO?\n", ""), ("@nobody", "", "no mailbox")):
        done = subprocess.run(["/usr/bin/python3", "-B", folder / "request.py", made.address, mailbox, "who?"], text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.stdout == output and error in done.stderr and (done.returncode == 0) == (error == ""), done.stderr
