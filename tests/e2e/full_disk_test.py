"""A journal on a file system that is full, or that can not be written: publishers wait, subscribers go on, it is said, and
nothing acknowledged is lost."""

import errno
import os
import pathlib
import select
import signal
import socket
import time

import pytest

import history
import load
import small_disk
import wire
from journal_reader import JournalReader
from wire import pb

DISK, ROUTED = pb.ACK_LEVEL_DISK, pb.ACK_LEVEL_ROUTED
SIZE = 128 << 20
LEFT = 2 << 20  # a little more than one segment: a spare or two
CONFIG = ("logs: { data: 1MiB }\nlimits: { frame: 128KiB }\njournal: { segment: 1MiB }\n"
          "topics: [{ match: 'm.>', class: memory }]\n")
NO_ROOM = "no room for the journal's next segment, publishers wait when this one is full"
ROOM_AGAIN = "there is room for the journal's next segment again"
TOPICS = [f"d.{n}" for n in range(6)]
SOME = 100  # events that are acknowledged before the disk is full
MOST = 32 << 20  # bytes that are published at most before the publisher has to wait
QUIET_SECONDS = 0.4
WAITS_SECONDS = 60


@pytest.fixture
def small(tmp_path):
    holder = small_disk.make(tmp_path, SIZE)
    yield holder
    holder.end()


class Flood:
    """Publishes to disk topics without waiting; notes what is acknowledged."""

    def __init__(self, past, made, name, level=DISK):
        self.made = made
        self.past, self.name, self.number, self.sent, self.through = past, name, 0, [], 0
        self.client = made.client(ack=level)
        self.level = history.DISK if level == DISK else history.ROUTED
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.client.socket.setblocking(False)
        self.rest = b""

    def until_it_waits(self):
        """Publishes until nothing is taken any more. That it takes nothing for a while says nothing on a busy machine: the
        router must say itself that a log waits for room, and that publishers wait for that log."""
        end = time.monotonic() + WAITS_SECONDS
        while self.number * load.FLOOD_BYTES < MOST:
            if not select.select([], [self.client.socket], [], QUIET_SECONDS)[1]:
                if self.made.metric("roundhouse_journal_waits_total") > 0 and self.made.metric("roundhouse_parked") > 0:
                    return
                assert time.monotonic() < end, "a router that takes nothing, and does not say that it has no room"
            self.listen(0)
            self.send()
        raise AssertionError("a full disk holds up no publisher")

    def send(self):
        if not self.rest:
            self.number += 1
            key = (self.name, self.number)
            topic = TOPICS[self.number % len(TOPICS)]
            self.sent.append(self.past.publish(key, topic, self.level))
            self.rest = wire.event_frame(topic, load.event_of(key))
        try:
            self.rest = self.rest[self.client.socket.send(self.rest):]
        except BlockingIOError:
            return

    def listen(self, seconds):
        """Takes acknowledgements as they come."""
        while (found := self.client.poll(seconds)) is not None:
            assert found.WhichOneof("body") == "publish_ack", found
            refused = {exception.ordinal: exception.error for exception in found.publish_ack.exceptions}
            for ordinal in range(self.through + 1, found.publish_ack.through + 1):
                assert ordinal not in refused or refused[ordinal].code == pb.ERROR_CODE_UNKNOWN_OUTCOME
                if ordinal not in refused:
                    self.past.settle(self.sent[ordinal - 1], history.ACKNOWLEDGED)
            self.through = found.publish_ack.through

    def finish(self):
        """The rest goes out, and all is acknowledged."""
        self.client.socket.setblocking(True)
        self.client.socket.settimeout(wire.WAIT_SECONDS)
        while self.through < len(self.sent):
            if self.rest:
                self.client.socket.sendall(self.rest)
                self.rest = b""
            assert select.select([self.client.socket], [], [], wire.WAIT_SECONDS)[0], (
                f"{self.through} of {len(self.sent)} are acknowledged, and no more")
            self.listen(0)

    def acknowledged(self):
        return sum(publication.outcome == history.ACKNOWLEDGED for publication in self.sent)


def start(router, small, shards=2):
    return router(shards=shards, config_text=CONFIG, arguments=["--journal", os.path.join(small.path, "j")])


def said(made, text):
    """Waits for a log line."""
    end = time.monotonic() + wire.WAIT_SECONDS
    while text not in made.errors():
        assert time.monotonic() < end, f"it does not say {text!r}:\n{made.errors()}"
        time.sleep(0.02)


def memory_goes_on(made):
    """Topics kept in memory, of each log, are delivered beside those that wait."""
    with made.client(ack=ROUTED) as publisher, made.client() as subscriber:
        subscriber.subscribe("m.>")
        for number in range(1, 201):
            publisher.publish(f"m.{number % 16}", wire.cloud_event(id=str(number)))
        assert publisher.settle(200) == {}
        assert {wire.ce.CloudEvent.FromString(event.event).id for event in subscriber.events(200)} == {
            str(number) for number in range(1, 201)}


def filled(router, small):
    """A router whose publishers wait because its disk is full: (history, router, floods, subscriber, the filler)."""
    past = history.History("none: one order of steps", durable=lambda topic: True)
    made = start(router, small)
    past.begin_run(made.ready.strip())
    filler = small_disk.fill(small.path, LEFT)
    subscriber = load.Subscriber(past, "s0", ["d.>"], lambda topic: True).start(made.address)
    subscriber.await_ready()
    floods = [Flood(past, made, f"flood{n}") for n in range(2)]
    for flood in floods:
        flood.until_it_waits()
    said(made, NO_ROOM)
    end = time.monotonic() + wire.WAIT_SECONDS
    while sum(flood.acknowledged() for flood in floods) <= SOME:  # what was on disk before is told, however late
        assert time.monotonic() < end, "it does not tell what is on disk"
        for flood in floods:
            flood.listen(0.05)
    return past, made, floods, subscriber, filler


def exported(run, small, past):
    reader = JournalReader(run, pathlib.Path(small.path) / "j")
    reader.read(past)
    history.must_be_right(past)
    return reader


def test_a_full_disk_makes_publishers_wait_and_goes_on_when_there_is_room(router, run, small):
    past, made, floods, subscriber, filler = filled(router, small)
    waiting = sum(len(flood.sent) - flood.acknowledged() for flood in floods)
    assert waiting > 0
    assert made.errors().count(NO_ROOM) <= 2, "one line for each log, not one for each try"
    memory_goes_on(made)
    with made.client(ack=ROUTED) as client:  # nobody who does not publish there waits
        assert client.round_trip() == []
    os.unlink(filler)
    said(made, ROOM_AGAIN)
    for flood in floods:
        flood.finish()
    # The last one of each topic: those of another log may come behind the last one of all.
    ends = {publication.key for flood in floods for publication in flood.sent[-len(TOPICS):]}
    subscriber.wanted = ends - {key for _, _, key in subscriber.stream.raw}
    subscriber.stop()
    subscriber.stream.has_read_all()
    made.stop()
    past.journal_is_whole = True
    exported(run, small, past)
    assert all(flood.acknowledged() == flood.number for flood in floods)


def test_a_kill_while_the_disk_is_full_loses_nothing_and_it_starts_there_again(router, run, small):
    past, made, floods, subscriber, filler = filled(router, small)
    made.signal(signal.SIGKILL)
    assert made.wait() == -signal.SIGKILL
    for flood in floods:
        try:
            while True:
                flood.listen(0.1)
        except wire.Closed:
            pass
        except AssertionError as end:
            assert "middle of a frame" in str(end), end
    subscriber.join()
    reader = exported(run, small, past)
    made = start(router, small, shards=1)  # the disk is as full as before
    past.begin_run(made.ready.strip())
    memory_goes_on(made)
    flood = Flood(past, made, "flood-again")
    flood.until_it_waits()
    said(made, NO_ROOM)
    os.unlink(filler)
    flood.finish()
    made.stop()
    past.journal_is_whole = True
    reader.read(past)
    history.must_be_right(past)


@pytest.mark.parametrize("body", ["uring"])
def test_a_stop_while_the_disk_is_full_says_what_it_could_not_write(router, run, small):
    past, made, floods, subscriber, _ = filled(router, small)
    made.signal(signal.SIGTERM)
    for flood in floods:
        try:
            while True:
                found = flood.client.next()
                if found.WhichOneof("body") != "publish_ack":
                    continue
                refused = {exception.ordinal: exception.error for exception in found.publish_ack.exceptions}
                for ordinal in range(flood.through + 1, found.publish_ack.through + 1):
                    if ordinal not in refused:
                        past.settle(flood.sent[ordinal - 1], history.ACKNOWLEDGED)
                    else:
                        assert refused[ordinal].code in (pb.ERROR_CODE_UNKNOWN_OUTCOME, pb.ERROR_CODE_UNAVAILABLE)
                flood.through = found.publish_ack.through
        except (wire.Closed, AssertionError) as end:
            assert isinstance(end, wire.Closed) or "middle of a frame" in str(end), end
    assert made.wait() == 70
    assert "the rest could not be written before the stop" in made.errors() and "No space left" in made.errors()
    subscriber.join()
    exported(run, small, past)


@pytest.mark.parametrize("body", ["uring"])
def test_no_room_for_a_new_journal_is_said_and_leaves_no_trap(router, run, small):
    filler = small_disk.fill(small.path, 1 << 20)
    place = os.path.join(small.path, "j")
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", "off", "--shards", "2", "--journal", place)
    assert done.returncode == 70 and done.stdout == "", done.stderr
    assert done.stderr.count("\n") == 1 and "No space left on device" in done.stderr and "make room" in done.stderr
    os.unlink(filler)
    made = start(router, small)
    with made.client(ack=DISK) as client:
        client.publish("d.1", wire.cloud_event(id="1"))
        assert client.settle(1) == {}


def test_a_journal_on_a_read_only_file_system_is_refused(router, run, tmp_path):
    """As root by a read-only bind mount; as another user by the mode of the directory, too."""
    journal = tmp_path / "journal"
    made = router(shards=1, config_text=CONFIG, arguments=["--journal", str(journal)])
    with made.client(ack=DISK) as client:
        client.publish("d.1", wire.cloud_event(id="kept-1"))
        assert client.settle(1) == {}
    made.stop()
    before = {path: path.read_bytes() for path in journal.rglob("*") if path.is_file()}
    holder = small_disk.read_only(tmp_path, journal)
    try:
        refused(run, holder.path, os.strerror(errno.EROFS), "a journal needs a file system that can be written")
        done = run("journal", "export", holder.path)
        assert done.returncode == 0 and "kept-1" in done.stdout, "what only reads it still works"
        assert run("journal", "verify", holder.path).returncode == 0
    finally:
        holder.end()
    if os.geteuid() != 0:
        journal.chmod(0o500)
        (journal / "MANIFEST").chmod(0o400)
        refused(run, journal, os.strerror(errno.EACCES), "readable and writable for this user")
    assert before == {path: path.read_bytes() for path in journal.rglob("*") if path.is_file()}


def refused(run, place, *texts):
    for body in ("epoll", "uring"):
        done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", "off", "--shards", "1", "--io", body, "--journal", place)
        assert done.returncode == 70 and done.stdout == "", done.stderr
    assert done.stderr.count("\n") == 1 and all(text in done.stderr for text in (*texts, str(place))), done.stderr
