"""Starting, stopping, restarting; exit statuses; the config; the admin plane."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import wire
from conftest import LISTEN
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED


def test_sigterm_says_goodbye_and_exits_0(router):
    made = router(shards=2)
    with made.client() as client:
        client.subscribe("a")
        made.signal(signal.SIGTERM)
        frames = client.until_closed()
        assert [found.WhichOneof("body") for found in frames] == ["goodbye"] and not frames[0].goodbye.settled
    made.stop()


def test_sigint_does_the_same(router):
    made = router()
    made.signal(signal.SIGINT)
    made.stop()


def test_a_stop_delivers_what_is_owed(router):
    """A subscriber that reads slowly still gets every acknowledged event, then the Goodbye."""
    made = router(shards=2, config_text="logs: { data: 16MiB }\n")
    with made.client(receive_buffer=65536) as slow, made.client(ack=ROUTED) as publisher:
        slow.subscribe("owed.>")
        for number in range(1, 1001):
            publisher.send_bytes(wire.numbered(f"owed.{number % 5}", number, 4000))
        assert publisher.settle(1000) == {}
        made.signal(signal.SIGTERM)
        frames = slow.until_closed()
    numbers = [wire.read_number(f.event, 4000) for f in frames if f.WhichOneof("body") == "event"]
    assert sorted(numbers) == list(range(1, 1001)) and frames[-1].WhichOneof("body") == "goodbye"
    made.stop()


def test_who_says_goodbye_while_the_server_stops_is_told_what_became_of_it(router):
    made = router(config_text="logs: { data: 32MiB }\n")
    with made.client(receive_buffer=8192) as deaf, made.client() as watching, made.client(ack=ROUTED) as publisher:
        late = made.client()
        deaf.subscribe("x")  # it does not read: so the stop takes its time
        watching.subscribe("late")
        for number in range(1, 2001):
            publisher.send_bytes(wire.numbered("x", number, 8000))
        assert publisher.settle(2000) == {}
        made.signal(signal.SIGTERM)
        made.await_metric("roundhouse_ready", lambda ready: ready == 0)
        late.send_bytes(wire.numbered("late", 1))
        late.send(goodbye=pb.Goodbye())
        *_, last = late.until_closed()
        late.close()
        assert last.WhichOneof("body") == "goodbye" and last.goodbye.reason
        # Nearly always it was not read. At the very beginning of the stop it may have been, and then it was routed.
        routed = [found.WhichOneof("body") for found in watching.until_closed()] == ["event", "goodbye"]
        assert last.goodbye.settled == routed
    made.stop()


def test_a_stop_ends_although_somebody_never_reads_and_lets_nobody_in(router):
    made = router(config_text="logs: { data: 32MiB }\n")
    with made.client(receive_buffer=8192) as deaf, made.client(ack=ROUTED) as publisher:
        deaf.subscribe("x")
        for number in range(1, 2001):
            publisher.send_bytes(wire.numbered("x", number, 8000))
        assert publisher.settle(2000) == {}
        made.signal(signal.SIGTERM)
        assert publisher.until_closed()[-1].WhichOneof("body") == "goodbye"
        with pytest.raises((ConnectionError, wire.Closed, AssertionError)):
            made.client()
        made.stop()
    assert re.search(r"bytes_cut=[1-9]", made.errors()), "what was cut is not told"


def test_a_port_may_be_used_again_at_once(router, tmp_path):
    first = router()
    with first.client() as client:
        client.round_trip()
        address = first.address
        first.stop()
    second = router(arguments=["--listen", address])
    assert second.address == address
    with second.client() as client:
        client.round_trip()


class Reconnecting:
    """A subscriber that comes back by itself with the position it had reached."""

    def __init__(self, made):
        self.seen, self.position, self.instances, self.gaps = [], b"", set(), 0
        self.join(made)

    def join(self, made):
        self.client = made.client()
        self.instances.add(self.client.connected.instance)
        self.client.send(subscribe=pb.Subscribe(id=1, patterns=["load.>"], position=self.position))
        subscribed = False
        while not subscribed:
            found = self.client.next()
            subscribed = found.WhichOneof("body") == "subscribed"
            if subscribed:
                self.position = found.subscribed.position
            else:
                self.take(found)

    def take(self, found):
        if found.WhichOneof("body") == "event":
            self.seen.append(wire.read_number(found.event, 200))
        elif found.WhichOneof("body") == "gap":
            assert found.gap.reason == pb.Gap.REASON_INSTANCE
            self.gaps += 1

    def drain(self):
        for found in self.client.until_closed():
            self.take(found)
        self.client.close()


def test_restarts_under_load_with_clients_that_reconnect(router):
    """Each run delivers all it has acknowledged; the next one answers an old position with a Gap and goes on."""
    runs, per_run = 5, 400
    subscribers, made, number = [], None, 0
    for step in range(runs):
        made = router(shards=2, arguments=["--listen", made.address] if made else [])
        if not subscribers:
            subscribers = [Reconnecting(made) for _ in range(10)]
        else:
            for subscriber in subscribers:
                subscriber.join(made)
        with made.client(ack=ROUTED) as publisher:
            publisher.send_bytes(b"".join(wire.numbered(f"load.{n % 7}", n, 200)
                                          for n in range(number, number + per_run)))
            assert publisher.settle(per_run) == {}
            # More is on its way when the stop comes; it is delivered or not, but never twice and never broken.
            publisher.send_bytes(b"".join(wire.numbered("load.late", 10_000 + n, 200) for n in range(200)))
            made.signal(signal.SIGTERM)
            for subscriber in subscribers:
                subscriber.drain()
            made.stop()
        number += per_run
    for subscriber in subscribers:
        acknowledged = sorted(n for n in subscriber.seen if n < 10_000)
        assert acknowledged == list(range(runs * per_run))
        assert subscriber.gaps == runs - 1 and len(subscriber.instances) == runs


def test_an_unclean_end_loses_clients_but_not_the_port(router):
    made = router()
    client = made.client()
    made.process.kill()
    made.process.wait()
    with pytest.raises(wire.Closed):
        client.next()
    client.close()
    again = router(arguments=["--listen", made.address])
    with again.client() as client:
        assert client.round_trip() == []


# ---- the command line of the server ----


def test_version(run):
    done = run("version")
    assert done.returncode == 0 and re.match(r"roundhouse \d+\.\d+", done.stdout) and done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["pub", "--help"], ["sub", "--help"],
                                       ["config", "--help"]])
def test_help_is_on_standard_output(run, arguments):
    done = run(*arguments)
    assert done.returncode == 0 and "roundhouse" in done.stdout and "usage:" in done.stdout.lower() and done.stderr == ""


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["serve", "--nonsense"], ["serve", "--shards", "0"],
                                       ["serve", "--shards", "many"], ["serve", "--io", "magic"],
                                       ["serve", "--listen", "nowhere"], ["pub"], ["sub"], ["config"],
                                       ["config", "check"], ["sub", "--count", "-1", "a"],
                                       ["sub", "--format", "xml", "a"], ["sub", "--policy", "wait", "a"],
                                       ["pub", "--ack", "maybe", "a", "b"]])
def test_wrong_usage_exits_64(run, arguments):
    done = run(*arguments)
    assert done.returncode == 64 and done.stdout == "" and done.stderr.strip()


def test_a_missing_config_exits_78(run, tmp_path):
    done = run("serve", "--config", tmp_path / "none.yaml")
    assert done.returncode == 78 and done.stdout == "" and "none.yaml" in done.stderr


def test_a_wrong_config_exits_78(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(LISTEN + "limits: { frame: much }\n")
    done = run("serve", "--config", config)
    assert done.returncode == 78 and done.stdout == ""
    assert re.search(r"c\.yaml:2:\d+", done.stderr)


def test_a_port_in_use_exits_69(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "c.yaml"
        config.write_text(LISTEN)
        done = run("serve", "--config", config, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 69 and done.stdout == "" and "in use" in done.stderr


def test_listening_off_loopback_must_be_asked_for(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text('listen: { native: "0.0.0.0:0", admin: "127.0.0.1:0" }\n')
    done = run("serve", "--config", config)
    assert done.returncode == 78 and done.stdout == "" and "public" in done.stderr


def test_config_check_accepts_what_is_right(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("""listen:  { native: "127.0.0.1:4470", admin: "127.0.0.1:4480", ingest: "127.0.0.1:4481" }
io:      auto
shards:  { count: 2, cpus: [0, 1] }
slots:
  - { shard: 0, range: 0-2047 }
  - { shard: 1, range: 2048-4095 }
logs:    { data: auto, records: auto, grace: 200ms }
limits:  { frame: 1MiB, connections: 10000, subscriptions: 100000, topics: 1Mi, handshake: 10s, block: 30s, idle: 0 }
topics:
  - { match: ">", class: memory }
""")
    done = run("config", "check", config)
    assert done.returncode == 0, done.stderr


def test_config_check_names_every_mistake(run, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("""io: warp
logs: { data: 1x, grace: 200 }
limits: { frame: 64MB, nonsense: 1 }
""")
    done = run("config", "check", config)
    assert done.returncode == 78
    places = re.findall(r"c\.yaml:(\d+):(\d+)", done.stdout + done.stderr)
    assert [(int(line), int(column)) for line, column in places] == [(1, 5), (2, 15), (2, 26), (3, 18), (3, 24)]


@pytest.mark.parametrize("slots", ["- { shard: 0, range: 0-2047 }\n  - { shard: 1, range: 2049-4095 }",
                                   "- { shard: 0, range: 0-2048 }\n  - { shard: 1, range: 2048-4095 }",
                                   "- { shard: 0, range: 0-4095 }\n  - { shard: 2, range: 1-2 }",
                                   "- { shard: 0, range: 0-4096 }"])
def test_an_incomplete_or_overlapping_slot_map_is_refused(run, tmp_path, slots):
    config = tmp_path / "c.yaml"
    config.write_text(f"shards: {{ count: 2 }}\nslots:\n  {slots}\n")
    assert run("config", "check", config).returncode == 78


def test_a_slot_map_may_give_everything_to_one_shard(router):
    made = router(shards=2, config_text="slots:\n  - { shard: 1, range: 0-4095 }\n")
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a.>")
        publisher.send_bytes(b"".join(wire.numbered(f"a.{n}", n) for n in range(100)))
        assert publisher.settle(100) == {}
        # One log: so even different topics keep their order.
        assert [wire.read_number(event) for event in subscriber.events(100)] == list(range(100))
    assert made.metric("roundhouse_events_appended_total", shard="0") == 0
    assert made.metric("roundhouse_events_appended_total", shard="1") == 100


# ---- the admin plane ----


def test_health_and_readiness(router):
    made = router()
    assert made.http("/healthz") and made.http("/readyz")
    with pytest.raises(urllib.error.HTTPError) as error:
        made.http("/nothing")
    assert error.value.code == 404


def test_metrics_count_what_happened(router):
    made = router(shards=2)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("m.*")
        publisher.send_bytes(b"".join(wire.numbered(f"m.{n % 9}", n) for n in range(90)) + wire.numbered("a..b", 1))
        assert list(publisher.settle(91)) == [91]
        subscriber.events(90)
        assert made.metric("roundhouse_events_in_total") == 90
        assert made.metric("roundhouse_events_refused_total") == 1
        assert made.metric("roundhouse_events_appended_total") == 90
        assert made.metric("roundhouse_deliveries_total") == 90
        assert made.metric("roundhouse_connections") == 2
    made.await_metric("roundhouse_connections", lambda value: value == 0)


def test_promtool_accepts_the_metrics(router, tmp_path):
    made = router(shards=2, arguments=["--journal", tmp_path / "journal", "--ingest", "127.0.0.1:0"])
    with made.client() as client:
        client.subscribe("a")
        done = subprocess.run(["promtool", "check", "metrics"], input=made.http("/metrics"), text=True,
                              capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("request_bytes", [b"noise\r\n\r\n", b"GET /metrics", b"POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
                                           b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"\x16\x03\x01"])
def test_bad_requests_do_not_harm_the_admin_plane(router, request_bytes):
    made = router()
    with socket.create_connection(wire.end_point(made.admin), timeout=wire.WAIT_SECONDS) as client:
        try:
            client.sendall(request_bytes)
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)
        except OSError:  # reset while we still write: shutdown then says ENOTCONN
            pass
    assert made.http("/healthz") and made.alive()


# ---- the demo ----

DEMO = os.path.join(wire.ROOT, "examples", "demo", "demo.py")


def demo(body, *arguments):
    from conftest import BINARY
    return subprocess.run([sys.executable, "-B", DEMO, "--binary", BINARY, "--io", body, *arguments], text=True,
                          capture_output=True, timeout=110)


def test_the_demo_is_right(body):
    done = demo(body)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RIGHT" in done.stdout and done.stdout.count("digest ok") == 182 + 10 + 8 + 1


def test_the_demo_finds_one_flipped_byte(body):
    done = demo(body, "--break")
    assert done.returncode == 1, done.stdout + done.stderr
    wrong = [line for line in done.stdout.splitlines() if "WRONG" in line and "altered" in line]
    assert len(wrong) == 3 and all("edifact/pydifact__invoice1.edi" in line for line in wrong)
