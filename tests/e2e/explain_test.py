"""What the router says about an event that nobody publishes, held against what it does with the same event afterwards."""

import json
import random
import urllib.error
import urllib.request

import pytest

import wire
from conftest import DIRECT
from wire import pb

ROUTED, SKIP = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP
EVENT = {"specversion": "1.0", "id": "1", "source": "/test", "type": "t"}


def passing(dialect, values):
    return pb.Filter(**{dialect: pb.Filter.Attributes(values=values)})


def ask(made, event, topic=None, limit=None, sent=None):
    """The answer of /v1/explain, or (status, error)."""
    query = "&".join(f"{name}={value}" for name, value in (("topic", topic), ("limit", limit)) if value is not None)
    data = sent if sent is not None else json.dumps(event).encode()
    request = urllib.request.Request(f"http://{made.admin}/v1/explain?{query}", data=data, method="POST",
                                     headers={"Content-Type": "application/json"})
    try:
        with DIRECT.open(request, timeout=wire.WAIT_SECONDS) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def join(client, name, *patterns, id=1):
    client.send(subscribe=pb.Subscribe(id=id, patterns=patterns, queue=pb.Queue(name=name, group=True, volatile=True)))
    client.expect("subscribed")


def mailbox(client, name, id=1):
    client.send(subscribe=pb.Subscribe(id=id, queue=pb.Queue(name=name, volatile=True)))
    client.expect("subscribed")


def test_an_event_is_explained_by_who_would_get_it_and_who_not(router):
    made = router(shards=3)
    clients = [made.client(name=f"client {i}") for i in range(6)]
    clients[0].subscribe("a.>", id=1)
    clients[1].subscribe("x", "a.*", id=7)
    clients[2].subscribe("b", "c", id=3)
    join(clients[3], "both", "a.b", "z")
    join(clients[4], "other", "z.>")
    join(clients[5], "left", "a.>")
    clients[5].close()
    made.await_metric("roundhouse_connections", lambda value: value == 5)
    answer = ask(made, EVENT, "a.b")
    assert answer["outcome"] == "routed" and answer["complete"] and answer["class"] == "memory"
    assert answer["rule"] is None and answer["duplicate_of"] is None and not answer["expiry"]["over"]
    assert 0 <= answer["slot"] < 4096 and 0 <= answer["shard"] < 3 and answer["log"] == answer["shard"]
    assert answer["totals"] == {"gets": 4, "stopped": 0, "filter": 0, "pattern": 2}
    gets = {row.get("client") or row["queue"]: row for row in answer["gets"]}
    assert sorted(gets) == ["both", "client 0", "client 1", "left"]
    assert all(row["why"] == "matches" for row in gets.values())
    assert gets["client 1"]["pattern"] == "a.*" and gets["client 1"]["id"] == 7
    assert gets["both"]["members"] == 1 and gets["left"]["members"] == 0, "it waits there"
    others = {row.get("client") or row["queue"]: row for row in answer["not"]}
    assert sorted(others) == ["client 2", "other"]
    assert others["client 2"]["pattern"] == "b" and others["client 2"]["patterns_total"] == 2
    assert all(row["why"] == "pattern" for row in others.values())
    for client in clients[:5]:
        assert client.round_trip() == []
    assert made.metric("roundhouse_events_appended_total") == 0, "nothing was delivered"


def test_what_is_explained_is_what_happens(router):
    made = router(shards=3)
    rng = random.Random(7)
    tokens = "abc"
    clients = {}
    for number in range(12):
        patterns = {".".join(rng.choice(tokens + "*") for _ in range(rng.randint(1, 3))) + rng.choice(["", ".>"])
                    for _ in range(2)}
        clients[f"c{number}"] = client = made.client(name=f"c{number}")
        client.subscribe(*sorted(patterns), id=1)
    publisher = made.client(ack=ROUTED)
    found = 0
    for number in range(1, 31):
        topic = ".".join(rng.choice(tokens) for _ in range(rng.randint(1, 4)))
        answer = ask(made, EVENT, topic)
        expected = {row["client"] for row in answer["gets"]}
        assert answer["totals"]["gets"] == len(expected) and answer["totals"]["pattern"] == 12 - len(expected)
        publisher.send_bytes(wire.numbered(topic, number, 10))
        assert publisher.settle(number) == {}
        for name in expected:
            assert [event.topic for event in clients[name].events(1)] == [topic]
        found += len(expected)
    assert found > 30
    for client in clients.values():
        assert client.round_trip() == [], "nobody else got one"


def test_rules_expiry_duplicates_and_mailboxes_stop_an_event(router):
    made = router(shards=2, config_text="shards: 2\nlogs: { data: 8MiB }\ntopics:\n"
                  "  - { match: 'once.>', class: memory, duplicates: { window: 1m } }\n"
                  "  - { match: 'short.>', class: memory, expiry: 5m }\n")
    reader = made.client(name="reader")
    reader.subscribe(">", id=1)
    publisher = made.client(ack=ROUTED)
    answer = ask(made, EVENT, "once.a")
    assert answer["rule"]["number"] == 1 and answer["rule"]["match"] == "once.>"
    assert answer["rule"]["duplicates_window_ms"] == 60000 and answer["outcome"] == "routed"
    assert ask(made, EVENT, "once.a")["outcome"] == "routed", "explaining it is not receiving it"
    publisher.publish("once.a", wire.cloud_event(b"data", id="1", source="/test"))
    publisher.settle(1)
    answer = ask(made, EVENT, "once.a")
    assert answer["outcome"] == "duplicate" and answer["duplicate_of"].isdigit() and answer["totals"]["stopped"] == 1
    assert answer["not"][0]["why"] == "duplicate" and answer["gets"] == []
    assert ask(made, {**EVENT, "id": "2"}, "once.a")["outcome"] == "routed"
    answer = ask(made, EVENT, "short.a")
    assert answer["rule"]["number"] == 2 and answer["expiry"]["by"] == "rule" and not answer["expiry"]["over"]
    answer = ask(made, {**EVENT, "expirytime": "2020-01-01T00:00:00Z"}, "a")
    assert answer["outcome"] == "expired" and answer["expiry"] == {"at": "2020-01-01T00:00:00Z", "by": "event",
                                                                   "over": True}
    assert answer["rule"] is None and answer["not"][0]["why"] == "expired"
    answer = ask(made, EVENT, "@nobody")
    assert answer["outcome"] == "refused" and "there is no mailbox of this name" in answer["message"]
    receiver = made.client()
    mailbox(receiver, "@somebody")
    answer = ask(made, EVENT, "@somebody")
    assert answer["outcome"] == "routed" and [row["queue"] for row in answer["gets"]] == ["@somebody"]
    assert answer["gets"][0]["kind"] == "mailbox"


def test_a_filter_that_turns_an_event_away_is_named(router):
    made = router(shards=2)
    client, member = made.client(name="choosy"), made.client()
    client.send(subscribe=pb.Subscribe(id=1, patterns=["a"], filters=[passing("prefix", {"type": "com.shop."})]))
    client.expect("subscribed")
    client.send(subscribe=pb.Subscribe(id=2, patterns=["a"], filters=[passing("exact", {"subject": "7"})]))
    client.expect("subscribed")
    member.send(subscribe=pb.Subscribe(id=1, patterns=["a"], filters=[passing("exact", {"type": "x"})],
                                       queue=pb.Queue(name="q", group=True, volatile=True)))
    member.expect("subscribed")
    answer = ask(made, {**EVENT, "type": "com.shop.sold"}, "a")
    assert answer["totals"] == {"gets": 1, "stopped": 0, "filter": 2, "pattern": 0}
    assert [row["id"] for row in answer["gets"]] == [1]
    rows = {row.get("queue") or row["id"]: row for row in answer["not"]}
    assert all(row["why"] == "filter" and row["pattern"] == "a" for row in rows.values())
    assert "the event has no subject" in rows[2]["filter"]
    assert 'type is "com.shop.sold", asked for is "x"' in rows["q"]["filter"]


def test_many_subscriptions_are_counted_and_some_are_listed(router):
    made = router(shards=2)
    client = made.client(name="many")
    for number in range(60):
        client.subscribe(*(f"t.{number}.{i}" for i in range(30)), id=number + 1)
    answer = ask(made, EVENT, "t.7.7", limit=5)
    assert answer["totals"] == {"gets": 1, "stopped": 0, "filter": 0, "pattern": 59}
    assert len(answer["gets"]) == 1 and len(answer["not"]) == 5
    assert answer["gets"][0]["pattern"] == "t.7.7" and answer["gets"][0]["patterns_total"] == 30


@pytest.mark.parametrize("sent, topic, status, error, text", [
    (b"", "a", 400, "no_json", "one event as CloudEvents JSON"),
    (b"[]", "a", 400, "no_json", "one event as CloudEvents JSON"),
    (b"{", "a", 400, "no_json", "one event as CloudEvents JSON"),
    (json.dumps(EVENT).encode(), None, 400, "no_topic", "on which topic"),
    (json.dumps(EVENT).encode(), "a..b", 422, "bad_topic", "topic has an empty token"),
    (json.dumps(EVENT).encode(), "$a", 422, "bad_topic", "the router's own"),
    (json.dumps({**EVENT, "id": 7}).encode(), "a", 422, "no_event", "id"),
    (json.dumps({"topic": "a", "event": {}}).encode(), None, 422, "no_event", ""),
    (b'{"specversion": "1.0", "specversion": "1.0"}', "a", 400, "no_json", ""),
])
def test_what_is_no_event_is_refused_with_what_is_wrong(router, sent, topic, status, error, text):
    made = router()
    code, answer = ask(made, None, topic, sent=sent)
    assert (code, answer["error"]) == (status, error) and text in answer["message"], answer


def test_the_command_prints_the_answer(router, run, tmp_path):
    made = router(shards=2)
    reader = made.client(name="reader")
    reader.subscribe("erp.>", id=1)
    reader.subscribe("crm.>", id=2)
    member = made.client()
    join(member, "packing", "erp.order.*")
    file = tmp_path / "event.json"
    file.write_text(json.dumps(EVENT))
    admin = ("--admin", made.admin)
    done = run("explain", *admin, "--topic", "erp.order.created", file)
    assert done.returncode == 0 and done.stderr == ""
    assert "outcome      routed: it is routed" in done.stdout
    assert "\n2 would get it:\n" in done.stdout and "\n1 would not:\n" in done.stdout
    assert "erp.> matches" in done.stdout and "the pattern does not match: crm.>" in done.stdout
    assert "queue   packing: erp.order.* matches; one of its 1 member" in done.stdout
    assert run("explain", *admin, "--quiet", "--topic", "erp.order.created", file).stdout == "2\n"
    line = json.dumps({"topic": "crm.a", "sequence": "1", "event": EVENT})
    done = run("explain", *admin, "--json", "-", input=line)
    assert done.returncode == 0 and json.loads(done.stdout)["topic"] == "crm.a"
    done = run("explain", *admin, file)
    assert done.returncode == 65 and "--topic is missing" in done.stderr
    done = run("explain", *admin, "--topic", "a..b", file)
    assert done.returncode == 65 and "topic has an empty token" in done.stderr
    assert run("explain", *admin, "-", input="not json").returncode == 65
    assert run("explain", *admin, tmp_path / "nothing").returncode != 0
    assert run("explain", "--admin", "127.0.0.1:1", "--topic", "a", file).returncode == 69
    for arguments, text in [((), "FILE is missing"), (("a", "b"), "one argument too many"),
                            (("--limit", "0", "a"), "--limit is a number"), (("--what", "a"), "--what")]:
        done = run("explain", *arguments)
        assert done.returncode == 64 and text in done.stderr
    assert run("explain", "--help").stdout.startswith("usage: roundhouse explain")


# ---- what spokes and rules make of it ----

SPOKES = {
    "shop": "transport: tcp\noutbound: { topics: [erp.order.*, erp.item.*], filter: .n > 5, mapping: '{number: .n}' }\n",
    "split": "transport: tcp\noutbound: { topics: erp.>, mapping: '.lines[]?' }\n",
    "broken": "transport: tcp\noutbound: { topics: erp.order.*, mapping: '.n | ltrimstr(1) | error(\"no such customer\")' }\n",
    "plain": "transport: tcp\noutbound: { topics: other.> }\n",
}
RULES = """on: [erp.order.>]
rules:
  - { name: large, when: .n > 100, then: { topics: [approval.orders, approval.log] } }
  - { name: odd, when: .n % 2 == 1, split: '.lines[]', then: { topics: odd.lines } }
  - { name: never, when: 'false', then: { topics: nothing.here } }
"""


@pytest.fixture
def hub(router, tmp_path):
    for folder, files in (("spokes.d", SPOKES), ("routes.d", {"orders": RULES})):
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / f"{name}.yaml").write_text(text)
    return router(shards=2, config_text=f"spokes: {tmp_path}/spokes.d\nroutes: {tmp_path}/routes.d\nlogs: {{ data: 8MiB }}\n"
                  "topics:\n  - { match: 'erp.order.once', class: memory, duplicates: { window: 1m } }\n")


def takers(made, data, topic, **more):
    """What each spoke, and the file of rules, makes of an event."""
    answer = ask(made, {**EVENT, "datacontenttype": "application/json", "data": data, **more}, topic)
    assert answer["complete"]
    return {row["spoke"]: row for row in answer["spokes"]}, answer["rules"][0]


def test_spokes_say_whether_pattern_filter_or_mapping_decides(hub):
    spokes, _ = takers(hub, {"n": 7, "lines": [1, 2, 3]}, "erp.order.created")
    assert sorted(spokes) == sorted(SPOKES)
    assert {name: (row["why"], row["documents"]) for name, row in spokes.items()} == {
        "shop": ("taken", 1), "split": ("taken", 3), "broken": ("fails", 0), "plain": ("pattern", 0)}
    assert spokes["shop"]["pattern"] == "erp.order.*" and spokes["shop"]["queue"] == "spoke.shop"
    assert spokes["shop"]["patterns_total"] == 2 and spokes["plain"]["pattern"] == "other.>"
    assert "no such customer" in spokes["broken"]["message"]
    spokes, _ = takers(hub, {"n": 5, "lines": []}, "erp.item.created")
    assert {name: row["why"] for name, row in spokes.items()} == {
        "shop": "filter", "split": "mapping", "broken": "pattern", "plain": "pattern"}


def test_rules_say_which_of_them_match(hub):
    _, rules = takers(hub, {"n": 7, "lines": ["a", "b"]}, "erp.order.created")
    assert (rules["file"], rules["queue"], rules["why"], rules["pattern"]) == ("orders", "route.orders", "taken", "erp.order.>")
    assert [(rule["rule"], rule["matched"], rule["events"]) for rule in rules["rules"]] == [
        ("large", "no", 0), ("odd", "yes", 2), ("never", "not_asked", 0)]
    _, rules = takers(hub, {"n": 700}, "erp.order.created")
    assert rules["rules"][0] == {"rule": "large", "matched": "yes", "events": 2, "topics": ["approval.orders", "approval.log"]}
    _, rules = takers(hub, {"n": 8}, "erp.order.created")
    assert rules["why"] == "no_rule" and [rule["matched"] for rule in rules["rules"]] == ["no", "no", "no"]
    _, rules = takers(hub, {"n": 7, "lines": 3}, "erp.order.created")
    assert rules["why"] == "fails" and "odd" in rules["message"] and rules["rules"] == []
    _, rules = takers(hub, {"n": 7}, "erp.item.created")
    assert rules["why"] == "pattern" and rules["message"] == ""


def test_what_nobody_gets_is_not_tried_and_what_is_tried_is_not_published(hub):
    with hub.client(ack=ROUTED) as publisher:
        publisher.publish("erp.order.once", wire.cloud_event(b"{}", id="1", source="/test"))
        assert publisher.settle(1) == {}
    before = hub.await_metric("roundhouse_events_appended_total", lambda value: value >= 3)  # it, and the two dead letters that it becomes
    spokes, rules = takers(hub, {"n": 7, "lines": [1]}, "erp.order.once")
    assert spokes["shop"]["why"] == spokes["broken"]["why"] == rules["why"] == "duplicate" and spokes["plain"]["why"] == "pattern"
    spokes, rules = takers(hub, {"n": 7, "lines": [1]}, "erp.order.x", expirytime="2020-01-01T00:00:00Z")
    assert spokes["split"]["why"] == rules["why"] == "expired"
    for _ in range(3):
        takers(hub, {"n": 7, "lines": [1]}, "erp.order.created")
    assert hub.metric("roundhouse_events_appended_total") == before == 3


def test_spokes_and_rules_are_those_that_run_now(hub, run, tmp_path):
    file = tmp_path / "spokes.d" / "shop.yaml"
    file.write_text(SPOKES["shop"].replace("> 5", "> 50"))
    assert takers(hub, {"n": 7}, "erp.order.created")[0]["shop"]["why"] == "taken", "a file that nobody applied says nothing"
    assert run("spokes", "apply", "--admin", hub.admin).returncode == 0
    assert takers(hub, {"n": 7}, "erp.order.created")[0]["shop"]["why"] == "filter"
    (tmp_path / "spokes.d" / "plain.yaml").unlink()
    assert run("spokes", "apply", "--admin", hub.admin).returncode == 0
    assert "plain" not in takers(hub, {"n": 7}, "erp.order.created")[0]


def test_the_command_prints_what_spokes_and_rules_make_of_it(hub, run):
    event = json.dumps({"topic": "erp.order.created", "event": {**EVENT, "data": {"n": 7, "lines": [1, 2]}}})
    said = run("explain", "--admin", hub.admin, "-", input=event).stdout
    assert "What spokes and rules make of it:\n" in said
    assert "  spoke   shop: takes it by erp.order.*, as 1 document\n" in said and "as 2 documents" in said
    assert "it would become a dead letter: " in said and "  spoke   plain: " in said
    assert "  rules   orders: takes it by erp.order.>\n" in said
    assert "            odd: matches, on odd.lines\n" in said and "            never: is not asked\n" in said


# ---- what matched nobody ----


def unmatched(made):
    return {row["topic"]: row for row in json.loads(made.http("/v1/unmatched"))["unmatched"]}


def total(made):
    return made.metric("roundhouse_events_unmatched_total")


def test_events_that_match_nobody_are_counted_and_shown(router):
    made = router(shards=3)
    publisher = made.client(ack=ROUTED)
    reader = made.client()
    reader.subscribe("known.>", id=1)
    publisher.publish("lost.order", wire.cloud_event(b"data", id="A-1", source="/erp/prod"))
    publisher.settle(1)
    made.await_metric("roundhouse_events_unmatched_total", lambda value: value == 1)
    row = unmatched(made)["lost.order"]
    assert (row["source"], row["id"], row["events"]) == ("/erp/prod", "A-1", 1)
    for number in range(2, 30):
        publisher.send_bytes(wire.numbered("known.a", number, 10))
    assert publisher.settle(29) == {}
    reader.events(28)
    assert total(made) == 1 and made.metric("roundhouse_events_unjudged_total") == 0
    assert "msg=\"events match no subscription and no queue: nobody gets them\"" in made.errors()
    assert "topic=\"lost.order\" source=\"/erp/prod\"" in made.errors()


def test_a_queue_that_waits_is_somebody(router):
    made = router(shards=3)
    publisher = made.client(ack=ROUTED)
    member = made.client()
    join(member, "later", "order.>")
    member.close()
    made.await_metric("roundhouse_connections", lambda value: value == 1)
    publisher.send_bytes(b"".join(wire.numbered("order.a", number, 10) for number in range(1, 11)))
    publisher.send_bytes(b"".join(wire.numbered("other.a", number, 10) for number in range(11, 21)))
    assert publisher.settle(20) == {}
    made.await_metric("roundhouse_events_unmatched_total", lambda value: value == 10)
    assert list(unmatched(made)) == ["other.a"]


def test_no_event_that_somebody_gets_is_counted(router):
    """Subscribers of all shards come; what is published when they have been told is theirs."""
    made = router(shards=4)
    publisher = made.client(ack=ROUTED)
    rng = random.Random(3)
    number, expected = 0, 0
    topics = [f"t{i}" for i in range(12)]
    taken, clients = set(), []
    for _ in range(30):
        topic = rng.choice(topics)
        if topic not in taken and rng.random() < 0.3:
            clients.append(made.client())
            clients[-1].subscribe(topic, id=1)
            taken.add(topic)
        for _ in range(5):
            number += 1
            publisher.send_bytes(wire.numbered(topic, number, 10))
        assert publisher.settle(number) == {}
        expected += 0 if topic in taken else 5
        made.await_metric("roundhouse_events_unmatched_total",
                          lambda value: value + made.metric("roundhouse_events_unjudged_total") >= expected)
        assert total(made) <= expected
    assert total(made) == expected
