"""HTTP in, as a client of HTTP sees it, and as subscribers see what comes of it; docs/INGEST.md is run here."""

import hmac
import http.client
import json
import os
import re
import socket
import subprocess
import threading

import pytest

import wire

MANUAL = os.path.join(wire.ROOT, "docs", "INGEST.md")
CE = {"ce-id": "A-1", "ce-source": "/s", "ce-specversion": "1.0", "ce-type": "t"}
ONE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


@pytest.fixture
def ingest(router):
    """A router that takes events over HTTP; further options as the router's."""
    def start(*arguments, **options):
        return router(arguments=["--ingest", "127.0.0.1:0", *arguments], **options)
    return start


def ask(made, method, path, body=None, headers=None):
    """(status, headers, what the body says)."""
    connection = http.client.HTTPConnection(made.ingest, timeout=wire.WAIT_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.getheader("Content-Type") == "application/json"
        return answer.status, answer.headers, json.loads(text) if is_json else text
    finally:
        connection.close()


def post(made, topic, body=b"", headers=None, query=""):
    status, _, said = ask(made, "POST", f"/v1/events/{topic}{query}", body, CE if headers is None else headers)
    return status, said


def event_of(record):
    event = wire.ce.CloudEvent()
    event.ParseFromString(record.event)
    return event


def test_each_mode_comes_out_as_the_event_that_was_meant(ingest):
    made = ingest()
    proto = wire.cloud_event("x", id="p")
    batch = wire.ce.CloudEventBatch(events=[event_from(proto), event_from(proto)]).SerializeToString()
    with made.client() as client:
        client.subscribe("in.>")
        assert post(made, "in.a", b'{"a": 1.10}', {**CE, "Content-Type": "application/json", "ce-subject": "L%C3%A4ger%20%2525",
                                                   "ce-time": "2026-02-28T09:30:00Z"}) == (202, {"ids": ["A-1"], "published": 1})
        event = event_of(client.events(1)[0])
        assert (event.id, event.source, event.type, event.text_data) == ("A-1", "/s", "t", '{"a": 1.10}')
        assert event.attributes["subject"].ce_string == "Läger %25"
        assert event.attributes["datacontenttype"].ce_string == "application/json"
        assert event.attributes["time"].ce_timestamp.seconds == 1772271000
        assert post(made, "in.b", b"\x00\xff")[0] == 202
        assert event_of(client.events(1)[0]).binary_data == b"\x00\xff"
        structured = {"Content-Type": "Application/CloudEvents+JSON; charset=UTF-8"}
        assert post(made, "in.c", json.dumps({**ONE, "n": 7, "data": [1, "ä"]}), structured)[0] == 202
        event = event_of(client.events(1)[0])
        assert event.attributes["n"].ce_integer == 7 and json.loads(event.text_data) == [1, "ä"]
        assert post(made, "in.d", proto, {"Content-Type": "application/cloudevents+protobuf"})[0] == 202
        assert client.events(1)[0].event == proto
        many = {"Content-Type": "application/cloudevents-batch+json"}
        status, said = post(made, "in.e", json.dumps([{**ONE, "id": str(i)} for i in range(3000)]), many)
        assert (status, said["published"], len(said["results"])) == (202, 3000, 3000)
        assert [event_of(record).id for record in client.events(3000)] == [str(i) for i in range(3000)]
        assert post(made, "in.f", batch, {"Content-Type": "application/cloudevents-batch+protobuf"})[1]["ids"] == ["p", "p"]
        assert [record.topic for record in client.events(2)] == ["in.f", "in.f"]


def event_from(serialized):
    event = wire.ce.CloudEvent()
    event.ParseFromString(serialized)
    return event


@pytest.mark.parametrize("body", ["epoll"])
def test_what_is_wrong_is_said_and_nothing_comes_of_it(ingest):
    made = ingest(config_text="limits: { frame: 65KiB }\n")
    structured, many = {"Content-Type": "application/cloudevents+json"}, {"Content-Type": "application/cloudevents-batch+json"}
    wrong = [
        ("in.a", b"", {}, 422, "ce-id"), ("in.a", b"", {**CE, "ce-datacontenttype": "a/b"}, 422, "ce-datacontenttype"),
        ("in.a", b"", {**CE, "ce-a": "%C0%A0"}, 422, "ce-a"), ("in.a", b"", {**CE, "ce-a": "100% sure"}, 422, "ce-a"),
        ("in.a", b"", {**CE, "ce-specversion": "0.3"}, 422, "ce-specversion"), ("in.a", b"{", structured, 400, "body"),
        ("in.a", b"{}", structured, 422, "id"), ("in.a", b"[1]", many, 400, "body"), ("in.a", b"[{}", many, 400, "body"),
        ("in.*", b"", CE, 400, "topic"), ("in..a", b"", CE, 400, "topic"), ("$in", b"", CE, 400, "topic"),
        ("in%00a", b"", CE, 400, "topic"), ("in%2", b"", CE, 400, "topic"), ("", b"", CE, 400, "topic"),
        ("in.a", b"x" * 70000, CE, 413, None), ("in.a", b"{" + b" " * 140000 + b"}", structured, 413, None),
        ("in.a", b"x", {**CE, "Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        ("in.a", b"x", {"Content-Type": "application/cloudevents+avro"}, 415, "Content-Type"),
    ]
    with made.client() as client:
        client.subscribe("in.>")
        for topic, content, headers, status, field in wrong:
            got, said = post(made, topic, content, headers)
            assert (got, said.get("field")) == (status, field), (topic, content[:20], headers, said)
            assert said["error"] and "published" not in said or said["published"] == 0
        assert post(made, "in.a", b"", CE, "?ack=disk")[1]["field"] == "ack"
        assert ask(made, "GET", "/v1/events/in.a")[0] == 405 and ask(made, "POST", "/x")[0] == 404
        assert ask(made, "POST", "/v1/ingest/nobody", b"UNB")[0] == 404
        assert post(made, "in.last")[0] == 202
        assert client.events(1)[0].topic == "in.last"
    assert made.metric("roundhouse_ingest_accepted_total") == 1
    assert made.metric("roundhouse_ingest_refused_total") == len(wrong) + 4
    assert made.metric("roundhouse_ingest_unavailable_total") == 0
    made.await_metric("roundhouse_ingest_connections", lambda count: count == 0)


def test_an_answer_may_mean_that_it_is_on_disk(ingest, tmp_path):
    made = ingest("--journal", str(tmp_path / "journal"), config_text='topics: [{ match: "mem.>", class: memory }]\n')
    for topic in ("disk.a", "mem.a", "disk.a", "mem.a"):
        for query in ("", "?ack=disk", "?ack=routed", "?ack=none"):
            assert post(made, topic, b"x", {**CE, "ce-id": topic + query}, query)[0] == 202
    made.kill()
    again = ingest("--journal", str(tmp_path / "journal"), config_text='topics: [{ match: "mem.>", class: memory }]\n')
    with again.client() as client:
        client.subscribe(">", start=wire.pb.Start(oldest=True))
        assert [event_of(record).id for record in client.events(2)] == ["disk.a", "disk.a?ack=disk"]


def raw(made, text, end=None):
    """What is answered to these bytes until the connection is closed, or `end` has come."""
    host, port = wire.end_point(made.ingest)
    with socket.create_connection((host, port), timeout=wire.WAIT_SECONDS) as connection:
        try:
            connection.sendall(text)
        except OSError:
            pass
        answer = b""
        while end is None or end not in answer:
            try:
                piece = connection.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                break
            answer += piece
        return answer


HEAD = b"POST /v1/events/in.a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nce-id: 1\r\nce-source: /s\r\nce-specversion: 1.0\r\nce-type: t\r\n"


@pytest.mark.parametrize("body", ["epoll"])
def test_what_is_not_http_ends_the_connection_and_nothing_else(ingest):
    made = ingest()
    assert raw(made, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n").startswith(b"HTTP/1.1 202")
    before = made.settled_descriptors()
    for bad in (b"\x16\x03\x01\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\x00" * 100000, b"POST /" + b"a" * 100000,
                HEAD + b"Content-Length: -1\r\n\r\n", HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
                HEAD + b"Content-Length: 17000000\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                HEAD + b"ce-a: " + b"x" * 100000 + b"\r\n\r\n", b"POST /v1/events/in.a HTTP/1.1\r\n\r\n"):
        answer = raw(made, bad)
        assert not answer or re.match(rb"HTTP/1\.[01] [45]\d\d ", answer), (bad[:40], answer)
    made.await_descriptors(before)
    assert post(made, "in.a")[0] == 202


@pytest.mark.parametrize("body", ["epoll"])
def test_pipelined_requests_are_answered_in_order_on_one_connection(ingest):
    made = ingest()
    keep = HEAD.replace(b"Connection: close\r\n", b"")
    answer = raw(made, b"".join(keep.replace(b"ce-id: 1", b"ce-id: %d" % i) + b"Content-Length: 1\r\n\r\nx" for i in range(9))
                 + HEAD + b"Content-Length: 0\r\n\r\n")
    assert re.findall(rb'"ids":\["(\d+)"\]', answer) == [b"%d" % i for i in range(9)] + [b"1"]


@pytest.mark.parametrize("body", ["epoll"])
def test_many_senders_at_once_are_all_answered(ingest):
    made = ingest()
    failed = []

    def send(number):
        connection = http.client.HTTPConnection(made.ingest, timeout=wire.WAIT_SECONDS)
        for i in range(50):
            connection.request("POST", f"/v1/events/in.{number}", b"x" * 1000, {**CE, "ce-id": f"{number}-{i}"})
            answer = connection.getresponse()
            if answer.status != 202 or json.loads(answer.read())["ids"] != [f"{number}-{i}"]:
                failed.append(number)
        connection.close()

    with made.client() as client:
        client.subscribe("in.*")
        senders = [threading.Thread(target=send, args=(number,)) for number in range(20)]
        for sender in senders:
            sender.start()
        ids = [event_of(record).id for record in client.events(1000)]
        for sender in senders:
            sender.join(wire.WAIT_SECONDS)
    assert not failed and len(set(ids)) == 1000
    for number in range(20):
        assert [i for i in ids if i.startswith(f"{number}-")] == [f"{number}-{i}" for i in range(50)]


def test_the_handshake_and_the_help(ingest):
    made = ingest()
    status, headers, _ = ask(made, "OPTIONS", "/v1/events/in.a", headers={"WebHook-Request-Origin": "shop.example"})
    assert status == 200 and headers["WebHook-Allowed-Origin"] == "shop.example" and headers["WebHook-Allowed-Rate"] == "*"
    assert headers["Allow"] == "POST"
    assert ask(made, "OPTIONS", "/v1/events/in.a")[1]["WebHook-Allowed-Origin"] is None
    status, _, text = ask(made, "GET", "/")
    assert status == 200 and "/v1/ingest/NAME" in text
    assert ask(made, "HEAD", "/")[2] == ""


SAMPLES = os.path.join(wire.ROOT, "tests", "data", "edifact")
DESADV = os.path.join(wire.ROOT, "tests", "data", "edifact", "own__DESADV_D96A_EAN005_synthetic.edi")


@pytest.mark.parametrize("body", ["epoll"])
def test_documents_are_answered_with_the_ids_of_their_events_or_with_findings(ingest, tmp_path):
    spokes, key = tmp_path / "spokes.d", b"It'sASecretToEverybody"
    spokes.mkdir()
    (tmp_path / "key").write_bytes(key + b"\n")
    (spokes / "erp.yaml").write_text("transport: http\ninbound: { format: edifact }\n")
    (spokes / "hub.yaml").write_text(f"transport: http\ninbound: {{ format: json, topic: hub.pushed, type: hub.push }}\nhttp: {{ hmac: {tmp_path}/key }}\n")
    made = ingest("--spokes", str(spokes))
    with open(DESADV, "rb") as file:
        good = file.read()
    with open(os.path.join(SAMPLES, "ballerina__order-batch-2msg-badunt.edi"), "rb") as file:
        bad = file.read()
    signed = hmac.new(key, b'{"a": 1}', "sha256").hexdigest()
    with made.client() as client:
        client.subscribe("erp.>", "hub.>")
        status, _, said = ask(made, "POST", "/v1/ingest/erp", good)
        assert (status, said["published"], len(said["ids"])) == (202, 1, 1)
        assert [event_of(record).id for record in client.events(1)] == said["ids"]
        assert ask(made, "POST", "/v1/ingest/erp", good)[2]["ids"] == said["ids"]
        assert [event_of(record).id for record in client.events(1)] == said["ids"]
        status, _, said = ask(made, "POST", "/v1/ingest/erp", bad)
        assert status == 422 and said["error"] and said["refused"] >= 1
        assert "edifact.count-differs" in json.dumps(said["document"]["findings"])
        client.events(said["published"])
        status, _, said = ask(made, "POST", "/v1/ingest/erp", b"this is no document")
        assert (status, said["published"]) == (422, 0)
        assert ask(made, "POST", "/v1/ingest/hub", b'{"a": 1}')[0] == 401
        assert ask(made, "POST", "/v1/ingest/hub", b'{"a": 2}', {"X-Hub-Signature-256": f"sha256={signed}"})[0] == 401
        assert ask(made, "POST", "/v1/ingest/hub", b'{"a": 1}', {"X-Hub-Signature-256": f"sha256={signed}"})[0] == 202
        assert client.events(1)[0].topic == "hub.pushed"


@pytest.mark.parametrize("body", ["epoll"])
def test_a_port_in_use_is_said_and_off_is_off(router, run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 69 and done.stdout == "" and "HTTP in can not listen" in done.stderr
    assert router(arguments=["--ingest", "off"]).ingest is None


@pytest.mark.parametrize("body", ["epoll"])
def test_the_commands_of_the_manual_print_what_it_says(ingest):
    made, count = ingest(), 0
    with open(MANUAL, encoding="utf-8") as file:
        blocks = re.findall(r"^```console\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    for block in blocks:
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = subprocess.run(["bash", "-c", command.replace("127.0.0.1:4481", made.ingest)], text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=wire.WAIT_SECONDS)
            assert done.stdout == output, command
            count += 1
    assert count >= 6
