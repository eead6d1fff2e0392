"""GET /v1/event: an event by its source and id, while others are published."""

import json
import os
import threading
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


def test_what_is_kept_on_disk_is_found_as_far_as_it_is_in_memory(router, tmp_path):
    made = router(arguments=["--journal", tmp_path / "journal"])
    publish(made, *(wire.numbered("a", n) for n in range(100)), ack=2)  # what is not synced is nobody's yet
    assert find(made, source="/test", id="42")["events"][0]["topic"] == "a"
