"""README.md's blocks that are marked `bare` do what the README says, also between two runs of ./check --bare.

They are run in order in an empty folder that has `examples`, `tests` and `build/release/roundhouse`, as a clone has. A
block `./run [OPTION...]` starts the router, on free ports, and the blocks behind it run beside it until one that is marked
`stop`. The program there is a script that tells the commands these ports.
"""

import os
import pathlib
import re
import signal
import stat
import subprocess

import pytest

import wire
from conftest import BINARY, LISTEN, STOP_SECONDS, Router

ROOT = pathlib.Path(wire.ROOT)
BLOCK_SECONDS = 60
PROGRAM = """#!/bin/bash
case "$1 $2" in
"spokes apply" | "spokes ls" | "config apply" | "config show" | "shards "* | "top "* | "explain "* | "trace "*) exec {binary} "$@" --admin {admin} ;;
"sub "* | "pub "* | "reply "* | "request "*) command=$1; shift; exec {binary} "$command" --server {native} "$@" ;;
*) exec {binary} "$@" ;;
esac
"""


def blocks(section):
    """[(whether it stops the router, text)] of the blocks of a section that are run."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [(words.strip() == "stop", block) for words, block in
            re.findall(r"^```sh bare\b([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


class Clone:
    """The folder, and the router that runs beside the blocks."""

    def __init__(self, folder):
        self.folder, self.router = folder, None
        for name in ("examples", "tests"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "build" / "release").mkdir(parents=True)
        self.program = folder / "build" / "release" / "roundhouse"
        self.know("-", "-")

    def know(self, native, admin):
        self.program.write_text(PROGRAM.format(binary=BINARY, native=native, admin=admin))
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def start(self, options):
        self.router = Router(self.folder, LISTEN, options)
        self.know(self.router.address, self.router.admin)

    def stop(self):
        if self.router:
            self.router.process.send_signal(signal.SIGTERM)
            assert self.router.process.wait(STOP_SECONDS) == 0, self.router.errors()
            self.router = None

    def run(self, text):
        done = subprocess.run(["bash", "-eu", "-c", text], cwd=self.folder, text=True, capture_output=True,
                              timeout=BLOCK_SECONDS, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def play(self, section):
        """What the blocks of a section print."""
        said = []
        for stops, text in blocks(section):
            if stops:
                self.stop()
            last = text.split("\n")[-2].split()
            if last[0] == "./run":
                self.start(last[1:])
            else:
                said.append(self.run(text))
        return said


@pytest.fixture
def clone(tmp_path):
    made = Clone(tmp_path)
    yield made
    if made.router:
        made.router.process.kill()
        made.router.process.wait()


def test_the_tour(clone):
    clone.start([])
    events, again, filtered, exact, legacy, config, live, _doctor, seen, *_ = clone.play("A tour in five minutes")
    assert events.count('"topic":"erp.') == 3 and "com.example.shipped" in events
    assert filtered.count("4712") > 0 and "{\"order\": 0}" not in filtered and filtered.count('"topic":') == 1
    assert "erp.order.created" in again and not (clone.folder / "received.ndjson").exists()
    assert '{"pick": 4711}' in exact and '{"price": 17}' in exact
    assert "ORDERS" in legacy and '"topic":"erp.order.created"' in legacy and "no mistakes" in config
    assert "SHARD" in seen and re.search(r"goes to +slot \d+ ", seen) and re.search(r"^ +appended +", seen, re.MULTILINE)
    assert "SHARD" in live and "limits.idle           0 -> 5m" in live and re.search(r"limits.idle +live +applied:1 +5m", live)


def test_a_system_is_connected(clone):
    tried, got, replaced, _ = clone.play("Connect a system")
    assert tried.count("no mistakes, golden pairs: 1") == 2
    assert '"despatch":"DA-77001"' in got.replace(": ", ":") and "UCI+DES0042+" in got
    assert "this golden pair fails" in replaced and "it would not be applied either" in replaced
    assert re.search(r"^changed +tracking$", replaced, re.MULTILINE)
    assert re.search(r"^warehouse +directory", replaced, re.MULTILINE)
    assert sorted(path.name for path in clone.folder.iterdir() if path.name not in ("roundhouse.yaml", "stderr")) == [
        "build", "examples", "tests"]


def test_the_file_that_is_shown_is_the_example():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"```yaml\n(transport: directory\n.*?)```", readme, re.DOTALL)[1]
    assert shown in (ROOT / "examples" / "spokes.d" / "warehouse.yaml").read_text(encoding="utf-8")
