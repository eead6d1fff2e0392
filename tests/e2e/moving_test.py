"""Slots that move between shards, and shards that come and go, while publishers and subscribers of all kinds go on: judged
by their history (history.py), as in checker_test.py. RH_SEED=n repeats a seed; what the threads do at the same time stays
different."""

import random
import threading

import pytest

import history
import journal_reader
import load
import wire
from checker_test import CLASSES, RING, TOPICS, is_durable, new_seed, parties
from config_apply_test import post
from conftest import LISTEN, Router
from wire import pb

SHARDS_MOST = 4
SLOTS = 4096


@pytest.fixture
def started(body, tmp_path):
    """A function that starts a router from a file, with no option that would win over it."""
    made = []

    def start(text, arguments=()):
        made.append(Router(tmp_path / f"router{len(made)}", LISTEN + text, ["--io", body, *arguments]))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def a_map(chance):
    """So many shards, and ranges of slots for each of them, some of them empty."""
    count = chance.randint(1, SHARDS_MOST)
    cuts = sorted(chance.sample(range(1, SLOTS), chance.randint(0, 8)))
    ranges = zip([0, *cuts], [*(cut - 1 for cut in cuts), SLOTS - 1])
    items = ", ".join(f"{{ shard: {chance.randrange(count)}, range: {first}-{last} }}" for first, last in ranges)
    return f"shards: {count}\nslots: [ {items} ]\n"


def change(made, text):
    status, answer = 409, None
    while status == 409:  # the one before has been answered, and is not quite over
        status, answer = post(made, text.encode(), "?partial=true")
    assert status == 200, (text, answer)
    return answer


class Mover(threading.Thread):
    """Changes the sharding until slots have moved `count` times, and notes how many that were."""

    def __init__(self, made, seed, count):
        super().__init__(name="mover", daemon=True)
        self.made, self.chance, self.count = made, random.Random(f"{seed}/mover"), count
        self.slots, self.failure = 0, None

    def run(self):
        try:
            left = self.count
            while left > 0:
                moved = change(self.made, a_map(self.chance))["slots_moved"]
                self.slots += moved
                left -= moved > 0  # two maps may be the same
        except BaseException as error:
            self.failure = error


def comes_and_goes(past, made, moving, number):
    """A subscriber that ends its connection again and again, and resumes at its last Position."""
    subscriber = load.Subscriber(past, f"away{number}", [">"] if number == 0 else ["m.2"],
                                 (lambda topic: True) if number == 0 else (lambda topic: topic == "m.2"))
    while moving.is_alive():
        subscriber.start(made.address)
        subscriber.await_ready()
        moving.join(0.1)
        subscriber.stop()
    subscriber.start(made.address)
    subscriber.await_ready()
    return subscriber


def play(started, run, tmp_path, journal, count):
    past = history.History(new_seed(), durable=is_durable if journal else ())
    made = started(RING.replace("1MiB, grace", "8MiB, grace") + (CLASSES if journal else ""),
                   ["--journal", str(tmp_path / "j")] if journal else [])
    past.begin_run(made.ready.strip())
    publishers, subscribers = parties(past, journal)
    for party in subscribers:
        party.start(made.address)
    for party in subscribers:
        party.await_ready()
    for party in publishers:
        party.start(made.address)
    moving = Mover(made, past.seed, count)
    moving.start()
    away = []
    threads = [threading.Thread(target=lambda n=n: away.append(comes_and_goes(past, made, moving, n))) for n in range(2)]
    for thread in threads:
        thread.start()
    moving.join()
    for thread in threads:
        thread.join()
    assert len(away) == 2
    for party in publishers:
        party.stop()
    assert moving.failure is None, moving.failure
    load.drain(past, load.Publisher(past, "end", TOPICS, history.ROUTED), subscribers + away, made.address, TOPICS)
    moves = made.metric("roundhouse_changes_total")
    assert moves >= count and made.metric("roundhouse_slots_moved_total") == moving.slots
    made.stop()
    if journal:
        past.journal_is_whole = True
        journal_reader.JournalReader(run, tmp_path / "j").read(past)
    history.must_be_right(past)
    assert {p.outcome for p in past.publications.values()} <= {history.ACKNOWLEDGED, history.REFUSED}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("journal, count", [(False, 50), (True, 50),
                                            pytest.param(False, 3000, marks=[pytest.mark.soak, pytest.mark.slow,
                                                                             pytest.mark.timeout(7200)])])
def test_slots_move_under_load_and_nothing_is_lost_repeated_or_reordered(started, run, tmp_path, journal, count):
    play(started, run, tmp_path, journal, count)


def test_a_sequence_resumes_where_its_topic_was_and_goes_on_where_it_is(started):
    """The topic has been in several logs since: all of it comes, in its order, from the event on that is asked for."""
    made = started("logs: { data: 8MiB }\nshards: 1\n")
    chance, sequences = random.Random(7), []
    with made.client() as reader, made.client(ack=pb.ACK_LEVEL_ROUTED) as publisher:
        reader.subscribe("a.topic")
        for number in range(200):
            publisher.send_bytes(wire.numbered("a.topic", number))
            assert publisher.settle(number + 1) == {}
            sequences += [event.sequence for event in reader.events(1)]
            if number % 20 == 10:
                change(made, a_map(chance))
    assert sequences == sorted(sequences) and len(set(sequences)) == 200 and sequences[-1] >> 48 > sequences[0] >> 48
    for number in (0, 9, 10, 11, 57, 120, 199):
        with made.client() as reader:
            reader.subscribe("a.topic", start=pb.Start(sequence=sequences[number]))
            got = reader.events(200 - number)
            assert [event.sequence for event in got] == sequences[number:]
            assert [wire.read_number(event) for event in got] == list(range(number, 200))
    with made.client() as reader:
        reader.subscribe(">", start=pb.Start(last_per_topic=True))
        assert [wire.read_number(event) for event in reader.events(1)] == [199]
