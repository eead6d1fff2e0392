"""GET /v1/event: an event by its source and id, while others are published."""

import json
import os
import threading
import time
import urllib.error
from urllib.parse import urlencode

import pytest

import wire
from sse import Stream


def find(made, **query):
    return json.loads(made.http("/v1/event?" + urlencode(query)))


def missing(made, **query):
    with pytest.raises(urllib.error.HTTPError) as error:
        find(made, **query)
    return error.value.code, json.loads(error.value.read())["error"]


def publish(made, *frames, ack=1):
    with made.client(ack=ack) as client:
        client.send_bytes(b"".join(frames))
        assert client.settle(len(frames)) == {}


@pytest.mark.parametrize("shards", [1, 2])
def test_an_event_is_found_wherever_it_is_kept(router, shards):
    made = router(shards=shards)
    publish(made, *(wire.numbered(f"t.{n % 50}", n, 100) for n in range(20000)))
    for number in (0, 1, 9999, 19999):
        found = find(made, source="/test", id=str(number))
        assert found["complete"] and [(one["topic"], one["event"]["id"]) for one in found["events"]] == [(f"t.{number % 50}", str(number))]
    assert found["events"][0]["sequence"].isdecimal() and found["events"][0]["received_at"].endswith("Z")
    assert missing(made, source="/test", id="20000") == (404, "no_event")
    assert missing(made, source="/other", id="1") == (404, "no_event")
    assert missing(made, source="/test") == (400, "bad_parameter")
    assert missing(made, source="/test", id="") == (400, "bad_parameter")


def test_the_same_source_and_id_on_several_topics_are_all_shown(router):
    made = router(shards=2)
    publish(made, *(wire.numbered(f"t.{n}", 7) for n in range(30)))
    found = find(made, source="/test", id="7")["events"]
    assert len(found) == 10 and len({one["topic"] for one in found}) == 10


def test_a_business_document_is_shown_as_a_stream_shows_it(router, run):
    made = router()
    document = os.path.join(wire.ROOT, "tests", "data", "edifact", "ballerina__orders-ext1.edi")
    assert run("pub", "--server", made.address, "--format", "ndjson", input=run("convert", "--to", "events", document).stdout).returncode == 0
    with Stream(made.admin, match="erp.>", from_="oldest") as stream:
        assert stream.head() == 200
        streamed, = stream.events(1)
    found, = find(made, source=streamed["event"]["source"], id=streamed["event"]["id"])["events"]
    assert "PO77001" in json.dumps(found["message"]) and {"log", "received_at"} == set(found) - set(streamed)
    assert {name: found[name] for name in streamed} == streamed


def test_large_events_do_not_hide_others(router):
    made = router(config_text="logs: { data: 32MiB }\n")
    publish(made, wire.numbered("a", 1), wire.numbered("a", 2, 900_000), wire.numbered("a", 3))
    assert [find(made, source="/test", id=str(n))["events"][0]["event"] is None for n in (1, 2, 3)] == [False, True, False]


def test_what_was_overwritten_is_not_found_and_the_writer_does_not_wait(router):
    made = router(config_text="logs: { data: 8MiB }\n")
    stop = threading.Event()

    def load():
        number = 0
        with made.client(ack=1) as client:
            while not stop.is_set():
                client.send_bytes(b"".join(wire.numbered("a", number + n, 1000) for n in range(500)))
                number += 500
                client.settle(number)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        made.await_metric("roundhouse_events_appended_total", lambda value: value > 20000)
        for _ in range(5):
            assert missing(made, source="/test", id="0") == (404, "no_event")
    finally:
        stop.set()
        thread.join()
    newest = int(made.metric("roundhouse_events_appended_total")) - 1
    assert find(made, source="/test", id=str(newest))["events"]


def missing_in(made, **query):
    """The whole answer that says that there is none."""
    with pytest.raises(urllib.error.HTTPError) as error:
        find(made, **query)
    assert error.value.code == 404
    return json.loads(error.value.read())


def numbers(made, total, size, topics=20):
    """Publishes events on disk, each with its number as its id."""
    with made.client(ack=2) as client:
        for first in range(0, total, 1000):
            client.send_bytes(b"".join(wire.numbered(f"t.{n % topics}", n, size) for n in range(first, first + 1000)))
            assert client.settle(first + 1000) == {}


def whole(answer):
    return answer["complete"] and all(one["from"] <= one["oldest"] and not one["unread"] for one in answer["searched"])


SMALL = "logs: { data: 8MiB }\njournal: { segment: 8MiB }\n"


def test_what_is_only_in_the_journal_is_found(router, tmp_path):
    made = router(shards=2, config_text=SMALL, arguments=["--journal", tmp_path / "journal"])
    numbers(made, 30000, 1000)
    for number in (0, 1, 12345, 29999):
        answer = find(made, source="/test", id=str(number))
        event, = answer["events"]
        assert (event["topic"], event["event"]["id"]) == (f"t.{number % 20}", str(number)) and event["log"] >= 64
        assert event["sequence"].isdecimal() and event["received_at"].endswith("Z")
        disks = [one for one in answer["searched"] if one["class"] == "disk"]
        assert sorted(one["log"] for one in disks) == [64, 65] and all(one["since"].endswith("Z") for one in disks)
    answer = missing_in(made, source="/test", id="30000")
    assert whole(answer) and answer["error"] == "no_event" and answer["records_searched"] >= 30000
    assert sorted(one["class"] for one in answer["searched"]) == ["disk", "disk", "memory", "memory"]


def test_the_journal_is_searched_only_when_memory_has_none_or_all_is_asked_for(router, tmp_path):
    made = router(shards=1, config_text=SMALL, arguments=["--journal", tmp_path / "journal"])
    publish(made, wire.numbered("early", 7), ack=2)
    numbers(made, 20000, 1000)
    publish(made, wire.numbered("late", 7), ack=2)
    answer = find(made, source="/test", id="7")
    assert [event["topic"] for event in answer["events"]] == ["late"] and not answer["complete"]
    disk, = (one for one in answer["searched"] if one["class"] == "disk")
    assert disk["oldest"] < disk["from"] < disk["to"]
    answer = find(made, source="/test", id="7", all="true")
    assert [event["topic"] for event in answer["events"]] == ["late", "t.7", "early"] and whole(answer)
    assert missing(made, source="/test", id="7", seconds="0") == (400, "bad_parameter")
    assert missing(made, source="/test", id="7", seconds="61") == (400, "bad_parameter")
    assert missing(made, source="/test", id="7", all="yes") == (400, "bad_parameter")


def test_what_an_earlier_run_has_left_is_found_and_what_was_trimmed_is_not(router, tmp_path):
    journal = ["--journal", tmp_path / "journal"]
    made = router(shards=1, config_text=SMALL, arguments=journal)
    numbers(made, 20000, 1000)
    made.stop()
    made = router(shards=1, config_text=SMALL.replace("segment", "retain_bytes: 8MiB, segment"), arguments=journal)
    assert find(made, source="/test", id="19999")["events"]
    made.await_metric("roundhouse_journal_trimmed_total", lambda value: value >= 1)
    answer = missing_in(made, source="/test", id="0")
    disk, = (one for one in answer["searched"] if one["class"] == "disk")
    assert whole(answer) and disk["oldest"] > 1, "all that is kept was searched, and it begins later"


def test_workers_go_on_while_the_journal_is_searched(router, tmp_path):
    made = router(shards=1, config_text=SMALL, arguments=["--journal", tmp_path / "journal"])
    numbers(made, 40000, 1000)
    over, found = threading.Event(), []

    def search():
        while not over.is_set():
            found.append(missing_in(made, source="/test", id="none"))

    thread = threading.Thread(target=search)
    thread.start()
    try:
        with made.client() as reader, made.client(ack=2) as client:
            reader.subscribe("live", id=1)
            for number in range(1, 200):
                client.send_bytes(wire.numbered("live", number, 100))
                assert client.settle(number) == {}
            assert len(reader.events(199)) == 199
    finally:
        over.set()
        thread.join()
    assert found and all(answer["complete"] for answer in found)


def test_a_router_stops_while_the_journal_is_searched(router, tmp_path):
    made = router(shards=1, config_text=SMALL, arguments=["--journal", tmp_path / "journal"])
    numbers(made, 20000, 1000)
    answers = []

    def search():
        try:
            while True:
                answers.append(missing_in(made, source="/test", id="none"))
        except (AssertionError, OSError) as error:
            answers.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    while not answers:
        time.sleep(0.01)
    made.stop()
    thread.join(wire.WAIT_SECONDS)
    assert not thread.is_alive()
