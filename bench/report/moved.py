"""What moved between two results: ratios of the new values to the old ones, with intervals, and a rule for what is beyond the noise.

THE RULE. For each row, subject and metric there are n old and m new values. The change is the median of all n * m ratios
new / old (Hodges and Lehmann). Its 95 % interval is a pair of order statistics of these ratios; how often such a pair covers the
true change follows from the distribution of the rank sum (Mann and Whitney), whatever the distribution of the values. With
fewer than 4 values on one side there is no such pair.

A row has moved when (1) the interval does not hold 1 and (2) the change is at least `least` (2 %), and the machine is ruled out:
(3) for rows of whole servers the same is true of the values divided by those of a control, a subject that is the same program in
both runs (the relay limit, nats-server, ...), measured beside them in the same repetition, or where a row has none, by the median
change of all controls in that metric; (4) for parts alone, which have no
control, the change is beyond three times the spread of the changes of all parts (1.48 times the median of |ln ratio|, from 20
parts on), because most parts have not changed; and five samples, which bench_micro takes one after the other, count as one value.
What fails (3) or (4) is marked as the machine's.
"""

import functools
import json
import math
from dataclasses import dataclass

from report.data import FORMAT, Unusable, check

CONFIDENCE = 0.95
LEAST = 0.02
PART_SAMPLES = 5   # of bench_micro in one round
PARTS_LEAST = 20   # so many parts tell how much the machine spreads
PARTS_SIGMAS = 3.0
CONTROL_KINDS = ("relay", "nats", "redis", "mosquitto")


# --- Reading ----------------------------------------------------------------------------------------------------------


def load(path):
    """A result file, or the lines of bench_micro --json as one."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{path}: {getattr(error, 'strerror', None) or 'no text'}") from error
    try:
        result = json.loads(text)
    except ValueError:
        return from_lines(text, path)
    if isinstance(result, dict) and result.get("format") != FORMAT:
        return from_lines(text, path)
    check(result, path)
    return result


def from_lines(text, path):
    """What bench_micro --json printed, in the shape of a result: only what a comparison needs."""
    result = {"run": {"started": "", "complete": True}, "machine": {}, "build": {"commit": "?"}, "metrics": {}, "rows": [], "samples": [],
              "subjects": {"micro": {"kind": "micro", "title": "parts"}}, "failures": []}
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            item = json.loads(line)
            if "metric" in item:
                result["metrics"][item["metric"]] = item
                continue
            result["samples"].append({"row": item["row"], "subject": "micro", "repetition": item["repetition"], "values": item["values"]})
            if item["row"] not in seen:
                result["rows"].append({"id": item["row"], "group": "micro", "title": item["title"], "primary": "ns_per_op",
                                       "metrics": list(item["values"]), "subjects": ["micro"]})
            seen.add(item["row"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unusable(f"{path} is no result of the bench suite (line {number})") from error
    if not result["samples"]:
        raise Unusable(f"{path} holds no measurement")
    return result


# --- The statistics ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def _rank_sum_counts(n, m):
    """How many of the orders of n and m values have each number of pairs (old, new) with new < old: 0 to n * m."""
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):  # the Gaussian binomial coefficient, factor by factor
        for j in range(n * m, m + i - 1, -1):
            counts[j] -= counts[j - m - i]
        for j in range(i, n * m + 1):
            counts[j] += counts[j - i]
    return counts


@functools.lru_cache(maxsize=None)
def outside(n, m, confidence=CONFIDENCE):
    """How many of the n * m sorted ratios to leave out at each end; None when even the outermost pair is not so sure."""
    counts, total, below = _rank_sum_counts(n, m), math.comb(n + m, n), 0
    for k, count in enumerate(counts):
        below += count
        if 2 * below > (1 - confidence) * total:
            return k - 1 if k > 0 else None
    return None


def change(old, new):
    """(median ratio, low, high) of new to old; low and high are None with too few values."""
    ratios = sorted(b / a for a in old for b in new)
    half = len(ratios) // 2
    middle = ratios[half] if len(ratios) % 2 else (ratios[half - 1] + ratios[half]) / 2
    k = outside(min(len(old), len(new)), max(len(old), len(new)))
    return (middle, None, None) if k is None else (middle, ratios[k], ratios[len(ratios) - 1 - k])


# --- The comparison ---------------------------------------------------------------------------------------------------


@dataclass
class Change:
    row: dict
    subject: str
    metric: str
    old: float
    new: float
    n: tuple
    ratio: float
    low: float | None
    high: float | None
    control: str | None          # by whose values the others were divided, or None
    beside: tuple | None         # the change of these
    verdict: str = ""            # better, worse, moved, machine, same, few


def _values(result):
    """{(row, subject, metric): {repetition: value}}"""
    found = {}
    for sample in result["samples"]:
        for metric, value in sample["values"].items():
            if value > 0:
                found.setdefault((sample["row"], sample["subject"], metric), {})[sample["repetition"]] = value
    return found


def _median(values):
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _blocks(values, size):
    """The medians of so many neighbours each."""
    ordered = [values[i] for i in sorted(values)]
    return [_median(ordered[i:i + size]) for i in range(0, len(ordered), size)]


def _beyond(ratio, low, high, least):
    return low is not None and (low > 1 or high < 1) and abs(ratio - 1) >= least


def _divided(values, row, subject, control, metric):
    """A subject's values by those of the control in the same repetition."""
    mine, theirs = values.get((row, subject, metric), {}), values.get((row, control, metric), {})
    return [mine[i] / theirs[i] for i in mine if i in theirs]


def _control(new, row, subject, old_values, new_values, metric):
    """The first control that both runs measured in this row."""
    for kind in CONTROL_KINDS:
        for name in row["subjects"]:
            if name != subject and new["subjects"].get(name, {}).get("kind") == kind and all(
                    len(_divided(values, row["id"], subject, name, metric)) >= 4 for values in (old_values, new_values)):
                return name
    return None


def _verdict(item, better, least, noise):
    if item.low is None:
        return "few"
    if not _beyond(item.ratio, item.low, item.high, least):
        return "same"
    if abs(math.log(item.ratio)) <= noise:
        return "machine"
    if item.beside and not (_beyond(*item.beside, least) and (item.beside[0] > 1) == (item.ratio > 1)):
        return "machine"
    if better == "none":
        return "moved"
    return "better" if (item.ratio > 1) == (better == "higher") else "worse"


def _measure(new, row, subject, metric, values):
    """The change of one metric, not judged yet."""
    kind = new["subjects"].get(subject, {}).get("kind")
    before, after = (_blocks(v[row["id"], subject, metric], PART_SAMPLES if kind == "micro" else 1) for v in values)
    control = None if kind in CONTROL_KINDS + ("micro",) else _control(new, row, subject, *values, metric)
    beside = change(*(_divided(v, row["id"], subject, control, metric) for v in values)) if control else None
    return Change(row, subject, metric, _median(before), _median(after), (len(before), len(after)), *change(before, after), control, beside)


def _judge(found, new, least):
    noise, everywhere = parts_noise(found, new), _control_changes(found, new)
    for item in found:
        kind = new["subjects"].get(item.subject, {}).get("kind")
        if item.beside is None and kind == "roundhouse" and item.metric in everywhere and item.low is not None:
            by = everywhere[item.metric]
            item.control, item.beside = "all controls", (item.ratio / by, item.low / by, item.high / by)
        better = new["metrics"].get(item.metric, {}).get("better", "none")
        item.verdict = _verdict(item, better, least, noise if kind == "micro" else 0)


def compare(old, new, least=LEAST):
    """([Change] of everything that both runs measured, [what only one of them has])."""
    values = _values(old), _values(new)
    found = [_measure(new, row, subject, metric, values) for row in new["rows"] for subject in row["subjects"]
             for metric in row["metrics"] if all((row["id"], subject, metric) in v for v in values)]
    _judge(found, new, least)
    rows = [{row["id"] for row in result["rows"]} for result in (old, new)]
    return found, (sorted(rows[0] - rows[1]), sorted(rows[1] - rows[0]))


def parts_noise(changes, new):
    """How large a change of a part must be at least, as |ln ratio|; 0 with too few parts to tell."""
    sizes = [abs(math.log(item.ratio)) for item in changes if item.metric == item.row["primary"]
             and new["subjects"].get(item.subject, {}).get("kind") == "micro"]
    return PARTS_SIGMAS * 1.48 * _median(sizes) if len(sizes) >= PARTS_LEAST else 0


def _of_controls(changes, new, key, wanted=lambda item: True):
    """{key(change): median ratio} over all changes of controls: what moved although it is the same program."""
    found = {}
    for item in changes:
        if new["subjects"].get(item.subject, {}).get("kind") in CONTROL_KINDS and wanted(item):
            found.setdefault(key(item), []).append(item.ratio)
    return {name: _median(ratios) for name, ratios in found.items()}


def _control_changes(changes, new):
    return _of_controls(changes, new, lambda item: item.metric)


def drift(changes, new):
    """{control: by how much its primary metric changed}"""
    return _of_controls(changes, new, lambda item: item.subject, lambda item: item.metric == item.row["primary"])
