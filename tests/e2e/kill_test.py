"""Routers that are killed at random moments under load, round after round over the same journal directory, with another
number of shards and the other I/O body each time; then without a journal. The histories (history.py) are judged."""

import random
import signal
import subprocess
import time

import pytest

import checker_test
import conftest
import history
import hold
import load
from checker_test import TOPICS
from journal_reader import JournalReader

CONFIG = (checker_test.RING + "topics: [{ match: 'm.>', class: memory }]\n"
          "journal: { segment: 256KiB, retain_bytes: 16MiB, logs: 3 }\n")
ROUNDS_JUDGED = 10  # rounds in one history: subscribers resume over its ends, and it does not grow without end
WAIT_SECONDS = 60
ENDINGS = ["kill"] * 6 + ["pause", "kill stopped", "stop", "read all", "kill start", "kill start"]


class Rounds:
    def __init__(self, router, run, folder):
        self.router, self.folder = router, folder
        self.seed = checker_test.new_seed()
        self.random = random.Random(self.seed)
        self.reader = JournalReader(run, folder) if folder else None
        self.past, self.publishers, self.subscribers, self.endings = None, [], [], set()
        self.acknowledged = self.unknown = self.gaps = self.windows = 0

    def arguments(self):
        return ["--journal", str(self.folder)] if self.folder else []

    def begin_history(self):
        self.windows += 1
        durable = checker_test.is_durable if self.folder else ()
        self.past = history.History(f"{self.seed} (history {self.windows})", durable, instance_lives=bool(self.folder))
        if self.reader:
            self.past.journal_read = True
        self.publishers, self.subscribers = checker_test.parties(self.past, bool(self.folder))
        for party in self.publishers:
            party.name = f"{party.name}.{self.windows}"

    def judge(self):
        history.must_be_right(self.past)
        outcomes = [publication.outcome for publication in self.past.publications.values()]
        self.acknowledged += outcomes.count(history.ACKNOWLEDGED)
        self.unknown += outcomes.count(history.UNKNOWN)
        self.gaps += sum(isinstance(item, history.Gap) for stream in self.past.streams for item in stream.items)

    def play(self, count):
        for number in range(count):
            if number % ROUNDS_JUDGED == 0:
                self.begin_history()
            self.round()
            if number % ROUNDS_JUDGED == ROUNDS_JUDGED - 1 or number == count - 1:
                self.judge()

    # --- one round ---

    def round(self):
        past, ending = self.past, self.random.choice(ENDINGS)
        self.endings.add(ending)
        if ending == "kill start":
            self.kill_starts()
        io = self.random.choice(["epoll", "uring"])
        made = self.router(io=io, shards=self.random.randint(1, 3), config_text=self.config(), arguments=self.arguments())
        past.begin_run(f"{made.ready.strip()}; it will end by: {ending}")
        try:
            self.load(made)
            self.end(made, ending)
        finally:
            made.kill()
        for subscriber in self.subscribers:
            subscriber.hurry()
        for party in self.publishers + self.subscribers:
            party.join()
        past.note("router", "has ended")
        if self.reader:
            self.reader.read(past)
            past.journal_is_whole = ending == "stop"

    def config(self):
        return CONFIG if self.folder else checker_test.RING

    def load(self, made):
        for subscriber in self.subscribers:
            subscriber.start(made.address)
        for subscriber in self.subscribers:
            subscriber.await_ready()
        begin = len(self.past.publications)
        for publisher in self.publishers:
            publisher.start(made.address)
        self.await_published(begin + self.random.randint(1, 1500))
        time.sleep(self.random.random() * 0.004)

    def await_published(self, count):
        """The moment of the end is a random number of events, not a time."""
        end = time.monotonic() + WAIT_SECONDS
        while len(self.past.publications) < count:
            assert time.monotonic() < end, f"{len(self.past.publications)} events are published, and it stays so"
            time.sleep(0.001)

    def end(self, made, ending):
        if ending == "pause":
            made.signal(signal.SIGSTOP)
            time.sleep(self.random.random() * 0.1)
            made.signal(signal.SIGCONT)
            self.await_published(len(self.past.publications) + self.random.randint(1, 500))
        if ending == "read all":
            self.read_all(made)
        if ending == "kill stopped":
            made.signal(signal.SIGSTOP)
        if ending == "stop":
            made.stop()
        else:
            made.signal(signal.SIGKILL)
            assert made.wait() == -signal.SIGKILL

    def read_all(self, made):
        """All subscribers read all that was acknowledged; and then it is killed."""
        for publisher in self.publishers:
            publisher.stop()
        load.drain(self.past, load.Publisher(self.past, f"end{self.past.run}", TOPICS, history.ROUTED), self.subscribers,
                   made.address, TOPICS)

    def kill_starts(self):
        """Starts that do not get far: in the middle of recovery, of a new epoch, of the first segments."""
        folder = self.folder.parent if self.folder else None
        if folder is None:
            return
        config = folder / "starts.yaml"
        config.write_text(conftest.LISTEN + CONFIG)
        for _ in range(self.random.randint(1, 3)):
            self.past.note("router", "is killed while it starts")
            process = subprocess.Popen([conftest.BINARY, "serve", "--config", str(config), "--journal", str(self.folder)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.random.random() * 0.06)
            process.kill()
            assert process.wait() == -signal.SIGKILL, "it ended by itself"


def with_journal(router, run, tmp_path, count):
    rounds = Rounds(router, run, tmp_path / "journal")
    rounds.play(count)
    assert rounds.acknowledged > 50 * count and rounds.unknown > count
    assert rounds.reader.nothing_has_changed() > 1000
    done = run("journal", "verify", tmp_path / "journal")
    assert done.returncode == 0, done.stdout + done.stderr
    router(shards=2, config_text=CONFIG, arguments=["--journal", str(tmp_path / "journal")]).stop()
    rounds.reader.nothing_has_changed()


@pytest.fixture
def body():
    """Each round says which body it takes."""
    return "auto"


def test_nothing_acknowledged_is_lost_over_20_kills(router, run, tmp_path):
    with_journal(router, run, tmp_path, 20)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_over_100_kills(router, run, tmp_path):
    with_journal(router, run, tmp_path, 100)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_nothing_acknowledged_is_lost_over_1000_kills(router, run, tmp_path):
    with_journal(router, run, tmp_path, 1000)


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.slow),
                                   pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_without_a_journal_no_restart_gives_a_wrong_order_or_a_hole_untold(router, run, count):
    rounds = Rounds(router, run, None)
    rounds.play(count)
    assert rounds.acknowledged > 50 * count and rounds.unknown > count and rounds.gaps > count // 2


# --- A disk that has not answered yet ---


class Told:
    """A publisher that the test itself serves. It has one topic: so no other log holds up its acknowledgements."""

    def __init__(self, past, made, name, topic, level):
        self.past, self.name, self.level, self.sent, self.through = past, name, level, [], 0
        self.topic = topic
        self.client = made.client(ack=load.LEVELS[level])

    def publish(self, count):
        for _ in range(count):
            key = (self.name, len(self.sent) + 1)
            self.sent.append(self.past.publish(key, self.topic, self.level))
            self.client.publish(self.topic, load.event_of(key))

    def listen(self, found):
        for frame in found:
            ack = frame.publish_ack
            assert frame.WhichOneof("body") == "publish_ack" and not ack.exceptions, frame
            for publication in self.sent[self.through:ack.through]:
                self.past.settle(publication, history.ACKNOWLEDGED)
            self.through = ack.through

    def settle(self):
        while self.through < len(self.sent):
            self.listen([self.client.next()])


@pytest.mark.parametrize("io", ["epoll", "uring"])
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "goes on"])
def test_what_is_not_written_yet_is_neither_acknowledged_nor_shown(router, run, tmp_path, io, killed):
    past = history.History("none: one order of steps", checker_test.is_durable)
    made = router(io=io, shards=2, config_text=CONFIG, arguments=["--journal", str(tmp_path / "j")])
    past.begin_run(made.ready.strip())
    publishers = [Told(past, made, f"{topic}-{n}", topic, history.DISK)  # of both workers for each log
                  for topic in checker_test.DISK_TOPICS for n in range(3)]
    routed = Told(past, made, "routed", "d.0", history.ROUTED)
    subscriber = load.Subscriber(past, "s0", ["d.>"], lambda topic: True).start(made.address)
    subscriber.await_ready()
    for publisher in publishers:
        publisher.publish(20)
        publisher.settle()
    with hold.Hold(made.pid, "rh-journal-") as held:
        assert len(held.threads) == 3
        held.at_writes(lambda: [publisher.publish(3) for publisher in publishers if len(publisher.sent) < 20_000])
        at_hold = [len(publisher.sent) for publisher in publishers]
        for publisher in publishers:
            publisher.publish(50)
        routed.publish(200)
        routed.settle()  # in memory it is, and that is all that it asks for
        for publisher, most in zip(publishers, at_hold):
            for _ in range(3):  # the router has had every occasion to tell too much
                publisher.listen(publisher.client.round_trip())
            assert publisher.through <= most
        late = {publication.key for publisher, most in zip(publishers, at_hold) for publication in publisher.sent[most:]}
        late |= {publication.key for publication in routed.sent}
        seen = {key for _, _, key in subscriber.stream.raw}
        if killed:
            made.signal(signal.SIGKILL)
            held.bury()
        else:
            held.release()
    if killed:
        assert made.wait() == -signal.SIGKILL
        subscriber.join()
    else:
        for publisher in publishers:
            publisher.settle()
        subscriber.wanted = late - {key for _, _, key in subscriber.stream.raw}
        subscriber.stop()
        subscriber.stream.has_read_all()
        made.stop()
        past.journal_is_whole = True
    assert not seen & late, "subscribers were given what is not on disk"
    past.journal_read = True
    JournalReader(run, tmp_path / "j").read(past)
    history.must_be_right(past)
    assert killed == bool(late - {key for _, _, key in past.journal}), "nothing was held back, so nothing was shown"
