"""The command line's queues, mailboxes, requests and dead letters against a real router."""

import json
import os
import signal
import subprocess
import time

import pytest

import wire
from conftest import BINARY
from wire import pb

VOLATILE = "--volatile"


class Member:
    """A running `sub`, `reply` or the like, after it has said on standard error that it is there."""

    def __init__(self, spawn, made, *arguments, says, **options):
        self.process = spawn(arguments[0], "--server", made.address, *arguments[1:], **options)
        self.said = b""
        while says.encode() not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said.decode()
            self.said += line

    def rest(self, status=0):
        out, errors = self.process.communicate(timeout=wire.WAIT_SECONDS)
        self.said += errors
        assert self.process.returncode == status, self.said.decode()
        return out

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.rest()


def events(text):
    return [json.loads(line)["event"] for line in text.splitlines()]


@pytest.fixture
def publish(run):
    def send(made, topic, data, *options, status=0):
        done = run("pub", "--server", made.address, *options, topic, data)
        assert done.returncode == status, done.stderr
        return done

    return send


def nobody(made):
    made.await_metric("roundhouse_connections", lambda value: value == 0)


def test_a_durable_subscription_goes_on_where_it_was_printed(router, spawn, publish):
    made = router(shards=2)
    member = Member(spawn, made, "sub", "--queue", "billing", VOLATILE, "--count", "2", "o.>", says="subscribed queue billing o.>")
    for n in (1, 2):
        publish(made, f"o.{n}", str(n))
    assert sorted(event["data"] for event in events(member.rest())) == [1, 2]
    nobody(made)
    for n in (3, 4):
        publish(made, "o.x", str(n))
    again = Member(spawn, made, "sub", "--queue", "billing", VOLATILE, "--count", "2", says="subscribed queue billing")
    assert [event["data"] for event in events(again.rest())] == [3, 4]


def test_what_the_reader_has_not_got_comes_again(router, spawn, publish):
    """`sub` prints into a pipe that holds only some of it, and is killed: the next one gets the rest."""
    made = router()
    large = "x" * 20_000
    member = Member(spawn, made, "sub", "--queue", "q", VOLATILE, "--window", "20", "a", says="subscribed")
    for _ in range(20):
        publish(made, "a", large, "--quiet")
    made.await_metric("roundhouse_deliveries_total", lambda value: value == 20)
    member.process.kill()
    whole = [line for line in member.process.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    nobody(made)
    seen = {event["id"] for event in events(b"".join(whole))}
    assert len(seen) < 20
    again = Member(spawn, made, "sub", "--queue", "q", VOLATILE, says="subscribed")
    while len(seen) < 20:
        line = again.process.stdout.readline()
        assert line
        seen.add(json.loads(line)["event"]["id"])
    again.stop()


def test_members_of_a_group_share(router, spawn, publish):
    made = router(shards=2)
    both = [Member(spawn, made, "sub", "--queue", "g", "--group", VOLATILE, "--window", "1", "--count", "10", "a",
                   says="subscribed queue g a") for _ in range(2)]
    for n in range(20):
        publish(made, "a", str(n), "--quiet")
    data = [event["data"] for member in both for event in events(member.rest())]
    assert sorted(data) == list(range(20))


def test_a_queue_begins_with_the_oldest_when_asked(router, run, publish):
    made = router()
    publish(made, "a", "1")
    done = run("sub", "--server", made.address, "--queue", "q", VOLATILE, "--from", "oldest", "--count", "1", "a")
    assert done.returncode == 0 and events(done.stdout)[0]["data"] == 1


def test_a_mailbox_holds_what_was_sent_while_its_receiver_was_away(router, run, spawn, publish):
    made = router(shards=2)
    refused = publish(made, "@crm", "0", status=65)
    assert "no mailbox of this name" in refused.stderr
    Member(spawn, made, "sub", "@crm", VOLATILE, "--capacity", "2", says="subscribed mailbox @crm").stop()
    nobody(made)
    publish(made, "@crm", "1")
    publish(made, "@crm", "2")
    assert "capacity" in publish(made, "@crm", "3", status=65).stderr
    done = run("sub", "--server", made.address, "@crm", VOLATILE, "--count", "2")
    assert done.returncode == 0 and [event["data"] for event in events(done.stdout)] == [1, 2]


def test_a_name_that_is_held_is_refused_or_taken_over(router, run, spawn):
    made = router()
    first = Member(spawn, made, "sub", "@crm", VOLATILE, says="subscribed")
    second = run("sub", "--server", made.address, "@crm", VOLATILE)
    assert second.returncode == 65 and "holds this queue" in second.stderr and "--take-over" in second.stderr
    third = Member(spawn, made, "sub", "@crm", VOLATILE, "--take-over", says="subscribed")
    assert first.rest(65) == b"" and b"taken this queue over" in first.said
    third.stop()


def test_without_a_journal_a_durable_queue_is_refused_and_it_is_said_what_to_do(router, run):
    made = router()
    done = run("sub", "--server", made.address, "--queue", "q", "a")
    assert done.returncode == 65 and "--volatile" in done.stderr and "--journal" in done.stderr


def test_with_a_journal_a_queue_and_a_mailbox_outlive_a_router_that_is_killed(router, run, spawn, publish, tmp_path):
    journal = ["--journal", str(tmp_path / "journal")]
    made = router(arguments=journal)
    for arguments in (["--queue", "billing", "o.>"], ["@crm"]):
        Member(spawn, made, "sub", *arguments, says="subscribed").stop()
    publish(made, "o.a", "1", "--ack", "disk")
    publish(made, "@crm", "2", "--ack", "disk")
    made.process.kill()
    made.wait()
    again = router(arguments=journal)
    for arguments, data in ((["--queue", "billing"], 1), (["@crm"], 2)):
        done = run("sub", "--server", again.address, *arguments, "--count", "1")
        assert done.returncode == 0 and events(done.stdout)[0]["data"] == data, done.stderr


EXEC = {"exit 0": (1, None), "exit 65": (1, "refused"), "exit 1": (3, "attempts"), "kill -9 $$": (3, "attempts")}


@pytest.mark.parametrize("command", EXEC)
def test_the_exit_status_says_what_became_of_an_event(router, run, spawn, publish, tmp_path, command):
    made, (runs, stage) = router(), EXEC[command]
    member = Member(spawn, made, "sub", "--queue", "q", VOLATILE, "--attempts", "3", "--backoff", "10ms", "--format", "raw",
                    "--exec", f'echo "$ROUNDHOUSE_TOPIC $ROUNDHOUSE_ATTEMPT $(cat)" >> log; {command}', "a.b", says="subscribed")
    publish(made, "a.b", "hello")
    end, log = time.monotonic() + wire.WAIT_SECONDS, tmp_path / "log"
    while not log.exists() or len(log.read_text().splitlines()) < runs:
        assert time.monotonic() < end
        time.sleep(0.02)
    if stage is not None:
        made.await_metric("roundhouse_events_in_total", lambda value: value >= 1)
        while not (listed := run("dlq", "ls", "--server", made.address, "q")).stdout:
            assert time.monotonic() < end, listed.stderr
        assert f"stage={stage}" in listed.stdout and f"attempts={runs}" in listed.stdout
    member.stop()
    assert log.read_text().splitlines() == [f"a.b {n} hello" for n in range(1, runs + 1)]


def test_a_command_that_takes_long_keeps_its_lease(router, spawn, publish, tmp_path):
    made = router()
    member = Member(spawn, made, "sub", "--queue", "q", VOLATILE, "--lease", "150ms", "--count", "1",
                    "--exec", "echo x >> log; sleep 0.8", "a", says="subscribed")
    publish(made, "a", "1")
    member.rest()
    assert (tmp_path / "log").read_text() == "x\n", "it was run once"


def test_a_signal_ends_the_command_too_and_acknowledges_nothing(router, run, spawn, publish, tmp_path):
    made = router()
    member = Member(spawn, made, "sub", "--queue", "q", VOLATILE, "--exec", "echo $$ > pid; exec sleep 60", "a", says="subscribed")
    publish(made, "a", "1")
    end, pid = time.monotonic() + wire.WAIT_SECONDS, tmp_path / "pid"
    while not pid.exists() or not pid.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    member.stop(signal.SIGINT)
    assert not os.path.exists(f"/proc/{int(pid.read_text())}")
    done = run("sub", "--server", made.address, "--queue", "q", VOLATILE, "--count", "1")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1


def test_a_request_is_answered_by_a_mailbox_a_pattern_and_a_group(router, run, spawn):
    made = router(shards=2)
    answering = [Member(spawn, made, "reply", "@up", VOLATILE, "--exec", "tr a-z A-Z", says="answering @up"),
                 Member(spawn, made, "reply", "echo.*", "--echo", says="answering echo.*"),
                 Member(spawn, made, "reply", "same", "--queue", "s", "--group", VOLATILE, "--data", "always", says="answering s same")]
    for topic, data, reply in (("@up", "hello", "HELLO\n"), ("echo.this", "hello", "hello\n"), ("same", "", "always\n")):
        done = run("request", "--server", made.address, topic, data)
        assert (done.returncode, done.stdout, done.stderr) == (0, reply, "")
    done = run("request", "--server", made.address, "--format", "json", "@up", "-", input="ü\n")
    event = json.loads(done.stdout)["event"]
    assert event["data"] == "ü\n" and event["type"] == "roundhouse.cli.replied" and event["correlationid"]
    for member in answering:
        member.stop()


def test_bytes_are_answered_as_bytes(router, run, spawn, tmp_path):
    made, data = router(), bytes(range(256)) * 1000
    (tmp_path / "data").write_bytes(data)
    member = Member(spawn, made, "reply", "@b", VOLATILE, "--exec", "cat", says="answering")
    done = run("request", "--server", made.address, "@b", "--file", "data", text=False)
    assert done.returncode == 0 and done.stdout == data + b"\n"
    member.stop()


def test_without_an_answer_a_request_ends_with_69_and_says_why(router, run):
    made = router()
    done = run("request", "--server", made.address, "--timeout", "200ms", "nobody.there", "x")
    assert done.returncode == 69 and done.stdout == "" and "no reply within 0.2 s" in done.stderr and "nobody.there" in done.stderr
    done = run("request", "--server", made.address, "@nobody", "x")
    assert done.returncode == 65 and "no mailbox of this name" in done.stderr
    done = run("request", "--server", "127.0.0.1:1", "a", "x")
    assert done.returncode == 69 and "127.0.0.1" in done.stderr


def test_a_signal_ends_a_request(router, spawn):
    made = router()
    asking = spawn("request", "--server", made.address, "a", "x")
    made.await_metric("roundhouse_events_in_total", lambda value: value == 1)
    asking.send_signal(signal.SIGINT)
    assert asking.wait(wire.WAIT_SECONDS) == -signal.SIGINT


def test_a_command_that_fails_gives_no_reply_and_the_request_is_tried_again(router, run, spawn):
    made = router()
    member = Member(spawn, made, "reply", "@flaky", VOLATILE, "--backoff", "10ms",
                    "--exec", '[ "$ROUNDHOUSE_ATTEMPT" = 2 ] && echo second', says="answering")
    done = run("request", "--server", made.address, "@flaky", "x")
    assert (done.returncode, done.stdout) == (0, "second\n\n")
    member.stop()
    assert b"the command ended with status 1" in member.said


def test_a_reply_that_comes_too_late_is_told(router, run, spawn):
    made = router()
    member = Member(spawn, made, "reply", "@slow", VOLATILE, "--exec", "sleep 0.6; echo late", says="answering")
    done = run("request", "--server", made.address, "--timeout", "100ms", "@slow", "x")
    assert done.returncode == 69
    line = member.process.stderr.readline().decode()
    assert "nobody waits" in line
    member.stop()


def test_what_is_no_request_is_told_and_put_away(router, run, spawn, publish):
    made = router()
    member = Member(spawn, made, "reply", "@r", VOLATILE, "--echo", says="answering")
    publish(made, "@r", "plain")
    assert b"no replyto" in member.process.stderr.readline()
    assert run("request", "--server", made.address, "@r", "x").stdout == "x\n"
    member.stop()
    assert "reason=\"no request: it has no replyto\"" in run("dlq", "ls", "--server", made.address, "@r").stdout


@pytest.fixture
def dead(router, spawn, publish):
    """A router with two dead letters of the queue `work`."""
    made = router(shards=2)
    member = Member(spawn, made, "sub", "--queue", "work", VOLATILE, "--count", "2", "--exec", "exit 65", "o.>", says="subscribed")
    publish(made, "o.a", '{"order": 1}', "--id", "first")
    publish(made, "o.b", "two", "--id", "second")
    for _ in range(2):
        assert b"status 65" in member.process.stderr.readline()
    member.stop()
    return made


def letters(run, made, *options):
    done = run("dlq", "show", "--server", made.address, *options, "work")
    assert done.returncode == 0, done.stderr
    return sorted(map(json.loads, done.stdout.splitlines()), key=lambda letter: letter["topic"])


def test_dead_letters_are_listed_and_shown_with_what_is_known(run, dead):
    listed = run("dlq", "ls", "--server", dead.address, "work")
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == 2 and "2 of 2 dead letters on $dlq.work listed" in listed.stderr
    first, second = letters(run, dead)
    assert first["queue"] == "work" and first["stage"] == "refused" and first["attempts"] == 1 and "65" in first["reason"]
    assert first["event"]["id"] == "first" and first["event"]["data"] == {"order": 1} and second["event"]["data"] == "two"
    assert first["lasttime"] and int(first["sequence"]) > 0
    assert len(letters(run, dead, "--id", first["id"])) == 1
    none = run("dlq", "show", "--server", dead.address, "--id", "nothing", "work")
    assert none.returncode == 65 and "no dead letter" in none.stderr


def test_a_dead_letter_is_sent_again_as_it_was_and_is_then_gone(run, spawn, dead):
    first, second = letters(run, dead)
    watching = Member(spawn, dead, "sub", "--count", "1", "o.a", says="subscribed")
    done = run("dlq", "retry", "--server", dead.address, "--id", first["id"], "work")
    assert done.returncode == 0 and "1 of 2" in done.stderr
    assert events(watching.rest())[0] == first["event"]
    assert [letter["id"] for letter in letters(run, dead)] == [second["id"]]
    Member(spawn, dead, "sub", "@hand", VOLATILE, says="subscribed").stop()
    assert run("dlq", "retry", "--server", dead.address, "--to", "@hand", "work").returncode == 0
    done = run("sub", "--server", dead.address, "@hand", VOLATILE, "--count", "1")
    assert events(done.stdout)[0] == second["event"]
    assert letters(run, dead) == []


def test_dead_letters_on_disk_outlive_the_router_and_are_sent_again_then(router, run, spawn, publish, tmp_path):
    journal = ["--journal", str(tmp_path / "journal")]
    made = router(shards=2, arguments=journal)
    member = Member(spawn, made, "sub", "--queue", "work", "--exec", "exit 65", "o.>", says="subscribed")
    for name in ("first", "second", "third"):
        publish(made, f"o.{name}", name, "--id", name, "--ack", "disk")
        assert b"status 65" in member.process.stderr.readline()
    member.stop()
    before = {letter["event"]["id"]: letter for letter in letters(run, made)}
    assert set(before) == {"first", "second", "third"}
    assert run("dlq", "drop", "--server", made.address, "--id", before["second"]["id"], "work").returncode == 0
    states = made.metric("roundhouse_queue_states_total")
    made.await_metric("roundhouse_queue_states_total", lambda n: n > states)  # that it was dropped is written
    made.await_metric("roundhouse_connections", lambda n: n == 0)
    time.sleep(0.3)
    made.process.kill()
    made.wait()
    made = router(shards=1, arguments=journal)
    after = {letter["event"]["id"]: letter for letter in letters(run, made)}
    assert after == {name: before[name] for name in ("first", "third")}, "bytes, reasons and times are as they were"
    watching = Member(spawn, made, "sub", "--count", "2", "o.>", says="subscribed")
    done = run("dlq", "retry", "--server", made.address, "work")
    assert done.returncode == 0 and "2 of 2" in done.stderr
    assert {event["id"] for event in events(watching.rest())} == {"first", "third"}
    member = run("sub", "--server", made.address, "--queue", "work", "--count", "2")
    assert {event["id"] for event in events(member.stdout)} == {"first", "third"}, "the queue itself gets them again, too"
    assert letters(run, made) == []
    made.stop()
    assert letters(run, router(shards=4, arguments=journal)) == []


def test_a_dead_letter_that_can_not_be_sent_stays_and_one_that_is_dropped_does_not(run, dead):
    done = run("dlq", "retry", "--server", dead.address, "--to", "@nobody", "work")
    assert done.returncode == 65 and "no mailbox" in done.stderr and "0 of 2" in done.stderr
    assert len(letters(run, dead)) == 2
    assert run("dlq", "drop", "--server", dead.address, "work").returncode == 0
    assert letters(run, dead) == []
    none = run("dlq", "ls", "--server", dead.address, "never-heard-of")
    assert none.returncode == 0 and "0 of 0 dead letters" in none.stderr


MISTAKES = {
    ("sub", "--group", "a"): "--queue NAME or a mailbox", ("sub", "@a", "b"): "'@a' is a mailbox",
    ("sub", "--queue", "q", "@a"): "'@a' is a mailbox", ("sub", "--exec", "x", "a"): "add --queue NAME",
    ("sub", "--queue", "q", "--window", "0", "a"): "--window is a whole number from 1 to 8192",
    ("sub", "--queue", "q", "--lease", "1us", "a"): "--lease is a time from 10ms", ("sub", "--queue", ""): "--queue needs a name",
    ("sub", "--queue", "q", "--attempts", "many", "a"): "--attempts is", ("sub", "--queue", "q", "--from", "last", "a"): "a queue begins live",
    ("sub", "--queue", "q", "--policy", "skip", "a"): "--policy and --gone", ("sub", "--queue", "q", "--exec", "x", "--window", "2", "a"): "leave --window out",
    ("request",): "a TOPIC or a mailbox", ("request", "a"): "DATA", ("request", "a", "b", "c"): "'c' is one argument too many",
    ("request", "a..b", "x"): "is no topic", ("request", "--timeout", "0s", "a", "x"): "--timeout is a time",
    ("request", "--format", "xml", "a", "x"): "--format is json, text or raw",
    ("reply",): "a mailbox @NAME or a PATTERN", ("reply", "a"): "say how to answer", ("reply", "a", "--echo", "--data", "x"): "by one of",
    ("reply", "a..b", "--echo"): "is no pattern", ("reply", "@a", "--exec", "x", "--window", "9"): "leave --window out",
    ("reply", "a", "--echo", "--count", "0"): "--count is",
    ("queue",): "ls or rm is missing", ("queue", "rm"): "the name of a QUEUE", ("queue", "mv", "q"): "not 'mv'",
    ("queue", "rm", "--force", "q"): "--force", ("queue", "ls", "q"): "'q' is one argument too many", ("queue", "ls", "--server", "x"): "--server",
    ("dlq",): "ls, show, retry or drop is missing", ("dlq", "ls"): "the name of a QUEUE", ("dlq", "look", "q"): "not 'look'",
    ("dlq", "ls", "a b"): "is no name of a queue", ("dlq", "ls", "--to", "x", "q"): "--to goes with retry",
    ("dlq", "retry", "--to", "a..b", "q"): "is no topic", ("dlq", "ls", "q", "r"): "'r' is one argument too many",
}


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_mistake_is_named(run, arguments):
    done = run(*arguments)
    assert done.returncode == 64 and MISTAKES[arguments] in done.stderr and done.stdout == ""


@pytest.mark.parametrize("command", ["request", "reply", "dlq", "queue"])
def test_help_is_printed_and_no_server_is_69(run, command):
    done = run(command, "--help")
    assert done.returncode == 0 and f"usage: roundhouse {command}" in done.stdout and "Exit status" in done.stdout
    assert run("help", command).stdout == done.stdout
    arguments = {"request": ["a", "x"], "reply": ["a", "--echo"], "dlq": ["ls", "q"], "queue": ["rm", "q"]}[command]
    done = run(command, "--server", "127.0.0.1:1", *arguments)
    assert done.returncode == 69 and "127.0.0.1" in done.stderr
    assert run(command, "--server", "nonsense", *arguments).returncode == 64


def test_a_queue_of_an_old_server_is_not_taken_for_a_subscription(spawn):
    """A server that skips the queue of a Subscribe gives events without a Context: nothing of it is printed."""
    import socket
    with socket.create_server(("127.0.0.1", 0)) as old:
        program = spawn("sub", "--server", f"127.0.0.1:{old.getsockname()[1]}", "--no-reconnect", "--queue", "q", "a")
        with old.accept()[0] as peer:
            peer.settimeout(wire.WAIT_SECONDS)
            peer.recv(4096)
            peer.sendall(wire.frame(connected=pb.Connected(version=1, instance=bytes(16), frame_bytes_max=1 << 20)))
            peer.recv(4096)
            peer.sendall(wire.frame(subscribed=pb.Subscribed(id=1)) + wire.event_frame("a", wire.cloud_event(b"x", id="1")))
            out, errors = program.communicate(timeout=wire.WAIT_SECONDS)
    assert program.returncode == 69 and out == b"" and b"without its Context" in errors


def test_what_waits_in_queues_is_listed(router, run, spawn):
    made = router()
    holds = spawn("sub", "--server", made.address, "--queue", "billing", "--volatile", "--exec", "sleep 30", "invoices.>")
    assert any(b"subscribed" in line for line in iter(holds.stderr.readline, b""))
    run("pub", "--server", made.address, "--count", "3", "invoices.new", "x")
    done = run("queue", "ls", "--admin", made.admin)
    head, row = done.stdout.splitlines()
    assert head.split()[:3] == ["QUEUE", "KIND", "KEPT"] and row.split()[:4] == ["billing", "queue", "volatile", "1"]
    shown = json.loads(run("queue", "ls", "--json", "--admin", made.admin).stdout)["queues"]
    assert [(queue["queue"], queue["patterns"]) for queue in shown] == [("billing", ["invoices.>"])]
    assert run("queue", "ls", "--admin", "127.0.0.1:1").returncode == 69
    assert run("queue", "ls", "--help").stdout == run("queue", "--help").stdout != ""
