"""The figures in a Markdown document: the text between two marks is written anew from a result file, and so are the plots that the
document shows. There are three such blocks, `figures`, `acks` and `hub`; one of which the result has nothing stays as it is.

    python3 bench/report RESULT.json --document docs/PERFORMANCE.md
"""

import re

from report import acks, hub
from report.acks import median
from report.data import OURS, spread_of
from report.markup import digits, number
from report.page import make

RATE, CPU = "deliveries_per_s", "server_cpu_ns_per_delivery"
TWO = "roundhouse-2"
VERDICTS = {"aim": "the aim, too", "met": "yes", "missed": "**no**", "not resolved": "not resolved", "not measured": "not measured"}


class NoMarks(Exception):
    """The document has no place for the figures."""


def _line(*cells):
    return "| " + " | ".join(cells) + " |"


def _table(heads, rows):
    return [_line(*heads), "|" + "---|" * len(heads), *(_line(*row) for row in rows), ""]


def _ratio(pair, turned=False):
    """A ratio with its spread; turned: how many times less."""
    if not pair:
        return "–"
    low, high, _ = spread_of(pair)
    median, low, high = (1 / pair["median"], 1 / high, 1 / low) if turned else (pair["median"], low, high)
    return f"{digits(median)} ({digits(low)}–{digits(high)})"


def _head(result, one_length=True):
    """`one_length`: all rows are measured for as long as the run says."""
    raw = result.raw
    machine, run, build = raw["machine"], raw["run"], raw["build"]
    return [f"Commit {build['commit']}, {build['compiler']}, `{build['flags']}`; {machine['cpu']}, {len(machine['cpus'])} CPUs "
            f"({machine['virtual']}), kernel {machine['kernel']}; congestion control {raw['network']['congestion_control']}; load of the machine "
            f"before the run {machine['load_before']:.1f}. Medians of {run['repetitions']} interleaved repetitions"
            + (f" of {run['stretch_seconds']:g} s; in parentheses what the pairs of repetitions spread over." if one_length else "."), ""]


def _router(result):
    rows = [row for row in result.group("router") if OURS in row["subjects"]]
    if not rows:
        return []
    lines = ["**Deliveries**: CPU time of the server per delivery, and Roundhouse beside the others. *× deliveries* compares deliveries per second, "
             "*× per CPU* deliveries for the same CPU time.", ""]
    lines += _table(["", "Roundhouse", "relay limit", "nats", "redis", "mosquitto", "Roundhouse per second", "× deliveries of nats", "× per CPU of nats",
                     "× per CPU of redis", "per CPU, share of the relay"],
                    [[row["title"], *(median(result, row, name, CPU) for name in (OURS, "relay", "nats", "redis", "mosquitto")),
                      median(result, row, OURS, RATE), _ratio(result.ratio(row, RATE, OURS, "nats")),
                      *(_ratio(result.ratio(row, CPU, OURS, name), True) for name in ("nats", "redis", "relay"))] for row in rows])
    return lines


def _block_of(row_id):
    """The block that what is asked of a row belongs to."""
    return "acks" if row_id.startswith(acks.GROUP + "/") else "hub" if hub.is_of(row_id) else "figures"


def _bars(result, block):
    bars = [bar for bar in result.raw["bars"] if _block_of(bar["row"]) == block]
    titles = {row["id"]: row["title"] for row in result.rows}
    shown = []
    for bar in bars:
        unit = result.unit(bar["metric"]) if not (bar["against"] or bar.get("of_row")) else None
        value = "–" if bar["value"] is None else number(bar["value"], unit) if unit else digits(bar["value"])
        shown.append([titles.get(bar["row"], bar["row"]), bar["text"], value, VERDICTS[bar["verdict"]]])
    return ["**What is asked of it, and whether this run shows it**", "", *_table(["", "asked", "found", "reached"], shown)] if shown else []


def _shards(result):
    """Beside the generator's core the second shard shares one with it, so the gain in deliveries says little on two CPUs; the cost says all."""
    rows = [row for row in result.group("router") if TWO in row["subjects"] and OURS in row["subjects"]]
    cells = [[row["title"], median(result, row, OURS, CPU), median(result, row, TWO, CPU), _ratio(result.ratio(row, CPU, TWO, OURS)),
              _ratio(result.ratio(row, RATE, TWO, OURS))] for row in rows]
    for row in result.rows:
        if row["id"].startswith("scaling/shards/"):
            name = row["subjects"][0]
            cells.append([row["title"], *((median(result, row, name, CPU), "–") if name == OURS else ("–", median(result, row, name, CPU))),
                          "–", median(result, row, name, RATE)])
    return ["**Shards**: what the second one costs and gives; with one load generator on the second CPU it shares that with the generator", "",
            *_table(["", "CPU per delivery, one shard", "two or more", "cost", "deliveries per second, against one or as they are"],
                    cells)] if cells else []


def _latency(result):
    rows = result.group("latency")
    metrics = ("p50_ns", "p99_ns")
    if not rows:
        return []
    names = [name for name in result.raw["subjects"] if any(name in row["subjects"] for row in rows)]
    cells = [[row["title"], *(" / ".join(median(result, row, name, metric) for metric in metrics) for name in names)] for row in rows]
    return ["**Latency** at a fixed rate, from the intended time of sending: half of the events, and 99 of 100, are faster", "",
            *_table(["", *(result.title(name) for name in names)], cells)]


def _blocks(result):
    """{name: the lines between the marks}, of the blocks that this result has something for."""
    lines = {"figures": _router(result) + _latency(result), "acks": acks.manual(result, _table, _ratio), "hub": hub.manual(result, _table)}
    if lines["figures"]:
        lines["figures"] = _router(result) + _bars(result, "figures") + _shards(result) + _latency(result)
    for name in ("acks", "hub"):
        if lines[name]:
            lines[name] += _bars(result, name)
    return {name: "\n".join(_head(result, name != "hub") + found) for name, found in lines.items() if found}


def _block_write(text, name, lines, document):
    begin, end = (f"<!-- {name}: {what} -->" for what in ("begin", "end"))
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise NoMarks(f"{document} has not the two lines {begin} and {end}")
    return re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: f"{begin}\n{lines}\n{end}", text, flags=re.S)


def write(result, document, folder):
    """Writes the figures into the document, and the plots that it names into a folder; `result` is data.Result."""
    text = document.read_text(encoding="utf-8")
    blocks = _blocks(result)
    if not blocks:
        raise NoMarks(f"the result has nothing for {document}: neither rows of the router nor acknowledgements, documents or the hub")
    for name, lines in blocks.items():
        text = _block_write(text, name, lines, document)
    document.write_text(text, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in make(result)[1].items():
        if f"/{name})" in text:
            (folder / name).write_text(plot, encoding="utf-8")
