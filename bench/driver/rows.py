"""What is measured: every row of the suite, with its workload, its metrics and its competitors."""

from dataclasses import dataclass, field

from driver.subjects import (CHURNED, CONVERTER, DISK, DISK_READ, FILTERED, FILTERS, MOVED, PARSERS, PEERS, ROUTED, ROUTERS, STOPPED, STORES,
                             TWO_SHARDS, WATCHED)

RATE = "deliveries_per_s"
CPU = "server_cpu_ns_per_delivery"
ROUTER_METRICS = [RATE, CPU, "server_cpu_share", "generator_cpu_share", "bytes_per_send", "memory_bytes"]
ACKED_METRICS = ["acked_per_s", "stored_bytes_per_s", "server_cpu_ns_per_event", "p50_ns", "p99_ns", "events_per_sync"]
ACK_LATENCY_METRICS = ["p50_ns", "p99_ns", "max_ns", "acked_per_s"]
GROUP_BYTES = 4 << 20  # the longest write of the journal
BLOCK_BYTES = 4 << 10  # its shortest
LATENCY_METRICS = ["p50_ns", "p99_ns", "p999_ns", "max_ns", CPU, "send_lag_p99_ns", "generator_idle_share"]


@dataclass
class Row:
    """One row. `load` are the load generator's options; `relay_load` changes them for the relay, which can not split
    topics: there a publisher for each subscriber sends the same number of bytes. `rate_of` = (row, share) takes the rate
    from what the subject reached in another row."""

    id: str
    title: str
    about: str
    load: dict
    subjects: list
    primary: str = RATE
    metrics: list = field(default_factory=lambda: list(ROUTER_METRICS))
    relay_load: dict = field(default_factory=dict)
    rate_of: tuple | None = None
    curve: dict | None = None
    server: dict = field(default_factory=dict)  # further options of the server's command line (the relay's)
    stores: bool = False  # the servers keep events on disk
    disk_load: dict = field(default_factory=dict)  # the load generator's options for the disk alone
    full_only: bool = False
    repetitions: int | None = None
    seconds: float | None = None
    warm_up: float | None = None
    full_subjects: list = field(default_factory=list)  # competitors only in a full run, or when the row is asked for by name

    @property
    def group(self):
        return self.id.split("/")[0]

    def workload(self):
        """The parameters, as the result file has them."""
        if "format" in self.load or "hub" in self.load:
            return dict(self.load)
        return {"publishers": 1, "subscribers": 1, "topics": 1, "payload": 128, "share": "all", "mode": "max", **self.load}

    def described(self, names):
        return {"id": self.id, "group": self.group, "title": self.title, "about": self.about, "workload": self.workload(),
                "primary": self.primary, "metrics": self.metrics, "subjects": names, "curve": self.curve}


ALL = ROUTERS + ["relay"] + PEERS


def _size(payload):
    return f"{payload} B" if payload < 1024 else f"{payload // 1024} KiB"


def router_rows():
    shapes = [
        ("1-1", "1 → 1", "one publisher, one subscriber, one topic", {}, {}),
        ("1-10", "1 → 10", "fan-out to ten subscribers of one topic", {"subscribers": 10}, {}),
        ("1-100", "1 → 100", "fan-out to a hundred subscribers of one topic", {"subscribers": 100}, {}),
        ("8-8", "8 → 8, 8 topics", "eight publishers, each with its own topic and its own subscriber",
         {"publishers": 8, "subscribers": 8, "topics": 8, "share": "split"}, {}),
        ("topics", "10,000 topics → 10 × >", "ten subscribers to everything, published on 10,000 topics in turn",
         {"subscribers": 10, "topics": 10000}, {}),
        ("tenths", "10,000 topics, each of 10 a tenth", "ten subscribers with 1,000 topics each, published in turn; the relay's "
         "figure is for ten publishers with one subscriber each", {"subscribers": 10, "topics": 10000, "share": "split"},
         {"publishers": 10}),
    ]
    rows = []
    for name, title, about, load, relay in shapes:
        subjects = ALL + (TWO_SHARDS[:1] if name != "1-1" else [])
        rows.append(Row(f"router/{name}/128", f"{title}, 128 B", about, {**load, "payload": 128}, subjects, relay_load=relay))
    for payload in (16, 1024, 16384, 65536):
        about = "the smallest valid event" if payload == 16 else f"events of {_size(payload)}"
        more = {"repetitions": 9} if payload == 65536 else {}  # where the machine's memory decides, three pairs tell little
        rows.append(Row(f"router/1-1/{payload}", f"1 → 1, {_size(payload)}", about, {"payload": payload}, ALL, **more))
    rows += [Row("router/1-1/128-2", "1 → 1, 128 B, two shards", "the second shard has nothing to do here",
                 {"payload": 128}, ["roundhouse", "roundhouse-2"], full_only=True),
             Row("router/1-1/1024-text", "1 → 1, 1 KiB of text", "text is checked as UTF-8, binary data is not",
                 {"payload": 1024, "text": True}, ALL, full_only=True),
             Row("router/1-10/1024", "1 → 10, 1 KiB", "fan-out of larger events", {"payload": 1024, "subscribers": 10}, ALL,
                 full_only=True),
             Row("router/1-10/16384", "1 → 10, 16 KiB", "fan-out of documents", {"payload": 16384, "subscribers": 10}, ALL,
                 full_only=True)]
    for payload in (256, 512, 2048, 4096, 8192, 32768):
        rows.append(Row(f"router/1-1/{payload}", f"1 → 1, {_size(payload)}", f"events of {_size(payload)}",
                        {"payload": payload}, ALL, full_only=True))
    for row in rows:
        if row.id.startswith("router/1-1/") and row.id.split("/")[2].isdigit():
            row.curve = {"name": "router/payload", "axis": "payload bytes, 1 → 1", "value": row.load["payload"], "scale": "log"}
        if TWO_SHARDS[0] in row.subjects:
            row.full_subjects = TWO_SHARDS[1:]
    return rows


def latency_rows():
    rows = []
    for rate, subscribers, full in ((50000, 1, False), (50000, 10, False), (10000, 10, False), (10000, 1, True),
                                    (200000, 1, True), (200000, 10, True)):
        rows.append(Row(f"latency/{rate // 1000}k/1-{subscribers}", f"{rate // 1000}k/s, 1 → {subscribers}",
                        "open loop, from the intended send time", {"mode": "paced", "rate": rate, "subscribers": subscribers},
                        ALL, "p50_ns", list(LATENCY_METRICS), full_only=full,
                        repetitions=9 if rate == 50000 else None))  # the last hundredth is noise in three
    for subscribers, full in ((1, False), (10, True)):
        row = Row(f"latency/80/1-{subscribers}", f"80 % of its own maximum, 1 → {subscribers}",
                  "open loop at 80 % of what the same server reached as its maximum in this run",
                  {"mode": "paced", "subscribers": subscribers}, ROUTERS + PEERS[:2], "p50_ns", list(LATENCY_METRICS),
                  rate_of=(f"router/1-{subscribers}/128", 0.8 / subscribers), full_only=full)
        row.metrics.insert(0, "offered_per_s")
        rows.append(row)
    return rows


def isolation_rows():
    metrics = [CPU, RATE, "slow_disconnects", "gaps"]
    return [
        Row("isolation/stopped", "1 → 9, a tenth stopped", "nine healthy subscribers beside one that never reads (policy skip) and has "
            "fallen off the ring, and the nine alone, in turn", {"subscribers": 9}, ["roundhouse", STOPPED], CPU, metrics,
            repetitions=20, seconds=0.3, warm_up=0.6),
        Row("isolation/churn", "100,000 topics → 1 × >, 1,000 changes/s", "1,000 subscribes and 1,000 unsubscribes per second, literal "
            "and wildcard, on hot topics, beside it", {"topics": 100000}, ["roundhouse", CHURNED], RATE,
            [RATE, CPU, "churn_per_s"], repetitions=6),
        Row("isolation/admin", "1 → 10, watched", "beside it somebody asks what the dashboard asks, and for the metrics, once a second, and "
            "has a stream of the events open, and nobody does, in turn", {"subscribers": 10}, ["roundhouse", WATCHED], CPU,
            [CPU, RATE, "beside_per_s"], repetitions=20, seconds=1.2, warm_up=0.3),
        Row("moving/1-10", "1 → 10, slots moving", "two shards, all slots change their shard again and again, and never, in turn",
            {"subscribers": 10}, ["roundhouse-2", MOVED], RATE, [RATE, CPU, "beside_per_s"], repetitions=6, seconds=1.0),
        Row("moving/10k/1-10", "10k/s, 1 → 10, slots moving", "the same at a fixed rate: what a move adds to the latency",
            {"mode": "paced", "rate": 10000, "subscribers": 10}, ["roundhouse-2", MOVED], "p50_ns",
            ["p50_ns", "p99_ns", "p999_ns", "max_ns", "beside_per_s"], repetitions=6, seconds=1.0),
        Row("recovery/pause", "1 → 100, all paused for 50 ms", "at 80 % of the maximum, or what can be held if that is less, all "
            "subscribers stop reading for 50 ms, then must all be back to live", {"mode": "paced", "subscribers": 100, "pause": 50}, list(ROUTERS), "recovered_ns",
            ["recovered_ns", "not_recovered", "offered_per_s", "age_before_ns", "catch_up_entered", "p99_ns", "max_ns"],
            rate_of=("router/1-100/128", 0.8 / 100), seconds=1.5),
    ]


def filter_rows():
    return [Row("filter/1-10", "1 → 10, five with filters", "every event passes: with one filter that five of ten subscribers share, with five that "
                "differ, and without, in turn", {"subscribers": 10}, ["roundhouse", FILTERED, FILTERS], CPU, [CPU, RATE], repetitions=20,
                seconds=0.3, warm_up=0.3)]


def idle_rows():
    metrics = ["memory_per_connection_bytes", "server_cpu_share", "memory_bytes"]
    return [
        Row("idle/10000", "10,000 idle connections", "each subscribed to a topic of its own; resident memory and CPU share",
            {"mode": "idle", "subscribers": 10000}, ROUTERS + PEERS, metrics[0], metrics, repetitions=1),
        Row("idle/1", "one idle connection", "the CPU share of a server that has nothing to do",
            {"mode": "idle", "subscribers": 1}, ROUTERS + PEERS, metrics[1], metrics[1:], repetitions=1),
    ]


def _curve_row(curve, axis, value, title, load, subjects, in_quick, **more):
    return Row(f"scaling/{curve}/{value}", title, f"cost per delivery as {curve} grow", load, subjects, CPU, [CPU, RATE],
               curve={"name": f"scaling/{curve}", "axis": axis, "value": value, "scale": "log"}, full_only=not in_quick, **more)


def scaling_rows():
    rows = []
    for count in (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000):
        rows.append(_curve_row("subscribers", "subscribers of one topic", count, f"1 → {count}", {"subscribers": count},
                               ROUTERS + ["relay"] + PEERS[:2], count in (3, 30, 300)))
    for count in (1, 10, 100, 1000, 10000, 100000, 999999):
        rows.append(_curve_row("topics", "topics to one subscriber of everything", count, f"{count:,} topics → 1 × >",
                               {"topics": count}, ROUTERS[:1] + PEERS[:1], count in (1000, 100000)))
    for count in (100, 1000, 3000, 10000):
        rows.append(_curve_row("connections", "idle connections beside 1 → 1", count, f"1 → 1 beside {count:,} idle",
                               {"idle": count}, ROUTERS + PEERS[:1], count in (1000,)))
    for count, name in ((1, "roundhouse"), (2, "roundhouse-2"), (4, "roundhouse-4"), (8, "roundhouse-8")):
        rows.append(_curve_row("shards", "shards, 8 → 8 over 64 topics", count, f"{count} shard{'s' if count > 1 else ''}, 8 → 8, 64 topics",
                               {"publishers": 8, "subscribers": 8, "topics": 64}, [name], count <= 2))
    return rows


def _routed_row(name, title, load, **more):
    return Row(f"ack/routed/{name}", f"{title} none/routed", "acknowledgements of level routed, all of which are read and counted, and "
               "none, in turn", load, ["roundhouse", ROUTED], RATE, [RATE, CPU, "generator_cpu_share"], repetitions=40, seconds=0.1,
               warm_up=0.1, **more)


def _disk_row(publishers, payload, window=256, **more):
    many = f"at most {window} events of each publisher on their way, one log; beside it the disk's own bandwidth"
    alone = ("one event at a time: how long its acknowledgement takes; beside it one synced write of 4 KiB, and the same round trip "
             "without waiting for the disk")
    about = many if publishers > 1 else alone
    primary, metrics = ("acked_per_s", ACKED_METRICS) if publishers > 1 else ("p50_ns", ACK_LATENCY_METRICS)
    return Row(f"ack/disk/{publishers}/{payload}", f"{publishers} publisher{'s' if publishers > 1 else ''}, {_size(payload)}, ack disk", about,
               {"mode": "acked", "ack": "disk", "publishers": publishers, "topics": publishers, "payload": payload, "outstanding": window},
               ["roundhouse", DISK] + STORES + ([] if publishers > 1 else [ROUTED]), primary, list(metrics), stores=True,
               disk_load={"write": GROUP_BYTES if publishers > 1 else BLOCK_BYTES}, **more)


def _replay_row(payload, **more):
    return Row(f"ack/replay/{payload}", f"{_size(payload)}, replay from the journal", "one subscriber from the oldest event on, of a journal that "
               "64 publishers have filled and that is in no cache; beside it the disk read alone",
               {"mode": "replay", "publishers": 64, "topics": 64, "payload": payload, "fill": 1.0},
               ["roundhouse", DISK_READ], "replayed_bytes_per_s", ["replayed_bytes_per_s", "journal_bytes_per_s", RATE, CPU, "server_cpu_share"],
               stores=True, disk_load={"write": GROUP_BYTES, "read": True}, **more)


def ack_rows():
    rows = [
        _routed_row("1-1", "1 → 1, 128 B, ack", {}),
        _routed_row("64-8", "64 → 8, 128 B, ack", {"publishers": 64, "subscribers": 8, "topics": 64, "share": "split"}),
        _routed_row("1-10", "1 → 10, 128 B, ack", {"subscribers": 10}, full_only=True),
        _disk_row(1, 128, 1),
        _disk_row(64, 128),
        _replay_row(128),
        _replay_row(1024),
        _disk_row(64, 1024, full_only=True),
        _disk_row(64, 16384, 64, full_only=True),
    ]
    return rows + [_disk_row(count, 128, full_only=True) for count in (4, 16, 256)]


def buffer_rows():
    """The relay with receive buffers of several sizes: what a bulk receive of 768 KiB is worth, and why not more."""
    rows = []
    for kib in (4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 2048):
        rows.append(Row(f"scaling/buffer/{kib}", f"relay, 1 → 1, buffer of {kib} KiB", "the relay limit, receiving into buffers of "
                        "this size", {}, ["relay"], CPU, [CPU, RATE], server={"buffer": kib * 1024}, full_only=True,
                        curve={"name": "scaling/buffer", "axis": "receive buffer, KiB", "value": kib, "scale": "log"}))
    return rows


def _document_row(name, title, kind, mib, about, subjects, **more):
    return Row(f"documents/{name}", title, about, {"format": kind, "bytes": mib << 20, "peer_bytes": 1 << 20}, subjects,
               "document_bytes_per_s", ["document_bytes_per_s", "messages_per_s", "cpu_ns_per_message", "rss_peak_bytes"], **more)


def document_rows():
    typed = "one interchange of orders with 40 lines, from a pipe, checked and made canonical, each packed as protobuf; a whole process"
    return [
        _document_row("edifact", "EDIFACT, 64 MiB of ORDERS", "edifact", 64, f"{typed}; the peer reads 1 MiB of it from a file into its objects",
                      [CONVERTER, *PARSERS]),
        _document_row("x12", "X12, 64 MiB of 850", "x12", 64, typed, [CONVERTER]),
        _document_row("edifact/1GiB", "EDIFACT, 1 GiB of ORDERS", "edifact", 1024, f"{typed}; what counts is its highest memory", [CONVERTER],
                      repetitions=1),
    ]


def _directory_row(name, title, about, **more):
    return Row(f"hub/directory/{name}", title, f"an order of EDIFACT with three lines is renamed into an inbox 100 times a second; {about}",
               {"hub": "directory", "rate": 100, "lines": 3}, ["roundhouse"], "p50_ns",
               ["p50_ns", "p99_ns", "max_ns", "send_lag_p99_ns", "cpu_ns_per_file", "files_per_s"], seconds=4.0, warm_up=0.3, **more)


def _webhook_row(name, title, about, **more):
    return Row(f"hub/webhook/{name}", title, about, {"hub": "webhook", "rate": 20000, "payload": 200, **more}, ["roundhouse"], "posts_per_s",
               ["posts_per_s", "cpu_ns_per_post", "server_cpu_share"], seconds=2.0, warm_up=0.2)


def hub_rows():
    from_due = "time from when that was due until a subscriber has the canonical order"
    posted = "events of JSON wait in the queue of a webhook and are posted over 32 connections that stay open; router, spoke"
    return [
        _directory_row("memory", "directory → subscriber", f"{from_due}; nothing is kept on disk but the files"),
        _directory_row("journal", "directory → subscriber, journal", f"{from_due}; the order is written to a journal, too", stores=True),
        _webhook_row("plain", "webhook", f"{posted} and all threads of theirs share one core"),
        _webhook_row("mapped", "webhook, mapping", f"{posted} and the process of its jq mapping share one core",
                     mapping="{orderNumber: .number, remark: .text}"),
    ]


def all_rows():
    return (router_rows() + latency_rows() + isolation_rows() + filter_rows() + idle_rows() + ack_rows() + document_rows() + hub_rows() + scaling_rows()
            + buffer_rows())
