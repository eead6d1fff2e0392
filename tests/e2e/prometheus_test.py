"""Alert rules and the dashboard: every metric that they name is on the page of a router, and Prometheus, who scrapes one,
parses and answers every query. The manual's table of promises names alerts and metrics that there are, and all alerts."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse

import pytest

import wire
from conftest import DIRECT
from operations_doc_test import free_ports, table
from wire import pb

RULES = os.path.join(wire.ROOT, "examples", "prometheus", "roundhouse.rules.yaml")
DASHBOARD = os.path.join(wire.ROOT, "examples", "grafana", "roundhouse.json")
METRIC = re.compile(r"\b(?:roundhouse|process)_\w+\b")
EXAMPLE = os.path.join(wire.ROOT, "examples", "spokes.d")


@pytest.fixture
def body():
    return "epoll"


def rules():
    with open(RULES, encoding="utf-8") as file:
        return file.read()


def dashboard():
    with open(DASHBOARD, encoding="utf-8") as file:
        return json.load(file)


def queries():
    """[(where, PromQL)] of the dashboard, its variables replaced as Grafana does."""
    made = dashboard()
    found = [(panel["title"], target["expr"]) for panel in made["panels"] for target in panel.get("targets", [])]
    found += [(note["name"], note["expr"]) for note in made["annotations"]["list"]]
    replaced = [(where, query.replace("$__rate_interval", "1m").replace("$instance", ".+").replace("$job", "roundhouse"))
                for where, query in found]
    assert len(replaced) >= 50 and not any("$" in query for _, query in replaced)
    return replaced


def on_page(page):
    return set(re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE))


class Whole:
    """A router with all that has metrics: shards, a journal, queues, a spoke, HTTP in."""

    def __init__(self, router, folder):
        (folder / "spokes.d").mkdir()
        shutil.copy(os.path.join(EXAMPLE, "warehouse.yaml"), folder / "spokes.d")
        shutil.copytree(os.path.join(EXAMPLE, "tests"), folder / "spokes.d" / "tests")
        self.router = router(shards=2, config_text="logs: { data: 8MiB }\njournal: { retain_bytes: 1GiB, segment: 1MiB }\n",
                             arguments=["--journal", folder / "journal", "--spokes", folder / "spokes.d", "--ingest", "127.0.0.1:0"])
        self.router.await_metric("roundhouse_spoke_state", lambda value: value == 1, spoke="warehouse")

    def traffic(self):
        with self.router.client() as subscriber, self.router.client(ack=pb.ACK_LEVEL_DISK) as publisher:
            subscriber.subscribe("a.>")
            for _ in range(20):
                publisher.publish("a.b", wire.cloud_event(data=b"{}"))
            publisher.settle(20)


@pytest.fixture
def whole(router, tmp_path):
    made = Whole(router, tmp_path)
    made.traffic()
    return made


def test_what_rules_and_dashboard_name_is_on_the_page(whole):
    known = on_page(whole.router.http("/metrics"))
    assert len(known) > 130
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", rules()) + " ".join(query for _, query in queries())
    unknown = {name for name in METRIC.findall(text) if name not in known}
    assert not unknown, unknown


def test_the_table_of_promises_names_what_there_is(whole):
    known = on_page(whole.router.http("/metrics"))
    alerts = re.findall(r"- alert: (\w+)", rules())
    rows = table("| Promise to | What is promised, in short |")
    with open(os.path.join(wire.ROOT, "docs", "GUARANTEES.md"), encoding="utf-8") as file:
        to_whom = set(re.findall(r"^## To (.*)$", file.read(), re.MULTILINE)) - {"those who write clients"}
    assert to_whom <= {row[0] for row in rows} <= to_whom
    named = set()
    for _, promise, metrics, told in rows:
        shown = re.findall(r"`(\w+)`", metrics)
        assert shown and set(shown) <= known, promise
        by = re.findall(r"`(\w+)`", told)
        assert set(by) <= set(alerts), promise
        named.update(by)
        for alert in by:  # an alert is about something that its row shows, or about whether there is an answer at all
            expression = re.search(rf"- alert: {alert}\n\s+expr: (.*?)\n\s+(?:for|labels):", rules(), re.DOTALL)[1]
            assert "up{" in expression or set(METRIC.findall(expression)) & set(shown), (promise, alert)
    assert named == set(alerts)


def test_the_dashboard_is_one_that_grafana_can_import():
    made = dashboard()
    assert made["schemaVersion"] >= 36 and made["uid"] == "roundhouse"
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"] and panel["targets"] and panel["datasource"]["uid"] == "${datasource}"
    names = {variable["name"] for variable in made["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(made))) - {"__rate_interval", "__all"}
    assert used <= names


# ---- with a Prometheus ----


class Prometheus:
    """One that scrapes a router every second, and has our rules."""

    def __init__(self, folder, target):
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        config = folder / "prometheus.yaml"
        config.write_text("global: { scrape_interval: 1s, evaluation_interval: 1s }\n"
                          f"rule_files: ['{RULES}']\n"
                          "scrape_configs:\n  - job_name: roundhouse\n"
                          f"    static_configs: [{{ targets: ['{target}'] }}]\n")
        self.log = open(folder / "prometheus.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address={self.address}", "--log.level=warn"], stdout=self.log, stderr=self.log)

    def get(self, path, **arguments):
        with DIRECT.open(f"http://{self.address}{path}?{urllib.parse.urlencode(arguments)}", timeout=wire.WAIT_SECONDS) as answer:
            read = json.load(answer)
        assert read["status"] == "success"
        return read["data"]

    def await_scrapes(self, count):
        end = time.monotonic() + wire.WAIT_SECONDS
        while True:
            try:
                found = self.get("/api/v1/query", query="sum_over_time(up[1m])")["result"]
            except OSError:
                found = []
            if found and float(found[0]["value"][1]) >= count:
                return
            assert self.process.poll() is None and time.monotonic() < end, open(self.log.name, encoding="utf-8").read()
            time.sleep(0.1)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def prometheus(whole, tmp_path):
    made = Prometheus(tmp_path, whole.router.admin)
    yield made
    made.end()


@pytest.mark.slow
def test_prometheus_answers_every_query_and_evaluates_every_rule(whole, prometheus):
    prometheus.await_scrapes(2)
    whole.traffic()
    prometheus.await_scrapes(4)
    empty = []
    for where, query in queries():
        result = prometheus.get("/api/v1/query", query=query)["result"]
        if not result and " > " not in query:
            empty.append((where, query))
    assert not empty
    groups = prometheus.get("/api/v1/rules")["groups"]
    evaluated = [rule for group in groups for rule in group["rules"]]
    assert len(evaluated) == rules().count("- alert:")
    wrong = [(rule["name"], rule.get("lastError")) for rule in evaluated if rule["health"] != "ok"]
    assert not wrong
    page = [rule["name"] for rule in evaluated if rule["state"] == "firing" and rule["labels"]["severity"] == "page"]
    assert not page, "a router that is well calls somebody"
