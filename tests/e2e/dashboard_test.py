"""The dashboard in a headless Chromium: tests/e2e/dashboard/drive.mjs looks at it; its screenshots stay in build/check/dashboard."""

import json
import os
import subprocess
import threading

import pytest

import wire
from wire import pb

MODULES = os.path.join(wire.ROOT, "build", "playwright")
SHOTS = os.path.join(wire.ROOT, "build", "check", "dashboard")
DRIVE = os.path.join(wire.ROOT, "tests", "e2e", "dashboard", "drive.mjs")
ORDER = os.path.join(wire.ROOT, "tests", "data", "edifact", "ballerina__orders-ext1.edi")
EVIL = "<img src=x onerror=alert(1)>"
TOPIC = "shop.cart.filled"


class Feed(threading.Thread):
    """Publishes small events all the while, and now and then so much that who does not read falls behind."""

    def __init__(self, made):
        super().__init__(daemon=True)
        self.client = made.client(name="shop", ack=pb.ACK_LEVEL_ROUTED)
        self.ended = threading.Event()

    def run(self):
        number = 0
        big = wire.event_frame("load.big", wire.cloud_event(b"x" * 60000, id="big"))
        while not self.ended.is_set():
            self.client.send_bytes(wire.event_frame(TOPIC, wire.cloud_event(b'{"articles":3}', id=str(number))) * 5 + big)
            number += 6
            self.client.settle(number)
            self.ended.wait(0.05)
        self.client.close()


def scene_of(made, run, spawn):
    """Clients of all kinds, a dead letter, a business document."""
    slow, evil = made.client(name="warehouse", receive_buffer=4096), made.client(name=EVIL)
    slow.subscribe("load.>", policy=pb.SLOW_POLICY_SKIP)
    evil.subscribe("shop.>")
    filtered = spawn("sub", "--server", made.address, "--filter", "type=prefix:test.", "shop.cart.>")
    letters = spawn("sub", "--server", made.address, "--queue", "billing", "--volatile", "--exec", "exit 65", "invoices.>")
    for program in (filtered, letters):
        assert any(b"subscribed" in line for line in iter(program.stderr.readline, b""))
    run("pub", "--server", made.address, "--id", "letter-1", "invoices.new", "unpayable")
    lines = run("convert", "--to", "events", ORDER).stdout
    run("pub", "--server", made.address, "--format", "ndjson", input=lines)
    event = json.loads(lines.splitlines()[0])["event"]
    version = run("version").stdout.split()[1]
    return (slow, evil), {"topic": TOPIC, "version": version, "evil": EVIL, "slow": "warehouse", "filtered": "prefix", "letter": "billing", "source": event["source"],
            "id": event["id"], "readable": ["PO77001", "ITEM-A", "BUYER123"]}


def drive(made, scene, stop):
    os.makedirs(SHOTS, exist_ok=True)
    command = ["node", DRIVE, MODULES, made.admin, SHOTS, json.dumps(scene)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            lines = []
            for line in program.stdout:
                lines.append(line.rstrip("\n"))
                if line == "asks for the end\n":
                    stop()
            assert program.wait(60) == 0, lines
            return lines
        finally:
            program.kill()


def files_of(folder):
    """A spoke that takes nearly nothing, and rules that take carts and publish none of them."""
    for name, text in (("spokes.d/depot.yaml", "transport: tcp\noutbound: { topics: [depot.>] }\n"),
                       ("routes.d/carts.yaml", "on: [shop.>]\nrules:\n  - { name: large, when: '$event.type == \"large\"', then: { topics: large.carts } }\n")):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return f"spokes: {folder}/spokes.d\nroutes: {folder}/routes.d\n"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("body", ["epoll"])
def test_it_shows_what_the_router_does(router, run, spawn, tmp_path):
    assert os.path.isdir(os.path.join(MODULES, "node_modules", "playwright-core")), "./check installs it: `npm ci` has failed"
    made = router(shards=2, config_text="logs: { data: 8MiB, grace: 20ms }\n" + files_of(tmp_path))
    _clients, scene = scene_of(made, run, spawn)
    feed = Feed(made)
    feed.start()

    def stop():
        feed.ended.set()
        feed.join(10)
        made.stop()

    lines = drive(made, scene, stop)
    wrong = [line for line in lines if not line.startswith("ok ") and line != "asks for the end"]
    assert not wrong, "\n".join(lines)
    assert len(lines) == 17, lines
    assert {"overview-light.png", "overview-dark.png", "found-light.png", "graph-dark.png"} <= set(os.listdir(SHOTS))
