"""`roundhouse doctor`: what it finds on this machine, in narrow places, and beside a router that runs."""

import ctypes
import json
import os
import resource
import signal
import socket

import pytest

from io_test import EPERM, ENOSYS, refuse_io_uring

OFF = 'listen: { native: "127.0.0.1:0", admin: off, ingest: off }\n'
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def doctor(run, tmp_path):
    """A function that runs the doctor on a config: (exit status, findings)."""

    def look(config=OFF, *arguments, **options):
        path = tmp_path / "doctor.yaml"
        path.write_text(config)
        done = run("doctor", "--json", "--config", path, *arguments, **options)
        assert done.stderr == "", done.stderr
        found = json.loads(done.stdout)
        assert found["status"] == done.returncode
        for finding in found["findings"]:
            assert set(finding) == {"area", "grade", "text", "do"} and finding["text"]
            assert finding["grade"] in ("ok", "note", "warn", "fail")
            assert finding["do"] or finding["grade"] in ("ok", "note") or finding["area"] == "config"
        return done.returncode, found["findings"]

    return look


def write(path, text):
    path.write_text(text)
    return path


def of(findings, area, part):
    """The finding of an area that says `part`."""
    right = [finding for finding in findings if finding["area"] == area and part in finding["text"]]
    assert len(right) == 1, (area, part, findings)
    return right[0]


def test_it_looks_at_everything_and_changes_nothing(doctor, tmp_path):
    (tmp_path / "journal").mkdir()
    status, findings = doctor(OFF + f"journal: {{ dir: {tmp_path}/journal, retain_bytes: 1GiB, segment: 1MiB }}\n")
    assert status == 0
    assert {"config", "router", "io", "acks", "connections", "memory", "cpus", "disk", "clock", "ports"} <= {
        finding["area"] for finding in findings}
    assert "acknowledgements a second" in of(findings, "disk", "a sync of 4 KiB")["text"]
    assert os.listdir(tmp_path / "journal") == []


def test_the_text_says_the_same(run, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(OFF)
    done = run("doctor", "-c", path)
    *lines, last = done.stdout.splitlines()
    assert done.returncode == 0 and "nothing keeps a router from running here" in last
    assert all(line.startswith(("ok  ", "note", "warn", "      do: ")) for line in lines)
    assert any("acks: all topics: `routed` means in the log in memory" in line for line in lines)


@pytest.mark.parametrize("error, name, advice", [(EPERM, "EPERM", "seccomp filter"), (ENOSYS, "ENOSYS", "6.1")])
def test_a_filter_that_forbids_io_uring_is_told(doctor, error, name, advice):
    status, findings = doctor(preexec_fn=refuse_io_uring(error))
    found = of(findings, "io", "epoll carries the network")
    assert status == 0 and found["grade"] == "note" and name in found["text"] and advice in found["do"]


def test_io_uring_by_force_fails_as_the_start_would(doctor):
    status, findings = doctor(OFF, "--io", "uring", preexec_fn=refuse_io_uring(EPERM))
    assert status == 69 and of(findings, "io", "io_uring can not be had")["grade"] == "fail"


def test_few_descriptors_bind_first(doctor):
    def narrow():
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    status, findings = doctor(OFF + "shards: 1\n", preexec_fn=narrow)
    found = of(findings, "connections", "248 clients at once")  # 512 - 256 - 8
    assert status == 0 and found["grade"] == "warn" and "LimitNOFILE" in found["do"]


def test_a_port_that_is_taken_is_told_with_who_has_it(doctor):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, findings = doctor(f'listen: {{ native: "127.0.0.1:{port}", admin: off, ingest: off }}\n')
    found = of(findings, "ports", f"127.0.0.1:{port} is taken")
    assert status == 69 and f"(process {os.getpid()})" in found["text"] and "listen.native" in found["do"]


def test_what_listens_and_never_answers_holds_nobody_up(doctor):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, findings = doctor(f'listen: {{ native: "127.0.0.1:0", admin: "127.0.0.1:{port}", ingest: off }}\n', seconds=30)
    assert status == 69 and "admin" in of(findings, "ports", "is taken")["text"]


def test_a_directory_that_can_not_be_written(doctor, tmp_path):
    """Root may write everywhere: the one who looks has given up that right, and is somebody else."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)

    def lower():
        if os.getuid() == 0:
            os.setgroups([])
            for capability in CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH:
                if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                    raise OSError(ctypes.get_errno(), "cannot drop a capability")

    status, findings = doctor(OFF + f"journal: {{ dir: {closed}/journal }}\n", preexec_fn=lower)
    found = of(findings, "disk", "no file can be made")
    assert status == 70 and "Permission denied" in found["text"] and "this user may write" in found["do"]


def test_a_directory_above_that_is_not_there(doctor, tmp_path):
    status, findings = doctor(OFF + f"journal: {{ dir: {tmp_path}/a/b }}\n")
    assert status == 70 and "make it" in of(findings, "disk", "No such file or directory")["do"]


def test_directories_and_a_token_that_can_not_be_read(doctor, tmp_path):
    (tmp_path / "token").write_text("short\n")
    config = 'listen: { native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off, admin_token_file: token }\nspokes: missing.d\n'
    status, findings = doctor(config)
    assert status == 78 and "chmod 600" in of(findings, "token", "admin_token_file")["do"]
    assert of(findings, "spokes", "missing.d can not be read: No such file")["grade"] == "warn"
    (tmp_path / "token").write_text("a token of its own that nobody knows".replace(" ", "-"))
    os.chmod(tmp_path / "token", 0o600)
    status, findings = doctor(config)
    assert status == 0 and of(findings, "token", "asks for the token")["grade"] == "ok"


def test_a_router_with_a_token_is_asked_with_it(router, doctor, tmp_path):
    token = tmp_path / "token"
    token.write_text("1234567890abcdef\n")
    os.chmod(token, 0o600)
    plane = f'listen: {{ native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off, admin_token_file: {token} }}\n'
    made = router(io="auto", config_text="", arguments=["--config", write(tmp_path / "r.yaml", plane)])
    config = plane.replace('admin: "127.0.0.1:0"', f'admin: "{made.admin}"')
    status, findings = doctor(config)
    assert status == 0 and of(findings, "router", "a router runs")["grade"] == "ok"


def test_logs_larger_than_the_memory_fail(doctor):
    status, findings = doctor(OFF + "shards: 64\nlogs: { data: 64GiB }\n")
    assert status == 70 and of(findings, "memory", "can be had here")["grade"] == "fail"


def test_mistakes_of_the_config_are_the_findings(doctor, run):
    status, findings = doctor("limits: { conections: 100 }\nlogs: { data: 64MB }\n")
    assert status == 78 and [finding["grade"] for finding in findings] == ["fail", "fail"]
    assert "did you mean connections?" in findings[0]["text"]
    assert run("doctor", "--config", "missing.yaml").returncode == 78
    assert run("doctor", "--shards", "many").returncode == 64
    assert run("doctor", "--what").returncode == 64 and run("doctor", "more").returncode == 64
    assert run("doctor", "--help").stdout.startswith("usage: roundhouse doctor")


def taken():
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("config, preexec", [
    ("limits: { conections: 1 }\n", None), ("topics: [{ match: a, class: disk }]\n", None), ("shards: 64\nlogs: { data: 64GiB }\n", None),
    ("journal: { dir: a/b/c }\n", None), ("io: uring\n", refuse_io_uring(EPERM)), ("PORT", None),
])
def test_it_ends_with_the_status_of_a_start(run, tmp_path, config, preexec):
    path, text = tmp_path / "c.yaml", OFF + config
    with taken() as other:
        if config == "PORT":
            text = OFF.replace("127.0.0.1:0", f"127.0.0.1:{other.getsockname()[1]}")
        path.write_text(text)
        told = run("doctor", "--config", path, preexec_fn=preexec).returncode
        assert os.listdir(tmp_path) == ["c.yaml"], "it has left something"
        started = run("serve", "--config", path, preexec_fn=preexec)
    assert started.returncode == told != 0 and started.stdout == ""


def test_beside_a_router_that_runs_it_says_what_runs(router, doctor):
    made = router(shards=2)
    with made.client(), made.client():
        made.await_metric("roundhouse_connections", lambda value: value == 2)
        status, findings = doctor(f'listen: {{ native: "{made.address}", admin: "{made.admin}", ingest: off }}\n')
    assert status == 0
    found = of(findings, "router", "a router runs")
    assert f"{made.io}, 2 shards, 2 clients" in found["text"]
    assert of(findings, "ports", f"(process {made.pid}) has {made.address}")["grade"] == "ok"
    assert made.alive()


def test_one_that_is_stopped_is_waited_for_no_longer_than_a_moment(router, doctor):
    made = router()
    made.signal(signal.SIGSTOP)
    try:
        status, findings = doctor(f'listen: {{ native: "{made.address}", admin: "{made.admin}", ingest: off }}\n', seconds=30)
    finally:
        made.signal(signal.SIGCONT)
    assert status == 69 and "no router answers" in of(findings, "router", "")["text"]
