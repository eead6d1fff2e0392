"""Medians, spreads and their intervals. No assumption about how measurements are distributed: order statistics only."""

import math

CONFIDENCE = 0.95


def median(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def interval(values, confidence=CONFIDENCE):
    """[low, high] of the median: the narrowest symmetric pair of order statistics that covers it with this confidence.

    The number of values below the true median is binomial with 1/2, whatever the distribution. None with fewer than six
    values, of which no pair is so sure.
    """
    ordered, n = sorted(values), len(values)
    below, outside = 0.0, None
    for k in range(n // 2):
        below += math.comb(n, k) / 2**n
        if 2 * below > 1 - confidence:
            break
        outside = k
    return None if outside is None else [ordered[outside], ordered[n - 1 - outside]]


def summarize(values, better="none"):
    """n, median, low, high, best, interval of one list of numbers."""
    low, high = min(values), max(values)
    best = {"higher": high, "lower": low}.get(better, median(values))
    return {"n": len(values), "median": median(values), "low": low, "high": high, "best": best,
            "interval": interval(values)}


def _by_repetition(samples, row, subject, metric):
    return {s["repetition"]: s["values"][metric] for s in samples
            if s["row"] == row and s["subject"] == subject and metric in s["values"]}


def pair_ratios(samples, row, metric, subject, against):
    """subject's value divided by against's, for each repetition in which both were measured."""
    mine, theirs = (_by_repetition(samples, row, name, metric) for name in (subject, against))
    return [mine[i] / theirs[i] for i in sorted(mine) if theirs.get(i)]


def all_summaries(result):
    """The `summary` list of a result file, from its samples."""
    groups = {}
    for sample in result["samples"]:
        for metric, value in sample["values"].items():
            groups.setdefault((sample["row"], sample["subject"], metric), []).append(value)
    return [{"row": row, "subject": subject, "metric": metric,
             **summarize(values, result["metrics"][metric]["better"])}
            for (row, subject, metric), values in groups.items()]


def all_ratios(result):
    """The `ratios` list: every pair of subjects of a row, for the metrics that the row shows."""
    found, samples = [], {}
    for sample in result["samples"]:
        samples.setdefault(sample["row"], []).append(sample)
    for row in result["rows"]:
        for metric in row["metrics"]:
            for subject in row["subjects"]:
                for against in row["subjects"]:
                    ratios = pair_ratios(samples.get(row["id"], []), row["id"], metric, subject, against) if subject != against else []
                    if ratios:
                        summary = summarize(ratios)
                        summary.pop("best")
                        found.append({"row": row["id"], "metric": metric, "subject": subject, "against": against, **summary})
    return found
