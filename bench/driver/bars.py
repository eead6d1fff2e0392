"""What is asked of Roundhouse, and whether a run shows it."""

from driver import stats
from driver.rows import CPU, RATE
from driver.subjects import CONVERTER, DISK, DISK_READ, PEERS, ROUTED, STOPPED, SUBJECTS, WATCHED

ROUTER = "roundhouse"
PARTS = "micro"


def _bar(row, metric, against, text, direction, least, aim=None, subject=ROUTER):
    """`least` is a ratio to the best of `against`, or a number when that is empty; `aim` = (against, value)."""
    goal = None if aim is None else {"against": aim[0], "direction": direction, "value": aim[1]}
    return {"row": row, "metric": metric, "subject": subject, "against": against, "text": text, "direction": direction,
            "least": least, "aim": goal}


def _router_bars():
    relay, nats = ["relay"], ["nats"]
    asked = [("1-1/128", nats, 3.5, 0.6), ("1-10/128", nats, 4, 0.85), ("1-100/128", nats, 5.5, 0.95),
             ("8-8/128", nats, 3.5, 0.6), ("topics/128", nats, 8, 0.8), ("topics/128", PEERS, 4, 0.8),
             ("1-1/16", nats, 6, 0.35), ("1-1/1024", nats, 2.2, 0.8), ("1-1/16384", PEERS, 1.5, 0.95),
             ("1-1/65536", PEERS, 1.4, 0.85)]
    for row, against, least, share in asked:
        of = "nats-server's" if against is nats else "the fastest peer's"
        yield _bar(f"router/{row}", RATE, against, f"at least {least} × {of} deliveries per second, aim {share:.0%} of the relay "
                   "limit", "min", least, (relay, share))
    yield _bar("router/tenths/128", RATE, nats, "at least 3 × nats-server's deliveries per second, aim 8 ×", "min", 3, (nats, 8))
    for row in ("1-1/128", "1-10/128", "1-100/128", "8-8/128", "topics/128", "tenths/128", "1-1/16", "1-1/1024", "1-1/16384",
                "1-1/65536"):
        yield _bar(f"router/{row}", RATE, [ROUTER], "the epoll body reaches 85 % of the io_uring body, aim the same", "min", 0.85,
                   ([ROUTER], 1.0), "roundhouse-epoll")
    for row in ("1-10", "1-100", "8-8", "topics", "tenths"):
        yield _bar(f"router/{row}/128", CPU, [ROUTER], "with two shards, at most 1.5 × the CPU time per delivery of one", "max", 1.5,
                   None, "roundhouse-2")
    yield _bar("router/1-10/128", CPU, [], "the relay limit itself takes at most 30 ns per delivery", "max", 30, None, "relay")
    mib = 1 << 20
    yield _bar("router/1-100/128", "memory_beyond_rings_bytes", [], "at most 16 MiB beyond the configured rings, aim 4 MiB", "max",
               16 * mib, ([], 4 * mib))


def _other_bars():
    for row in ("latency/50k/1-1", "latency/50k/1-10"):
        for metric in ("p50_ns", "p99_ns"):
            yield _bar(row, metric, PEERS, "not above the fastest peer's, aim the relay's", "max", 1.0, (["relay"], 1.0))
    yield _bar("latency/10k/1-10", CPU, PEERS, "CPU time per delivery not above the fastest peer's, aim the relay's", "max", 1.0,
               (["relay"], 1.0))
    yield _bar("idle/10000", "memory_per_connection_bytes", [], "at most 2 KiB, aim 600 bytes", "max", 2048, ([], 600))
    yield _bar("isolation/stopped", CPU, [ROUTER], "the nine lose at most 2 %, 95 % interval of the median ratio", "max", 1.02, None,
               STOPPED)
    yield _bar("isolation/admin", CPU, [ROUTER], "who watches costs at most 2 %, 95 % interval of the median ratio", "max", 1.02, None,
               WATCHED)
    yield _bar("recovery/pause", "not_recovered", [], "all hundred are back to live", "max", 0, None)


def _ack_bars():
    for row in ("1-1", "64-8", "1-10"):
        yield _bar(f"ack/routed/{row}", CPU, [ROUTER], "acknowledgements of level routed cost at most 10 % more CPU time per delivery, 95 % "
                   "interval of the median ratio", "max", 1.1, None, ROUTED)
    text = "acknowledged at level disk: at least half of the disk's own bandwidth, or 300,000 events per second, whichever is less"
    enough = _bar("ack/disk/64/128", "acked_per_s", [], text, "min", 300000)
    yield {**_bar("ack/disk/64/128", "stored_bytes_per_s", [DISK], text, "min", 0.5), "or": enough}
    yield _bar("ack/disk/1/128", "p50_ns", [DISK], "one publisher alone waits for one synced write of 4 KiB and its round trip, not for two "
               "syncs: at most 2 × the write alone, aim 1.5 ×", "max", 2, ([DISK], 1.5))
    for payload in (128, 1024):
        yield _bar(f"ack/replay/{payload}", "journal_bytes_per_s", [DISK_READ], "replay from the journal reads it at no less than half of the "
                   "disk's own bandwidth", "min", 0.5)


def _document_bars():
    def part(row, mb, text, aim=None):
        return _bar(f"micro/codec/{row}", "bytes_per_s", [], text, "min", mb * 1e6, None if aim is None else ([], aim * 1e6), PARTS)

    for row in ("edifact/shape=plain", "x12/shape=plain"):
        yield part(row, 500, "cut and checked at 500 MB per second or more")
    for row in ("edifact-typed", "x12-typed"):
        yield part(f"{row}/output=message,lines=30", 150, "to canonical messages at 150 MB per second or more, aim 300", 300)
    for row in ("idoc/framing=cut", "fixed/shape=text", "csv/shape=plain"):
        yield part(row, 200, "read at 200 MB per second or more")
    yield {**part("ubl/way=reader,document_bytes=16384", 0, "read at 60 % or more of what expat alone does"), "least": 0.6,
           "of_row": "micro/codec/ubl/way=expat,document_bytes=16384"}
    yield _bar("documents/edifact/1GiB", "rss_peak_bytes", [], "at most 16 MiB of memory for an interchange of 1 GiB", "max", 16 << 20, None,
               CONVERTER)


def _hub_bars():
    for row in ("memory", "journal"):
        yield _bar(f"hub/directory/{row}", "p99_ns", [], "a small file is with the subscriber within 10 ms, 99 of 100", "max", 10e6)
    yield _bar("hub/webhook/plain", "posts_per_s", [], "at least 20,000 events posted per second, router and webhook on one core", "min", 20000)
    yield _bar("micro/webhook/post/mode=binary,data_bytes=200,requests_at_a_time=32", "ns_per_op", [], "at most 50 µs for a request and its "
               "answer: 20,000 per second, the transport alone on one core", "max", 50000, None, PARTS)


def _ratio(result, row, metric, subject, against):
    """(median, interval) of the pairs with the best of `against`; None when one of them was not measured."""
    medians = {s["subject"]: s["median"] for s in result["summary"] if s["row"] == row and s["metric"] == metric}
    present = [name for name in against if name in medians]
    if subject not in medians or not present:
        return None
    pick = max if result["metrics"][metric]["better"] == "higher" else min
    ratios = stats.pair_ratios(result["samples"], row, metric, subject, pick(present, key=medians.get))
    return (stats.median(ratios), stats.interval(ratios)) if ratios else None


def _value(result, row, metric, subject, against, of_row=None):
    if against:
        return _ratio(result, row, metric, subject, against)
    found = {s["row"]: s for s in result["summary"] if (s["metric"], s["subject"]) == (metric, subject)}
    if row not in found or (of_row and of_row not in found):
        return None
    return (found[row]["median"] / found[of_row]["median"], None) if of_row else (found[row]["median"], found[row]["interval"])


def _holds(value, direction, bound):
    return value >= bound if direction == "min" else value <= bound


def _verdict(bar, found, aimed):
    if found is None:
        return "not measured"
    value, interval = found
    # These are decided by their interval: a median alone can not tell 2 % from noise.
    if bar["subject"] in (STOPPED, ROUTED, WATCHED) and interval:
        worst, best = interval[::-1] if bar["direction"] == "max" else interval
        if _holds(best, bar["direction"], bar["least"]) != _holds(worst, bar["direction"], bar["least"]):
            return "not resolved"
    if not _holds(value, bar["direction"], bar["least"]):
        return "missed"
    reached = bar["aim"] and aimed is not None and _holds(aimed[0], bar["direction"], bar["aim"]["value"])
    return "aim" if reached else "met"


def _judged(result, bar):
    """With what was measured. A bar that may be met in another way is shown as the one that is met."""
    other = bar.pop("or", None)
    found = _value(result, bar["row"], bar["metric"], bar["subject"], bar["against"], bar.get("of_row"))
    aim = bar["aim"]
    aimed = _value(result, bar["row"], bar["metric"], bar["subject"], aim["against"]) if aim else None
    judged = {**bar, "value": found and found[0], "interval": found and found[1], "aim_value": aimed and aimed[0],
              "verdict": _verdict(bar, found, aimed)}
    if other and judged["verdict"] not in ("met", "aim"):
        instead = _judged(result, other)
        return instead if instead["verdict"] in ("met", "aim") or found is None else judged
    return judged


def judge(result):
    """The `bars` list of a result file: every bar whose row was in the run."""
    rows = {row["id"] for row in result["rows"]}
    return [_judged(result, bar) for bar in [*_router_bars(), *_other_bars(), *_ack_bars(), *_document_bars(), *_hub_bars()]
            if bar["row"] in rows and bar["subject"] in (*SUBJECTS, PARTS)]
