"""The config of a running router: shown, compared, applied, read again; connections stay, and a bad one changes nothing."""

import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

import wire
from conftest import BINARY, DIRECT, LISTEN, Router
from operations_doc_test import free_ports
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED
BASE = "logs: { data: 8MiB }\n"


@pytest.fixture
def started(body, tmp_path):
    """A function that starts a router from a file, with no option that would win over it: started("shards: 2\\n")."""
    made = []

    def start(text=BASE, listen=LISTEN, arguments=(), preexec=None):
        made.append(Router(tmp_path / f"router{len(made)}", listen + text, ["--io", body, *arguments], preexec))
        return made[-1]

    yield start
    try:
        for one in made:
            if one.process.returncode is None:
                one.stop()
    finally:
        for one in made:
            one.kill()


def config(made, *arguments, text=None):
    """`roundhouse config ARGUMENTS` against a router."""
    return subprocess.run([BINARY, "config", arguments[0], "--admin", made.admin, *map(str, arguments[1:])], input=text,
                          text=True, capture_output=True, timeout=60)


def shown(made):
    """{key: its row} of `config show`."""
    answer = json.loads(config(made, "show", "--json").stdout)
    return {key["key"]: key for key in answer["keys"]}


def values(made):
    return {key: row["value"] for key, row in shown(made).items()}


def post(made, body, query=""):
    """(status, answer) of POST /v1/config."""
    request = urllib.request.Request(f"http://{made.admin}/v1/config{query}", data=body, method="POST",
                                     headers={"Content-Type": "application/yaml"})
    try:
        with DIRECT.open(request, timeout=wire.WAIT_SECONDS) as page:
            return page.status, json.loads(page.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def await_value(made, key, value):
    end = time.monotonic() + wire.WAIT_SECONDS
    while (found := values(made)[key]) != value:
        assert time.monotonic() < end, f"{key} stays {found}"
        time.sleep(0.02)


# ---- show ----


def test_show_says_of_every_key_what_it_is_and_where_it_is_from(started):
    made = started(BASE + "limits: { idle: 5m }\n", arguments=["--shards", "2"])
    keys = shown(made)
    assert json.loads(made.http("/v1/config"))["file"] == str(made.config)
    assert keys["limits.idle"] == dict(key="limits.idle", value="5m", **{"from": "file"}, change="live", line=3,
                                       help=keys["limits.idle"]["help"])
    assert (keys["shards"]["value"], keys["shards"]["from"]) == ("2", "option")
    assert (keys["limits.frame"]["value"], keys["limits.frame"]["from"], keys["limits.frame"]["change"]) == (
        "1MiB", "default", "restart")
    lines = config(made, "show").stdout.splitlines()
    assert lines[0].split() == ["KEY", "CHANGE", "FROM", "VALUE"] and len(lines) == len(keys) + 1
    assert ["limits.idle", "live", "file:3", "5m"] in [line.split() for line in lines]


# ---- diff and apply ----


def test_diff_and_dry_run_change_nothing(started, tmp_path):
    made = started()
    before, wanted = shown(made), tmp_path / "wanted.yaml"
    wanted.write_text(LISTEN + BASE + "limits: { idle: 5m, frame: 512KiB }\n")
    for arguments in [("diff", wanted), ("apply", "--dry-run", wanted)]:
        done = config(made, *arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["limits.frame          1MiB -> 512KiB  (needs a restart)",
                                            "limits.idle           0 -> 5m"]
        assert "1 key needs a restart" in done.stderr and "would be lost at a restart" in done.stderr
    assert shown(made) == before
    assert config(made, "diff", made.config).stdout == "no difference\n"
    assert "config applied" not in made.errors()


def test_apply_changes_what_is_live_and_names_what_needs_a_restart(started, tmp_path):
    made = started()
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text(LISTEN + BASE + "limits: { idle: 5m, frame: 512KiB }\n")
    done = config(made, "apply", wanted)
    assert done.returncode == 0 and "1 key needs a restart" in done.stderr and "is lost at a restart" in done.stderr
    keys = shown(made)
    assert (keys["limits.idle"]["value"], keys["limits.idle"]["from"]) == ("5m", "applied")
    assert keys["limits.frame"]["value"] == "1MiB"
    said = made.errors()
    assert 'msg="a key of the config has changed" key=limits.idle from="0" to="5m"' in said
    assert 'msg="a key of the config needs a restart" key=limits.frame from="1MiB" to="512KiB"' in said
    again = config(made, "apply", wanted)
    assert again.stdout == "limits.frame          1MiB -> 512KiB  (needs a restart)\n", "it still waits for the restart"


def test_keys_that_a_part_leaves_out_keep_the_line_that_they_have_in_the_file(started):
    made = started(BASE + "limits: { block: 7s }\nshards: 2\n")
    before = shown(made)
    for text in ("limits: { idle: 5m }\n", "shards: 1\n"):
        done = config(made, "apply", "--partial", "-", text=text)
        assert done.returncode == 0, done.stderr
    keys = shown(made)
    changed = {"limits.idle", "shards", "slots"}
    assert {key: row for key, row in keys.items() if key not in changed} == {key: row for key, row in before.items() if key not in changed}
    assert (keys["limits.block"]["from"], keys["limits.block"]["line"]) == ("file", 3)
    assert (keys["shards"]["from"], keys["shards"]["value"], keys["limits.idle"]["from"]) == ("applied", "1", "applied")
    assert ["limits.block", "live", "file:3", "7s"] in [line.split() for line in config(made, "show").stdout.splitlines()]


def test_strict_refuses_what_needs_a_restart(started):
    made = started()
    before = shown(made)
    done = config(made, "apply", "--partial", "--strict", "-", text="limits: { idle: 5m,\n  frame: 512KiB }\n")
    assert done.returncode == 78 and done.stdout == ""
    assert "(standard input):2:3: limits.frame: this needs a restart" in done.stderr
    assert shown(made) == before


def test_the_file_of_the_start_is_not_lost_and_leaves_nothing_of_what_was_applied(started):
    made = started()
    done = config(made, "apply", "--partial", "-", text="limits: { idle: 5m }\n")
    assert done.returncode == 0 and "lost at a restart" in done.stderr
    made.config.write_text(LISTEN + BASE + "limits: { block: 7s }\n")
    done = config(made, "apply", made.config)
    assert done.returncode == 0 and done.stderr == ""
    keys = shown(made)
    assert (keys["limits.idle"]["value"], keys["limits.idle"]["from"]) == ("0", "default")
    assert (keys["limits.block"]["value"], keys["limits.block"]["from"]) == ("7s", "file")


def test_an_option_wins_and_that_is_told(started):
    made = started(arguments=["--shards", "1"])
    done = config(made, "apply", "--partial", "-", text="shards: 3\nlimits: { idle: 5m }\n")
    assert done.returncode == 0, done.stderr
    assert "shards of the file has no effect" in done.stderr
    assert values(made)["shards"] == "1" and values(made)["limits.idle"] == "5m"


# ---- what is live, is ----


def test_limits_of_connections_and_subscriptions_change_for_who_comes(started):
    made = started(BASE + "shards: 2\n")
    with made.client() as first, made.client() as second:
        first.subscribe("a")
        assert config(made, "apply", "--partial", "-",
                      text="limits: { connections: 2, subscriptions: 1 }\n").returncode == 0
        with pytest.raises((AssertionError, wire.Closed)):
            made.client()
        second.send(subscribe=pb.Subscribe(id=1, patterns=["b"]))
        assert "limits.subscriptions" in second.expect("error").text
        assert first.round_trip() == [] and second.round_trip() == [], "who is there stays"
        assert config(made, "apply", "--partial", "-",
                      text="limits: { connections: 3, subscriptions: 2 }\n").returncode == 0
        with made.client() as third:
            third.subscribe("c")


def test_who_connects_after_the_change_is_told_the_new_idle_time(started):
    made = started()
    with made.client() as before:
        assert before.connected.idle_ms == 0
        assert config(made, "apply", "--partial", "-", text="limits: { idle: 100ms }\n").returncode == 0
        with made.client() as after:
            assert after.connected.idle_ms == 100
            assert after.refused().code == pb.ERROR_CODE_TIMEOUT
        assert made.metric("roundhouse_idle_timeouts_total") == 1
        assert before.round_trip() == [], "who was told `for ever` may be silent for ever"


def test_the_time_for_a_handshake_changes(started):
    made = started()
    assert config(made, "apply", "--partial", "-", text="limits: { handshake: 10ms }\n").returncode == 0
    with made.client(hello=False) as silent:
        silent.until_closed()
    assert made.metric("roundhouse_handshake_timeouts_total") == 1


def test_the_grace_of_the_logs_changes(started):
    """With a long grace publishers wait for a laggard; without one they do not."""
    made = started("logs: { data: 1MiB, grace: 1m }\nlimits: { frame: 65KiB }\n")
    with made.client(receive_buffer=8192) as deaf, made.client(ack=ROUTED) as publisher:
        deaf.subscribe("x", policy=pb.SLOW_POLICY_SKIP)
        publisher.send_bytes(b"".join(wire.numbered("x", n, 8000) for n in range(1000)))
        made.await_metric("roundhouse_parked", lambda parked: parked == 1)
        assert config(made, "apply", "--partial", "-", text="logs: { grace: 0 }\n").returncode == 0
        assert publisher.settle(1000) == {}


def test_a_listener_moves_while_clients_stay_connected(started):
    made = started(BASE + "shards: 2\n")
    (port,) = free_ports(1)
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a")
        done = config(made, "apply", "--partial", "-", text=f'listen: {{ native: "127.0.0.1:{port}" }}\n')
        assert done.returncode == 0, done.stderr
        with pytest.raises(ConnectionError):
            socket.create_connection(wire.end_point(made.address)).close()
        with wire.Client(f"127.0.0.1:{port}", ack=ROUTED) as late:
            late.send_bytes(wire.numbered("a", 2))
            assert late.settle(1) == {}
            publisher.send_bytes(wire.numbered("a", 1))
            assert publisher.settle(1) == {}
            assert sorted(wire.read_number(event) for event in subscriber.events(2)) == [1, 2]
    descriptors = made.settled_descriptors()
    for address in (made.address, f"127.0.0.1:{port}", made.address):
        assert config(made, "apply", "--partial", "-", text=f'listen: {{ native: "{address}" }}\n').returncode == 0
        with wire.Client(address) as client:
            assert client.round_trip() == []
    made.await_descriptors(descriptors)
    made.address = f"127.0.0.1:{port}"


def test_http_in_goes_on_when_the_listener_moves(started):
    """The router's own clients find the new place when they dial again."""
    listen = 'listen: { native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: "127.0.0.1:0" }\n'
    made = started(listen=listen)
    (port,) = free_ports(1)
    done = config(made, "apply", "--partial", "-", text=f'listen: {{ native: "127.0.0.1:{port}" }}\n')
    assert done.returncode == 0, done.stderr
    with wire.Client(f"127.0.0.1:{port}") as subscriber:
        subscriber.subscribe("in.a")
        request = urllib.request.Request(f"http://{made.ingest}/v1/events/in.a", data=b"1", method="POST", headers={
            "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/t", "ce-type": "t", "Content-Type": "application/json"})
        with DIRECT.open(request, timeout=wire.WAIT_SECONDS) as page:
            assert page.status in (200, 202)
        assert len(subscriber.events(1)) == 1


def test_the_sharding_changes_under_traffic_and_nothing_is_lost_or_turned_round(started):
    made = started(BASE + "shards: 1\n")
    topics, rounds = 20, 300
    maps = ["shards: 3\nslots: [ { shard: 0, range: 0-999 }, { shard: 1, range: 1000-2999 }, { shard: 2, range: 3000-4095 } ]\n",
            "shards: 2\nslots: [ { shard: 1, range: 0-1999 }, { shard: 0, range: 2000-4095 } ]\n",
            "shards: 1\nslots: [ { shard: 0, range: 0-4095 } ]\n",
            "shards: 4\nslots: [ { shard: 3, range: 0-4095 } ]\n"]
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("s.>")
        sent = 0
        for number in range(rounds):
            publisher.send_bytes(b"".join(wire.numbered(f"s.{topic}", number) for topic in range(topics)))
            sent += topics
            if number % 60 == 30 and maps:
                done = config(made, "apply", "--partial", "-", text=maps.pop(0))
                assert done.returncode == 0 and "slots have changed their shard" in done.stdout, done.stderr
            if number % 30 == 0:
                assert publisher.settle(sent) == {}
        assert publisher.settle(sent) == {}
        seen = {}
        for event in subscriber.events(sent):
            seen.setdefault(event.topic, []).append(wire.read_number(event))
    assert not maps and len(seen) == topics
    assert all(numbers == list(range(rounds)) for numbers in seen.values())
    assert values(made)["shards"] == "4" and made.metric("roundhouse_slots", shard="3") == 4096
    assert "the sharding is changed" in made.errors()


def test_workers_are_pinned_anew(started):
    made = started(BASE + "shards: { count: 2, cpus: [0, 1] }\n")

    def cpus():
        answer = json.loads(made.http("/v1/shards"))
        return [shard["cpu"] for shard in answer["shards"]]

    def allowed():
        """Of each worker, what the kernel says."""
        found = []
        for task in os.listdir(f"/proc/{made.pid}/task"):
            with open(f"/proc/{made.pid}/task/{task}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
            if status["Name"].startswith("rh-shard"):
                found.append(status["Cpus_allowed_list"])
        return sorted(found)

    assert cpus() == [0, 1] and allowed() == ["0", "1"]
    assert config(made, "apply", "--partial", "-", text="shards: { cpus: [1, 0] }\n").returncode == 0
    assert cpus() == [1, 0] and allowed() == ["0", "1"]
    made.config.write_text(LISTEN + BASE + "shards: 2\n")
    assert config(made, "apply", made.config).returncode == 0
    assert cpus() == [None, None] and len(set(allowed())) == 1 and allowed()[0] not in ("0", "1")


# ---- what is wrong changes nothing ----


@pytest.mark.parametrize("text, place", [
    ("limits: { idle: 5m,\n  connections: many }\n", "2:16: limits.connections"),
    ("limits: { idle: 5m }\nnonsense: 1\n", "2:1: "),
    ("limits: { idle: 5m }\n\tio: epoll\n", "2:1: "),
    ("limits: { idle: 5m }\nslots: [ { shard: 0, range: 0-4000 } ]\n", "2:8: slots: no shard has 4001-4095"),
    ("limits: { idle: 5m }\nlogs: { data: 64GiB }\nshards: 64\n", "2:9: logs.data: the logs would need"),
    ("limits: { idle: 5m }\nlisten: { native: \"0.0.0.0:4470\" }\n", "2:19: listen.native: other machines"),
])
def test_a_bad_config_changes_nothing_and_says_where_it_is_wrong(started, tmp_path, text, place):
    made = started()
    before, wanted = shown(made), tmp_path / "wanted.yaml"
    wanted.write_text(text)
    for what in ("diff", "apply"):
        done = config(made, what, "--partial", wanted)
        assert done.returncode == 78 and done.stdout == ""
        assert f"{wanted}:{place}" in done.stderr and "nothing was changed" in done.stderr
    assert shown(made) == before


def test_a_listener_that_can_not_be_had_changes_nothing(started):
    made = started()
    before = shown(made)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f'limits: {{ idle: 5m }}\nlisten: {{ native: "127.0.0.1:{taken.getsockname()[1]}" }}\n'
        done = config(made, "apply", "--partial", "-", text=text)
    assert done.returncode == 78 and "(standard input):2:11: listen.native: 127.0.0.1:" in done.stderr
    assert shown(made) == before
    with made.client() as client:
        assert client.round_trip() == []


@pytest.mark.parametrize("body", [b"\0" * 1000, b"{" * 200000, b"- " * 100000, b"\xff\xfe" * 5000, b"a: &x [*x]\n",
                                  b"slots: [" + b"{ shard: 0, range: 0 }," * 30000 + b"]", b"a: b: c"],
                         ids=["zeros", "braces", "dashes", "no text", "alias", "many slots", "colons"], indirect=False)
def test_malformed_bodies_are_refused(tmp_path, body):
    made = Router(tmp_path / "router", LISTEN + BASE, ["--io", "epoll"])
    try:
        before = shown(made)
        status, answer = post(made, body)
        assert status == 422 and answer["error"] == "config" and 1 <= len(answer["mistakes"]) <= 100
        assert all(set(mistake) == {"line", "column", "text"} for mistake in answer["mistakes"])
        assert shown(made) == before
        made.stop()
    finally:
        made.kill()


def test_a_huge_body_is_refused_and_an_empty_one_is_the_defaults(started):
    made = started()
    status, answer = post(made, b"#" * (1024 * 1024 + 1))
    assert status == 413, answer
    status, answer = post(made, b"#" * (1024 * 1024), "?partial=true")
    assert (status, answer["changes"]) == (200, [])
    status, answer = post(made, b"", "?dry_run=true")
    assert status == 200 and answer["applied"] is False
    assert ("logs.data", False) in [(change["key"], change["live"]) for change in answer["changes"]]


@pytest.mark.parametrize("query", ["?dry_run=yes", "?what=1", "?file=relative.yaml", "?partial="])
def test_a_wrong_query_is_refused(started, query):
    made = started()
    status, answer = post(made, b"limits: { idle: 5m }\n", query)
    assert status == 400 and answer["message"]
    assert values(made)["limits.idle"] == "0"


# ---- many at once ----


def test_of_concurrent_applies_each_is_done_or_told_to_come_again(started):
    made = started()
    texts = [f"limits: {{ idle: {1 + n}m, block: {1 + n}s, handshake: {100 + n}ms }}\n" for n in range(24)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool, made.client() as client:
        answers = list(pool.map(lambda text: post(made, text.encode(), "?partial=true"), texts))
        assert client.round_trip() == []
    assert {status for status, _ in answers} <= {200, 409} and 200 in {status for status, _ in answers}
    assert all(answer["error"] == "busy" for status, answer in answers if status == 409)
    found = values(made)
    number = int(found["limits.idle"][:-1])
    assert (found["limits.block"], found["limits.handshake"]) == (
        f"{number}s", f"{99 + number}ms"), "what holds is one of them as a whole"


def test_who_has_been_answered_may_apply_the_next_one_at_once(started):
    made = started()
    for number in range(200):
        status, answer = post(made, f"limits: {{ idle: {1 + number % 50}m }}\n".encode(), "?partial=true")
        assert status == 200, answer


def test_a_storm_of_sighup_is_read_a_few_times_and_the_last_file_holds(started):
    made = started()
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("s")
        for number in range(1000):
            if number % 100 == 0:
                made.config.write_text(LISTEN + BASE + f"limits: {{ block: {number + 100}ms }}\n")
            made.signal(signal.SIGHUP)
            if number % 10 == 0:
                publisher.send_bytes(wire.numbered("s", number))
        await_value(made, "limits.block", "1s")
        assert publisher.settle(100) == {}
        assert [wire.read_number(event) for event in subscriber.events(100)] == list(range(0, 1000, 10))
    assert len(re.findall("config applied|config read", made.errors())) < 100


def test_sighup_with_a_bad_file_changes_nothing_and_the_log_says_where(started):
    made = started()
    before = shown(made)
    made.config.write_text(LISTEN + BASE + "limits: { idle: 5m, block: never }\n")
    made.signal(signal.SIGHUP)
    end = time.monotonic() + wire.WAIT_SECONDS
    while "the config stays as it was" not in made.errors():
        assert time.monotonic() < end, made.errors()
        time.sleep(0.02)
    assert re.search(r'msg="the config is wrong" file="[^"]*roundhouse.yaml" line=3 column=28 ', made.errors())
    assert shown(made) == before
    os.remove(made.config)
    made.signal(signal.SIGHUP)
    while "its file can not be read" not in made.errors():
        assert time.monotonic() < end, made.errors()
        time.sleep(0.02)
    made.config.write_text(LISTEN + BASE + "limits: { idle: 6m }\n")
    made.signal(signal.SIGHUP)
    await_value(made, "limits.idle", "6m")


def test_a_stop_in_the_middle_of_changes_ends_in_order(started):
    made = started()
    done = threading.Event()

    def press():
        number = 0
        while not done.is_set():
            number += 1
            try:
                post(made, f"limits: {{ idle: {1 + number % 60}m }}\n".encode(), "?partial=true")
            except (OSError, ValueError):
                return

    threads = [threading.Thread(target=press) for _ in range(3)]
    for thread in threads:
        thread.start()
    await_end = time.monotonic() + wire.WAIT_SECONDS
    while "config applied" not in made.errors():
        assert time.monotonic() < await_end
        time.sleep(0.01)
    made.stop()
    done.set()
    for thread in threads:
        thread.join(wire.WAIT_SECONDS)
        assert not thread.is_alive()


def test_nobody_answers_is_69_and_wrong_usage_is_64(run, tmp_path):
    (port,) = free_ports(1)
    file = tmp_path / "c.yaml"
    file.write_text("io: auto\n")
    assert run("config", "apply", "--admin", f"127.0.0.1:{port}", file).returncode == 69
    assert run("config", "show", "--admin", f"127.0.0.1:{port}").returncode == 69
    assert run("config", "apply", tmp_path / "none.yaml").returncode == 78
    for wrong in (["apply"], ["diff"], ["show", "x"], ["apply", "--nonsense", file], ["apply", file, file], ["mend"]):
        done = run("config", *wrong)
        assert done.returncode == 64 and done.stdout == "" and done.stderr, wrong


def test_a_file_behind_a_link_is_followed_when_the_link_is_turned_over(body, tmp_path):
    """As volumes of containers do it; and with a relative name, and relative paths in the file, nothing differs from what runs."""
    for number, idle in ((1, "1h"), (2, "2h")):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "rh.yaml").write_text(LISTEN + BASE + f"limits: {{ idle: {idle} }}\nroutes: rules\n")
        (tmp_path / f"v{number}" / "rules").mkdir()
    link = tmp_path / "current"
    link.symlink_to("v1")
    process = subprocess.Popen([BINARY, "serve", "--io", body, "--config", "current/rh.yaml"], cwd=tmp_path, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        admin = re.search(r"admin=(\S+)", process.stdout.readline())[1]
        made = type("Made", (), {"admin": admin})
        same = subprocess.run([BINARY, "config", "diff", "--admin", admin, "current/rh.yaml"], cwd=tmp_path, text=True, capture_output=True, timeout=60)
        assert same.returncode == 0 and "restart" not in same.stdout + same.stderr, same
        (tmp_path / "next").symlink_to("v2")
        os.replace(tmp_path / "next", link)
        process.send_signal(signal.SIGHUP)
        await_value(made, "limits.idle", "2h")
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
