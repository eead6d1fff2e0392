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
