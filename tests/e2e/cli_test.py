"""The command line: `pub` and `sub` against a real router."""

import base64
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

import pytest

import wire
from conftest import BINARY
from wire import pb


class Watched:
    """A running `roundhouse sub`, after it has said that it is subscribed."""

    def __init__(self, spawn, made, *arguments, patterns=1, **options):
        before = made.metric("roundhouse_subscriptions")
        self.process = spawn("sub", "--server", made.address, *arguments, **options)
        made.await_metric("roundhouse_subscriptions", lambda value: value == before + patterns)

    def rest(self):
        """Everything it has printed, after it has ended by itself."""
        out, errors = self.process.communicate(timeout=wire.WAIT_SECONDS)
        assert self.process.returncode == 0, errors
        return out

    def lines(self):
        return [json.loads(line) for line in self.rest().splitlines()]

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.rest()


def events(records):
    return [record["event"] for record in records]


def test_an_event_from_the_command_line_arrives(router, run, spawn):
    made = router()
    watched = Watched(spawn, made, "--count", "1", "orders.*.created")
    done = run("pub", "--server", made.address, "orders.eu.created", '{"order": 4711}')
    assert done.returncode == 0, done.stderr
    record, = watched.lines()
    assert record["topic"] == "orders.eu.created" and int(record["sequence"]) > 0
    event = record["event"]
    assert event["data"] == {"order": 4711} and event["datacontenttype"] == "application/json"
    assert event["specversion"] == "1.0" and event["id"] and event["source"] and event["type"]


def test_attributes_can_be_given(router, run, spawn):
    made = router()
    watched = Watched(spawn, made, "--count", "1", "a")
    done = run("pub", "--server", made.address, "--id", "4711", "--source", "/erp", "--type", "org.x", "--subject", "s",
               "--content-type", "text/csv", "a", "x;y")
    assert done.returncode == 0, done.stderr
    event, = events(watched.lines())
    assert {k: v for k, v in event.items() if k != "time"} == {
        "specversion": "1.0", "id": "4711", "source": "/erp", "type": "org.x", "subject": "s",
        "datacontenttype": "text/csv", "data": "x;y"}


DATA = {"every byte": bytes(range(256)), "nothing": b"", "no UTF-8": b"\xff\xfe\x00", "text": "ü".encode(),
        "lines": b"line\nline\r\n\0", "much": bytes(range(256)) * 3500}


@pytest.mark.parametrize("name", DATA)
def test_data_from_a_file_or_standard_input_arrives_byte_for_byte(router, run, spawn, tmp_path, name):
    made, data = router(), DATA[name]
    (tmp_path / "data").write_bytes(data)
    watched = Watched(spawn, made, "--count", "3", "a")
    for arguments, given in ((["a", "--file", "data"], None), (["a", "-"], data), (["--binary", "a", "--file", "data"], None)):
        done = run("pub", "--server", made.address, *arguments, input=given, text=False)
        assert done.returncode == 0, done.stderr
    for event in events(watched.lines()):
        if "data_base64" in event:
            got = base64.b64decode(event["data_base64"])
        else:
            got = event["data"].encode() if event.get("data") else b""
        assert got == data


def test_raw_output_is_the_data_as_it_is(router, run, spawn, tmp_path):
    made = router()
    data = bytes(range(256)) * 50
    (tmp_path / "data").write_bytes(data)
    watched = Watched(spawn, made, "--format", "raw", "--count", "1", "a")
    assert run("pub", "--server", made.address, "a", "--file", "data").returncode == 0
    assert watched.rest() == data + b"\n"


def test_text_output_is_one_line_for_people(router, run, spawn):
    made = router()
    watched = Watched(spawn, made, "--format", "text", "--count", "1", "a.>")
    assert run("pub", "--server", made.address, "--id", "17", "a.b", "hello\x1b[2Jthere, Müller").returncode == 0
    line = watched.rest().decode()
    assert line.count("\n") == 1 and "a.b" in line and "17" in line and "hello" in line and "\x1b" not in line
    assert "Müller" in line


def ndjson(count, **more):
    return "".join(json.dumps({"topic": f"n.{n % 5}", "event": {"specversion": "1.0", "id": str(n), "source": "/s",
                                                               "type": "t", "data": {"n": n}, **more}}) + "\n"
                   for n in range(count))


def test_lines_of_json_arrive_in_order(router, run, spawn):
    made = router(shards=2)
    watched = Watched(spawn, made, "--count", "1000", "n.*")
    done = run("pub", "--server", made.address, "--format", "ndjson", "--ack", "routed", input=ndjson(1000))
    assert done.returncode == 0, done.stderr
    records = watched.lines()
    for topic in range(5):
        assert [int(r["event"]["id"]) for r in records if r["topic"] == f"n.{topic}"] == list(range(topic, 1000, 5))
    assert all(r["event"]["data"] == {"n": int(r["event"]["id"])} for r in records)


def test_what_sub_prints_can_be_published_again(router, run, spawn):
    made = router()
    first = Watched(spawn, made, "--count", "50", "n.>")
    assert run("pub", "--server", made.address, "--format", "ndjson",
               input=ndjson(50, extra="ü", flag=True, number=-7)).returncode == 0
    printed = first.rest().decode()
    second = Watched(spawn, made, "--count", "50", "n.>")
    assert run("pub", "--server", made.address, "--format", "ndjson", input=printed).returncode == 0
    again = second.lines()
    assert [(r["topic"], r["event"]) for r in again] == [(r["topic"], r["event"]) for r in map(json.loads, printed.splitlines())]
    assert again[0]["event"]["flag"] is True and again[0]["event"]["number"] == -7


def test_lines_without_a_topic_take_the_one_given(router, run, spawn):
    made = router()
    watched = Watched(spawn, made, "--count", "2", "given")
    lines = "".join(json.dumps({"specversion": "1.0", "id": str(n), "source": "/s", "type": "t"}) + "\n" for n in range(2))
    assert run("pub", "--server", made.address, "--format", "ndjson", "given", input=lines).returncode == 0
    assert [event["id"] for event in events(watched.lines())] == ["0", "1"]


@pytest.mark.parametrize("line", ["noise", "{}", '{"topic": "a"}', '{"topic": "a..b", "event": {}}', "[1]",
                                  '{"topic": "a", "event": {"specversion": "1.0", "id": "", "source": "/", "type": "t"}}',
                                  '{"topic": "a", "event": {"specversion": "1.0", "id": "1", "source": "/", "type": "t", '
                                  '"data": 1, "data_base64": "AA=="}}'])
def test_a_bad_line_is_named_and_exits_65(router, run, line):
    made = router()
    good = ndjson(1)
    done = run("pub", "--server", made.address, "--format", "ndjson", input=good + line + "\n" + good)
    assert done.returncode == 65 and "line 2" in done.stderr
    done = run("pub", "--server", made.address, "--format", "ndjson", "--keep-going", input=good + line + "\n" + good)
    assert done.returncode == 65 and "line 2" in done.stderr
    assert made.metric("roundhouse_events_in_total") == 3


LINE = ndjson(1)


def test_blank_lines_and_a_byte_order_mark_are_passed_over(router, run):
    made = router()
    lines = "\ufeff" + LINE + "\n \t\r\n" + LINE.replace("\n", "\r\n") + "\n\n" + LINE.rstrip("\n")
    done = run("pub", "--server", made.address, "--format", "ndjson", input=lines)
    assert done.returncode == 0 and "published 3 events, 3 acknowledged" in done.stderr
    done = run("pub", "--server", made.address, "--format", "ndjson", input=lines + "\nnoise\n")
    assert done.returncode == 65 and "line 8: " in done.stderr


def unsendable(topic="a", size=1):
    return json.dumps({"topic": topic, "event": {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": "x" * size}})


@pytest.mark.parametrize("line", [unsendable(topic=""), unsendable(topic="t" * 256), unsendable(topic="a.*"), unsendable(size=200_000)],
                         ids=["no topic", "long topic", "wildcard", "large"])
def test_keep_going_passes_over_a_line_that_can_not_be_sent(router, run, line):
    made = router(config_text="limits: { frame: 128KiB }\nlogs: { data: 1MiB }\n")
    done = run("pub", "--server", made.address, "--format", "ndjson", "--keep-going", input=LINE + line + "\n" + LINE)
    assert done.returncode == 65 and "line 2: " in done.stderr and "1 bad line passed over" in done.stderr
    assert made.metric("roundhouse_events_in_total") == 2
    done = run("pub", "--server", made.address, "--format", "ndjson", input=LINE + line + "\n" + LINE)
    assert done.returncode == 65 and "line 2: " in done.stderr
    assert made.metric("roundhouse_events_in_total") == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_pub_which_says_how_far_it_came(router, spawn, number):
    made = router()
    program = spawn("pub", "--server", made.address, "--count", "1000000", "--rate", "500", "a", "x")
    made.await_metric("roundhouse_events_in_total", lambda value: value > 10)
    program.send_signal(number)
    errors = program.communicate(timeout=wire.WAIT_SECONDS)[1].decode()
    assert program.returncode == -number and "stopped by a signal" in errors
    said = re.search(r"published (\d+) events, (\d+) acknowledged as routed", errors)
    assert said and said.group(1) == said.group(2) == f"{made.metric('roundhouse_events_in_total'):.0f}"


def test_a_second_signal_ends_pub_at_once(spawn):
    """A server that takes the event and never acknowledges it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = spawn("pub", "--server", f"127.0.0.1:{silent.getsockname()[1]}", "a", "some data")
        with silent.accept()[0] as peer:
            peer.settimeout(wire.WAIT_SECONDS)
            received = peer.recv(4096)
            peer.sendall(wire.frame(connected=pb.Connected(version=1, instance=bytes(16), frame_bytes_max=1 << 20)))
            while b"some data" not in received:
                more = peer.recv(4096)
                assert more
                received += more
            program.send_signal(signal.SIGINT)
            assert b"stopped by a signal" in program.stderr.readline()
            assert program.poll() is None
            program.send_signal(signal.SIGINT)
            assert program.wait(wire.WAIT_SECONDS) == -signal.SIGINT


@pytest.mark.slow
def test_pub_without_acknowledgement_may_be_idle_for_long(router, spawn):
    """It gives up after 30 s without progress, but only when something is owed."""
    made = router()
    program = spawn("pub", "--server", made.address, "--format", "ndjson", "--ack", "none", stdin=subprocess.PIPE)
    program.stdin.write(LINE.encode())
    program.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(32)
    errors = program.communicate(LINE.encode(), timeout=wire.WAIT_SECONDS)[1]
    assert program.returncode == 0 and b"published 2 events" in errors
    made.await_metric("roundhouse_events_in_total", lambda value: value == 2)


def test_progress_is_shown_on_a_terminal(router, spawn):
    made = router()
    ours, theirs = os.openpty()
    program = spawn("pub", "--server", made.address, "--count", "1300", "--rate", "1000", "a", "x", stderr=theirs)
    os.close(theirs)
    said = b""
    while not said.endswith(b" s\r\n"):
        assert select.select([ours], [], [], wire.WAIT_SECONDS)[0]
        said += os.read(ours, 4096)
    os.close(ours)
    assert program.wait(wire.WAIT_SECONDS) == 0
    assert re.search(rb"\d+ of 1300 published, \d+ settled", said) and b"published 1300 events, 1300 acknowledged as routed" in said


@pytest.mark.parametrize("ack", ["none", "routed"])
def test_count_publishes_so_many(router, run, spawn, ack):
    made = router(shards=2)
    watched = Watched(spawn, made, "--count", "20000", "load.test")
    done = run("pub", "--server", made.address, "--count", "20000", "--ack", ack, "--id", "x", "load.test", "hello")
    assert done.returncode == 0, done.stderr
    got = events(watched.lines())
    assert [event["id"] for event in got] == [f"x-{n}" for n in range(1, 20001)]
    assert all(event["data"] == "hello" for event in got)


def test_rate_slows_down(router, run):
    made = router()
    done = run("pub", "--server", made.address, "--count", "30", "--rate", "100", "a", "x")
    assert done.returncode == 0 and made.metric("roundhouse_events_in_total") == 30


def test_an_event_that_is_too_large_is_refused_with_65(router, run, tmp_path):
    made = router(config_text="limits: { frame: 128KiB }\nlogs: { data: 1MiB }\n")
    (tmp_path / "big").write_bytes(b"x" * 200_000)
    done = run("pub", "--server", made.address, "a", "--file", "big")
    assert done.returncode == 65 and done.stderr.strip()


def test_a_bad_topic_or_pattern_is_usage(run):
    assert run("pub", "--server", "127.0.0.1:1", "a..b", "x").returncode == 64
    assert run("sub", "--server", "127.0.0.1:1", "a.>.b").returncode == 64


MISTAKES = {("pub", "--quiet", "-xy", "a", "b"): "no option '-x'", ("pub", "a", "-5"): "behind '--'",
            ("pub", "a", "x", "--file", "f"): "the data comes from --file", ("pub", "--help=3"): "'--help=3': this option takes no value", ("sub", "--no-reconnect=x", "a"): "takes no value",
            ("pub", "--quiet", "--type"): "'--type' needs a value", ("sub", "--co"): "'--co'",
            ("sub", "--server", "router.example", "a"): "--server router.example: a server is written HOST:PORT"}


MISTAKES |= {("serve", "--quiet=x"): "'--quiet=x': this option takes no value", ("serve", "--shards"): "'--shards' needs a value",
             ("serve", "-c"): "'-c' needs a value", ("serve", "-x"): "no option '-x'", ("serve", "x"): "'x' is one argument too many",
             ("serve", "--listen", "router:1"): "roundhouse serve: --listen router:1: ", ("serve", "--shards", "0"): "--shards 0: "}


MISTAKES |= {("serve", "--shards", "1", "--listen", "127.0.0.1:4480", "--io", "auto"): "--listen 127.0.0.1:4480: listen.admin",
             ("serve", "--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"): "--admin 127.0.0.1:1: listen.admin: 127.0.0.1:1 is the address of listen.native too",
             ("serve", "--ingest", "127.0.0.1:4480"): "--ingest 127.0.0.1:4480: listen.ingest: 127.0.0.1:4480 is the address of listen.admin too"}


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_mistake_in_an_option_is_named(run, arguments):
    done = run(*arguments)
    assert done.returncode == 64 and MISTAKES[arguments] in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments", [["version"], ["help"], ["pub", "--help"], ["sub", "--help"], ["serve", "--help"], ["journal", "--help"]], ids=" ".join)
def test_what_can_not_be_printed_exits_70(run, arguments):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=wire.WAIT_SECONDS, check=False)
    assert done.returncode == 70 and b"standard output" in done.stderr


def test_options_are_held_against_each_other_only_when_all_are_read(router, tmp_path):
    """--listen alone would take the port of the file's admin plane, and --admin alone that of its clients."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        native, admin = (f"127.0.0.1:{place.getsockname()[1]}" for place in (one, other))
    config = tmp_path / "swapped.yaml"
    config.write_text(f'listen: {{ native: "{admin}", admin: "{native}", ingest: off }}\n')
    made = router(arguments=["--config", config, "--listen", native, "--admin", admin])
    assert (made.address, made.admin) == (native, admin)


def test_no_connection_takes_the_place_of_a_closed_standard_error(spawn):
    def close_all():
        for number in range(3):
            os.close(number)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = spawn("pub", "--server", f"127.0.0.1:{silent.getsockname()[1]}", "a", "x", preexec_fn=close_all,
                        stdout=None, stderr=None)
        with silent.accept()[0]:
            assert [os.readlink(f"/proc/{program.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
            program.kill()


def test_no_server_exits_69(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    for arguments in (["pub", "--server", address, "a", "x"], ["sub", "--server", address, "a"]):
        done = run(*arguments)
        assert done.returncode == 69 and done.stdout == "" and done.stderr.strip()


def test_what_is_no_router_exits_69(run):
    """A server that speaks something else: said and ended, not waited for without end."""
    with socket.create_server(("127.0.0.1", 0)) as strange:
        address = f"127.0.0.1:{strange.getsockname()[1]}"
        child = os.fork()
        if child == 0:
            while True:
                peer, _ = strange.accept()
                peer.sendall(b"220 mail.example.org ESMTP\r\n" * 10)
                peer.recv(4096)
                peer.close()
        try:
            done = run("pub", "--server", address, "a", "x")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert done.returncode in (65, 69) and done.stderr.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sub_ends_with_0_on_a_signal(router, spawn, number):
    made = router()
    assert Watched(spawn, made, "a").stop(number) == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sub_ends_on_a_signal_although_nobody_reads_its_output(router, run, spawn, tmp_path, number):
    made = router()
    (tmp_path / "big").write_bytes(b"x" * 500_000)
    watched = Watched(spawn, made, "--format", "raw", "a")
    assert run("pub", "--server", made.address, "--count", "4", "a", "--file", "big").returncode == 0
    made.await_metric("roundhouse_deliveries_total", lambda value: value == 4)
    assert select.select([watched.process.stdout], [], [], wire.WAIT_SECONDS)[0], "it has begun to write"
    watched.process.send_signal(number)
    assert watched.process.wait(wire.WAIT_SECONDS) == 0


def test_sub_ends_with_0_when_its_reader_goes_away(router, run, spawn, tmp_path):
    made = router()
    (tmp_path / "big").write_bytes(b"x" * 500_000)
    watched = Watched(spawn, made, "--format", "raw", "a")
    watched.process.stdout.close()
    assert run("pub", "--server", made.address, "--count", "4", "a", "--file", "big").returncode == 0
    assert watched.process.wait(wire.WAIT_SECONDS) == 0


def test_sub_tells_a_full_disk_and_exits_70(router, run, spawn):
    made = router()
    with open("/dev/full", "wb") as full:
        watched = Watched(spawn, made, "a", stdout=full)
    assert run("pub", "--server", made.address, "a", "x").returncode == 0
    assert watched.process.wait(wire.WAIT_SECONDS) == 70
    assert b"No space left on device" in watched.process.stderr.read()


def test_sub_says_once_why_the_router_is_away(router, spawn):
    made = router()
    watched = Watched(spawn, made, "a")
    made.stop()
    line, told = watched.process.stderr.readline, []
    while not told or b"refused" not in told[-1]:
        told.append(line())
    time.sleep(1)  # some more tries
    watched.process.send_signal(signal.SIGTERM)
    rest = watched.process.communicate(timeout=wire.WAIT_SECONDS)[1]
    assert watched.process.returncode == 0 and rest == b"", rest


def test_overlapping_patterns_print_once(router, run, spawn):
    made = router()
    watched = Watched(spawn, made, "a.b", "a.*", "a.>", patterns=3)
    assert run("pub", "--server", made.address, "--count", "10", "a.b", "x").returncode == 0
    made.await_metric("roundhouse_deliveries_total", lambda value: value >= 10)
    client = made.client()
    client.round_trip()
    client.close()
    out = watched.stop()
    assert len(out.splitlines()) == 10


def test_sub_reconnects_after_a_restart(router, run, spawn):
    first = router()
    watched = Watched(spawn, first, "--count", "2", "a")
    assert run("pub", "--server", first.address, "--id", "1", "a", "x").returncode == 0
    first.stop()
    second = router(arguments=["--listen", first.address])
    second.await_metric("roundhouse_subscriptions", lambda value: value == 1)
    assert run("pub", "--server", second.address, "--id", "2", "a", "x").returncode == 0
    out, errors = watched.process.communicate(timeout=wire.WAIT_SECONDS)
    assert [json.loads(line)["event"]["id"] for line in out.splitlines()] == ["1", "2"]
    assert watched.process.returncode == 0 and b"subscribed again a\n" in errors
    assert b"gap: events may be missing, nobody knows how many: the server has been started anew" in errors


def test_pub_says_that_it_goes_on_with_another_run(router, spawn):
    first = router()
    publisher = spawn("pub", "--server", first.address, "--format", "ndjson", stdin=subprocess.PIPE)
    line = {"topic": "a", "event": {"specversion": "1.0", "id": "1", "source": "/x", "type": "t"}}
    publisher.stdin.write(json.dumps(line).encode() + b"\n")
    publisher.stdin.flush()
    first.await_metric("roundhouse_events_in_total", lambda value: value == 1)
    first.stop()
    second = router(arguments=["--listen", first.address])
    second.await_metric("roundhouse_connections", lambda value: value == 1)
    _, errors = publisher.communicate(timeout=wire.WAIT_SECONDS)
    assert publisher.returncode == 0
    assert b"connected again, to another run of the server: events acknowledged before may be lost\n" in errors


def test_sub_without_reconnect_ends_with_the_router(router, spawn):
    made = router()
    watched = Watched(spawn, made, "--no-reconnect", "a")
    made.stop()
    watched.process.communicate(timeout=wire.WAIT_SECONDS)
    assert watched.process.returncode == 69


def test_a_stopped_sub_with_skip_goes_on(router, spawn):
    """A real `roundhouse sub --policy skip`, stopped by a signal: it tells the gap and goes on."""
    made = router(config_text="logs: { data: 1MiB, grace: 20ms }\nlimits: { frame: 128KiB }\n")
    watched = Watched(spawn, made, "--policy", "skip", "--format", "json", "flood")
    watched.process.send_signal(signal.SIGSTOP)
    number = 0
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as publisher:
        while made.metric("roundhouse_laggards") == 0 or number < 12_000:
            publisher.send_bytes(b"".join(wire.numbered("flood", number + n, 2000) for n in range(1, 201)))
            number += 200
            assert publisher.settle(number) == {}
            assert number < 100_000
        watched.process.send_signal(signal.SIGCONT)
        seen = []
        out, stderr = watched.process.stdout, watched.process.stderr
        buffered, ended = b"", time.monotonic() + wire.WAIT_SECONDS
        while not seen or seen[-1] != number:
            assert time.monotonic() < ended, f"it stays at {seen[-1:]} of {number}"
            if select.select([out], [], [], 1)[0]:
                buffered += os.read(out.fileno(), 1 << 18)
                *whole, buffered = buffered.split(b"\n")
                for line in whole:
                    event = json.loads(line)["event"]
                    seen.append(int(event["id"]))
                    assert base64.b64decode(event["data_base64"]) == wire.payload(seen[-1], 2000)
    assert seen == sorted(set(seen)) and len(seen) < number
    watched.process.send_signal(signal.SIGTERM)
    assert b"gap" in stderr.read()
