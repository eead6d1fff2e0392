"""The log: as key=value and as JSON, and never more of it than was promised, whatever strangers do."""

import datetime
import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

import wire
from conftest import DIRECT
from wire import pb

LINES_A_SECOND = 10
ODD = 'a "b" \\ ü € 🚂 \u202ertl'
PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ ]*)(?: |$)')


@pytest.fixture
def body():
    return "epoll"


# Lines without a limit in the parts of the router that the network reaches, and why they can not come often.
ONCE = "told when it begins and when it ends, and tried again with pauses that grow"
END = "the end of a thread, or of the process"
SELDOM = {
    "the admin plane has stopped": END, "HTTP in has stopped": END, "a worker's event loop is broken": END, "a spoke has stopped": END,
    "a spoke has stopped before the router had all its answers: some events come twice": END,
    "a worker can not be pinned": "the start of a thread",
    "admin token not readable, the old one stays": ONCE, "secret not readable, the old one stays": ONCE,
    "a jq process can not be started": "a try every ten seconds",
    "a document does not say all of its event: its format has no place for it": "one a minute and kind of document",
    "events match no subscription and no queue: nobody gets them": "one a minute and shard",
    "rules get no events any more": END, "rules can not begin, and are tried again": "a try every five seconds",
    "a shard can not be added": "a change of the sharding, one at a time", "the sharding could not be changed": "the same",
    "the sharding is changed": "the same",
    "a spoke's file is wrong": "the limit is that of applying spokes", "a spoke is gone, and its queue stays until it is ended": "files that went",
    "a spoke can not run, and is tried again": ONCE, "a spoke runs again": ONCE, "a directory can not be used, it is tried again": ONCE,
    "a directory can be used again": ONCE, "the state of an inbox can be written again": ONCE,
    "the state of an inbox can not be written: a crash would make it read files again": ONCE,
    "an inbox can not be watched, it is looked through again and again": ONCE, "an inbox is watched again": ONCE,
    "a spoke gets nothing from its system any more": END, "webhook target is gone": "until its file is changed",
}
REACHED = [f"core/{part}/*.c" for part in "shard session conn io queue admin transport bridge spoke routes".split()]


def lines_of(made):
    return made.errors().splitlines()


def objects_of(made):
    """Its log, each line an object with the keys that all lines have in front."""
    found = [json.loads(line) for line in lines_of(made)]
    for entry in found:
        assert list(entry)[:3] == ["time", "level", "msg"]
        assert entry["level"] in ("info", "warn", "error")
        datetime.datetime.strptime(entry["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return found


def seconds_of(entries):
    stamps = [datetime.datetime.fromisoformat(entry["time"].rstrip("Z")) for entry in entries]
    return (max(stamps) - min(stamps)).total_seconds()


def is_bounded(entries, caused):
    """Lines of one kind that `caused` acts have brought about: as many as the time allows, the others counted."""
    assert 0 < len(entries) <= LINES_A_SECOND * (seconds_of(entries) + 2)
    assert len(entries) + sum(entry["left_out"] for entry in entries) <= caused


def refuse_one(made, name="stranger"):
    """Ends a connection by an error that is logged."""
    with made.client(name=name) as client:
        client.send_bytes(wire.varint(64 << 20))
        assert client.expect("error").fatal


def test_a_line_in_json_says_what_it_says_as_text(router):
    text, as_json = router(), router(arguments=["--log-format", "json"])
    for made in text, as_json:
        refuse_one(made, ODD)
        made.stop()
    told = objects_of(as_json)
    assert [entry["msg"] for entry in told] == ["ready", "connection refused or ended by an error", "stopping", "stopped"]
    assert told[1]["client"] == ODD and told[1]["shard"] == 0 and told[1]["code"] == "too_large"
    for line, entry in zip(lines_of(text), told):
        assert [key for key, _ in PAIR.findall(line)] == list(entry)


def test_the_file_says_how_the_log_is_written_and_from_which_level_on(router):
    made = router(config_text="log: { format: json, level: warn }\n")
    refuse_one(made)
    made.stop()
    assert [entry["level"] for entry in objects_of(made)] == ["warn"]


def test_format_and_level_change_while_it_runs(router, run):
    made = router(config_text="log: { level: info }\n")
    refuse_one(made, "one")
    text = made.config.read_text()
    made.config.write_text(text.replace("log: { level: info }", "log: { level: warn, format: json }"))
    done = run("config", "apply", "--admin", made.admin, made.config)
    assert done.returncode == 0, done.stderr
    refuse_one(made, "two")
    made.stop()
    lines = lines_of(made)
    assert any('client="one"' in line for line in lines)
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [entry["client"] for entry in told if "client" in entry] == ["two"]
    assert {entry["level"] for entry in told} == {"warn"}, "it begins and ends with the level that was wanted"


def test_an_option_wins_over_the_file(router):
    made = router(config_text="log: { format: json }\n", arguments=["--log-format", "logfmt", "--quiet"])
    refuse_one(made)
    made.stop()
    assert [line.split()[1] for line in lines_of(made)] == ["level=warn"]


def test_each_line_that_the_network_can_bring_about_has_a_limit():
    """It tells how many were left out before it, or it is one that can not come often."""
    files = subprocess.run(["git", "-C", wire.ROOT, "ls-files", *REACHED], text=True, capture_output=True, check=True).stdout.split()
    unlimited, calls = set(), 0
    for name in files:
        with open(os.path.join(wire.ROOT, name), encoding="utf-8") as file:
            text = re.sub(r'"\s*\n\s*"', "", file.read())
        for call in re.findall(r"\blogfmt\([^;]*;", text):
            calls += 1
            if "left_out" not in call:
                unlimited.add(re.search(r'"((?:[^"\\]|\\.)*)"', call)[1])
    assert calls > 30 and unlimited <= set(SELDOM), unlimited - set(SELDOM)
    assert set(SELDOM) <= unlimited, "has a limit, or is not there any more"


@pytest.mark.parametrize("name", ["\x7f", "\x00", "\x1b[31m", "{}", '","x":"', "\ufeff", "\U0010ffff", "ü" * 64])
def test_no_name_breaks_a_line(router, name):
    made = router(arguments=["--log-format", "json"])
    with made.client(hello=False) as client:
        client.send(connect=pb.Connect(version=1, client=name))
        client.send_bytes(wire.varint(64 << 20))
        client.until_closed()
    made.stop()
    objects_of(made)


def test_a_flood_of_strangers_is_ten_lines_a_second(router, many_descriptors):
    """Garbage, frames that are too long and first frames that are wrong, on the native port."""
    made = router(shards=1, arguments=["--log-format", "json"])
    caused = 1500
    for number in range(caused):
        with socket.create_connection(made.address.rsplit(":", 1)) as stranger:
            stranger.sendall((b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, wire.varint(64 << 20), b"\x02\x08\x01")[number % 4])
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(4096):
                pass
    made.await_metric("roundhouse_connections", lambda value: value == 0)
    made.stop()
    told = objects_of(made)
    is_bounded([entry for entry in told if entry["msg"] == "connection refused or ended by an error"], caused)
    assert {entry["msg"] for entry in told} == {"ready", "connection refused or ended by an error", "stopping", "stopped"}


def http(address, path, method="GET", data=None):
    try:
        with DIRECT.open(urllib.request.Request(f"http://{address}{path}", method=method, data=data), timeout=wire.WAIT_SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_flood_over_http_is_no_line_and_applying_spokes_ten_a_second(router, tmp_path):
    spokes = tmp_path / "spokes.d"
    spokes.mkdir()
    made = router(arguments=["--log-format", "json", "--spokes", spokes, "--ingest", "127.0.0.1:0"])
    caused = 120
    for _ in range(caused):
        assert http(made.admin, "/v1/spokes/apply", "POST") == 200
        assert http(made.admin, "/nothing") == 404
        assert http(made.ingest, "/v1/events/a..b", "POST", b"x") >= 400
    (spokes / "wrong.yaml").write_text("transport: pigeon\n")
    for _ in range(caused):
        assert http(made.admin, "/v1/spokes/apply", "POST") == 422
    made.stop()
    told = objects_of(made)
    kinds = {"ready", "spokes applied", "a spoke's file is wrong", "spokes stay as they were: a file is wrong", "stopping", "stopped"}
    assert {entry["msg"] for entry in told} <= kinds
    is_bounded([entry for entry in told if "left_out" in entry], 2 * caused + 1)
