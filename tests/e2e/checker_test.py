"""Living routers under load, judged by their history (history.py): what is acknowledged is read, in one order, without a
hole that no Gap tells. RH_SEED=n repeats a seed; what the threads do at the same time stays different."""

import os
import random

import pytest

import history
import journal_reader
import load

DISK_TOPICS = [f"d.{n}" for n in range(5)]
MEMORY_TOPICS = [f"m.{n}" for n in range(4)]
TOPICS = DISK_TOPICS + MEMORY_TOPICS
RING = "logs: { data: 1MiB, grace: 5ms }\nlimits: { frame: 128KiB }\n"
CLASSES = "topics: [{ match: 'm.>', class: memory }]\njournal: { segment: 1MiB }\n"


def new_seed():
    seed = int(os.environ.get("RH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"RH_SEED={seed}")
    return seed


def parties(past, durable, limit=None):
    """Publishers of both levels and subscribers of all kinds, with the one that tells the end."""
    publishers = [load.Publisher(past, "p0", TOPICS, history.ROUTED, limit),
                  load.Publisher(past, "p1", TOPICS, history.ROUTED, limit)]
    if durable:
        publishers += [load.Publisher(past, "p2", DISK_TOPICS, history.DISK, limit),
                       load.Publisher(past, "p3", DISK_TOPICS[1:2], history.DISK, limit, burst=3)]
        # It asks for what is kept in memory as on disk now and then, and is refused that.
        publishers += [load.Publisher(past, "p4", DISK_TOPICS + MEMORY_TOPICS[:1], history.DISK, limit, burst=5)]
    subscribers = [load.Subscriber(past, "s0", [">"], lambda topic: True),
                   load.Subscriber(past, "s1", ["d.*", "m.1"], lambda topic: topic[0] == "d" or topic == "m.1"),
                   load.Subscriber(past, "s2", ["d.3"], lambda topic: topic == "d.3"),
                   load.Subscriber(past, "slow", [">"], lambda topic: True, nap=0.05, buffer=4096)]
    return publishers, subscribers


def is_durable(topic):
    return topic.startswith("d.")


@pytest.mark.parametrize("shards, journal", [(1, False), (3, False), (1, True), (2, True), (3, True)])
def test_what_is_acknowledged_is_read_in_one_order_or_told_by_a_gap(router, run, tmp_path, shards, journal):
    past = history.History(new_seed(), durable=is_durable if journal else ())
    made = router(shards=shards, config_text=RING + (CLASSES if journal else ""),
                  arguments=["--journal", str(tmp_path / "j")] if journal else [])
    past.begin_run(made.ready.strip())
    publishers, subscribers = parties(past, journal, limit=700)
    for subscriber in subscribers:
        subscriber.start(made.address)
    for subscriber in subscribers:
        subscriber.await_ready()
    for publisher in publishers:
        publisher.start(made.address)
    for publisher in publishers:
        publisher.join()
        assert publisher.settled_all
    load.drain(past, load.Publisher(past, "end", TOPICS, history.ROUTED), subscribers, made.address, TOPICS)
    made.stop()
    if journal:
        past.journal_is_whole = True
        journal_reader.JournalReader(run, tmp_path / "j").read(past)
    history.must_be_right(past)
    refused = [p for p in past.publications.values() if p.outcome == history.REFUSED]
    assert {(p.topic, p.level) for p in refused} == ({(MEMORY_TOPICS[0], history.DISK)} if journal else set())


@pytest.mark.parametrize("journal", [False, True])
def test_whoever_falls_off_the_ring_is_told_each_hole(router, run, tmp_path, journal):
    """Some rings full of events, and readers that sleep: Gaps must come, and cover all that does not."""
    past = history.History(new_seed(), durable=is_durable if journal else ())
    made = router(shards=2, config_text=RING + (CLASSES if journal else ""),
                  arguments=["--journal", str(tmp_path / "j")] if journal else [])
    past.begin_run(made.ready.strip())
    subscribers = [load.Subscriber(past, f"slow{n}", [">"], lambda topic: True, nap=0.5, buffer=4096) for n in range(3)]
    subscribers += [load.Subscriber(past, "s0", ["m.*", "d.1"], lambda topic: topic[0] == "m" or topic == "d.1")]
    for subscriber in subscribers:
        subscriber.start(made.address)
    for subscriber in subscribers:
        subscriber.await_ready()
    floods = [load.Publisher(past, f"flood{n}", TOPICS, history.ROUTED, limit=1000, pause=0) for n in range(4)]
    for publisher in floods:
        publisher.start(made.address)
    for publisher in floods:
        publisher.join()
    load.drain(past, load.Publisher(past, "end", TOPICS, history.ROUTED), subscribers, made.address, TOPICS)
    assert made.metric("roundhouse_gaps_total") > 0
    made.stop()
    if journal:
        past.journal_is_whole = True
        journal_reader.JournalReader(run, tmp_path / "j").read(past)
    history.must_be_right(past)
