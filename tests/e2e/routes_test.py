"""Rules of `routes.d`: checked and tried by the command line, and at work on a real router."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import wire
from conftest import BINARY
from wire import ce, pb

EXAMPLES = os.path.join(wire.ROOT, "examples", "routes.d")
ORDER = os.path.join(wire.ROOT, "tests", "data", "edifact", "smooks__ORDERS_D.03B_Interchange.txt")
JOURNAL = 'journal: { dir: "journal" }\nlogs: { data: 8MiB }\n'


def order(name):
    with open(os.path.join(EXAMPLES, "tests", name), encoding="utf-8") as file:
        return json.load(file)


def event_of(document):
    """The CloudEvent of an example, as its JSON says it."""
    attributes = {name: value for name, value in document.items() if name in ("datacontenttype", "subject")}
    return wire.cloud_event(json.dumps(document["data"]), id=document["id"], source=document["source"],
                            type=document["type"], **attributes)


def expected(name):
    return order(name)


def flat(frame):
    """An event that came, as the examples write what they expect."""
    inner = ce.CloudEvent.FromString(frame.event)
    found = {"topic": frame.topic, "id": inner.id, "source": inner.source, "type": inner.type}
    for name, value in inner.attributes.items():
        found[name] = value.ce_string or value.ce_integer
    found["data"] = json.loads(inner.text_data)
    return found


def agrees(found, wanted):
    return all(found.get(name) == value for name, value in wanted.items())


class Rules:
    """A running `roundhouse routes run`, whose queues are there."""

    def __init__(self, spawn, made, path, *arguments):
        before = made.metric("roundhouse_queues")
        self.process = spawn("routes", "run", "--server", made.address, *arguments, path)
        self.said = self.process.stdout.readline().decode()
        assert self.said.startswith("rules: "), self.process.stderr.read()
        made.await_metric("roundhouse_queues", lambda value: value >= before + len(self.said.split()) - 1)

    def stop(self, number=signal.SIGTERM):
        """What it said in its log, and how much there was, by file and name."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=wire.WAIT_SECONDS)
        self.counts = {}
        for line in out.decode().splitlines():
            name, words = line.split(": ")
            self.counts[name] = dict(zip(words.split()[::2], map(int, words.split()[1::2])))
        return errors.decode()


def test_the_examples_are_right(run):
    done = run("routes", "check", os.path.join(EXAMPLES, "orders.yaml"), os.path.join(EXAMPLES, "warehouses.yaml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 rules, 1 tables, 3 tests" in done.stdout


def test_a_golden_pair_that_fails_is_told(run, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "routes.d")
    wrong = tmp_path / "routes.d" / "tests" / "large.out.json"
    wrong.write_text(wrong.read_text().replace("10070", "10071"))
    done = run("routes", "check", "routes.d/orders.yaml")
    assert done.returncode == 78 and done.stdout == ""
    assert "this test fails: event 1: data is " in done.stderr and '"total":10070' in done.stderr
    done = run("routes", "run", "routes.d")  # refused before it looks for a router
    assert done.returncode == 78 and done.stdout == ""
    assert done.stderr.startswith("routes.d/orders.yaml:") and "this test fails: event 1: data is " in done.stderr


def test_an_event_is_tried_on_the_rules(run):
    done = run("routes", "test", os.path.join(EXAMPLES, "orders.yaml"), os.path.join(EXAMPLES, "tests", "large.json"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:3] == ["unknown-gln: no", "over-10000: matches", "accepted: not asked"]
    topic, event = lines[3].split(" ", 1)
    assert agrees({"topic": topic, **json.loads(event)}, expected("large.out.json")[0]) and len(lines) == 4


def test_the_manual_shows_what_is_so(run, tmp_path):
    with open(os.path.join(wire.ROOT, "docs", "ROUTES.md"), encoding="utf-8") as file:
        manual = file.read()
    (tmp_path / "examples").symlink_to(os.path.join(wire.ROOT, "examples"))
    block = re.search(r"^```console\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)[1]
    for part in block.split("$ ")[1:]:
        command, wanted = part.split("\n", 1)
        path = f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True,
                              text=True, timeout=wire.WAIT_SECONDS, check=False)
        assert (done.stdout, done.stderr) == (wanted, "")
    # The file that it begins with is a whole one.
    shutil.copy(os.path.join(EXAMPLES, "customers.csv"), tmp_path)
    (tmp_path / "orders.yaml").write_text(re.search(r"^```yaml\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)[1])
    assert run("routes", "check", "orders.yaml").returncode == 0


def test_mistakes_have_their_place(run, tmp_path):
    (tmp_path / "bad.yaml").write_text('on: ["erp.>"]\nrules:\n  - name: a\n    when: ".a |"\n    then: { topics: x }\n')
    done = run("routes", "check", "bad.yaml")
    assert done.returncode == 78
    assert done.stderr.startswith("bad.yaml:3:5: rule a: when is not jq: line ")


@pytest.mark.parametrize("arguments, status", [(["routes"], 64), (["routes", "check"], 64), (["routes", "test", "x"], 64),
                                               (["routes", "run"], 64), (["routes", "--help"], 0), (["jq-worker"], 64)])
def test_usage(run, arguments, status):
    assert run(*arguments).returncode == status


@pytest.mark.parametrize("disk", [False, True])
def test_the_three_cases_through_a_router(router, spawn, disk):
    made = router(config_text=JOURNAL if disk else "logs: { data: 8MiB }\n")
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("approval.>", "quarantine.>", "orders.accepted", "warehouse.despatch")
        rules = Rules(spawn, made, EXAMPLES, *(["--disk"] if disk else []))
        for name in ("large", "unknown", "three"):
            client.publish("erp.order.created", event_of(order(f"{name}.json")))
        found = [flat(frame) for frame in gather(client, 6)]
        for name in ("large", "unknown"):
            for wanted in expected(f"{name}.out.json"):
                assert sum(agrees(event, wanted) for event in found) == 1, (wanted, found)
        # The order was accepted by one file's rules, and despatched by the other's.
        assert sum(event["topic"] == "orders.accepted" for event in found) == 1
        for wanted in expected("three.out.json"):
            wanted = {"data": wanted["data"], "routehops": 2, "causationid": "4714/accepted/1"}
            assert sum(agrees(event, wanted) for event in found) == 1, (wanted, found)
        # What is published is told when it is settled, which may be after it was delivered.
        rules.stop()
        counts = rules.counts["orders"]
        assert counts["received"] == 3 and counts["published"] <= 3 and counts["quarantined"] <= 1
        assert counts["refused"] == counts["restarts"] == 0


def gather(client, count):
    """So many events; acknowledgements of what was published are passed over."""
    found = []
    while len(found) < count:
        frame = client.next()
        if frame.WhichOneof("body") == "event":
            found.append(frame.event)
    return found


CANONICAL = """
on: [erp.order.>]
match: all
rules:
  - { name: as-it-is, when: '.header.id == "BKOD99"', then: { topics: kept } }
  - name: lines
    split: ". as $order | .lines[] | $order + {lines: [.]} | .header.id += \\"-\\" + .lines[0].id"
    message: Order
    then: { topics: lines }
"""


def ce_json_data(line):
    return base64.b64decode(json.loads(line)["event"]["data_base64"])


def test_a_legacy_file_is_split_by_line(router, run, spawn, tmp_path):
    (tmp_path / "canonical.yaml").write_text(CANONICAL)
    made = router()
    with made.client() as client:
        client.subscribe("kept", "lines")
        rules = Rules(spawn, made, tmp_path / "canonical.yaml")
        events = run("convert", "-q", "--to", "events", ORDER).stdout
        assert run("pub", "--server", made.address, "--format", "ndjson", input=events).returncode == 0
        original = run("convert", "-q", "--to", "json", ORDER).stdout
        lines = json.loads(original)["lines"]
        found = [(event.topic, ce.CloudEvent.FromString(event.event)) for event in gather(client, 1 + len(lines))]
        kept = [event for topic, event in found if topic == "kept"]
        parts = [event for topic, event in found if topic == "lines"]
        assert len(lines) > 1 and len(kept) == 1 and len(parts) == len(lines)
        assert kept[0].binary_data == ce_json_data(events)  # as it was published
        for event in kept + parts:
            assert event.attributes["dataschema"].ce_uri == "type.googleapis.com/roundhouse.erp.v1.Order"
            assert event.type == "erp.order.created.v1" and event.attributes["routehops"].ce_integer == 1
        assert [event.id.rsplit("/", 2)[1:] for event in parts] == [["lines", str(n + 1)] for n in range(len(lines))]
        assert all(b"BKOD99-" + line["id"].encode() in event.proto_data.value for event, line in zip(parts, lines))
        rules.stop()


def test_what_belongs_together_is_merged(router, spawn):
    made = router()
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("shop.>")
        rules = Rules(spawn, made, os.path.join(EXAMPLES, "warehouses.yaml"))
        for text in ["a1", "b1", "a2", "a1", "b2", "a2", "b3", "a3"]:  # what comes again counts once
            data = json.dumps({"order": text[0], "parcel": text})
            client.publish("warehouse.despatched", wire.cloud_event(data, id=text, datacontenttype="application/json"))
        found = [flat(frame)["data"] for frame in gather(client, 2)]
        assert found == [{"order": "b", "parcels": ["b1", "b2", "b3"]}, {"order": "a", "parcels": ["a1", "a2", "a3"]}]
        rules.stop()


def test_a_merge_ends_with_its_window(router, spawn, tmp_path):
    (tmp_path / "m.yaml").write_text("on: [a]\nrules:\n  - name: m\n    merge: { key: .k, window: 100ms, into: length }\n"
                                     "    then: { topics: b }\n")
    made = router()
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("b")
        rules = Rules(spawn, made, tmp_path / "m.yaml")
        client.publish("a", wire.cloud_event('{"k": 1}', datacontenttype="application/json"))
        assert flat(gather(client, 1)[0])["data"] == 1
        rules.stop()


FAILING = """
on: [a]
rules:
  - name: strict
    when: 'if .wrong then error("no good") else true end'
    then: { topics: b }
  - { name: nowhere, then: { mailbox: nobody } }
"""


def test_an_event_that_a_rule_fails_on_is_a_dead_letter(router, spawn, tmp_path):
    (tmp_path / "failing.yaml").write_text(FAILING + "match: all\n")
    made = router()
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("b", "$dlq.route.failing")
        rules = Rules(spawn, made, tmp_path / "failing.yaml")
        client.publish("a", wire.cloud_event('{"wrong": true}', id="1", datacontenttype="application/json"))
        letter = gather(client, 1)[0]
        assert letter.topic == "$dlq.route.failing"
        assert b"rule strict: no good" in letter.event
        # One target refuses it: the other one has it all the same.
        client.publish("a", wire.cloud_event('{}', id="2", datacontenttype="application/json"))
        found = {event.topic: event for event in gather(client, 2)}
        assert ce.CloudEvent.FromString(found["b"].event).id == "2/strict/1"
        assert b"@nobody: there is no mailbox of this name" in found["$dlq.route.failing"].event
        rules.stop()


def test_rules_that_lead_in_circles_end(router, spawn, tmp_path):
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / "circle").mkdir(exist_ok=True)
        (tmp_path / "circle" / f"{name}.yaml").write_text(f"on: [{name}]\nrules: [{{ name: r, then: {{ topics: {other} }} }}]\n")
    made = router()
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("$dlq.>")
        rules = Rules(spawn, made, tmp_path / "circle")
        client.publish("one", wire.cloud_event("{}", datacontenttype="application/json"))
        assert b"it has gone through 16 rules: they send it in circles" in gather(client, 1)[0].event
        rules.stop()


def children(pid):
    """The processes that any thread of a process has started."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            found += file.read().split()
    return found


def await_ended(pids):
    """They end with their parent: whoever inherits them need not have noticed yet."""
    end = time.monotonic() + wire.WAIT_SECONDS
    for pid in pids:
        while True:
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                    if file.read().rsplit(")", 1)[1].split()[0] in "ZX":
                        break
            except FileNotFoundError:
                break
            assert time.monotonic() < end, f"process {pid} goes on"
            time.sleep(0.02)


def test_rules_that_are_killed_lose_nothing(router, spawn):
    made = router(config_text=JOURNAL)
    path = os.path.join(EXAMPLES, "orders.yaml")
    count = 2000
    with made.client(ack=pb.ACK_LEVEL_DISK) as client:
        client.subscribe("approval.orders")
        rules = Rules(spawn, made, path, "--disk")
        document = order("large.json")
        for number in range(count):
            document["id"] = f"o{number}"
            client.publish("erp.order.created", event_of(document))
        seen = {flat(frame)["causationid"] for frame in gather(client, 100)}
        workers = children(rules.process.pid)
        assert workers
        rules.stop(signal.SIGKILL)
        await_ended(workers)
        spawn("routes", "run", "--server", made.address, "--disk", path)
        while len(seen) < count:
            seen.add(flat(gather(client, 1)[0])["causationid"])
        assert seen == {f"o{number}" for number in range(count)}


def test_an_endless_rule_is_ended_and_the_others_go_on(router, spawn, tmp_path):
    (tmp_path / "endless.yaml").write_text("on: [a]\ntime: 100ms\nrules:\n  - name: r\n"
                                           "    when: if .endless then last(range(1e12)) else true end\n    then: { topics: b }\n")
    made = router()
    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("b", "$dlq.>")
        rules = Rules(spawn, made, tmp_path / "endless.yaml")
        for number, endless in enumerate([False, True, False]):
            data = json.dumps({"endless": endless})
            client.publish("a", wire.cloud_event(data, id=str(number), datacontenttype="application/json"))
        found = {event.topic + ":" + ce.CloudEvent.FromString(event.event).id for event in gather(client, 3)
                 if event.topic == "b" or b"it took more than 100 ms" in event.event}
        assert {"b:0/r/1", "b:2/r/1"} < found and len(found) == 3
        assert "a jq process is started again" in rules.stop()
        assert (rules.counts["endless"]["refused"], rules.counts["endless"]["restarts"]) == (1, 1)


def test_the_router_applies_rules_and_reads_them_again(router, tmp_path):
    folder = tmp_path / "routes.d"
    shutil.copytree(EXAMPLES, folder)
    made = router(arguments=["--routes", str(folder)])
    made.await_metric("roundhouse_queues", lambda value: value >= 2)
    document = order("large.json")

    def arrives(client, topic, name):
        document["id"] = name
        client.publish("erp.order.created", event_of(document))
        found = flat(gather(client, 1)[0])
        assert (found["topic"], found["causationid"]) == (topic, name)

    def signalled(text, count):
        made.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + wire.WAIT_SECONDS
        while made.errors().count(f'msg="{text}"') < count:
            assert time.monotonic() < end, made.errors()
            time.sleep(0.02)

    with made.client(ack=pb.ACK_LEVEL_ROUTED) as client:
        client.subscribe("approval.>")
        arrives(client, "approval.orders", "one")
        whole = (folder / "orders.yaml").read_text()
        (folder / "orders.yaml").write_text(whole + "nonsense: 1\n")
        signalled("rules stay as they were: a file is wrong", 1)
        arrives(client, "approval.orders", "two")
        (folder / "orders.yaml").write_text(whole.split("tests:")[0].replace("approval.orders", "approval.anew"))
        signalled("rules applied", 2)
        arrives(client, "approval.anew", "three")
