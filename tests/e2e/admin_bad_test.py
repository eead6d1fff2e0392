"""Clients that the admin plane would rather not have: slow ones, endless ones, thousands of them. It answers others meanwhile, holds
little, and clients of the router notice nothing."""

import json
import random
import socket
import time

import pytest

import wire
from admin_test import ask
from conftest import SANITIZED

HEAD = b"GET /v1/shards HTTP/1.1\r\nHost: localhost\r\n"


def connected(made):
    return socket.create_connection(wire.end_point(made.admin), timeout=wire.WAIT_SECONDS)


def heard(client):
    """All until it is closed."""
    text = b""
    try:
        while piece := client.recv(65536):
            text += piece
    except ConnectionResetError:
        pass
    return text


def lives(made):
    assert made.http("/healthz") == "healthy\n"
    assert json.loads(made.http("/v1/shards"))["slots_total"] == 4096


@pytest.mark.slow
def test_those_that_trickle_are_cut_and_the_next_ones_served(router):
    """More of them than there are places, a header each second: a health check waits until their time is over, and no longer."""
    made = router()
    slow = [connected(made) for _ in range(80)]
    try:
        for client in slow:
            client.sendall(HEAD)
        end = time.monotonic() + 40
        while made.process.poll() is None and time.monotonic() < end:
            for client in slow:
                try:
                    client.sendall(b"A: b\r\n")
                except OSError:
                    pass
            probe = connected(made)
            probe.settimeout(1)
            try:
                probe.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                if probe.recv(100).startswith(b"HTTP/1.1 200"):
                    break
            except TimeoutError:
                pass
            finally:
                probe.close()
        else:
            raise AssertionError("nobody else is ever served")
    finally:
        for client in slow:
            client.close()
    assert made.await_metric("roundhouse_admin_timeouts_total", lambda value: value >= 1)
    lives(made)


@pytest.mark.parametrize("path", ["/v1/config", "/v1/explain?topic=a"])
def test_many_large_bodies_that_are_never_finished_cost_little(router, path):
    made = router()
    before = made.memory()
    clients = []
    try:
        for _ in range(60):
            client = connected(made)
            client.settimeout(1)
            clients.append(client)
            try:
                client.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
                               % path.encode() + b"[" * 900_000)
            except OSError:  # it is cut when all of them together have sent too much
                pass
        made.await_metric("roundhouse_admin_timeouts_total", lambda value: value >= 1)
        lives(made)
        assert SANITIZED or made.memory() - before < 32 << 20
    finally:
        for client in clients:
            client.close()
    lives(made)


def test_what_follows_a_request_is_nobodys(router):
    """Pipelining: one request for each connection is answered, the rest is not kept."""
    made = router()
    with connected(made) as client:
        client.sendall((HEAD + b"\r\n") * 50)
        text = heard(client)
    assert text.count(b"HTTP/1.1 200") == 1 and text.count(b"slots_total") == 1
    lives(made)


def test_one_connection_after_the_other_costs_nothing_in_the_end(router):
    made = router()
    lives(made)
    before, descriptors = made.memory(), made.settled_descriptors()
    for number in range(3000):
        with connected(made) as client:
            if number % 3 == 0:
                client.sendall(HEAD + b"\r\n")
            elif number % 3 == 1:
                client.sendall(HEAD)
    lives(made)
    made.await_descriptors(descriptors)
    assert SANITIZED or made.memory() - before < 8 << 20


BODIES = [b"", b"null", b"[]", b"3", b'"x"', b"{", b"{}" * 2, b"[" * 100_000, b'{"a":' * 50_000, b"\x00\xff\xfe", b'{"a": 1, "a": 2}',
          json.dumps({"specversion": 1, "id": [], "source": {}, "type": None}).encode(), b"a: &a [*a, *a]", b"\xff" * 1000]


@pytest.mark.parametrize("path", ["/v1/config?dry_run=true", "/v1/explain?topic=a", "/v1/explain"])
def test_bodies_of_wrong_types_are_answered_by_a_sentence(router, path):
    made = router()
    for body in BODIES:
        status, headers, text = ask(made, path, "POST", body, Content_Type="application/json")
        assert status in (200, 400, 422) and headers["Content-Type"] == "application/json", (body[:50], text)
        assert status == 200 or json.loads(text)["message"].endswith("."), (body[:50], text)
    lives(made)


QUERIES = ["limit=", "limit=-1", "limit=1e9", "limit=99999999999999999999", "limit=%00", "limit=%zz", "limit=1&limit=x", "=", "&", "%", "match=%ff", "match=" + "a." * 200,
           "sort=%0d%0aX:1", "a" * 4000, "source=%ff%fe&id=%c0%80"]


def test_queries_that_make_no_sense_are_answered_by_a_sentence(router):
    made = router()
    paths = [line.split()[1] for line in made.http("/").splitlines() if line.startswith("GET") and "/v1/" in line]
    assert len(paths) > 5
    for path in paths:
        for query in QUERIES:
            with connected(made) as client:
                client.sendall(f"GET {path}?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                while b"\r\n" not in (first := client.recv(200)):
                    assert first, (path, query)
                assert first.split()[1] in (b"200", b"400", b"404", b"422"), (path, query, first)
                assert b"X:1" not in first
    lives(made)


def test_noise_is_survived(router):
    made, dice = router(), random.Random(4711)
    for _ in range(300):
        noise = dice.choice([b"GET ", b"POST ", HEAD, b"", b"PRI * HTTP/2.0\r\n\r\n", b"\x16\x03\x01"]) + dice.randbytes(dice.randrange(400))
        with connected(made) as client:
            try:
                client.sendall(noise + dice.choice([b"", b"\r\n\r\n"]))
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            heard(client)
    lives(made)


def test_thousands_wait_for_a_place_and_clients_notice_nothing(router, many_descriptors):
    made = router()
    with made.client(ack=1) as publisher, made.client() as subscriber:
        subscriber.subscribe("a")
        crowd = [connected(made) for _ in range(1500)]
        try:
            for client in crowd:
                client.sendall(b"GET ")
            publisher.send_bytes(b"".join(wire.numbered("a", n) for n in range(20000)))
            assert publisher.settle(20000) == {}
            assert [wire.read_number(event) for event in subscriber.events(20000)] == list(range(20000))
        finally:
            for client in crowd:
                client.close()
    lives(made)
