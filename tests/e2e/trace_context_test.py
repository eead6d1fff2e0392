"""The attributes traceparent and tracestate are passed on as they came: by the native protocol, over HTTP in each mode,
with documents, and out by webhooks, as attributes and as the headers that HTTP has for them."""

import json
import os
import shutil

import pytest

import wire
from ingest_test import CE, ONE, ask, event_of, post
from spokes_test import DESADV, Sink
from wire import pb

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
HEADERS = {"traceparent": PARENT, "tracestate": STATE}


@pytest.fixture
def body():
    return "epoll"


@pytest.fixture
def ingest(router):
    def start(*arguments, **options):
        return router(arguments=["--ingest", "127.0.0.1:0", *map(str, arguments)], **options)
    return start


class Heard(Sink):
    """A system with a webhook that keeps the headers, too."""

    def __init__(self):
        super().__init__()
        heard = self
        plain = self.server.RequestHandlerClass.do_POST

        def keep(handler):
            heard.headers.append(dict(handler.headers))
            plain(handler)

        self.headers = []
        self.server.RequestHandlerClass.do_POST = keep


@pytest.fixture
def heard():
    made = Heard()
    yield made
    made.stop()


def trace_of(record):
    """(traceparent, tracestate) of a delivered event; None where it has none."""
    attributes = event_of(record).attributes
    return tuple(attributes[name].ce_string if name in attributes else None for name in ("traceparent", "tracestate"))


def test_the_native_protocol_passes_them_on(router):
    made = router(shards=2)
    with made.client() as client, made.client(ack=pb.ACK_LEVEL_ROUTED) as publisher:
        client.subscribe("a")
        for parent, state in ((PARENT, STATE), ("not a trace", ""), ("", "ü")):
            publisher.publish("a", wire.cloud_event(traceparent=parent, tracestate=state))
            assert trace_of(client.events(1)[0]) == (parent, state)


def test_each_mode_of_http_in_passes_them_on(ingest):
    made = ingest()
    structured, many = {"Content-Type": "application/cloudevents+json"}, {"Content-Type": "application/cloudevents-batch+json"}
    proto = {"Content-Type": "application/cloudevents+protobuf"}
    own = {**ONE, "traceparent": OTHER, "tracestate": "x=y"}
    with made.client() as client:
        client.subscribe("in.>")

        def comes(body, headers, *wanted):
            assert post(made, "in.a", body, headers)[0] == 202
            assert [trace_of(record) for record in client.events(len(wanted))] == list(wanted)

        comes(b"x", {**CE, "ce-traceparent": PARENT, "ce-tracestate": STATE}, (PARENT, STATE))
        comes(b"x", {**CE, **HEADERS}, (PARENT, STATE))
        comes(b"x", {**CE, "traceparent": PARENT}, (PARENT, None))
        comes(b"x", {**CE, **HEADERS, "ce-traceparent": OTHER}, (OTHER, None))
        comes(b"x", CE, (None, None))
        comes(json.dumps(own), {**structured, **HEADERS}, (OTHER, "x=y"))
        comes(json.dumps(ONE), {**structured, **HEADERS}, (PARENT, STATE))
        comes(wire.cloud_event("x"), {**proto, **HEADERS}, (PARENT, STATE))
        comes(json.dumps([ONE, own, ONE]), {**many, **HEADERS}, (PARENT, STATE), (OTHER, "x=y"), (PARENT, STATE))


@pytest.mark.parametrize("parent", ["", "nonsense", PARENT.upper(), PARENT + "-01", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ü" * 55])
def test_a_header_that_is_no_trace_context_is_passed_over(ingest, parent):
    made = ingest()
    with made.client() as client:
        client.subscribe("in.>")
        assert post(made, "in.a", b"x", {**CE, "traceparent": parent.encode(), "tracestate": STATE})[0] == 202
        assert trace_of(client.events(1)[0]) == (None, None)
        assert post(made, "in.a", b"x", {**CE, "traceparent": PARENT, "tracestate": "a" * 5000})[0] == 202
        assert trace_of(client.events(1)[0]) == (PARENT, None)


def test_an_event_with_all_attributes_that_it_may_have_comes_without(ingest):
    made = ingest()
    full = {**CE, **{f"ce-x{number}": "y" for number in range(64)}, **HEADERS}
    with made.client() as client:
        client.subscribe("in.>")
        assert post(made, "in.a", b"", full)[0] == 202
        assert trace_of(client.events(1)[0]) == (None, None)


def spokes_of(folder, heard, mode, more=""):
    (folder / "spokes.d").mkdir()
    (folder / "spokes.d" / "shop.yaml").write_text(
        f"transport: webhook\nwebhook: {{ url: \"{heard.url}\", mode: {mode}{more} }}\noutbound: {{ topics: ['shop.>', 'erp.>'] }}\n")
    shutil.copytree(os.path.join(wire.ROOT, "examples", "spokes.d", "tests"), folder / "spokes.d" / "tests")
    (folder / "spokes.d" / "partner.yaml").write_text("transport: http\ninbound: { format: edifact }\n")
    return folder / "spokes.d"


def one_request(made, heard):
    made.await_metric("roundhouse_spoke_delivered_total", lambda count: count == 1, spoke="shop")
    assert len(heard.headers) == 1
    return heard.headers.pop()


@pytest.mark.parametrize("mode", ["binary", "structured", "plain"])
def test_a_webhook_gets_them_as_headers_and_with_the_event(ingest, heard, tmp_path, mode):
    made = ingest("--spokes", spokes_of(tmp_path, heard, mode))
    made.await_metric("roundhouse_spoke_state", lambda state: state == 1, spoke="shop")
    assert post(made, "shop.a", b"x", {**CE, **HEADERS})[0] == 202
    got = one_request(made, heard)
    assert (got["traceparent"], got["tracestate"]) == (PARENT, STATE)
    if mode == "binary":
        assert (got["ce-traceparent"], got["ce-tracestate"]) == (PARENT, STATE)
    if mode == "structured":
        event = json.loads(heard.posts[0][1])
        assert (event["traceparent"], event["tracestate"]) == (PARENT, STATE)


def test_what_is_no_trace_context_is_an_attribute_and_no_header(ingest, heard, tmp_path):
    made = ingest("--spokes", spokes_of(tmp_path, heard, "binary"))
    made.await_metric("roundhouse_spoke_state", lambda state: state == 1, spoke="shop")
    assert post(made, "shop.a", b"x", {**CE, "ce-traceparent": "a%0d%20b", "ce-tracestate": STATE})[0] >= 400
    assert post(made, "shop.a", b"x", {**CE, "ce-traceparent": "mine", "ce-tracestate": STATE})[0] == 202
    got = one_request(made, heard)
    assert got["ce-traceparent"] == "mine" and "traceparent" not in got and "tracestate" not in got


def test_a_header_of_ones_own_wins(ingest, heard, tmp_path):
    made = ingest("--spokes", spokes_of(tmp_path, heard, "binary", f", headers: ['TraceParent: {OTHER}']"))
    made.await_metric("roundhouse_spoke_state", lambda state: state == 1, spoke="shop")
    assert post(made, "shop.a", b"x", {**CE, **HEADERS})[0] == 202
    got = one_request(made, heard)
    assert [value for name, value in got.items() if name.lower() == "traceparent"] == [OTHER]


def test_events_of_a_document_have_those_it_came_with(ingest, heard, tmp_path):
    made = ingest("--spokes", spokes_of(tmp_path, heard, "structured"))
    made.await_metric("roundhouse_spoke_state", lambda state: state == 1, spoke="shop")
    with open(DESADV, "rb") as file:
        document = file.read()
    with made.client() as client:
        client.subscribe("erp.>")
        assert ask(made, "POST", "/v1/ingest/partner", document, HEADERS)[0] in (200, 202)
        assert trace_of(client.events(1)[0]) == (PARENT, STATE)
        assert one_request(made, heard)["traceparent"] == PARENT
        heard.posts.clear()
        assert ask(made, "POST", "/v1/ingest/partner", document)[0] in (200, 202)
        assert trace_of(client.events(1)[0]) == (None, None), "the one before is not kept"
