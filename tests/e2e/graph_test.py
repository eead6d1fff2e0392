"""GET /v1/graph: who feeds which topics, and who takes them, of a router that does all of it."""

import json
import threading
import time
import urllib.error

import pytest

import wire
from wire import pb

QUEUE, MAILBOX = pb.Queue(name="packing", group=True, volatile=True), pb.Queue(name="@dispatcher", volatile=True)


def graph(made, query=""):
    told = json.loads(made.http("/v1/graph" + query))
    told["by_id"] = {node["id"]: node for node in told["nodes"]}
    told["pairs"] = {(edge["from"], edge["to"]): edge for edge in told["edges"]}
    assert len(told["by_id"]) == len(told["nodes"]) and len(told["pairs"]) == len(told["edges"])
    assert all(end in told["by_id"] for pair in told["pairs"] for end in pair)
    return told


def publish(made, *events):
    with made.client(ack=1) as client:
        client.send_bytes(b"".join(wire.event_frame(topic, wire.cloud_event(b"data", id=str(number), source=source))
                                   for number, (topic, source) in enumerate(events)))
        assert client.settle(len(events)) == {}


def test_a_graph_has_all_that_feed_and_take(router, tmp_path):
    (tmp_path / "spokes.d").mkdir()
    (tmp_path / "spokes.d" / "depot.yaml").write_text("transport: tcp\noutbound: { topics: [erp.order.*], filter: 'false' }\n")
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.d" / "carts.yaml").write_text(
        "on: [shop.>]\nrules:\n  - { name: all, then: { topics: carts.seen } }\n")
    made = router(shards=2, config_text=f"spokes: {tmp_path}/spokes.d\nroutes: {tmp_path}/routes.d\nlogs: {{ data: 8MiB }}\n")
    crm, worker, dispatcher, nobody = (made.client(name=name) for name in ("crm", "packer", "dispatcher", ""))
    crm.send(subscribe=pb.Subscribe(id=1, patterns=["erp.>"], filters=[pb.Filter(exact=pb.Filter.Attributes(values={"source": "/erp"}))]))
    crm.expect("subscribed")
    nobody.subscribe("never.>", id=1)
    worker.send(subscribe=pb.Subscribe(id=1, patterns=["erp.order.created", "shop.*"], queue=QUEUE))
    worker.expect("subscribed")
    dispatcher.send(subscribe=pb.Subscribe(id=1, queue=MAILBOX))
    dispatcher.expect("subscribed")
    publish(made, *[("erp.order.created", "/erp")] * 6, *[("erp.order.created", "/old")] * 2, ("shop.cart", "/shop"), ("@dispatcher", "/erp"))
    made.await_metric("roundhouse_events_appended_total", lambda value: value >= 11)  # the rule's, too
    told = graph(made)
    assert told["complete"] and not told["truncated"] and told["events_looked_at"] == 11
    pairs = told["pairs"]
    assert (pairs["source:/erp", "topic:erp.order.created"]["events"], pairs["source:/old", "topic:erp.order.created"]["events"]) == (6, 2)
    assert pairs["source:/erp", "mailbox:@dispatcher"]["kind"] == "publishes"
    seen = pairs["topic:erp.order.created", "client:crm"]
    assert (seen["kind"], seen["pattern"], seen["filtered"]) == ("subscribes", "erp.>", True)
    assert pairs["topic:erp.order.created", "queue:packing"]["pattern"] == "erp.order.created"
    assert pairs["topic:shop.cart", "queue:packing"]["pattern"] == "shop.*"
    assert pairs["queue:packing", "client:packer"]["kind"] == pairs["mailbox:@dispatcher", "client:dispatcher"]["kind"] == "member"
    assert pairs["topic:erp.order.created", "queue:spoke.depot"] and pairs["queue:spoke.depot", "spoke:depot"]["kind"] == "member"
    assert pairs["topic:shop.cart", "queue:route.carts"] and pairs["queue:route.carts", "rules:carts"]
    assert pairs["rules:carts", "topic:carts.seen"]["rule"] == "all"
    assert ("source:/shop", "topic:carts.seen") not in pairs, "the rules have published it, not the shop"
    unnamed = [to for (begin, to) in pairs if begin == "pattern:never.>"]
    assert len(unnamed) == 1 and unnamed[0].startswith("client:") and "." in unnamed[0]
    assert told["by_id"]["queue:packing"]["waiting"] == 9 and told["by_id"]["queue:packing"]["connections"] == 1
    assert told["by_id"]["topic:erp.order.created"]["rate_per_s"] > 0
    assert not any(node["kind"] == "client" and node["name"] in ("spoke.depot", "route.carts", "depot") for node in told["nodes"])


def test_a_graph_is_bounded_and_says_so(router):
    made = router(shards=2)
    publish(made, *((f"t.{n}", f"/s{n}") for n in range(60)))
    reader = made.client(name="reader")
    reader.subscribe("t.*", id=1)
    told = graph(made)
    assert len(told["nodes"]) == 121 and len(told["edges"]) == 120 and not told["truncated"]
    told = graph(made, "?limit=10")
    assert sum(node["kind"] == "topic" for node in told["nodes"]) == 10 and told["truncated"]
    for query in ("?limit=0", "?limit=501", "?limit=x", "?what=1"):
        with pytest.raises(urllib.error.HTTPError) as error:
            graph(made, query)
        assert error.value.code == 400


def test_large_events_are_read_in_front_only_and_a_source_that_is_not_there_is_told(router):
    made = router(shards=1, config_text="logs: { data: 32MiB }\n")
    with made.client(ack=1) as client:
        for number in range(20):
            client.send_bytes(wire.event_frame("big", wire.cloud_event(b"x" * 500_000, id=str(number), source="/big")))
        client.send_bytes(wire.event_frame("odd", wire.cloud_event(b"", id="i" * 3000, source="/odd")))
        assert client.settle(21) == {}
    told = graph(made)
    assert told["events_looked_at"] == 21 and told["pairs"]["source:/big", "topic:big"]["events"] == 20
    assert "topic:odd" in told["by_id"] and "source:/odd" not in told["by_id"]


def test_a_graph_is_made_while_events_come_and_the_writer_does_not_wait(router):
    made = router(shards=2, config_text="logs: { data: 8MiB }\n")
    reader = made.client(name="reader")
    reader.subscribe("a.>", id=1, policy=pb.SLOW_POLICY_SKIP)
    stop, number = threading.Event(), 0

    def load():
        nonlocal number
        with made.client(ack=1) as client:
            while not stop.is_set():
                client.send_bytes(b"".join(wire.numbered(f"a.{n % 9}", number + n, 1000) for n in range(500)))
                number += 500
                assert client.settle(number) == {}

    thread = threading.Thread(target=load)
    thread.start()
    try:
        made.await_metric("roundhouse_events_appended_total", lambda value: value > 10000)
        end, told = time.monotonic() + wire.WAIT_SECONDS, None
        for _ in range(5):
            told = graph(made)
        while not told["events_looked_at"]:  # the writer was faster each time
            assert time.monotonic() < end
            told = graph(made)
    finally:
        stop.set()
        thread.join()
    assert ("source:/test", "topic:a.1") in told["pairs"] and ("topic:a.1", "client:reader") in told["pairs"]


def test_what_is_on_disk_is_in_the_graph(router, tmp_path):
    made = router(shards=2, arguments=("--journal", tmp_path / "journal"))
    with made.client(ack=2) as client:
        client.send_bytes(b"".join(wire.numbered("disk.a", number) for number in range(5)))
        assert client.settle(5) == {}
    assert graph(made)["pairs"]["source:/test", "topic:disk.a"]["events"] == 5
