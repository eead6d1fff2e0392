"""Who is slow is named: in the log once when it begins and once when it ends, and to whoever asks, also when it is gone."""

import json
import time

import pytest

import wire
from wire import pb

ROUTED, SKIP = pb.ACK_LEVEL_ROUTED, pb.SLOW_POLICY_SKIP
CONFIG = "logs: { data: 16MiB }\nlimits: { frame: 128KiB }\n"
SIZE = 4000
FULL = 2500  # events: more than the kernel takes for somebody who does not read, less than the ring


def laggards(made):
    answer = json.loads(made.http("/v1/laggards"))
    assert answer["complete"] and not answer["more"]
    return answer["laggards"]


def lines(made, message, name):
    found = [line for line in made.errors().splitlines() if f'msg="{message}"' in line]
    return [line for line in found if f'client="{name}"' in line]


class Feed:
    """Publishes numbered events; healthy subscribers read them meanwhile."""

    def __init__(self, made, *healthy):
        self.publisher, self.number, self.healthy = made.client(ack=ROUTED, name="publisher"), 0, healthy

    def publish(self, count):
        for begin in range(self.number + 1, self.number + count + 1, 100):
            numbers = range(begin, min(begin + 100, self.number + count + 1))
            self.publisher.send_bytes(b"".join(wire.numbered("flood", number, SIZE) for number in numbers))
            assert self.publisher.settle(numbers[-1]) == {}
            for client in self.healthy:
                client.events(len(numbers))
        self.number += count


def begun(made, feed, name="slow one"):
    """A subscriber that has stopped reading, and is known to lag."""
    slow = made.client(receive_buffer=16384, name=name)
    slow.subscribe("flood", "flood.*", id=3, policy=SKIP)
    feed.publish(FULL)
    made.await_metric("roundhouse_lagging", lambda value: value == 1)
    return slow


def test_a_subscriber_that_stops_reading_is_named_until_it_reads_again(router):
    made = router(shards=2, config_text=CONFIG)
    healthy = made.client(name="healthy")
    healthy.subscribe("flood")
    feed = Feed(made, healthy)
    slow = begun(made, feed)
    found = laggards(made)
    assert [row["client"] for row in found] == ["slow one"]
    row = found[0]
    assert not row["gone"] and row["reason"] is None and row["gone_at"] is None and row["lagging"]
    assert row["id"] == 3 and row["patterns"] == ["flood", "flood.*"] and row["kind"] == "live"
    assert row["lag_events"] > 100 and row["lag_bytes"] > 100 * SIZE and row["lag_ms"] >= 1000
    assert row["address"] == "%s:%d" % slow.socket.getsockname()[:2]
    # It falls back further, and its events age; that is no new line.
    feed.publish(100)
    end = time.monotonic() + wire.WAIT_SECONDS
    while (later := laggards(made)[0])["lag_ms"] < row["lag_ms"] + 300:
        assert time.monotonic() < end, "its lag does not rise"
        time.sleep(0.05)
    assert later["lag_events"] == row["lag_events"] + 100 and later["lagged_ms"] >= row["lagged_ms"]
    assert later["since"] == row["since"] and later["connection"] == row["connection"]
    assert len(lines(made, "a subscriber lags", "slow one")) == 1
    assert not lines(made, "a subscriber lags no more", "slow one")
    # It reads again.
    slow.events(FULL + 100)
    made.await_metric("roundhouse_lagging", lambda value: value == 0)
    assert made.metric("roundhouse_lags_begun_total") == made.metric("roundhouse_lags_ended_total") == 1
    assert made.metric("roundhouse_lag_seconds_max") == 0
    row = laggards(made)[0]
    assert row["gone"] and row["reason"] == "caught_up" and row["gone_at"] and row["worst_lag_events"] >= later["lag_events"]
    assert len(lines(made, "a subscriber lags", "slow one")) == 1
    assert len(lines(made, "a subscriber lags no more", "slow one")) == 1
    assert "reason=caught_up" in lines(made, "a subscriber lags no more", "slow one")[0]
    # What it is told of now is live.
    feed.publish(10)
    slow.events(10)


@pytest.mark.parametrize("how, reason", [("close", "lost"), ("fall", "slow_consumer")])
def test_a_laggard_is_remembered_when_it_is_gone(router, how, reason):
    made = router(config_text=CONFIG.replace("16MiB", "16MiB, grace: 10ms"))
    feed = Feed(made)
    slow = made.client(receive_buffer=16384, name="slow one")
    slow.subscribe("flood", id=7, policy=SKIP if how == "close" else 0)
    feed.publish(FULL)
    made.await_metric("roundhouse_lagging", lambda value: value == 1)
    if how == "close":
        slow.reset()
    else:
        feed.publish(3000)
    made.await_metric("roundhouse_lagging", lambda value: value == 0)
    rows = laggards(made)
    assert [(row["client"], row["gone"], row["reason"]) for row in rows] == [("slow one", True, reason)]
    assert rows[0]["id"] == 7 and rows[0]["patterns"] == ["flood"] and rows[0]["address"] and not rows[0]["lagging"]
    assert rows[0]["worst_lag_ms"] >= 1000 and rows[0]["times"] == 1
    assert len(lines(made, "a subscriber lags", "slow one")) == 1
    ended = lines(made, "a subscriber lags no more", "slow one")
    assert len(ended) == 1 and f"reason={reason}" in ended[0]


def test_the_worst_comes_first(router):
    made = router(shards=2, config_text=CONFIG)
    feed = Feed(made)
    first = begun(made, feed, "first")
    second = made.client(receive_buffer=16384, name="second")
    second.subscribe("flood", policy=SKIP)
    feed.publish(1300)
    made.await_metric("roundhouse_lagging", lambda value: value == 2)
    assert [row["client"] for row in laggards(made)] == ["first", "second"]
    answer = json.loads(made.http("/v1/laggards?limit=1"))
    assert answer["more"] and [row["client"] for row in answer["laggards"]] == ["first"]
    first.reset()
    made.await_metric("roundhouse_lagging", lambda value: value == 1)
    assert [(row["client"], row["gone"]) for row in laggards(made)] == [("second", False), ("first", True)]
    second.reset()


def test_one_that_begins_in_the_past_and_reads_does_not_lag(router):
    made = router(config_text=CONFIG)
    feed = Feed(made)
    feed.publish(500)
    time.sleep(1.2)  # what is there is older than what makes a laggard
    reader = made.client(name="from the past")
    reader.subscribe("flood", start=pb.Start(oldest=True))
    reader.events(500)
    made.await_metric("roundhouse_laggards", lambda value: value == 0)
    assert made.metric("roundhouse_lags_begun_total") == 0 and laggards(made) == []
