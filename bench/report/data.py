"""A result file, indexed: who was measured in which row with what, and who is better. The format is in bench/README.md."""

import json
import math

FORMAT, VERSION = "roundhouse-bench", 1
NEEDED = {"run": dict, "machine": dict, "network": dict, "build": dict, "metrics": dict, "subjects": dict, "rows": list,
          "samples": list, "summary": list, "ratios": list, "bars": list, "failures": list}
OURS = "roundhouse"
PEER_KINDS = ("nats", "redis", "mosquitto")


class Unusable(Exception):
    """A file that is no result; the text says why, in a sentence."""


def load(path):
    """The result in a file, or Unusable."""
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Unusable(f"{path} is no JSON: {error}") from error
    check(result, path)
    return result


def check(result, path):
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise Unusable(f"{path} is no result of the bench suite")
    if result.get("version") != VERSION:
        raise Unusable(f"{path} has version {result.get('version')!r} of the format; this reads version {VERSION}")
    for name, kind in NEEDED.items():
        if not isinstance(result.get(name), kind):
            raise Unusable(f"{path} has no {name}")


class Result:
    """What the page asks of a result."""

    def __init__(self, result):
        self.raw = result
        self.rows = result["rows"]
        self.by_id = {row["id"]: row for row in self.rows}
        self.summaries = {(s["row"], s["subject"], s["metric"]): s for s in result["summary"]}
        self.ratios = {(r["row"], r["metric"], r["subject"], r["against"]): r for r in result["ratios"]}
        self.repetitions = result["run"].get("repetitions")

    def kind(self, subject):
        return self.raw["subjects"].get(subject, {}).get("kind")

    def title(self, subject):
        return self.raw["subjects"].get(subject, {}).get("title", subject)

    def metric(self, name):
        return self.raw["metrics"].get(name, {"title": name, "unit": "1", "better": "none"})

    def unit(self, metric):
        return self.metric(metric)["unit"]

    def group(self, name):
        return [row for row in self.rows if row["group"] == name]

    def summary(self, row, subject, metric):
        return self.summaries.get((row["id"], subject, metric))

    def measured(self, row, metric):
        """The subjects of a row that have this metric, in the row's order."""
        return [name for name in row["subjects"] if self.summary(row, name, metric)]

    def peers(self, row):
        return [name for name in row["subjects"] if self.kind(name) in PEER_KINDS]

    def ratio(self, row, metric, subject, against):
        return self.ratios.get((row["id"], metric, subject, against))

    def fastest_peer(self, row, metric):
        """The peer with the best median, or None."""
        found = [name for name in self.peers(row) if self.summary(row, name, metric)]
        pick = max if self.metric(metric)["better"] == "higher" else min
        return pick(found, key=lambda name: self.summary(row, name, metric)["median"]) if found else None

    def bars_of(self, row, subject=OURS):
        return [bar for bar in self.raw["bars"] if bar["row"] == row["id"] and bar["subject"] == subject]

    def curves(self, prefix=""):
        """{name: rows} of all curves with two different values at least, in the order of the file."""
        found = {}
        for row in self.rows:
            curve = row.get("curve")
            if curve and curve["name"].startswith(prefix):
                found.setdefault(curve["name"], []).append(row)
        return {name: sorted(rows, key=lambda r: r["curve"]["value"]) for name, rows in found.items()
                if len({r["curve"]["value"] for r in rows}) > 1}

    def histogram(self, row, subject):
        """[(ns, count)] of all repetitions together, sorted."""
        together = {}
        for sample in self.raw["samples"]:
            if sample["row"] == row["id"] and sample["subject"] == subject:
                for ns, count in sample.get("histogram", []):
                    together[ns] = together.get(ns, 0) + count
        return sorted(together.items())


def spread_of(item):
    """(low, high, what that is) of a summary or a ratio: the 95 % interval where there are enough values to carry one."""
    if item.get("interval"):
        return item["interval"][0], item["interval"][1], "95 % interval of the median"
    return item["low"], item["high"], f"lowest and highest of {item['n']}" if item["n"] > 1 else "one measurement"


def better_by(ratio, better):
    """A ratio to somebody else's value, turned so that more than 1 is good: (value, low, high)."""
    low, high, _ = spread_of(ratio)
    if better == "lower":
        return tuple(1 / v if v else math.inf for v in (ratio["median"], high, low))
    return ratio["median"], low, high


def comparisons(result):
    """[(row, metric, peer, value, low, high)]: everything in which Roundhouse can be compared with a peer; a value of 2 is twice
    as good, 0.5 half as good."""
    found = []
    for row in result.rows:
        for metric in row["metrics"]:
            better = result.metric(metric)["better"]
            for peer in result.peers(row) if better != "none" else []:
                pair = result.ratio(row, metric, OURS, peer)
                if pair and pair["median"] > 0:
                    found.append((row, metric, peer, *better_by(pair, better)))
    return found


def losses(result):
    """Those comparisons in which the peer's median is better, the worst first. What the spread leaves open has a `high` above 1."""
    return sorted((item for item in comparisons(result) if item[3] < 1), key=lambda item: item[3])


PERCENTS = (50, 90, 99, 99.9, 99.99, 99.999)


def percentiles(histogram):
    """[(percent, ns)] for the percents that so many values can tell, and the largest value."""
    total = sum(count for _, count in histogram)
    found, seen, at = [], 0, 0
    for percent in PERCENTS:
        if round(total * (100 - percent) / 100, 6) < 1:
            break
        while seen < total * percent / 100:
            ns, count = histogram[at]
            seen, at = seen + count, at + 1
        found.append((percent, ns))
    return found
