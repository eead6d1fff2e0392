"""A made-up result of the bench suite, with every kind of row: for the tests of bench/report and bench/compare.

The numbers follow simple laws with some noise, so that a test can know which way a comparison must come out.
"""

import functools
import json
import random
import statistics

SUBJECTS = {  # kind, title, share of the speed
    "roundhouse": ("roundhouse", "Roundhouse", 1.0),
    "roundhouse-epoll": ("roundhouse", "Roundhouse, epoll", 0.93),
    "roundhouse-2": ("roundhouse", "Roundhouse, 2 shards", 0.8),
    "relay": ("relay", "relay limit", 1.6),
    "nats": ("nats", "nats-server", 0.25),
    "redis": ("redis", "redis-server", 0.16),
    "mosquitto": ("mosquitto", "mosquitto", 0.06),
    "roundhouse, one stopped": ("roundhouse", "Roundhouse, a tenth subscriber stopped", 0.99),
    "roundhouse, ack routed": ("roundhouse", "Roundhouse, ack routed", 0.95),
    "disk": ("disk", "the disk alone", 1.2),
    "jetstream": ("nats", "JetStream", 0.2),
    "convert": ("converter", "roundhouse convert", 1.0),
    "business-edifact": ("perl", "A parser in Perl", 0.02),
    "micro": ("micro", "parts of Roundhouse", 1.0),
}
ALL = ["roundhouse", "roundhouse-epoll", "relay", "nats", "redis", "mosquitto"]
METRICS = {
    "deliveries_per_s": ("deliveries per second", "1/s", "higher"),
    "server_cpu_ns_per_delivery": ("server CPU time per delivery", "ns", "lower"),
    "rss_bytes": ("resident memory", "bytes", "lower"),
    "p50_ns": ("median latency", "ns", "lower"),
    "p99_ns": ("latency, 99 %", "ns", "lower"),
    "max_ns": ("highest latency", "ns", "lower"),
    "rss_per_connection_bytes": ("resident memory per idle subscribed connection", "bytes", "lower"),
    "recovered_ns": ("time until all subscribers are back after the pause", "ns", "lower"),
    "acked_per_s": ("events acknowledged per second", "1/s", "higher"),
    "stored_bytes_per_s": ("bytes of events acknowledged per second", "bytes", "higher"),
    "document_bytes_per_s": ("bytes of the document per second", "bytes", "higher"),
    "messages_per_s": ("messages per second", "1/s", "higher"),
    "rss_peak_bytes": ("highest resident memory", "bytes", "lower"),
    "posts_per_s": ("events posted per second", "1/s", "higher"),
    "cpu_ns_per_post": ("CPU time per event", "ns", "lower"),
    "cpu_ns_per_file": ("CPU time per file", "ns", "lower"),
    "bytes_per_s": ("bytes per second", "bytes", "higher"),
    "ns_per_op": ("time per operation", "ns", "lower"),
}
RATE, CPU = "deliveries_per_s", "server_cpu_ns_per_delivery"


class Maker:
    def __init__(self, repetitions=7, faster=1.0, machine=1.0, seed=1):
        """`faster`: by how much Roundhouse alone is faster than it would be; `machine`: by how much everything is."""
        self.repetitions, self.faster, self.machine, self.random = repetitions, faster, machine, random.Random(seed)
        self.rows, self.samples = [], []

    def noisy(self, value):
        return value * self.random.uniform(0.97, 1.03)

    def speed(self, subject):
        kind, _, share = SUBJECTS[subject]
        return share * self.machine * (self.faster if kind == "roundhouse" else 1.0)

    def row(self, id_, title, subjects, metrics, law, curve=None, repetitions=None, histogram=False, workload=None):
        """law(subject) -> {metric: value}."""
        self.rows.append({"id": id_, "group": id_.split("/")[0], "title": title, "about": f"what {title} is", "workload": workload or {},
                          "primary": metrics[0], "metrics": metrics, "subjects": subjects, "curve": curve})
        for repetition in range(repetitions or self.repetitions):
            for position, subject in enumerate(subjects):
                values = {name: self.noisy(value) for name, value in law(subject).items()}
                sample = {"row": id_, "subject": subject, "repetition": repetition, "position": position, "at": float(len(self.samples)),
                          "seconds": 0.5, "values": values, "verified": {"deliveries": 1000, "compared_bytes": 10}}
                if histogram:
                    sample["histogram"] = [[int(values["p50_ns"] * 1.3**i / 2), 20000 >> i] for i in range(14)]
                self.samples.append(sample)

    # --- the groups ---

    def router(self):
        shapes = [("1-1/128", "1 → 1, 128 B", 12e6), ("1-10/128", "1 → 10, 128 B", 40e6), ("1-100/128", "1 → 100, 128 B", 50e6)]
        for name, title, rate in shapes:
            self.row(f"router/{name}", title, ALL, [RATE, CPU, "rss_bytes"], self.throughput(rate))
        for payload in (16, 1024, 16384, 65536):
            law = self.throughput(2e7 / (1 + payload / 256))
            self.row(f"router/1-1/{payload}", f"1 → 1, {payload} B", ALL, [RATE, CPU, "rss_bytes"], law,
                     {"name": "router/payload", "axis": "payload bytes, 1 → 1", "value": payload, "scale": "log"})

    def throughput(self, rate):
        return lambda s: {RATE: rate * self.speed(s), CPU: 1e9 / rate / self.speed(s), "rss_bytes": 7e7 * SUBJECTS[s][2] + 1e7}

    def latency(self):
        def law(subject):
            base = 60000 / (0.4 + self.speed(subject)) if subject != "redis" else 30000
            return {"p50_ns": base, "p99_ns": base * 2, "max_ns": base * 9, CPU: 900 / self.speed(subject)}
        for rate in (10, 50):
            self.row(f"latency/{rate}k/1-10", f"{rate}k/s, 1 → 10", ALL, ["p50_ns", "p99_ns", "max_ns", CPU], law, histogram=True)

    def rest(self):
        pair = ["roundhouse", "roundhouse, one stopped"]
        self.row("isolation/stopped", "1 → 9, a tenth stopped", pair, [CPU, RATE], self.throughput(3e7), repetitions=20)
        self.row("recovery/pause", "1 → 100, all paused", ["roundhouse"], ["recovered_ns"], lambda s: {"recovered_ns": 2e8})
        self.row("idle/10000", "10,000 idle connections", ["roundhouse", "nats", "redis", "mosquitto"], ["rss_per_connection_bytes"],
                 lambda s: {"rss_per_connection_bytes": {"roundhouse": 900, "mosquitto": 1000}.get(s, 9000)}, repetitions=1)
        for count in (1, 10, 100, 1000):
            self.row(f"scaling/subscribers/{count}", f"1 → {count}", ["roundhouse", "relay", "nats"], [CPU, RATE],
                     self.throughput(5e7 * count / (count + 3)),
                     {"name": "scaling/subscribers", "axis": "subscribers of one topic", "value": count, "scale": "log"})

        for count, subject in ((1, "roundhouse"), (2, "roundhouse-2")):
            self.row(f"scaling/shards/{count}", f"{count} shards", [subject], [CPU, RATE], self.throughput(5e7 * count),
                     {"name": "scaling/shards", "axis": "shards", "value": count, "scale": "log"})

    def acks(self):
        self.row("ack/routed/1-1", "1 → 1, ack none/routed", ["roundhouse", "roundhouse, ack routed"], [RATE, CPU], self.throughput(9e6))
        names = ["roundhouse", "disk", "jetstream"]
        state = {"workload": {"file_system": "ext4", "device": "/dev/made-up"}}

        def many(subject):
            rate = {} if subject == "disk" else {"acked_per_s": 5e5 * self.speed(subject)}
            return {**rate, "stored_bytes_per_s": 6.4e7 * self.speed(subject)}
        self.row("ack/disk/64/128", "64 publishers, ack disk", names, ["acked_per_s", "stored_bytes_per_s"], many, **state)
        self.row("ack/disk/1/128", "1 publisher, ack disk", names, ["p50_ns", "p99_ns"],
                 lambda s: {"p50_ns": 2e5 / self.speed(s), "p99_ns": 4e5 / self.speed(s)}, histogram=True, **state)
        for row in self.rows[-2:]:
            row["states"] = {name: f"how {name} syncs" for name in names}

    def hub(self):
        def documents(subject):
            rate = 1.5e8 * self.speed(subject)
            return {"document_bytes_per_s": rate, "messages_per_s": rate / 5000, **({"rss_peak_bytes": 6e6} if subject == "convert" else {})}
        self.row("documents/edifact", "EDIFACT, 64 MiB", ["convert", "business-edifact"], ["document_bytes_per_s", "messages_per_s", "rss_peak_bytes"],
                 documents)
        times = {"p50_ns": 5e5, "p99_ns": 2e6, "max_ns": 7e6, "cpu_ns_per_file": 3e5}
        for name in ("memory", "journal"):
            place = {"file_system": "ext4", "device": "/dev/made-up"} if name == "journal" else {}
            self.row(f"hub/directory/{name}", f"directory, {name}", ["roundhouse"], list(times), lambda s: times,
                     workload={"hub": "directory", **place})
        self.rows[-1]["states"] = {"roundhouse": "how roundhouse syncs"}
        self.row("hub/webhook/plain", "webhook", ["roundhouse"], ["posts_per_s", "cpu_ns_per_post"],
                 lambda s: {"posts_per_s": 3e4 * self.speed(s), "cpu_ns_per_post": 3e4}, workload={"hub": "webhook"})
        self.row("micro/codec/edifact/shape=plain", "codec/edifact: shape plain", ["micro"], ["ns_per_op", "bytes_per_s"],
                 lambda s: {"ns_per_op": 40 / self.faster, "bytes_per_s": 6e8 * self.faster}, repetitions=25, workload={"shape": "plain"})

    def micro(self):
        for size in (64, 1024, 16384):
            for how, fixed, each in (("copied", 10, 0.1), ("iovec", 60, 0.04)):
                curve = {"name": "micro/crossover/pieces", "axis": "piece_bytes", "value": size, "scale": "log", "line": f"how {how}",
                         "limit": {"name": "SEND_COPY_MAX", "value": 1024}}
                name = f"crossover/pieces/piece_bytes={size},how={how}"
                self.micro_row(name, fixed + each * size, curve, {"piece_bytes": size, "how": how})
        for number, shape in enumerate(("smallest", "typical", "many", "umlauts", "json", "binary") * 4):
            part = ("scan", "next", "check", "write")[number // 6]
            self.micro_row(f"wire/{part}/shape={shape}", 20.0 + number, None, {"shape": shape})

    def micro_row(self, name, ns, curve, params):
        self.row(f"micro/{name}", name.replace("/", ": "), ["micro"], ["ns_per_op"], lambda s: {"ns_per_op": ns / self.faster}, curve,
                 repetitions=25, workload=params)

    # --- the whole ---

    def result(self):
        subjects = {name: {"kind": kind, "title": title, "version": "1.0", "io": "io_uring" if kind == "roundhouse" else None,
                           "shards": 1 if kind == "roundhouse" else None, "command": [name, "--fast"]}
                    for name, (kind, title, _) in SUBJECTS.items()}
        return {
            "format": "roundhouse-bench", "version": 1,
            "run": {"started": "2026-11-27T06:00:00Z", "finished": "2026-11-27T06:06:00Z", "seconds": 360.0, "mode": "quick",
                    "arguments": ["--quick", "--peers"], "repetitions": self.repetitions, "stretch_seconds": 0.5, "warm_up_seconds": 0.25,
                    "complete": True},
            "machine": {"cpu": "A Processor <fast & new>", "cpus": [0, 1], "server_cpus": [0], "generator_cpus": [1],
                        "memory_bytes": 1 << 34, "kernel": "6.1.0", "os": "Debian 12", "virtual": "kvm", "governor": "unknown",
                        "load_before": 0.1},
            "network": {"namespace": True, "congestion_control": "cubic", "tcp_rmem": "4096 131072 6291456",
                        "tcp_wmem": "4096 16384 4194304"},
            "build": {"commit": "0123abc", "version": "0.1.0", "compiler": "GNU 12.2.0", "flags": "-O2"},
            "metrics": {name: {"title": t, "unit": u, "better": b} for name, (t, u, b) in METRICS.items()},
            "subjects": subjects, "rows": self.rows, "samples": self.samples, "summary": self.summary(), "ratios": self.ratios(),
            "bars": self.bars(), "failures": []}

    def values(self, row, subject, metric):
        return {s["repetition"]: s["values"][metric] for s in self.samples
                if (s["row"], s["subject"]) == (row, subject) and metric in s["values"]}

    def summary(self):
        keys = dict.fromkeys((s["row"], s["subject"], m) for s in self.samples for m in s["values"])
        return [{"row": r, "subject": s, "metric": m, **described(list(self.values(r, s, m).values())), "best": 0.0} for r, s, m in keys]

    def ratios(self):
        found = []
        for row in self.rows:
            for metric in row["metrics"]:
                for mine in row["subjects"]:
                    for other in row["subjects"]:
                        a, b = self.values(row["id"], mine, metric), self.values(row["id"], other, metric)
                        if mine != other and a and b:
                            found.append({"row": row["id"], "metric": metric, "subject": mine, "against": other,
                                          **described([a[i] / b[i] for i in a])})
        return found

    def bars(self):
        def bar(row, text, least, value, verdict, aim=None):
            return {"row": row, "metric": RATE, "subject": "roundhouse", "against": ["nats"], "text": text, "direction": "min",
                    "least": least, "aim": aim, "value": value, "aim_value": 0.6 if aim else None, "verdict": verdict,
                    "interval": [3.8, 4.2]}
        aim = {"against": ["relay"], "value": 0.6, "direction": "min"}
        return [bar("router/1-1/128", "at least 3.5 × nats-server's", 3.5, 4.0, "aim", aim),
                bar("router/1-10/128", "at least 5 × nats-server's", 5, 4.0, "missed"),
                bar("ack/disk/64/128", "at least half of it", 0.5, 0.8, "met"),
                {**bar("hub/webhook/plain", "at least 20,000 posted", 20000, 30000.0, "met"), "metric": "posts_per_s", "against": [], "interval": None},
                bar("router/none", "something that was not measured", 1, None, "not measured")]


def described(values):
    low, high = min(values), max(values)
    interval = [low, high] if len(values) >= 6 else None
    return {"n": len(values), "median": statistics.median(values), "low": low, "high": high, "interval": interval}


@functools.cache
def _made(options):
    maker = Maker(**dict(options))
    for group in (maker.router, maker.latency, maker.rest, maker.acks, maker.hub, maker.micro):
        group()
    return json.dumps(maker.result())


def make(**options):
    """A result of its own for each caller; making it once is enough."""
    return json.loads(_made(tuple(sorted(options.items()))))
