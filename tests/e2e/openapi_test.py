"""docs/openapi.json and the router that serves it: every path, parameter and answer of the one is in the other, and every error
that is documented can be had."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from urllib.parse import quote, urlencode

import jsonschema
import pytest

import wire
from admin_test import token_file
from conftest import BINARY, Router
from sse import Stream

with open(os.path.join(wire.ROOT, "docs", "openapi.json"), encoding="utf-8") as file:
    DOCUMENT = json.load(file)
OPERATIONS = {(method.upper(), path): operation for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()}
EVENT = {"specversion": "1.0", "id": "explained", "source": "/test", "type": "test.event", "data": {"a": 1}}


with open(os.path.join(wire.ROOT, "docs", "ADMIN.md"), encoding="utf-8") as file:
    MANUAL = file.read()
# (status, the word for programs), as the manual has them.
ERRORS = {(int(status), word) for status, words in re.findall(r"^\| ([45]\d\d) \| (`[^|]*`) \|", MANUAL, re.M) for word in re.findall(r"`(\w+)`", words)}


def resolved(part):
    while "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def ask(made, method, path, body=None, headers=(), **query):
    """(status, headers, text) of one request."""
    connection = http.client.HTTPConnection(made.admin, timeout=60)
    try:
        sent = dict(headers)
        if body is not None and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        connection.request(method, path + ("?" + urlencode(query) if query else ""), body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def fits(method, path, status, headers, text):
    """The answer is one that the document has; returns it parsed."""
    responses = OPERATIONS[method, path]["responses"]
    assert str(status) in responses, f"{method} {path} answers {status}, which is not documented: {text[:300]}"
    content = resolved(responses[str(status)])["content"]
    kind = headers["Content-Type"].split(";")[0]
    assert kind in content, f"{method} {path} answers {kind}"
    if kind != "application/json":
        return text
    value = json.loads(text)
    validator = jsonschema.Draft202012Validator(content[kind]["schema"], resolver=jsonschema.RefResolver.from_schema(DOCUMENT),
                                                format_checker=jsonschema.FormatChecker())
    wrong = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(value)]
    assert not wrong, f"{method} {path} {status}: {wrong}"
    assert status < 400 or "error" not in value or (status, value["error"]) in ERRORS, f"{status} {value['error']} is not in ADMIN.md"
    return value


def right(made, method, path, body=None, headers=(), **query):
    answer = ask(made, method, path, body, headers, **query)
    assert answer[0] == 200, answer
    return fits(method, path, *answer)


def test_the_document_is_what_is_served_and_its_schemas_are_schemas(router):
    made = router()
    assert right(made, "GET", "/v1/openapi.json") == DOCUMENT
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for words in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)):
            assert resolved({"$ref": words}), name
    said = json.dumps(DOCUMENT)
    unused = [name for kind in ("schemas", "responses") for name in DOCUMENT["components"][kind]
              if f'"#/components/{kind}/{name}"' not in said and not name.startswith("Streamed")]
    assert not unused


def test_every_path_is_in_both(router):
    made = router()
    listed = {tuple(line.split()[:2]) for line in made.http("/").splitlines() if re.match(r"(GET|POST) +/", line)}
    assert listed == set(OPERATIONS)
    assert {tuple(one.split()) for one in json.loads(ask(made, "GET", "/v1/nothing")[2])["endpoints"]} == listed


def test_every_parameter_is_in_both(router):
    made = router()
    for (method, path), operation in OPERATIONS.items():
        documented = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        status, _, text = ask(made, method, path, nonsense="1")
        if not path.startswith("/v1/spokes") and path.startswith("/v1/"):
            assert status == 400
            known = re.search(r"known are: (.*)\.", json.loads(text)["message"])
            assert set(known.group(1).split() if known else []) == documented, (method, path)
        else:
            assert not documented


@pytest.fixture
def busy_router(router, tmp_path):
    """A router that has something of everything to show."""
    (tmp_path / "spokes.d").mkdir()
    (tmp_path / "spokes.d" / "depot.yaml").write_text("transport: tcp\noutbound: { topics: depot.>, filter: .a }\n")
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.d" / "carts.yaml").write_text("on: [depot.>]\nrules: [ { name: all, then: { topics: carts } } ]\n")
    made = router(shards=2, config_text=f"spokes: {tmp_path}/spokes.d\nroutes: {tmp_path}/routes.d\nlogs: {{ data: 8MiB }}\n"
                  "topics: [ { match: t.>, class: memory, expiry: 10s, duplicates: { window: 1m } } ]\n")
    with contextlib.ExitStack() as clients:
        live = clients.enter_context(made.client(name="live"))
        live.subscribe("a.>", "t.*")
        queue = wire.pb.Queue(name="q", volatile=True)
        member = clients.enter_context(made.client(name="member"))
        member.send(subscribe=wire.pb.Subscribe(id=1, patterns=["t.>"], queue=queue))
        publisher = clients.enter_context(made.client(ack=1))
        publisher.send_bytes(b"".join(wire.numbered(topic, number) for number, topic in enumerate(["a.b", "t.x", "nobody", "t.y"])))
        publisher.settle(4)
        live.events(3)
        yield made


def test_every_answer_is_as_documented(busy_router):
    made = busy_router
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        assert right(made, "GET", path)
    assert [one["name"] for one in right(made, "GET", "/v1/spokes")["spokes"]] == ["depot"]
    assert right(made, "POST", "/v1/spokes/apply")["applied"]
    told = right(made, "GET", "/v1/router")
    assert told["version"] in subprocess.run([BINARY, "version"], capture_output=True, text=True, check=True).stdout
    assert (told["io"], told["journal"]) == (made.io, False)
    assert [shard["shard"] for shard in right(made, "GET", "/v1/shards")["shards"]] == [0, 1]
    slots = right(made, "GET", "/v1/slots")
    assert len(slots["shard_of_slot"]) == 4096 and sum(slots["records_total"]) == 4
    assert {one["client"] for one in right(made, "GET", "/v1/connections")["connections"]} >= {"live", "member", "test"}
    assert {one["kind"] for one in right(made, "GET", "/v1/subscriptions")["subscriptions"]} == {"live", "queue"}
    assert right(made, "GET", "/v1/connections", limit=1)["more"]
    assert [one["topic"] for one in right(made, "GET", "/v1/topics", sort="name")["topics"]] == ["a.b", "nobody", "t.x", "t.y"]
    assert right(made, "GET", "/v1/laggards")["laggards"] == []
    queues = sorted(one["queue"] for one in right(made, "GET", "/v1/queues")["queues"])
    assert queues == ["q", "route.carts", "spoke.depot"]
    graph = right(made, "GET", "/v1/graph")
    assert {node["kind"] for node in graph["nodes"]} == {"source", "topic", "pattern", "queue", "client", "spoke", "rules"}
    assert {edge["kind"] for edge in graph["edges"]} == {"publishes", "subscribes", "member"}
    topics = right(made, "GET", "/v1/topics", match="*.*", sort="name")["topics"]
    assert [one["topic"] for one in topics] == ["a.b", "t.x", "t.y"]
    assert [one["topic"] for one in right(made, "GET", "/v1/unmatched")["unmatched"]] == ["nobody"]
    assert right(made, "GET", "/v1/config")["keys"]
    yaml = {"Content-Type": "application/yaml"}
    assert right(made, "POST", "/v1/config", "limits: { frame: 512KiB }\n", yaml, dry_run="true", partial="true")["changes"]
    for topic, outcome in (("a.b", "routed"), ("t.x", "routed"), ("nobody", "routed")):
        explained = right(made, "POST", "/v1/explain", json.dumps(EVENT), topic=topic)
        assert explained["outcome"] == outcome and len(explained["gets"]) == {"a.b": 1, "t.x": 2, "nobody": 0}[topic]
    explained = right(made, "POST", "/v1/explain", json.dumps(EVENT), topic="depot.x")
    assert [one["why"] for one in explained["spokes"] + explained["rules"]] == ["taken", "taken"]
    assert right(made, "POST", "/v1/explain", json.dumps(dict(EVENT, id="1")), topic="t.x")["outcome"] == "duplicate"
    assert right(made, "POST", "/v1/explain", json.dumps({"topic": "a.b", "event": EVENT}))["topic"] == "a.b"
    kept = right(made, "GET", "/v1/event", source="/test", id="2")
    assert kept["complete"] and [one["topic"] for one in kept["events"]] == ["nobody"]
    begun = right(made, "GET", "/v1/trace", topic="a.b", count=1, timeout_ms=50)
    assert begun["over"] or right(made, "GET", "/v1/trace", trace=begun["trace"])["over"]
    with Stream(made.admin, match=">", from_="oldest") as stream:
        assert stream.head() == 200 and "text/event-stream" in OPERATIONS["GET", "/v1/events"]["responses"]["200"]["content"]
        validator = jsonschema.Draft202012Validator(DOCUMENT["components"]["schemas"]["StreamedEvent"],
                                                    resolver=jsonschema.RefResolver.from_schema(DOCUMENT))
        for data in stream.events(4):
            validator.validate(data)


# ---- errors ----


def stopping(made, tmp_path):
    """A router that has been told to stop, and waits for a reader that does not read."""
    deaf = made.client(receive_buffer=4096)
    deaf.subscribe("deaf")
    with made.client(ack=1) as publisher:
        publisher.send_bytes(b"".join(wire.numbered("deaf", n, 8000) for n in range(900)))
        publisher.settle(900)
    made.signal(signal.SIGTERM)
    end = time.monotonic() + wire.WAIT_SECONDS
    while ask(made, "GET", "/readyz")[0] != 503:
        assert time.monotonic() < end
    return deaf


def at_once(made, method, path, status, count, body=None, headers=(), **query):
    """Asked for by many at a time until one of them is answered so; its answer."""
    found, end = [], time.monotonic() + wire.WAIT_SECONDS

    def one():
        answer = ask(made, method, path, body, headers, **query)
        if answer[0] == status:
            found.append(answer)

    while not found:
        assert time.monotonic() < end, f"{method} {path} is never answered {status}"
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return found[0]




def filled(made):
    """Its log is full: there is something to search."""
    with made.client(ack=1) as publisher:
        publisher.send_bytes(b"".join(wire.numbered("full", n, 1000) for n in range(9000)))
        publisher.settle(9000)


def too_many_streams(made):
    streams = [Stream(made.admin, match=">") for _ in range(32)]
    try:
        assert all(stream.head() == 200 for stream in streams)
        return ask(made, "GET", "/v1/events", match=">")
    finally:
        for stream in streams:
            stream.socket.close()


YAML = {"Content-Type": "application/yaml"}
# (method, path, status) -> how it is had from a router on loopback that asks for no token.
PROVOKED = {
    **{("GET", path, 400): lambda made, path=path: ask(made, "GET", path, nonsense="1") for method, path in OPERATIONS
       if method == "GET" and "400" in OPERATIONS[method, path]["responses"]},
    ("POST", "/v1/config", 400): lambda made: ask(made, "POST", "/v1/config", "a: 1", YAML, dry_run="yes"),
    ("POST", "/v1/config", 422): lambda made: ask(made, "POST", "/v1/config", "limits: { frme: 1 }", YAML, dry_run="true"),
    ("POST", "/v1/config", 409): lambda made: at_once(made, "POST", "/v1/config", 409, 24, "limits: { idle: 1m }\n", YAML, partial="true"),
    ("POST", "/v1/explain", 400): lambda made: ask(made, "POST", "/v1/explain", "no json", topic="a"),
    ("POST", "/v1/explain", 422): lambda made: ask(made, "POST", "/v1/explain", json.dumps({"specversion": "1.0"}), topic="a"),
    ("GET", "/v1/trace", 404): lambda made: ask(made, "GET", "/v1/trace", trace="4711"),
    ("GET", "/v1/trace", 422): lambda made: ask(made, "GET", "/v1/trace", topic="a..b"),
    ("GET", "/v1/event", 404): lambda made: ask(made, "GET", "/v1/event", source="/test", id="none"),
    ("GET", "/v1/event", 503): lambda made: (filled(made), at_once(made, "GET", "/v1/event", 503, 20, source="/test", id="none"))[1],
    ("GET", "/v1/spokes", 404): lambda made: ask(made, "GET", "/v1/spokes"),
    ("POST", "/v1/spokes/apply", 404): lambda made: ask(made, "POST", "/v1/spokes/apply"),
    ("GET", "/v1/events", 503): too_many_streams,
    **{(method, path, 413): lambda made, path=path: ask(made, "POST", path, "a" * ((1 << 20) + 1)) for method, path in OPERATIONS
       if "413" in OPERATIONS[method, path]["responses"]},
    **{(method, path, 415): lambda made, path=path: ask(made, "POST", path, "a", {"Content-Type": "text/plain"}) for method, path in OPERATIONS
       if "415" in OPERATIONS[method, path]["responses"]},
    **{(method, path, 403): lambda made, method=method, path=path: ask(made, method, path, headers={"Origin": "http://evil.example"})
       for method, path in OPERATIONS if "403" in OPERATIONS[method, path]["responses"]},
    **{("GET", path, 503): lambda made, path=path: at_once(made, "GET", path, 503, 40) for path in
       ("/v1/connections", "/v1/subscriptions", "/v1/topics", "/v1/queues", "/v1/graph", "/v1/laggards",
        "/v1/unmatched")},
    ("POST", "/v1/explain", 503): lambda made: at_once(made, "POST", "/v1/explain", 503, 40, json.dumps(EVENT), topic="a"),
}


def documented_errors():
    return {(method, path, int(status)) for (method, path), operation in OPERATIONS.items() for status in operation["responses"] if status >= "400"}


@pytest.mark.parametrize("wanted", sorted(PROVOKED), ids=lambda wanted: " ".join(map(str, wanted)))
def test_a_documented_error_can_be_had(router, wanted):
    answer = PROVOKED[wanted](router())
    assert answer[0] == wanted[2], answer
    fits(*wanted[:2], *answer)


def test_what_asks_for_a_token_is_documented_so(tmp_path):
    token_file(tmp_path)
    made = Router(tmp_path, 'listen: { native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off, admin_token_file: token }\n'
                            "logs: { data: 8MiB }\n", ["--shards", "1"])
    try:
        for (method, path), operation in OPERATIONS.items():
            answer = ask(made, method, path)
            assert (answer[0] == 401) == ("401" in operation["responses"]) == ("security" not in operation), (method, path)
            if answer[0] == 401:
                fits(method, path, *answer)
        made.stop()
    finally:
        made.kill()


def test_no_documented_error_is_only_written_down():
    tokens = {wanted for wanted in documented_errors() if wanted[2] == 401}  # the test above
    others = {("GET", "/readyz", 503), ("POST", "/v1/spokes/apply", 422), ("GET", "/v1/trace", 409), ("GET", "/v1/trace", 503)}  # below
    assert documented_errors() - tokens - others == set(PROVOKED)


def test_the_manual_has_the_words_of_the_source():
    said = set()
    folder = os.path.join(wire.ROOT, "core", "admin")
    for name in os.listdir(folder):
        if name.endswith(".c"):
            with open(os.path.join(folder, name), encoding="utf-8") as source:
                text = source.read()
            for call in re.findall(r'\b(?:api_(?:reply|later)_error|refuse)\(((?:[^;{"]|"(?:[^"\\]|\\.)*")*)\);', text):
                said |= set(re.findall(r'"([a-z_]+)"', call))
            said |= set(re.findall(r'"error", "([a-z_]+)"', text))
    assert len(said) > 20 and {word for _, word in ERRORS} == said


def test_a_router_that_stops_says_so(router, tmp_path):
    made = router()
    with stopping(made, tmp_path):
        fits("GET", "/readyz", *ask(made, "GET", "/readyz"))
        fits("GET", "/healthz", *ask(made, "GET", "/healthz"))
        answer = ask(made, "GET", "/v1/trace", topic="a")
        assert answer[0] == 503
        fits("GET", "/v1/trace", *answer)
    made.stop()


def test_a_spoke_that_is_wrong_is_told_as_documented(router, tmp_path):
    (tmp_path / "spokes.d").mkdir()
    made = router(config_text=f"spokes: {tmp_path}/spokes.d\nlogs: {{ data: 8MiB }}\n")
    (tmp_path / "spokes.d" / "a.yaml").write_text("transport: pigeon\n")
    answer = ask(made, "POST", "/v1/spokes/apply")
    assert answer[0] == 422
    assert fits("POST", "/v1/spokes/apply", *answer)["mistakes"][0]["line"] == 1


def test_one_asks_for_the_next_events_of_a_trace(router):
    made = router()
    member = made.client(name="member")
    member.send(subscribe=wire.pb.Subscribe(id=1, patterns=["a.*"], queue=wire.pb.Queue(name="q", volatile=True)))
    member.expect("subscribed")
    waits = http.client.HTTPConnection(made.admin, timeout=60)
    waits.request("GET", f"/v1/trace?topic={quote('a.>')}&count=1&timeout_ms=60000")
    end, answer = time.monotonic() + wire.WAIT_SECONDS, (404,)
    while answer[0] == 404:  # it has not come yet
        assert time.monotonic() < end
        answer = ask(made, "GET", "/v1/trace", trace="1")
    assert answer[0] == 409
    fits("GET", "/v1/trace", *answer)
    with made.client(ack=1) as client:
        client.send_bytes(wire.numbered("a.b", 1))
        client.settle(1)
    found = waits.getresponse()
    text = found.read().decode()
    event, = fits("GET", "/v1/trace", found.status, found.headers, text)["events"]
    assert [(one["queue"], one["client"], one["outcome"]) for one in event["deliveries"]] == [("q", "member", "held")]
    waits.close()
