"""GET /v1/events: server-sent events of a pattern; readers that resume, that do not read, and far too many of them."""

import json
import socket
import threading
import time

import pytest

import wire
from conftest import SANITIZED
from sse import Stream, opened

ROUTED = 1


def publish(made, *frames):
    """Published and routed."""
    with made.client(ack=ROUTED) as client:
        client.send_bytes(b"".join(frames))
        assert client.settle(len(frames)) == {}


def numbers(found):
    return [int(data["event"]["id"]) for data in found]


def test_a_stream_shows_the_events_of_its_pattern(router):
    made = router(shards=2)
    with opened(made, match="erp.*.created") as stream:
        stream.await_subscribed()
        publish(made, wire.numbered("erp.order.changed", 1), wire.event_frame("erp.order.created", wire.cloud_event(b"\0\xff", id="2")),
                wire.numbered("crm.order.created", 3))
        _, data = stream.next("cloudevent")
        assert data["topic"] == "erp.order.created" and data["sequence"].isdecimal() and data["bytes"] > 10
        assert data["event"] == {"specversion": "1.0", "id": "2", "source": "/test", "type": "test.event", "data_base64": "AP8="}
        assert made.metric("roundhouse_admin_streams") == 1 and made.metric("roundhouse_admin_stream_events_total") == 1
    made.await_metric("roundhouse_admin_streams", lambda value: value == 0)
    made.await_metric("roundhouse_connections", lambda value: value == 0)


def test_a_stream_begins_with_the_oldest_event_that_is_kept(router):
    made = router()
    publish(made, *(wire.numbered("a", n) for n in range(1, 4001)))
    with opened(made, match="a", from_="oldest") as stream:
        assert numbers(stream.events(4000)) == list(range(1, 4001))
        publish(made, wire.numbered("a", 4001))
        assert numbers(stream.events(1)) == [4001]


def test_a_stream_of_one_topic_goes_on_behind_its_last_id(router):
    made = router()
    publish(made, *(wire.numbered("a", n) for n in range(1, 11)))
    with opened(made, match="a", from_="oldest") as stream:
        assert numbers(stream.events(4)) == [1, 2, 3, 4]
    with opened(made, match="a", last_id=stream.last_id) as again:
        assert numbers(again.events(6)) == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("shards", [1, 2])
def test_a_stream_of_a_pattern_goes_on_where_its_last_id_says(router, shards):
    made = router(shards=shards)
    with opened(made, match="b.>") as stream:
        stream.await_subscribed()
        publish(made, *(wire.numbered(f"b.{n}", n) for n in range(1, 41)))
        assert sorted(numbers(stream.events(40))) == list(range(1, 41))
        stream.await_id(other_than=stream.last_id)
    publish(made, *(wire.numbered(f"b.{n}", n) for n in range(41, 81)))
    with opened(made, match="b.>", last_id=stream.last_id) as again:
        assert sorted(numbers(again.events(40))) == list(range(41, 81))


def test_another_run_of_the_router_is_told_as_a_gap(router):
    made = router()
    with opened(made, match="b.>") as stream:
        stream.await_subscribed()
        publish(made, wire.numbered("b.1", 1))
        stream.events(1)
        old = stream.await_id(other_than=stream.last_id)
    made.stop()
    made = router()
    with opened(made, match="b.>", last_id=old) as again:
        kind, data = again.next("gap")
        assert data["reason"] == "instance"
        publish(made, wire.numbered("b.1", 2))
        assert numbers(again.events(1)) == [2]


@pytest.mark.parametrize("query, last_id, error", [
    ({}, None, "bad_parameter"), ({"match": ""}, None, "bad_parameter"), ({"match": "a..b"}, None, "bad_parameter"),
    ({"match": "a.>.b"}, None, "bad_parameter"), ({"match": "a" * 300}, None, "bad_parameter"), ({"match": "a", "from": "newest"}, None, "bad_parameter"),
    ({"match": "a", "form": "oldest"}, None, "bad_parameter"), ({"match": "a"}, "x", "bad_id"), ({"match": "a"}, "-1", "bad_id"),
    ({"match": "a"}, "99999999999999999999", "bad_id"), ({"match": ">"}, "!!", "bad_id"), ({"match": ">"}, "A" * 7000, "bad_id")])
def test_a_stream_that_can_not_be_is_refused(router, query, last_id, error):
    made = router()
    with Stream(made.admin, last_id=last_id, **{name.replace("from", "from_"): value for name, value in query.items()}) as stream:
        assert stream.head() == 400 and stream.body()["error"] == error


def test_a_filter_is_for_what_is_in_events(router):
    made = router()
    with opened(made, match=">", filter=json.dumps([{"exact": {"id": "2"}}])) as stream:
        stream.await_subscribed()
        publish(made, *(wire.numbered("a", n) for n in range(4)))
        assert numbers(stream.events(1)) == [2]
    for wrong in ("x", "{}", '[{"like": {"id": "2"}}]'):
        with Stream(made.admin, match=">", filter=wrong) as stream:
            assert stream.head() == 400 and stream.body()["error"] == "bad_parameter"


def test_a_position_that_is_none_is_told_and_the_stream_goes_on_live(router):
    made = router()
    with opened(made, match=">", last_id="AAAA") as stream:
        assert stream.next("gap")[1]["reason"] == "instance"
        stream.await_subscribed()
        publish(made, wire.numbered("a", 1))
        assert numbers(stream.events(1)) == [1]


def test_only_the_head_is_answered_when_only_it_is_asked_for(router):
    made = router()
    with Stream(made.admin, method="HEAD", match="a") as stream:
        assert stream.head() == 200 and stream.headers["Content-Type"] == "text/event-stream"
        with pytest.raises(EOFError):
            stream._receive()


def test_a_stream_ends_when_the_router_stops_and_holds_it_up_for_nothing(router):
    made = router()
    with opened(made, match="b") as stream, opened(made, receive_buffer=4096, match="a", from_="oldest") as deaf:
        stream.await_subscribed()
        deaf.await_subscribed()
        publish(made, *(wire.numbered("a", n, 2000) for n in range(2000)))
        made.stop()
        assert "bytes_cut=0" in made.errors()
        assert stream.next() == ("end", {"reason": "stopping"})
        with pytest.raises(EOFError):
            stream.block()


def test_a_stream_that_is_behind_leaps_and_says_so(router):
    """Far more than a stream is given: it shows what comes now, and tells that there was more."""
    made = router(config_text="logs: { data: 8MiB }\n")
    with opened(made, match=">") as stream:
        stream.await_subscribed()
        told = []
        reader = threading.Thread(target=lambda: [told.append(stream.next()) for _ in iter(lambda: told and told[-1][0], "gap")])
        reader.start()
        number, end = 0, time.monotonic() + wire.WAIT_SECONDS
        while reader.is_alive():
            assert time.monotonic() < end
            publish(made, *(wire.numbered("a", number + n) for n in range(1000)))
            number += 1000
        reader.join()
        shown = numbers(data for kind, data in told if kind == "cloudevent")
        assert shown == sorted(shown) and told[-1][1]["reason"] in ("behind", "slow")
        shown.append(numbers(stream.events(1))[0])
        assert shown[-1] > shown[-2] + 1
    assert made.metric("roundhouse_admin_stream_gaps_total") >= 1


def test_readers_that_do_not_read_cost_little_and_are_cut(router, many_descriptors):
    """2,000 of them: as many as there are places are served, the others are told when to come again. What they do not take is not
    kept for them, publishers do not wait for them, and other pages are answered."""
    made = router(config_text="logs: { data: 8MiB }\n")
    before = made.memory()
    deaf = []
    with made.client(ack=ROUTED) as publisher:  # first: select() takes no descriptor above 1,023
        try:
            for count in range(1, 2001):
                deaf.append(Stream(made.admin, receive_buffer=4096, match=">", from_="oldest"))
                if count % 50 == 0:
                    publisher.send_bytes(b"".join(wire.numbered("a", n, 1000) for n in range(500)))
            assert publisher.settle(20000) == {}
            answers = [stream.head() for stream in deaf]
            assert answers.count(200) == 32 and answers.count(503) == 1968
            refused = deaf[answers.index(503)]
            assert refused.headers["Retry-After"].isdecimal() and refused.body()["error"] == "too_many_streams"
            publisher.send_bytes(b"".join(wire.numbered("a", n, 1000) for n in range(20000)))
            assert publisher.settle(40000) == {}
            assert made.metric("roundhouse_admin_streams") == 32 and made.http("/healthz") == "healthy\n"
            assert made.metric("roundhouse_admin_streams_refused_total") == 1968
            assert SANITIZED or made.memory() - before < 96 << 20
        finally:
            for stream in deaf:
                stream.socket.close()
    made.await_metric("roundhouse_admin_streams", lambda value: value == 0)


@pytest.mark.slow
def test_a_reader_that_takes_nothing_is_cut(router):
    made = router()
    publish(made, *(wire.numbered("a", n, 4000) for n in range(1500)))
    with opened(made, receive_buffer=4096, match=">", from_="oldest") as deaf:
        made.await_metric("roundhouse_admin_timeouts_total", lambda value: value == 1)
        made.await_metric("roundhouse_admin_streams", lambda value: value == 0)
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                deaf.block()


def test_a_token_is_asked_for_here_too(body, tmp_path):
    from conftest import Router
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("0123456789abcdef")
    made = Router(tmp_path, 'listen: { native: "127.0.0.1:0", admin: "127.0.0.1:0", ingest: off, admin_token_file: token }\n'
                            "logs: { data: 8MiB }\n", ["--io", body, "--shards", "1"])
    try:
        with Stream(made.admin, match=">") as stream:
            assert stream.head() == 401
        with socket.create_connection(wire.end_point(made.admin), timeout=wire.WAIT_SECONDS) as client:
            client.sendall(b"GET /v1/events?match=%3E HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        made.stop()
    finally:
        made.kill()
