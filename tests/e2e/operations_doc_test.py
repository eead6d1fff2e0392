"""docs/OPERATIONS.md says what is so: its commands are run and what they print is compared, its figures are measured.

A block that opens with ```console run is run by bash, line by line: what follows `$ ` is the command (`> ` continues it), the
lines behind it are all that it prints. ```console serve starts the router, whose first line is compared; the blocks behind it
run beside it, until ```console stop, or the next ```console serve, ends it by SIGTERM. The folder they run in has `examples`
and `build/release`; the program is on the path. Ports 4470 and 4480 are exchanged for free ones. What differs from run to run
(see CHANGING) is not compared.
"""

import os
import random
import re
import resource
import select
import signal
import socket
import subprocess

import pytest

import wire
from conftest import BINARY
from wire import pb

ROUTED = pb.ACK_LEVEL_ROUTED
MANUAL = os.path.join(wire.ROOT, "docs", "OPERATIONS.md")
BUILD = os.path.abspath(os.environ.get("RH_BUILD", os.path.join(wire.ROOT, "build", "release")))
CHANGING = [(r"\(commit [^)]*\)", "(commit)"), (r"\bio=\S+", "io="), (r"(logs?=\S+) \(.*\)", r"\1"),
            (r"\btime=\S+", "time="), (r"\bms=\d+", "ms="), (r"reason=\"[^\"]*\"", "reason="),
            (r"Installing: \S*/installed/", "Installing: installed/"), (r"^\d{4}-\d\d-\d\dT\S+", "when"),
            (r"\bid=(\w+):\w+", r"id=\1:"), (r"in \d+\.\d\d s\b", "in s")]


def manual():
    with open(MANUAL, encoding="utf-8") as file:
        return file.read()


def blocks():
    """[(first line's number, kind, [(command, output lines)])] of the manual's console blocks, in order."""
    found = re.finditer(r"^```console (\w+)\n(.*?)^```$", manual(), re.MULTILINE | re.DOTALL)
    return [(manual().count("\n", 0, block.start()) + 1, block[1], steps(block[2].splitlines())) for block in found]


def steps(lines):
    found = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line[2:], [])
        else:
            found[-1][1].append(line)
    return found


def table(header):
    """The rows of the table with this header: lists of cells."""
    text = manual()
    assert text.count(header) == 1, f"not one table begins with {header}"
    rows = text[text.index(header):].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("\0", "|") for cell in row.replace("\\|", "\0").strip("|").split("|")] for row in rows]


def compared(text):
    for pattern, instead in CHANGING:
        text = re.sub(pattern, instead, text)
    return text


def free_ports(count):
    """Ports that are listened on more than once: below those that the kernel gives to others in between."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 32000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        ports.append(port)
    return ports


class Terminal:
    """A folder in which the manual's blocks are run, one after the other."""

    def __init__(self, folder):
        self.folder, self.router = folder, None
        self.native, self.admin, self.ingest = (f"127.0.0.1:{port}" for port in free_ports(3))
        os.symlink(os.path.join(wire.ROOT, "examples"), folder / "examples")
        os.mkdir(folder / "build")
        os.symlink(BUILD, folder / "build" / "release")
        os.mkdir(folder / "bin")
        os.symlink(BINARY, folder / "bin" / "roundhouse")
        self.environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def ours(self, text):
        text = text.replace("127.0.0.1:4470", self.native).replace("127.0.0.1:4480", self.admin)
        return text.replace("127.0.0.1:4481", self.ingest)

    def theirs(self, text):
        text = text.replace(self.native, "127.0.0.1:4470").replace(self.admin, "127.0.0.1:4480")
        return text.replace(self.ingest, "127.0.0.1:4481")

    def run(self, command):
        done = subprocess.run(["bash", "-c", self.ours(command)], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return self.theirs(done.stdout)

    def serve(self, command):
        """Starts the router; returns its first line."""
        self.stop()
        command = command.replace("roundhouse serve", f"exec roundhouse serve --listen {self.native} --admin {self.admin} "
                                                      f"--ingest {self.ingest}")
        self.router = subprocess.Popen(["bash", "-c", command], cwd=self.folder, env=self.environment, text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert select.select([self.router.stdout], [], [], wire.WAIT_SECONDS)[0], "no ready line"
        return self.theirs(self.router.stdout.readline())

    def stop(self):
        if self.router:
            self.router.send_signal(signal.SIGTERM)
            assert self.router.wait(wire.WAIT_SECONDS) == 0
            assert self.router.stdout.read() == "", "something follows the ready line"
            self.router.stdout.close()
        self.router = None

    def kill(self):
        if self.router:
            self.router.kill()
            self.router.wait()
            self.router.stdout.close()


def test_the_commands_of_the_manual_print_what_it_says(tmp_path):
    terminal = Terminal(tmp_path)
    kinds = []
    try:
        for line, kind, commands in blocks():
            kinds.append(kind)
            assert kind in ("run", "serve", "stop") and (commands or kind == "stop"), f"{MANUAL}:{line}"
            if kind == "stop":
                terminal.stop()
            for command, printed in commands:
                got = terminal.serve(command) if kind == "serve" else terminal.run(command)
                wanted = "".join(f"{text}\n" for text in printed)
                assert compared(got) == compared(wanted), f"docs/OPERATIONS.md:{line}: $ {command}"
        terminal.stop()
    finally:
        terminal.kill()
    assert kinds.count("run") >= 6 and kinds.count("serve") >= 2 and "stop" in kinds


# ---- figures: `slow` leaves them out under sanitizers, which keep memory of their own ----


def figure(what):
    """Bytes that the memory table gives for something, such as `a connection`."""
    text = next(row[1] for row in table("| What | Bytes |") if row[0] == what)
    number, unit = re.fullmatch(r"(\d+) (B|KiB|MiB)", text).groups()
    return int(number) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]


def held(made):
    """Bytes that are the router's own, every page once; without those of files, which others that run the same program share."""
    with open(f"/proc/{made.pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def is_about(measured, what):
    """The manual's figure is a bound, and no more than four times too large."""
    assert figure(what) / 4 <= measured <= figure(what), f"{what}: {measured:.0f} bytes, the manual says {figure(what)}"


@pytest.mark.slow
def test_what_a_shard_and_its_log_take(router):
    sizes = []
    for shards in (1, 3):
        made = router(shards=shards, config_text="logs: { data: 16MiB }\n")
        sizes.append(held(made))
        made.stop()
    logs = (16 << 20) + (16 << 20) // 128 * 32
    is_about((sizes[1] - sizes[0]) / 2 - logs, "a shard")


@pytest.mark.slow
def test_the_resident_memory_counts_the_data_of_the_logs_twice(router):
    made = router(shards=2, config_text="logs: { data: 64MiB }\n")
    resident = made.metric("process_resident_memory_bytes")
    data = made.metric("roundhouse_log_data_capacity_bytes")
    assert data == 128 << 20
    assert abs(resident - data - held(made)) < 8 << 20  # shared libraries count for less than a whole in Pss


@pytest.mark.slow
def test_what_a_connection_and_a_pattern_take(router, many_descriptors):
    made = router(shards=1, config_text="logs: { data: 8MiB }\n")
    with made.client() as client:
        for _ in range(300):
            client.round_trip()  # each of the shard's receive buffers has been used
    before = held(made)
    clients = [made.client() for _ in range(800)]
    after = held(made)
    is_about((after - before) / 800, "a connection")
    for number, client in enumerate(clients):
        client.subscribe(*[f"pattern.{number}.{n}.*" for n in range(100)])
    is_about((held(made) - after) / 80_000, "a pattern")
    for client in clients:
        client.close()


@pytest.mark.slow
def test_what_a_topic_takes(router):
    made = router(shards=1, config_text="logs: { data: 8MiB }\n")
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("none.>")  # so that the worker reads the log, and remembers routes
        total = 0

        def publish(topics):
            nonlocal total
            publisher.send_bytes(b"".join(wire.numbered(topic, 1) for topic in topics))
            total += len(topics)
            assert publisher.settle(total) == {}

        publish(["erp.order.created"] * 1000)
        before = held(made)
        for start in range(0, 100_000, 1000):
            publish([f"erp.customer.site{n:09d}.order.created" for n in range(start, start + 1000)])
        is_about((held(made) - before) / 100_000, "a topic name")


# ---- tables whose cells are texts of the program ----


def sources():
    """The text of the program, with string literals that stand beside each other joined."""
    listed = subprocess.run(["git", "-C", wire.ROOT, "ls-files", "core/*.c", "codecs/*.c"], text=True, capture_output=True,
                            check=True).stdout.split()
    text = ""
    for name in listed:
        with open(os.path.join(wire.ROOT, name), encoding="utf-8") as file:
            text += file.read()
    return re.sub(r'"\s*\n\s*"', "", text)


def test_every_error_text_in_the_manual_is_one_of_the_program():
    program = sources().replace('\\"', '"')
    limits = [row[2].strip("`") for row in table("| Limit | Code |") if row[2].startswith("`")]
    assert len(limits) >= 10
    for text in limits:
        assert f'"{text}"' in program, f"nobody says: {text}"
    symptoms = [row[0].strip("`") for row in table("| You see | It means |") if row[0].startswith("`")]
    assert len(symptoms) >= 15
    for text in symptoms:
        assert fixed_part(text) in program, f"nobody says: {text}"


def fixed_part(text):
    """The longest stretch of a message without addresses, numbers, and what the C library says of an errno."""
    text = re.sub(r":? (Address already|Cannot assign|Cannot allocate|Permission denied|Connection refused).*", "", text)
    return max(re.split(r"\S*\d+\.\d+\.\d+\.\d+\S*|\b\d+\w*\b", text), key=len).strip()


def without_particulars(reason):
    """A reason without versions, error names and the number behind `disabled=`; also the program's text for it."""
    return re.sub(r"%u\.%u|%[ds]|\d+\.\d+|\bE[A-Z]+\b|(?<==)\d+", "", reason)


def test_every_reason_for_the_io_body_is_one_of_the_program():
    with open(os.path.join(wire.ROOT, "core", "io", "choose.c"), encoding="utf-8") as file:
        program = without_particulars(file.read())
    with open(os.path.join(wire.ROOT, "core", "io", "uring_ring.c"), encoding="utf-8") as file:
        steps_of_setup = re.findall(r'\*step = "([^"]*)"', file.read())
    rows = table("| `io=` and reason |")
    assert len(rows) >= 8 and len(steps_of_setup) >= 4
    for reason in (re.search(r"\((.*)\)", row[0].strip("`"))[1] for row in rows):
        found = without_particulars(reason)
        assert f'"{found}"' in program or found.removesuffix(": ") in steps_of_setup, reason


def test_every_log_line_is_in_the_manual():
    said = set()
    for call in re.findall(r"\blogfmt\((?:LOGFMT_|cut)[^;]*;", sources()):
        said.update(text for text in re.findall(r'"((?:[^"\\]|\\.)*)"', call)[:-1] if "=" not in text)  # the fields come last
    # What is always told with the same fields goes through a function of the file's own.
    said.update(re.findall(r'\btell\([^";]*LOGFMT_[A-Z]+,\s*"((?:[^"\\]|\\.)*)"', sources()))
    listed = {row[1].replace("`", "").strip() for row in table("| level | msg |")}
    assert {text.replace("`", "") for text in said} == listed
    assert len(said) >= 8


@pytest.mark.parametrize("limit, config, provoke", [
    ("`limits.frame`", "limits: { frame: 128KiB }", lambda client: client.send_bytes(wire.varint((128 << 10) + 1))),
    ("`limits.handshake`", "limits: { handshake: 100ms }", None),
    ("`limits.idle`", "limits: { idle: 100ms }", lambda client: None),
    ("`limits.subscriptions`", "limits: { subscriptions: 1 }",
     lambda client: client.send(subscribe=pb.Subscribe(id=1, patterns=["a", "b"]))),
    ("`limits.connections`", "limits: { connections: 1 }", None),
    ("1024 patterns in a Subscribe", "", lambda client: client.send(subscribe=pb.Subscribe(id=1, patterns=["a"] * 1025))),
])
def test_a_client_is_told_what_the_manual_says(router, limit, config, provoke):
    _, code, told, then = next(row for row in table("| Limit | Code |") if row[0] == limit)
    made = router(config_text=config + "\n")
    others = [made.client()] if "connections" in limit else []
    with made.client(hello=provoke is not None) as client:
        if provoke:
            provoke(client)
        error = client.expect("error")
        assert (pb.ErrorCode.Name(error.code), error.text) == (f"ERROR_CODE_{code}", told.strip("`"))
        assert error.fatal == then.startswith("closed")
    for other in others:
        other.close()


@pytest.mark.parametrize("what, topic, attributes", [("255 bytes of a topic", "t" * 256, 0), ("16 tokens of a topic", ".".join("a" * 17), 0),
                                                     ("64 attributes of an event", "a", 65)])
def test_a_publisher_is_told_what_the_manual_says(router, what, topic, attributes):
    _, code, told, _ = next(row for row in table("| Limit | Code |") if row[0] == what)
    with router().client(ack=ROUTED) as client:
        client.publish(topic, wire.cloud_event(**{f"x{n}": "y" for n in range(attributes)}))
        error = client.settle(1)[1]
        assert (pb.ErrorCode.Name(error.code), error.text) == (f"ERROR_CODE_{code}", told.strip("`"))
        assert client.round_trip() == []


# ---- descriptors ----


def test_the_descriptors_of_a_shard(router):
    counts = []
    for shards in (1, 9):
        made = router(shards=shards, config_text="logs: { data: 1MiB }\nlimits: { frame: 128KiB }\n")
        counts.append(made.descriptors())
        made.stop()
    assert counts[1] - counts[0] <= 8 * 8 and counts[0] < 64, "limits.connections + 256 + 8 × shards is not enough"


def test_what_is_needed_is_told_when_the_limit_is_lower(router):
    made = router(shards=2, config_text="limits: { connections: 10000 }\n",
                  preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000)))
    assert re.search(r'level=warn msg="fewer descriptors .*" allowed=1000 needed=10272', made.errors())


# ---- systemd, Prometheus ----


def unit():
    """{key: [values]} of the example unit."""
    found = {}
    with open(os.path.join(wire.ROOT, "examples", "systemd", "roundhouse.service"), encoding="utf-8") as file:
        for line in file:
            if "=" in line and not line.startswith("#"):
                key, value = line.strip().split("=", 1)
                found.setdefault(key, []).append(value)
    return found


def test_the_systemd_unit_runs_commands_that_exist_and_leaves_time_and_descriptors(run, tmp_path):
    config = os.path.join(wire.ROOT, "examples", "config", "roundhouse.yaml")
    made = unit()
    program, *arguments = made["ExecStart"][0].split()
    assert program == "/usr/local/bin/roundhouse" and arguments[-1] == "/etc/roundhouse/roundhouse.yaml"
    assert arguments[:-1] == ["serve", "--config"] and run(*arguments[:-1], config, "--check").returncode == 0
    assert int(made["TimeoutStopSec"][0]) > 6 and int(made["LimitNOFILE"][0]) >= 10_000 + 256 + 8 * 64
    assert made["RestartPreventExitStatus"] == ["64 78"]
    shown = re.search(r"^```ini\n(.*?)^```$", manual(), re.MULTILINE | re.DOTALL)[1]
    for line in shown.splitlines():
        key, value = line.split("=", 1)
        assert value in made[key], f"the unit has not {line}"


@pytest.mark.parametrize("arguments", [["check", "config", "examples/prometheus/prometheus.yaml"],
                                       ["test", "rules", "tests/e2e/alerts_test.yaml"]])
def test_promtool_accepts_the_examples_and_the_alerts_fire(arguments):
    done = subprocess.run(["promtool", *arguments], cwd=wire.ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_every_alert_is_in_the_manual_and_tested():
    with open(os.path.join(wire.ROOT, "examples", "prometheus", "roundhouse.rules.yaml"), encoding="utf-8") as file:
        rules = file.read()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == rules.count("expr:") and len(alerts) >= 10
    assert [row[0].strip("`") for row in table("| Alert | First thing to do |")] == alerts
    with open(os.path.join(wire.ROOT, "tests", "e2e", "alerts_test.yaml"), encoding="utf-8") as file:
        tests = file.read()
    for alert in alerts:
        assert tests.count(f"alertname: {alert}\n") == 1 and tests.count(f"alertname: {alert}, exp_alerts: []") == 1


def test_the_expressions_of_the_manual_are_promql(tmp_path):
    """Those in its text, as the rules of a file that promtool reads."""
    expressions = re.findall(r"`(rate\([^`]*\))`", manual())
    expressions += re.findall(r"^    (process_resident_memory_bytes .*)$", manual(), re.MULTILINE)
    assert len(expressions) >= 7
    rules = "groups:\n- name: manual\n  rules:\n"
    for number, expression in enumerate(expressions):
        rules += f"  - record: manual:e{number}\n    expr: {expression}\n"
    (tmp_path / "rules.yaml").write_text(rules)
    done = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yaml"], text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
