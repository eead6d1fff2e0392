"""Spokes: connected systems, a file each, that come, change and go while the router runs."""

import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import threading
import time

import pytest

import small_disk
import wire
from wire import pb

DISK = pb.ACK_LEVEL_DISK
DESADV = os.path.join(wire.ROOT, "tests", "data", "edifact", "own__DESADV_D96A_EAN005_synthetic.edi")
TCP = "transport: tcp\noutbound: { topics: shop.> }\n"


class Sink:
    """A system with a webhook: keeps what is posted to it; answers 503 while it is `closed`."""

    def __init__(self, port=0):
        self.posts, self.closed, self.lock = [], False, threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with sink.lock:
                    closed = sink.closed
                    if not closed:
                        sink.posts.append((self.headers["ce-id"], body.decode()))
                self.send_response(503 if closed else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def ids(self):
        with self.lock:
            return [event_id for event_id, _ in self.posts]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def sink():
    """A function that opens a Sink."""
    opened = []

    def start():
        opened.append(Sink())
        return opened[-1]

    yield start
    for made in opened:
        made.stop()


@pytest.fixture
def body():
    return "epoll"  # spokes are clients of the router: what carries its network makes no difference to them


class Spokes:
    """The directory of spokes of a router, and the router."""

    def __init__(self, folder, router, run):
        self.folder, self.router, self.run, self.made = folder / "spokes.d", router, run, None
        self.folder.mkdir()

    def write(self, name, text):
        """As an editor does: the file is there at once."""
        (self.folder / ".new").write_text(text)
        os.rename(self.folder / ".new", self.folder / f"{name}.yaml")

    def start(self, *arguments, **options):
        self.made = self.router(**options, arguments=["--spokes", str(self.folder), "--ingest", "127.0.0.1:0", *map(str, arguments)])
        return self.made

    def command(self, what, *arguments):
        return self.run("spokes", what, "--admin", self.made.admin, *arguments)

    def apply(self, status=0):
        """What the router has answered."""
        done = self.command("apply", "--json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)

    def list(self):
        return {spoke["name"]: spoke for spoke in json.loads(self.command("ls", "--json").stdout)["spokes"]}

    def until(self, right, what):
        end = time.monotonic() + wire.WAIT_SECONDS
        while not right():
            assert time.monotonic() < end, f"{what}: {self.list()}\n{self.made.errors()[-2000:]}"
            time.sleep(0.02)

    def running(self, *names):
        self.until(lambda: all(self.list()[name]["state"] == "running" for name in names), f"{names} do not run")


@pytest.fixture
def spokes(tmp_path, router, run):
    return Spokes(tmp_path, router, run)


def webhook(sink, more=""):
    return f"transport: webhook\nwebhook: {{ url: \"{sink.url}\", retry: 50ms, breaker: 50ms, breaker_most: 200ms }}\n" \
           f"outbound: {{ topics: shop.> {more} }}\n"


def event(number):
    return wire.cloud_event(json.dumps({"number": number}).encode(), id=f"e{number}", datacontenttype="application/json")


def publish(client, numbers, topic="shop.order"):
    for number in numbers:
        client.publish(topic, event(number))


# ---- what comes in, what goes out ----


def test_a_file_in_an_inbox_reaches_a_subscriber_and_the_outbox_of_another_spoke(spokes, tmp_path):
    spokes.write("warehouse", "transport: directory\ndirectory: { inbox: ../wh/in }\ninbound: { format: edifact }\n")
    spokes.write("archive", "transport: directory\ndirectory: { outbox: ../archive }\noutbound: { topics: erp.> }\n")
    made = spokes.start()
    spokes.running("warehouse", "archive")
    with made.client() as client:
        client.subscribe("erp.>")
        shutil.copyfile(DESADV, tmp_path / "wh" / "in" / "despatch.edi")
        assert client.events(1)[0].topic == "erp.despatchadvice.created"
    spokes.until(lambda: os.path.exists(tmp_path / "wh" / "in" / "done" / "despatch.edi"), "it is not in done/")
    spokes.until(lambda: len(list((tmp_path / "archive").glob("[!.]*"))) == 1, "the other spoke has not got it")
    spokes.until(lambda: spokes.list()["archive"]["delivered"] == 1, "it is not counted")
    listed = spokes.list()["warehouse"]
    assert (listed["transport"], listed["documents"], listed["published"], listed["error"]) == ("directory", 1, 1, "")
    assert made.metric("roundhouse_spoke_documents_in_total", spoke="warehouse") == 1
    assert made.metric("roundhouse_spoke_delivered_total", spoke="archive") == 1


def test_an_outbox_on_a_full_disk_loses_nothing_and_makes_no_dead_letters(spokes, tmp_path):
    holder = small_disk.make(tmp_path, 8 << 20)
    try:
        out = pathlib.Path(holder.path) / "out"
        spokes.write("archive", f"transport: directory\ndirectory: {{ outbox: {out}, retry: 10ms, retry_most: 20ms }}\n"
                                "outbound: { topics: shop.> }\n")
        made = spokes.start()
        spokes.running("archive")
        filler = small_disk.fill(holder.path, 1 << 18)
        with made.client() as client:
            client.publish("shop.order", wire.cloud_event(bytes(1 << 19), id="e1"))
            spokes.until(lambda: spokes.list()["archive"]["retried"] > 20, "it is not tried again")
            os.unlink(filler)
            spokes.until(lambda: spokes.list()["archive"]["delivered"] == 1, "it is not written when there is room")
            file, = out.glob("[!.]*")
            assert file.stat().st_size == 1 << 19
            assert spokes.list()["archive"]["refused"] == 0
    finally:
        assert holder.end() == ""


def test_a_partner_gets_its_acknowledgement_in_its_outbox(spokes, tmp_path):
    spokes.write("warehouse", "transport: directory\ndirectory: { inbox: ../wh/in, outbox: ../wh/out }\n"
                              "inbound: { format: edifact, acknowledge: { edifact: always } }\n")
    spokes.start()
    spokes.running("warehouse")
    shutil.copyfile(DESADV, tmp_path / "wh" / "in" / "despatch.edi")
    out = tmp_path / "wh" / "out"
    spokes.until(lambda: list(out.glob("[!.]*")), "there is no CONTRL")
    text, = (path.read_text() for path in out.glob("[!.]*"))
    assert "CONTRL:" in text and "DES0042" in text, text


def test_a_client_of_the_native_protocol_gets_and_gives_documents(spokes):
    spokes.write("app", "transport: tcp\ninbound: { format: edifact }\noutbound: { topics: shop.> }\n")
    made = spokes.start()
    spokes.running("app")
    with made.client() as app, made.client() as client, open(DESADV, "rb") as file:
        app.subscribe("spoke.app.>")
        client.subscribe("erp.>")
        publish(client, [7])
        assert app.events(1)[0].topic == "spoke.app.shop.order"
        app.publish("inbox.app.a", wire.cloud_event(file.read()))
        assert client.events(1)[0].topic == "erp.despatchadvice.created"
        app.publish("inbox.app.a", wire.cloud_event(b"this is no document"))
        client.subscribe("$dlq.spoke.app.in", id=2)
        spokes.until(lambda: spokes.list()["app"]["documents"] == 2, "the second one was not read")


def test_what_a_format_has_no_place_for_is_told_or_refused_and_x12_is_numbered(spokes, tmp_path):
    spokes.write("shop", "transport: directory\ndirectory: { inbox: ../shop }\ninbound: { format: edifact }\n")
    spokes.write("supplier", "transport: directory\ndirectory: { outbox: ../out }\n"
                             "outbound: { topics: erp.>, format: x12, sender: \"14:4000001000005\", key: subject }\n")
    spokes.write("strict", "transport: directory\ndirectory: { outbox: ../strict }\n"
                           "outbound: { topics: erp.>, format: x12, losses: refuse }\n")
    made = spokes.start()
    spokes.running("shop", "supplier", "strict")
    for name in ("a.edi", "b.edi"):
        with open(DESADV, "rb") as file:
            document = file.read().replace(b"DES0042", name[:1].encode() + b"ES0042")
        (tmp_path / "shop" / f".{name}").write_bytes(document)
        os.rename(tmp_path / "shop" / f".{name}", tmp_path / "shop" / name)
    spokes.until(lambda: spokes.list()["supplier"]["delivered"] == 2, "they are not written")
    spokes.until(lambda: spokes.list()["strict"]["refused"] == 2, "they are not refused")
    assert (spokes.list()["supplier"]["lossy"], spokes.list()["strict"]["lossy"]) == (2, 0)
    assert made.metric("roundhouse_spoke_lossy_total", spoke="supplier") == 2
    assert made.errors().count("a document does not say all of its event: its format has no place for it\" spoke=supplier") == 1
    assert sorted(path.read_text()[90:99] for path in (tmp_path / "out").glob("[!.]*")) == ["000000001", "000000002"]
    assert not list((tmp_path / "strict").glob("[!.]*"))


def test_what_the_router_takes_fits_through_what_belongs_to_it(spokes, tmp_path):
    """HTTP in, rules and spokes have room for an event as large as limits.frame allows."""
    rules = tmp_path / "routes.d"
    rules.mkdir()
    (rules / "all.yaml").write_text("on: [big.a]\nrules: [{ name: r, then: { topics: ruled.a } }]\n")
    spokes.write("app", "transport: tcp\noutbound: { topics: ruled.> }\n")
    spokes.write("door", "transport: http\ninbound: { format: json, type: t, topic: big.b }\n")
    made = spokes.start("--routes", rules, config_text="limits: { frame: 16MiB }\nlogs: { data: 128MiB }\n")
    spokes.running("app")
    made.await_metric("roundhouse_queues", lambda value: value >= 2)  # the rules' is there, too: before it nobody wants big.a
    large = b'"' + b"x" * (6 << 20) + b'"'

    def post(path, headers):
        connection = http.client.HTTPConnection(made.ingest, timeout=wire.WAIT_SECONDS)
        connection.request("POST", path, large, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status == 202, said

    with made.client() as app, made.client() as client:
        app.subscribe("spoke.app.>")
        client.subscribe("big.b")
        post("/v1/events/big.a", {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t", "Content-Type": "application/json"})
        got = app.events(1)[0]
        assert got.topic == "spoke.app.ruled.a" and len(got.event) > len(large)
        post("/v1/ingest/door", {})
        assert len(client.events(1)[0].event) > len(large)


def test_documents_by_http_come_in_by_the_name_of_a_spoke_and_no_longer_when_it_is_gone(spokes):
    spokes.write("shop", "transport: http\ninbound: { format: edifact }\n")
    made = spokes.start()
    with open(DESADV, "rb") as file:
        document = file.read()

    def post():
        connection = http.client.HTTPConnection(made.ingest, timeout=wire.WAIT_SECONDS)
        connection.request("POST", "/v1/ingest/shop", document)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    with made.client() as client:
        client.subscribe("erp.>")
        assert post() == 202
        assert client.events(1)[0].topic == "erp.despatchadvice.created"
    assert spokes.list()["shop"]["published"] == 1
    os.remove(spokes.folder / "shop.yaml")
    assert spokes.apply()["removed"] == ["shop"]
    assert post() == 404
    spokes.write("shop", "transport: http\ninbound: { format: x12 }\n")
    spokes.apply()
    assert post() == 422


def document_to(made, name, key=None):
    """Posts a document, signed with a key; its answer."""
    with open(DESADV, "rb") as file:
        document = file.read()
    signature = {"X-Hub-Signature-256": "sha256=" + hmac.new(key, document, hashlib.sha256).hexdigest()} if key else {}
    connection = http.client.HTTPConnection(made.ingest, timeout=wire.WAIT_SECONDS)
    connection.request("POST", f"/v1/ingest/{name}", document, signature)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_spoke_by_http_whose_key_is_missing_waits_for_it_and_says_so(spokes, tmp_path):
    spokes.write("shop", "transport: http\nhttp: { hmac: ../key }\ninbound: { format: edifact }\n")
    made = spokes.start()
    waits = spokes.list()["shop"]
    assert waits["state"] == "waiting" and "key" in waits["error"], waits
    assert made.metric("roundhouse_spoke_state", spoke="shop") == 2
    answer = document_to(made, "shop")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), "its sender drops the document"
    assert document_to(made, "shops").status == 404
    (tmp_path / "key").write_text("k3y\n")
    spokes.running("shop")
    assert spokes.list()["shop"]["error"] == ""
    assert made.metric("roundhouse_spoke_state", spoke="shop") == 1
    assert (document_to(made, "shop").status, document_to(made, "shop", b"k3y").status) == (401, 202)
    told = made.errors()
    assert told.count('msg="a spoke can not run, and is tried again" spoke=shop') == 1
    assert told.count('msg="a spoke runs again" spoke=shop') == 1
    spokes.write("shop", "transport: http\nhttp: { hmac: ../other }\ninbound: { format: edifact }\n")
    assert spokes.apply()["changed"] == ["shop"]
    assert spokes.list()["shop"]["state"] == "waiting", "the one before runs on, and takes its signatures"
    assert document_to(made, "shop", b"k3y").status == 503
    os.rename(tmp_path / "key", tmp_path / "other")
    spokes.running("shop")
    assert document_to(made, "shop", b"k3y").status == 202
    assert spokes.list()["shop"]["published"] == 1
    assert spokes.apply()["unchanged"] == ["shop"]


# ---- replacing ----


def test_a_system_is_replaced_while_events_flow_and_nothing_is_lost_or_doubled(spokes, sink, tmp_path):
    old, new = sink(), sink()
    spokes.write("crm", webhook(old))
    made = spokes.start("--journal", tmp_path / "journal")
    spokes.running("crm")
    stop, published = threading.Event(), []

    def flow():
        with made.client(ack=DISK) as client:
            while not stop.is_set():
                publish(client, range(len(published), len(published) + 20))
                published.extend(range(len(published), len(published) + 20))
                assert client.settle(len(published)) == {}

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        spokes.until(lambda: len(old.ids()) > 100, "the old system gets nothing")
        spokes.write("crm", webhook(new))
        assert spokes.apply()["changed"] == ["crm"]
        spokes.until(lambda: len(new.ids()) > 100, "the new system gets nothing")
    finally:
        stop.set()
        flowing.join()
    spokes.until(lambda: len(old.ids()) + len(new.ids()) >= len(published), "something is lost")
    spokes.until(lambda: spokes.list()["crm"]["in_hand"] == 0, "something is on its way still")
    assert sorted(old.ids() + new.ids()) == sorted(f"e{number}" for number in published)


def test_the_backlog_of_a_system_that_is_down_goes_on_where_it_stood(spokes, sink, tmp_path):
    down, up = sink(), sink()
    down.closed = True
    spokes.write("crm", webhook(down, ", attempts: 1000"))
    made = spokes.start("--journal", tmp_path / "journal")
    spokes.running("crm")
    with made.client(ack=DISK) as client:
        publish(client, range(500))
        assert client.settle(500) == {}
    spokes.until(lambda: spokes.list()["crm"]["received"] > 0, "it has not tried")
    spokes.write("crm", webhook(up, ", attempts: 1000"))
    spokes.apply()
    spokes.until(lambda: len(set(up.ids())) == 500, "the backlog does not come")
    assert down.ids() == []


def test_an_event_whose_attempts_are_used_up_is_counted_as_a_dead_letter(spokes, sink):
    target = sink()
    target.closed = True
    spokes.write("crm", webhook(target, ", attempts: 2"))
    made = spokes.start()
    spokes.running("crm")
    with made.client() as client:
        client.subscribe("$dlq.spoke.crm")
        publish(client, [1])
        client.events(1)
    spokes.until(lambda: spokes.list()["crm"]["refused"] == 1, "it is not counted")
    assert spokes.list()["crm"]["retried"] == 1


@pytest.mark.parametrize("journalled", [False, True], ids=["memory", "disk"])
def test_what_is_published_while_a_new_spoke_waits_is_delivered_when_it_can_go_on(spokes, sink, tmp_path, journalled):
    target = sink()
    made = spokes.start(*(["--journal", tmp_path / "journal"] if journalled else []))
    spokes.write("crm", webhook(target).replace("retry: 50ms", "secret: ../secret, retry: 50ms"))
    spokes.apply()
    waits = spokes.list()["crm"]
    assert waits["state"] == "waiting" and "secret" in waits["error"], waits
    with made.client(ack=DISK if journalled else pb.ACK_LEVEL_ROUTED) as client:
        publish(client, range(50))
        assert client.settle(50) == {}
    (tmp_path / "secret").write_text("s3cret\n")
    spokes.until(lambda: len(set(target.ids())) == 50, "something is lost")
    spokes.running("crm")
    assert spokes.list()["crm"]["error"] == ""


def test_a_backlog_outlives_the_router(spokes, sink, tmp_path):
    target = sink()
    target.closed = True
    spokes.write("crm", webhook(target, ", attempts: 1000"))
    made = spokes.start("--journal", tmp_path / "journal")
    spokes.running("crm")
    with made.client(ack=DISK) as client:
        publish(client, range(300))
        assert client.settle(300) == {}
    made.process.kill()
    made.process.wait()
    target.closed = False
    spokes.start("--journal", tmp_path / "journal")
    spokes.until(lambda: len(set(target.ids())) == 300, "something is lost")


def test_a_wrong_file_changes_nothing(spokes, sink):
    target = sink()
    spokes.write("crm", webhook(target))
    made = spokes.start()
    spokes.running("crm")
    spokes.write("crm", webhook(target).replace("topics", "topix"))
    spokes.write("other", TCP)
    done = spokes.command("apply")
    assert done.returncode == 78
    assert f"{spokes.folder}/crm.yaml:3:13: \"topix\" is not a key of outbound; did you mean topics?" in done.stderr
    assert "nothing was applied, everything stays as it was" in done.stderr
    assert list(spokes.list()) == ["crm"]
    with made.client() as client:
        publish(client, [1])
    spokes.until(lambda: target.ids() == ["e1"], "the old one does not run")
    assert 'msg="spokes stay as they were: a file is wrong" wrong=1' in made.errors()


def test_the_topics_of_a_queue_that_is_there_can_not_change(spokes):
    spokes.write("app", TCP)
    spokes.start()
    spokes.running("app")
    spokes.write("app", TCP.replace("shop.>", "erp.>"))
    mistakes = spokes.apply(status=78)["mistakes"]
    assert len(mistakes) == 1 and "while the queue spoke.app exists" in mistakes[0]["text"]


def test_a_router_starts_with_the_files_that_are_right(spokes):
    spokes.write("app", TCP)
    spokes.write("bad", "transport: pigeon\n")
    made = spokes.start()
    spokes.running("app")
    assert list(spokes.list()) == ["app"]
    assert 'a spoke\'s file is wrong' in made.errors() and "bad.yaml" in made.errors()
    assert [document_to(made, name).status for name in ("bad", "app", "none")] == [503, 404, 404]
    os.remove(spokes.folder / "bad.yaml")
    spokes.apply()
    assert document_to(made, "bad").status == 404


# ---- coming and going ----


def test_spokes_come_change_and_go_by_a_signal(spokes):
    spokes.write("app", TCP)
    made = spokes.start()
    spokes.write("other", TCP)
    made.signal(signal.SIGHUP)
    spokes.until(lambda: list(spokes.list()) == ["app", "other"], "it was not added")
    os.remove(spokes.folder / "app.yaml")
    made.signal(signal.SIGHUP)
    spokes.until(lambda: list(spokes.list()) == ["other"], "it was not removed")
    assert made.alive()


def test_what_applying_did_is_told(spokes):
    spokes.write("a", TCP)
    spokes.write("b", TCP)
    spokes.write("c", TCP)
    spokes.start()
    spokes.write("b", TCP + "# changed\n")
    spokes.write("d", TCP)
    os.remove(spokes.folder / "c.yaml")
    done = spokes.command("apply")
    assert (done.returncode, done.stdout) == (0, "added     d\nchanged   b\nremoved   c\nunchanged a\n")
    done = spokes.command("apply")
    assert done.stdout == "unchanged a\nunchanged b\nunchanged d\n"


def test_the_queue_of_a_spoke_that_is_gone_keeps_its_events_until_it_is_ended(spokes, run):
    spokes.write("app", TCP)
    made = spokes.start()
    spokes.running("app")
    os.remove(spokes.folder / "app.yaml")
    spokes.apply()
    assert 'with="roundhouse queue rm spoke.app"' in made.errors()
    with made.client() as client, made.client() as app:
        app.subscribe("spoke.app.>")
        publish(client, [1])
        assert client.round_trip() == []
        spokes.write("app", TCP)
        spokes.apply()
        assert app.events(1)[0].topic == "spoke.app.shop.order", "what came while the spoke was away"
    os.remove(spokes.folder / "app.yaml")
    spokes.apply()
    assert run("queue", "rm", "--server", made.address, "spoke.app").returncode == 0


# ---- rules ----


def until(made, right):
    end = time.monotonic() + wire.WAIT_SECONDS
    while not right():
        assert time.monotonic() < end, made.errors()
        time.sleep(0.02)


def test_rules_are_read_at_the_start_and_by_a_signal(router, tmp_path):
    folder = tmp_path / "routes.d"
    folder.mkdir()

    def rules(topic):
        (folder / "orders.yaml").write_text(f"on: [shop.order]\nrules: [ {{ name: all, then: {{ topics: {topic} }} }} ]\n")

    rules("approval.a")
    made = router(arguments=["--routes", str(folder), "--journal", str(tmp_path / "journal")])
    assert 'msg="rules applied" files=1' in made.errors()
    with made.client() as client:
        client.subscribe("approval.>")
        made.await_metric("roundhouse_queues", lambda count: count >= 1)
        publish(client, [1])
        assert client.events(1)[0].topic == "approval.a"
        rules("approval.b")
        made.signal(signal.SIGHUP)
        until(made, lambda: made.errors().count('msg="rules applied"') == 2)
        publish(client, [2])
        assert client.events(1)[0].topic == "approval.b"
        (folder / "orders.yaml").write_text("on: [shop.order]\nruls: []\n")
        made.signal(signal.SIGHUP)
        until(made, lambda: "rules stay as they were: a file is wrong" in made.errors())
        publish(client, [3])
        assert client.events(1)[0].topic == "approval.b"


# ---- golden pairs, and the commands that need no router ----


def pair(folder, event_json, expected):
    (folder / "event.json").write_text(json.dumps(event_json))
    (folder / "expected.json").write_text(json.dumps(expected))
    return "tests: [ { direction: outbound, input: event.json, expect: expected.json } ]\n"


EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"number": 4711, "lines": [1, 2]}}


def test_a_golden_pair_that_fails_refuses_its_file(spokes):
    spokes.write("app", TCP)
    spokes.start()
    spokes.write("app", TCP + pair(spokes.folder, EVENT, {"number": 4712}))
    mistakes = spokes.apply(status=78)["mistakes"]
    assert [(mistake["line"], mistake["file"]) for mistake in mistakes] == [(3, f"{spokes.folder}/app.yaml")]
    assert "this golden pair fails" in mistakes[0]["text"] and "$[0].number is 4711, not 4712" in mistakes[0]["text"]
    pair(spokes.folder, EVENT, {"number": 4711, "lines": [1, 2]})
    assert spokes.apply()["changed"] == ["app"]


def test_a_mapping_looks_things_up_in_a_table(spokes):
    spokes.write("app", TCP)
    made = spokes.start()
    spokes.running("app")

    def customers(number):
        (spokes.folder / "customers.csv").write_text(f"gln,number\n4012345500004,{number}\n")

    customers(4711)
    spokes.write("app", "transport: tcp\ntables: [ { name: customers, file: customers.csv, key: gln, value: number } ]\n"
                        "outbound: { topics: shop.>, mapping: '{customer: $tables.customers[.gln], topic: $event.topic}' }\n")
    assert spokes.apply()["changed"] == ["app"]
    with made.client() as client, made.client() as app:
        app.subscribe("spoke.app.>")
        data = {"data": '{"gln": "4012345500004"}', "datacontenttype": "application/json"}
        client.publish("shop.order", wire.cloud_event(**data))
        event = wire.ce.CloudEvent()
        event.ParseFromString(app.events(1)[0].event)
        assert json.loads(event.text_data) == {"customer": "4711", "topic": "shop.order"}
        customers(4712)
        assert spokes.apply()["changed"] == ["app"]
        client.publish("shop.order", wire.cloud_event(**data))
        event.ParseFromString(app.events(1)[0].event)
        assert json.loads(event.text_data)["customer"] == "4712"


def test_golden_pairs_run_without_a_router(spokes, run):
    text = "transport: directory\ndirectory: { inbox: in }\ninbound: { format: edifact }\n" \
           f"tests: [ {{ direction: inbound, input: \"{DESADV}\", expect: expected.json }} ]\n"
    spokes.write("warehouse", text)
    (spokes.folder / "expected.json").write_text('[{"topic": "erp.despatchadvice.created"}]')
    done = run("spokes", "test")
    assert (done.returncode, done.stdout) == (0, "spokes.d/warehouse.yaml: no mistakes, golden pairs: 1\n"), done.stderr
    (spokes.folder / "expected.json").write_text('[{"topic": "erp.order.created"}]')
    done = run("spokes", "test", "spokes.d/warehouse.yaml")
    assert done.returncode == 78
    assert "spokes.d/warehouse.yaml:4:1: this golden pair fails" in done.stderr
    assert '$[0].topic is "erp.despatchadvice.created", not "erp.order.created"' in done.stderr
    done = run("spokes", "check", "spokes.d/warehouse.yaml")
    assert (done.returncode, done.stdout) == (0, "spokes.d/warehouse.yaml: no mistakes\n")


def test_the_golden_pairs_of_the_examples_pass(run, tmp_path):
    folder = shutil.copytree(os.path.join(wire.ROOT, "examples", "spokes.d"), tmp_path / "spokes.d")
    done = run("spokes", "test")
    assert (done.returncode, done.stdout.count("golden pairs: 1\n")) == (0, 4), done.stderr
    os.rename(folder / "crm.yaml.next", folder / "crm.yaml")
    done = run("spokes", "test", "spokes.d/crm.yaml")
    assert (done.returncode, done.stdout) == (0, "spokes.d/crm.yaml: no mistakes, golden pairs: 1\n"), done.stderr


def test_the_command_tells_what_it_can_not_do(run):
    assert run("spokes").returncode == 64
    assert run("spokes", "frobnicate").returncode == 64
    assert run("spokes", "check").returncode == 64
    assert run("spokes", "check", "none.yaml").returncode == 78
    assert run("spokes", "ls", "--admin", "127.0.0.1:1").returncode == 69
    assert run("spokes", "--help").stdout.startswith("usage: roundhouse spokes apply")


def test_a_router_without_spokes_says_so(router, run):
    made = router()
    done = run("spokes", "apply", "--admin", made.admin)
    assert done.returncode == 69 and "this router has no spokes" in done.stderr
