"""`serve --journal`: what is acknowledged as on disk is there after any end of the router."""

import json
import os
import signal

import pytest

import journal_files
import wire
from wire import pb

DISK, ROUTED = pb.ACK_LEVEL_DISK, pb.ACK_LEVEL_ROUTED
SMALL = "logs: { data: 8MiB }\njournal: { segment: 1MiB }\n"


@pytest.fixture
def journalled(router, tmp_path):
    """A function that starts a router with the journal of this test."""

    def start(shards=2, config_text=SMALL, **options):
        return router(shards=shards, config_text=config_text, arguments=["--journal", str(tmp_path / "journal")], **options)

    return start


def killed(made):
    made.signal(signal.SIGKILL)
    assert made.wait() == -signal.SIGKILL


def exported(run, tmp_path):
    """(topic, id) of all events in the journal, and the sequences of each topic, which grow."""
    done = run("journal", "export", tmp_path / "journal")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    by_topic = {}
    for line in lines:
        by_topic.setdefault(line["topic"], []).append(int(line["sequence"]))
    assert all(sequences == sorted(set(sequences)) for sequences in by_topic.values())
    return [(line["topic"], line["event"]["id"]) for line in lines]


def refuses(run, status, *parts, arguments=()):
    """On both bodies."""
    for body in ("epoll", "uring"):
        done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", "off", "--shards", "1", "--io", body, *arguments)
        assert done.returncode == status, done.stderr
        assert done.stdout == "" and all(part in done.stderr for part in parts), done.stderr
    return done.stderr


# --- Nothing lost ---


def test_what_pub_was_told_is_on_disk_is_there_after_a_kill(journalled, run, tmp_path):
    made = journalled()
    told = []
    for n in range(4):
        done = run("pub", "--server", made.address, "--ack", "disk", "--count", 500, "--id", f"e{n}", f"orders.{n}", "x")
        assert done.returncode == 0 and "500 acknowledged as on disk" in done.stderr
        told += [(f"orders.{n}", f"e{n}-{i}") for i in range(1, 501)]
    killed(made)
    assert sorted(exported(run, tmp_path)) == sorted(told)
    journalled().stop()
    assert sorted(exported(run, tmp_path)) == sorted(told)


def test_nothing_acknowledged_is_lost_when_it_is_killed_in_the_middle(journalled, run, spawn, tmp_path):
    acknowledged = set()
    for round_ in range(3):
        made = journalled(shards=1 + round_ % 3)
        with made.client(ack=DISK) as client:
            published = through = 0
            while through < 300:
                for _ in range(50):
                    published += 1
                    client.publish(f"t.{published % 7}", wire.cloud_event(id=f"{round_}-{published}"))
                ack = client.expect("publish_ack")
                assert ack.level == DISK and not ack.exceptions
                through = ack.through
            killed(made)
        acknowledged |= {(f"t.{n % 7}", f"{round_}-{n}") for n in range(1, through + 1)}
    found = exported(run, tmp_path)
    assert len(found) == len(set(found)) and acknowledged <= set(found)


def test_a_clean_stop_writes_what_was_only_routed(journalled, run, tmp_path):
    made = journalled()
    done = run("pub", "--server", made.address, "--count", 2000, "--id", "e", "orders", "x")
    assert done.returncode == 0
    made.stop()
    assert exported(run, tmp_path) == [("orders", f"e-{i}") for i in range(1, 2001)]
    done = run("journal", "verify", tmp_path / "journal")
    assert done.returncode == 0 and "sealed" in done.stdout


def test_another_number_of_shards_finds_every_topic_in_its_log(journalled, run, tmp_path):
    for shards in (3, 1, 4, 2):
        made = journalled(shards=shards)
        assert "disk_logs=3" in made.ready
        for n in range(20):
            done = run("pub", "--server", made.address, "--ack", "disk", "--id", str(shards), f"t.{n}", "x")
            assert done.returncode == 0
        made.stop()
    found = exported(run, tmp_path)  # sequences grow along each topic: so each stayed in one log
    assert sorted(found) == sorted((f"t.{n}", str(shards)) for shards in (3, 1, 4, 2) for n in range(20))


def test_a_position_outlives_a_restart_for_what_is_on_disk(journalled, run):
    config = SMALL + "topics: [{ match: quick, class: memory }]\n"
    made = journalled(config_text=config)
    with made.client() as client:
        position = client.subscribe("orders", "quick").position
    made.stop()
    made = journalled(config_text=config)
    with made.client() as client:
        client.send(subscribe=pb.Subscribe(id=1, patterns=["orders", "quick"], policy=1, position=position))
        client.expect("subscribed")
        gap = client.expect("gap")
        assert gap.reason == pb.Gap.REASON_INSTANCE and gap.log < 64, "of the memory log, and of no other"
        with made.client(ack=DISK) as publisher:
            publisher.publish("orders", wire.cloud_event(id="1"))
            assert publisher.expect("publish_ack").through == 1
        assert client.expect("event").topic == "orders"


# --- Levels and classes ---


def test_disk_is_refused_for_what_is_kept_in_memory(journalled, run):
    made = journalled(config_text=SMALL + "topics: [{ match: quick, class: memory }, { match: 'kept.>', class: disk }]\n")
    done = run("pub", "--server", made.address, "--ack", "disk", "quick", "x")
    assert done.returncode == 65 and "event 1 refused: this topic is kept in memory" in done.stderr
    assert "0 acknowledged as on disk, 1 refused" in done.stderr
    assert run("pub", "--server", made.address, "quick", "x").returncode == 0
    for topic in ("kept.x", "other"):
        assert run("pub", "--server", made.address, "--ack", "disk", topic, "x").returncode == 0, topic


def test_disk_is_refused_without_a_journal(router, run):
    done = run("pub", "--server", router().address, "--ack", "disk", "orders", "x")
    assert done.returncode == 65 and "needs a journal" in done.stderr


def test_subscribers_see_what_is_on_disk(journalled):
    made = journalled()
    with made.client() as subscriber, made.client(ack=ROUTED) as publisher:
        subscriber.subscribe("a.>")
        for n in range(1000):
            publisher.publish(f"a.{n % 10}", wire.cloud_event(id=str(n)))
        ids = {wire.ce.CloudEvent.FromString(event.event).id for event in subscriber.events(1000)}
        assert ids == {str(n) for n in range(1000)}


def test_the_metrics_tell_how_far_the_disk_is(journalled, run):
    made = journalled(shards=1)
    assert run("pub", "--server", made.address, "--ack", "disk", "--count", 100, "a", "x").returncode == 0
    assert made.await_metric("roundhouse_journal_records_total", lambda n: n == 100, log=64) == 100
    assert made.metric("roundhouse_log_visible_position", log=64) == 101
    assert made.metric("roundhouse_log_records_total", shard=0) == 0


# --- Directories that can not be ---


def test_one_process_at_a_time_has_the_journal(journalled, run, tmp_path):
    made = journalled()
    refuses(run, 69, "another process", str(tmp_path / "journal"), arguments=["--journal", tmp_path / "journal"])
    with made.client(ack=DISK) as client:
        client.publish("a", wire.cloud_event(id="1"))
        assert client.expect("publish_ack").through == 1


def test_a_directory_that_is_not_ours_is_left_alone(run, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "letter.txt").write_text("dear")
    refuses(run, 65, "d", arguments=["--journal", tmp_path / "d"])
    assert os.listdir(tmp_path / "d") == ["letter.txt"]


def test_a_newer_version_is_refused(journalled, run, tmp_path):
    journalled().stop()
    manifest = tmp_path / "journal" / "MANIFEST"
    copy = journal_files.manifest(100, 1, version=99)
    manifest.write_bytes(copy + copy)
    before = manifest.read_bytes()
    refuses(run, 65, "version", arguments=["--journal", tmp_path / "journal"])
    assert manifest.read_bytes() == before


@pytest.mark.parametrize("made", ["missing/parent", "a file"])
def test_a_place_where_no_journal_can_be_made_is_named(run, tmp_path, made):
    if made == "a file":
        (tmp_path / made).write_text("x")
    error = refuses_any(run, arguments=["--journal", tmp_path / made])
    assert made in error


def refuses_any(run, arguments):
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", "off", "--shards", "1", *arguments)
    assert done.returncode in (65, 69, 70) and done.stdout == ""
    assert done.stderr.startswith("roundhouse serve: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_a_read_only_place_is_refused(run, tmp_path):
    error = refuses_any(run, arguments=["--journal", "/proc/roundhouse"])
    assert "/proc/roundhouse" in error


def test_class_disk_needs_a_journal(run, tmp_path):
    (tmp_path / "c.yaml").write_text("topics: [{ match: 'erp.>', class: disk }]\n")
    refuses(run, 78, "erp.>", "--journal DIR", arguments=["--config", tmp_path / "c.yaml"])
    done = run("config", "check", tmp_path / "c.yaml")
    assert done.returncode == 0 and "set journal.dir" in done.stdout


def test_another_slot_seed_is_refused(journalled, run, tmp_path):
    journalled(shards=1, config_text=SMALL + "slot_seed: 7\n").stop()
    refuses(run, 78, "slot_seed", "7", arguments=["--journal", tmp_path / "journal"])


def test_too_many_shards_for_a_journal_are_refused(run, tmp_path):
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", "off", "--shards", "33", "--journal", tmp_path / "j")
    assert done.returncode == 64 and "write 32" in done.stderr
