"""What the admin plane tells of shards, connections and subscriptions, asked while they come, go and work."""

import json
import re
import threading
import urllib.error

import pytest

import wire
from wire import pb

ROUTED, SKIP = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


def ask(made, path):
    return json.loads(made.http(path))


def named(rows, name):
    found = [row for row in rows if row["client"] == name]
    assert len(found) == 1, f"{name} is there {len(found)} times"
    return found[0]


def test_every_connection_is_told_of_with_what_it_does(router):
    made = router(shards=3)
    clients = [made.client(name=f"client {i}") for i in range(7)]
    clients[0].subscribe("a.*", "b", id=1)
    clients[0].subscribe("c", id=2)
    publisher = made.client(ack=ROUTED, name="a publisher")
    publisher.send_bytes(b"".join(wire.numbered("b", number, 10) for number in range(1, 6)))
    assert publisher.settle(5) == {}
    clients[0].events(5)
    answer = ask(made, "/v1/connections")
    assert answer["complete"] and not answer["more"] and len(answer["connections"]) == 8
    assert len({row["id"] for row in answer["connections"]}) == 8
    assert {row["shard"] for row in answer["connections"]} == {0, 1, 2}
    found = named(answer["connections"], "client 0")
    assert found["subscriptions"] == 2 and found["published_total"] == 0 and found["delivered_total"] == 5
    assert found["id"].startswith(f"{found['shard']}.") and TIME.fullmatch(found["since"])
    assert found["lag_events"] == found["lag_ms"] == 0 and not found["catches_up"]
    host, port = clients[0].socket.getsockname()[:2]
    assert found["address"] == f"{host}:{port}"
    assert named(answer["connections"], "a publisher")["published_total"] == 5
    assert len(ask(made, "/v1/connections?limit=3")["connections"]) == 3
    assert ask(made, "/v1/connections?limit=3")["more"]
    clients[3].close()
    made.await_metric("roundhouse_connections", lambda value: value == 7)
    assert "client 3" not in [row["client"] for row in ask(made, "/v1/connections")["connections"]]


def test_every_subscription_is_told_of_with_its_patterns_or_its_queue(router):
    made = router(shards=2)
    client = made.client(name="subscriber")
    client.subscribe("a.*", "b", id=1)
    client.subscribe("c", id=2)
    client.send(subscribe=pb.Subscribe(id=3, patterns=["d"], queue=pb.Queue(name="orders", volatile=True)))
    client.expect("subscribed")
    client.send(subscribe=pb.Subscribe(id=4, queue=pb.Queue(name="@box", volatile=True)))
    client.expect("subscribed")
    rows = {row["id"]: row for row in ask(made, "/v1/subscriptions")["subscriptions"]}
    assert {number: row["kind"] for number, row in rows.items()} == {1: "live", 2: "live", 3: "queue", 4: "mailbox"}
    assert rows[1]["patterns"] == ["a.*", "b"] and rows[1]["patterns_total"] == 2 and "queue" not in rows[1]
    assert rows[3]["queue"] == "orders" and rows[4]["queue"] == "@box"
    assert {row["client"] for row in rows.values()} == {"subscriber"}
    ids = {row["id"] for row in ask(made, "/v1/connections")["connections"]}
    assert {row["connection"] for row in rows.values()} == ids
    client.send(unsubscribe=pb.Unsubscribe(id=1))
    client.expect("unsubscribed")
    assert sorted(row["id"] for row in ask(made, "/v1/subscriptions")["subscriptions"]) == [2, 3, 4]


def test_shards_tell_their_slots_and_their_logs(router):
    made = router(shards=2, config_text="shards: 2\nlogs: { data: 1MiB }\nlimits: { frame: 128KiB }\n")
    publisher = made.client(ack=ROUTED)
    publisher.send_bytes(b"".join(wire.numbered(f"t.{number}", number, 10) for number in range(1, 101)))
    assert publisher.settle(100) == {}
    answer = ask(made, "/v1/shards")
    shards = answer["shards"]
    assert answer["slots_total"] == 4096 and [shard["shard"] for shard in shards] == [0, 1]
    assert [shard["slots"] for shard in shards] == [["0-2047"], ["2048-4095"]]
    assert sum(shard["events_in_total"] for shard in shards) == 100
    assert sum(shard["events_appended_total"] for shard in shards) == 100
    assert sum(shard["log"]["produced"] - 1 for shard in shards) == 100
    assert all(shard["log"]["bytes"] == 1 << 20 and 0 <= shard["busy_ratio"] <= 1 for shard in shards)
    assert all(shard["cpu"] is None for shard in shards)


def test_topics_are_told_of_by_their_rates(router):
    made = router(shards=2)
    publisher = made.client(ack=ROUTED)
    frames = [wire.numbered(f"t.{number % 3}", number, 10) for number in range(60)]
    frames += [wire.numbered("often", number, 10) for number in range(100)]
    publisher.send_bytes(b"".join(frames))
    assert publisher.settle(160) == {}
    answer = ask(made, "/v1/topics")
    assert answer["complete"] and not answer["more"]
    assert [row["topic"] for row in answer["topics"]][0] == "often"
    assert {row["topic"]: row["events_kept"] for row in answer["topics"]} == {"often": 100, "t.0": 20, "t.1": 20, "t.2": 20}
    assert answer["topics"][0]["rate_per_s"] == 10 and answer["topics"][0]["bytes_per_s"] > 200
    for row in answer["topics"]:
        assert row["shard"] == row["slot"] // 2048 and row["class"] == "memory" and TIME.fullmatch(row["last_event"])
    assert [row["topic"] for row in ask(made, "/v1/topics?match=t.*&sort=name")["topics"]] == ["t.0", "t.1", "t.2"]
    assert [row["topic"] for row in ask(made, "/v1/topics?limit=1")["topics"]] == ["often"]
    for query in ("match=a..b", "sort=size", "limit=x", "match=" + "a" * 300):
        with pytest.raises(urllib.error.HTTPError) as refused:
            made.http(f"/v1/topics?{query}")
        assert refused.value.code == 400


def test_queues_are_told_of_with_what_waits_in_them(router):
    made = router(shards=2)
    member = made.client(name="member")
    member.send(subscribe=pb.Subscribe(id=1, patterns=["t.*"], queue=pb.Queue(name="orders", volatile=True, group=True, window=3)))
    member.expect("subscribed")
    member.send(subscribe=pb.Subscribe(id=2, queue=pb.Queue(name="@box", volatile=True)))
    member.expect("subscribed")
    publisher = made.client(ack=ROUTED)
    publisher.send_bytes(b"".join(wire.numbered(f"t.{number % 2}", number, 10) for number in range(10)))
    assert publisher.settle(10) == {}
    member.expect("context")
    member.events(3)
    answer = ask(made, "/v1/queues")
    assert answer["complete"] and not answer["more"]
    rows = {row["queue"]: row for row in answer["queues"]}
    assert set(rows) == {"orders", "@box"} and [row["queue"] for row in answer["queues"]][0] == "orders"
    orders = rows["orders"]
    assert orders["kind"] == "queue" and orders["patterns"] == ["t.*"] and orders["members"] == 1 and not orders["durable"]
    assert orders["outstanding"] == 3 and orders["delivered_total"] == 3 and orders["done_total"] == 0
    assert orders["behind"] >= 7 and TIME.fullmatch(orders["oldest"])
    assert rows["@box"]["kind"] == "mailbox" and rows["@box"]["outstanding"] == 0 and rows["@box"]["oldest"] is None


def test_wrong_parameters_are_refused_with_what_is_right(router):
    made = router()
    for query in ("limit=0", "limit=10001", "limit=many", "limit=-1", "all=true"):
        for path in ("connections", "subscriptions"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                made.http(f"/v1/{path}?{query}")
            assert refused.value.code == 400
            answer = json.loads(refused.value.read())
            assert answer["error"] == "bad_parameter" and answer["message"].endswith(".")


def test_answers_are_right_while_connections_come_and_go(router):
    made = router(shards=2)
    stays = [made.client(name=f"stays {i}") for i in range(4)]
    for client in stays:
        client.subscribe("t")
    failed, over = [], threading.Event()

    def churn():
        while not over.is_set():
            with made.client(name="goes") as client:
                client.subscribe(*[f"g.{i}" for i in range(100)])

    def look():
        try:
            for _ in range(30):
                for path, key in (("connections", "id"), ("subscriptions", "connection")):
                    rows = ask(made, f"/v1/{path}?limit=10000")[path]
                    # Who has not shaken hands yet has no name.
                    names = sorted(row["client"] for row in rows if row["client"] not in ("goes", ""))
                    assert names == [f"stays {i}" for i in range(4)]
                    assert len({row[key] for row in rows}) == len(rows)
        except BaseException as error:  # pylint: disable=broad-except
            failed.append(error)

    threads = [threading.Thread(target=churn)] + [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    over.set()
    threads[0].join()
    assert not failed, failed
