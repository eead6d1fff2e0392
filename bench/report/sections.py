"""The sections about the whole router: beside its peers, latency, isolation, idle cost, scaling."""

from report import plot
from report.data import OURS, better_by, comparisons, losses, percentiles, spread_of
from report.figures import file_name
from report.markup import Raw, capital, digits, element, join, number, paragraph, ratio, short, span, table

RATE, CPU = "deliveries_per_s", "server_cpu_ns_per_delivery"


def look_of(result, subject, taken):
    """The same look for a subject in every plot; others get what is left, in the order in which they come."""
    if subject in plot.LOOKS:
        return plot.LOOKS[subject]
    if subject not in taken:
        taken[subject] = plot.OTHER_LOOKS[len(taken) % len(plot.OTHER_LOOKS)]
    return taken[subject]


def cell(result, row, subject, metric):
    """Median, and below it in small what the repetitions spread over."""
    summary = result.summary(row, subject, metric)
    if not summary:
        return "–"
    unit = result.unit(metric)
    low, high, _ = spread_of(summary)
    spread = element("small", span(low, high, lambda v: number(v, unit))) if high > low else ""
    return element("span", number(summary["median"], unit), " ", spread)


def ratio_cell(pair):
    if not pair:
        return "–"
    low, high, _ = spread_of(pair)
    return element("span", ratio(pair["median"]), " ", element("small", span(low, high, digits)) if high > low else "")


def grid(result, rows, metrics, caption):
    """One table: a line for each row and metric, a column for each subject that occurs."""
    names = [name for name in result.raw["subjects"] if any(name in row["subjects"] for row in rows)]
    lines = []
    for row in rows:
        for metric in metrics:
            if any(result.summary(row, name, metric) for name in names):
                what = result.metric(metric)["title"]
                head = row["title"] if len(metrics) == 1 else capital(what) if len(rows) == 1 else f"{row['title']}: {what}"
                lines.append([head] + [cell(result, row, name, metric) if name in row["subjects"] else "" for name in names])
    heads = ["", *(result.title(name) for name in names)]
    return table(caption, heads, lines) if lines else ""


# --- In short ---------------------------------------------------------------------------------------------------------


def _pairs(result, metric, against):
    """[(row, ratio)] of Roundhouse against one subject, in the rows about whole throughput."""
    found = [(row, result.ratio(row, metric, OURS, against)) for row in result.group("router")]
    return [(row, pair) for row, pair in found if pair]


def _throughput_points(result):
    for name in ("nats", "relay"):
        pairs = _pairs(result, RATE, name)
        if not pairs:
            continue
        row_low, low = min(pairs, key=lambda p: p[1]["median"])
        row_high, high = max(pairs, key=lambda p: p[1]["median"])
        if name == "relay":
            yield (f"It reaches {digits(100 * low['median'], 2)} % ({row_low['title']}) to {digits(100 * high['median'], 2)} % "
                   f"({row_high['title']}) of the relay limit: a program that receives and sends the same bytes and reads nothing.")
        else:
            yield (f"Deliveries per second are {ratio(low['median'])} ({row_low['title']}) to {ratio(high['median'])} "
                   f"({row_high['title']}) those of {result.title(name)}, over {len(pairs)} workloads, each measured in turn with it.")


def _latency_points(result):
    for row in result.group("latency"):
        ours, peer = result.summary(row, OURS, "p99_ns"), result.fastest_peer(row, "p99_ns")
        if ours and peer:
            theirs = result.summary(row, peer, "p99_ns")
            yield (f"At {row['title']}, 99 % of the deliveries take at most {number(ours['median'], 'ns')}; with "
                   f"{result.title(peer)}, the fastest peer there, {number(theirs['median'], 'ns')}.")
            return


def _count_points(result):
    lost = [item for item in losses(result) if item[5] < 1]
    if lost:
        rows = {item[0]["id"] for item in lost}
        yield Raw(f"A peer is better than Roundhouse in {len(lost)} comparisons in {len(rows)} rows: "
                  '<a href="#loses">where it loses</a>.')
    elif any(result.peers(row) for row in result.rows):
        yield "In no comparison of this run is a peer better beyond the spread of the measurements."
    verdicts = [bar["verdict"] for bar in result.raw["bars"] if bar["verdict"] != "not measured"]
    if verdicts:
        told = ", ".join(f"{verdicts.count(v)} {v}" for v in ("aim", "met", "not resolved", "missed") if v in verdicts)
        yield Raw(f'Of what is asked of Roundhouse: {told.replace("aim", "reached the aim")} (<a href="#asked">the list</a>).')


def in_short(result):
    points = [*_throughput_points(result), *_latency_points(result), *_count_points(result)]
    if not points:
        points = ["This run has no peers, so it compares nothing: see the tables below."]
    return element("section", element("h2", "In short"), element("ul", *(element("li", p) for p in points)), id="short")


# --- Beside the peers -------------------------------------------------------------------------------------------------


def _asked(result, row, against):
    """What is asked of the throughput against one peer: {peer: least ratio}."""
    asked = [bar["least"] for bar in result.bars_of(row) if bar["metric"] == RATE and bar["least"] and bar["against"] == [against]]
    return max(asked, default=None)


def _headline_group(result, row):
    items = []
    for peer in result.peers(row):
        pair = result.ratio(row, RATE, OURS, peer)
        if pair:
            low, high, _ = spread_of(pair)
            items.append(plot.Ratio(result.title(peer), plot.LOOKS[peer], pair["median"], low, high, _asked(result, row, peer)))
    return row["title"], items


def _headline_lines(result, rows):
    for row in rows:
        cells = [cell(result, row, OURS, RATE)]
        for peer in ("nats", "redis", "mosquitto"):
            cells.append(ratio_cell(result.ratio(row, RATE, OURS, peer)))
        relay = result.ratio(row, RATE, OURS, "relay")
        cells.append(f"{digits(100 * relay['median'], 2)} %" if relay else "–")
        cells.append(cell(result, row, OURS, CPU))
        cells.append(ratio_cell(result.ratio(row, CPU, OURS, "nats")))
        yield [row["title"], *cells]


def _score(items):
    """How often Roundhouse is better, and by how much it is better or worse."""
    sure = sum(1 for item in items if item[4] > 1)
    worse = sum(1 for item in items if item[5] < 1)
    values = [item[3] for item in items]
    told = f"{sure} of {len(items)}" + (f", worse in {worse}" if worse else "")
    return element("span", told, " ", element("small", f"{span(min(values), max(values), digits)} × as good"))


def overview(result):
    """What is measured down, peers across: in how many rows Roundhouse is better."""
    groups = {}
    for item in comparisons(result):
        groups.setdefault(item[1], {}).setdefault(item[2], []).append(item)
    if not groups:
        return ""
    peers = [p for p in result.raw["subjects"] if any(p in found for found in groups.values())]
    lines = [[capital(result.metric(metric)["title"])] + [_score(found[p]) if p in found else "–" for p in peers]
             for metric, found in groups.items()]
    return join([element("h3", "In how many rows it is better"),
                 paragraph("Beyond the spread of the measurements. In small: from the worst row to the best; 2 × as good is twice the "
                           "throughput, or half the time or memory."),
                 table("In how many rows Roundhouse is better", ["", *(f"than {result.title(p)}" for p in peers)], lines,
                       hide_caption=True)])


def headline(result, figures):
    rows = [row for row in result.group("router") if any(result.ratio(row, RATE, OURS, p) for p in result.peers(row))]
    if not rows:
        return element("section", element("h2", "Beside its peers"), overview(result), id="peers") if comparisons(result) else ""
    groups = [_headline_group(result, row) for row in rows]
    looks = [(result.title(p), plot.LOOKS[p]) for p in ("nats", "redis", "mosquitto") if any(p in row["subjects"] for row in rows)]
    svg = plot.ratios("Deliveries per second, Roundhouse divided by each peer", "One line for each workload and peer; to the right "
                      "of 1 Roundhouse is faster. The numbers are in the table below.", groups, "times the peer's deliveries per second")
    numbers = (["workload", "peer", "ratio", "from", "to"],
               [[label, i.name, ratio(i.value), digits(i.low), digits(i.high)] for label, items in groups for i in items])
    heads = ["workload", "Roundhouse, deliveries", "× nats-server", "× redis-server", "× mosquitto", "of the relay limit",
             "CPU per delivery", "CPU, × nats-server"]
    return element(
        "section", element("h2", "Beside its peers"),
        paragraph("Each ratio comes from pairs that were measured one after the other, so that what disturbs the machine disturbs both. ",
                  spread_words(result, rows), " An upright red tick is what is asked at least."),
        figures.add("ratios", "Deliveries per second, Roundhouse divided by each peer.", "Right of 1 Roundhouse is faster. The axis is "
                    "logarithmic.", svg, numbers, looks),
        table("Throughput: one server core, one generator core, whole CloudEvents checked", heads, list(_headline_lines(result, rows))),
        overview(result), id="peers")


def spread_words(result, rows):
    """What the spread of these rows' ratios is."""
    kinds = {spread_of(result.ratio(row, RATE, OURS, peer))[2] for row in rows for peer in result.peers(row)
             if result.ratio(row, RATE, OURS, peer)} - {"one measurement"}
    return f"The bar through a mark is {' or '.join(sorted(f'the {kind}' for kind in kinds))}." if kinds else ""


# --- Where it loses ---------------------------------------------------------------------------------------------------


def _loss_lines(result, items):
    for row, metric, peer, value, low, high in items:
        by = element("span", f"{digits(1 / value)} × ", element("small", span(1 / high, 1 / low, digits)))
        yield [row["title"], result.metric(metric)["title"], result.title(peer), cell(result, row, OURS, metric),
               cell(result, row, peer, metric), by]


LOSS_HEADS = ["row", "what", "who is better", "Roundhouse", "the other", "by"]
LOSS_NOTES = dict.fromkeys(("memory_bytes", "rss_bytes"), "The whole process with its log, whose size is a setting; see also the memory "
                                                          "beyond the rings.")


def _loss_groups(result, items):
    """The losses by what is measured and by whom: [cells]."""
    groups = {}
    for item in items:
        groups.setdefault((item[1], item[2]), []).append(item)
    everything = comparisons(result)
    for (metric, peer), found in groups.items():
        of = sum(1 for item in everything if (item[1], item[2]) == (metric, peer))
        worst = found[0]
        note = element("small", LOSS_NOTES[metric]) if metric in LOSS_NOTES else ""
        yield [element("span", capital(result.metric(metric)["title"]), note), result.title(peer), f"{len(found)} of {of}",
               f"{span(1 / found[-1][3], 1 / worst[3], digits)} ×", worst[0]["title"], cell(result, worst[0], OURS, metric),
               cell(result, worst[0], peer, metric)]


def _sure_losses(result, sure):
    if not sure:
        return [paragraph("In no comparison of this run is a peer better beyond the spread.")]
    heads = ["what", "who is better", "in rows", "by", "most in", "Roundhouse there", "the other there"]
    return [paragraph("Everything of this run in which a peer is better beyond the spread of the measurements, the largest difference "
                      "first."),
            table("What a peer does better", heads, list(_loss_groups(result, sure)), hide_caption=True),
            element("details", element("summary", f"All {len(sure)} comparisons"),
                    table("A peer is better", LOSS_HEADS, list(_loss_lines(result, sure)), numeric_from=3))]


def where_it_loses(result):
    found = losses(result)
    sure, open_ = [i for i in found if i[5] < 1], [i for i in found if i[5] >= 1]
    missed = [bar for bar in result.raw["bars"] if bar["verdict"] in ("missed", "not resolved")]
    parts = [element("h2", "Where Roundhouse loses"), *_sure_losses(result, sure)]
    if open_:
        parts.append(element("details", element("summary", f"{len(open_)} more in which the peer's median is better, but the spread leaves "
                                                "it open"),
                             table("Too close to call", LOSS_HEADS, list(_loss_lines(result, open_)), numeric_from=3)))
    if missed:
        parts += [element("h3", "Asked and not reached"), asked_table(result, missed, "Asked and not reached", hide_caption=True)]
    return element("section", *parts, id="loses")


# --- Payload, scaling: curves with one line for each subject ------------------------------------------------------------


def curve_figure(result, figures, name, rows, metric, title, note, x_form=digits):
    unit, series = result.unit(metric), _curve_series(result, rows, metric)
    if not series:
        return ""
    axis = rows[0]["curve"]["axis"]
    svg = plot.lines(title, f"{len(series)} lines over {axis}; the numbers are in the table below.", axis,
                     result.metric(metric)["title"], series, x_log=rows[0]["curve"]["scale"] == "log", x_form=x_form,
                     y_form=lambda v: number(v, unit))
    lines = [[row["title"]] + [cell(result, row, s, metric) if s in row["subjects"] else "" for s in _subjects(rows)]
             for row in rows]
    return figures.add(file_name(f"{name} {metric}"), title, note, svg, (["", *map(result.title, _subjects(rows))], lines))


def _curve_series(result, rows, metric):
    """One line for each subject; or one for all rows when each has a subject of its own, such as a number of shards."""
    alone = all(len(row["subjects"]) == 1 for row in rows)
    taken, found = {}, {}
    for row in rows:
        for subject in row["subjects"]:
            summary = result.summary(row, subject, metric)
            if summary and summary["median"] > 0:
                low, high, _ = spread_of(summary)
                point = (row["curve"]["value"], summary["median"], max(low, summary["median"] / 1e3), high)
                found.setdefault(OURS if alone else subject, []).append(point)
    return [plot.Series(result.title(subject), look_of(result, subject, taken), points) for subject, points in found.items()]


def _subjects(rows):
    return list(dict.fromkeys(s for row in rows for s in row["subjects"]))


def bytes_form(value):
    return short(number(value, "bytes"))


def throughput(result, figures):
    rows = result.group("router")
    if not rows:
        return ""
    parts = [element("h2", "Throughput and its cost"),
             paragraph("The server has one core, the load generator another one. Deliveries are counted by the subscribers and compared; a "
                       "measurement that lost, altered or repeated an event has no number here.")]
    for name, curve in result.curves("router/").items():
        for metric in (RATE, CPU):
            parts.append(curve_figure(result, figures, name, curve, metric, f"{capital(result.metric(metric)['title'])}, by payload.",
                                      "Both axes are logarithmic.", bytes_form))
    for metric in dict.fromkeys(m for row in rows for m in row["metrics"]):
        title = result.metric(metric)["title"]
        one = grid(result, rows, [metric], capital(title))
        parts.append(one if metric in (RATE, CPU) or not one else element("details", element("summary", capital(title)), one))
    return element("section", *parts, id="throughput")


SCALING_NOTES = {
    "scaling/subscribers": "What one more subscriber of the same topic costs.",
    "scaling/topics": "What more topics cost.",
    "scaling/connections": "What connections that only stay open cost the others.",
    "scaling/shards": "What each further shard costs and gives, on the cores that the server has.",
}


def shards_table(result, rows):
    """What each further shard costs and gives: medians beside those of the first row."""
    found = [(row, *(result.summary(row, row["subjects"][0], metric) for metric in (RATE, CPU))) for row in rows]
    found = [item for item in found if item[1] and item[2]]
    if not found:
        return ""
    rate, cost = found[0][1]["median"], found[0][2]["median"]
    lines = [[row["title"], number(a["median"], "1/s"), ratio(a["median"] / rate), number(b["median"], "ns"), ratio(b["median"] / cost)]
             for row, a, b in found]
    heads = ["", "deliveries per second", "× the first", "CPU per delivery", "× the first"]
    return table("What each further shard gives and costs", heads, lines)


def scaling(result, figures):
    curves = result.curves("scaling/")
    if not result.group("scaling"):
        return ""
    parts = [element("h2", "Scaling"), paragraph("Cost per delivery and throughput as subscribers, topics, connections and shards grow.")]
    for name, rows in curves.items():
        what = name.split("/", 1)[1]
        for metric in (CPU, RATE):
            parts.append(curve_figure(result, figures, name, rows, metric, f"{capital(result.metric(metric)['title'])}, by {what}.",
                                      SCALING_NOTES.get(name, "") if metric == CPU else ""))
    parts.append(shards_table(result, curves.get("scaling/shards", [])))
    parts.append(element("details", element("summary", "All rows"), grid(result, result.group("scaling"), [CPU, RATE], "Scaling")))
    return element("section", *parts, id="scaling")


# --- Latency ----------------------------------------------------------------------------------------------------------


def _nines(percent):
    """How many nines: where a percentile stands on an axis that gives each nine the same room."""
    return 100 / (100 - percent)


def _percent_form(value):
    return f"{short(digits(100 - 100 / value, 5))} %"


def _latency_figure(result, figures, row):
    taken, series, lines = {}, [], []
    for subject in result.measured(row, "p50_ns"):
        found = percentiles(result.histogram(row, subject))
        if len(found) > 1:
            series.append(plot.Series(result.title(subject), look_of(result, subject, taken),
                                      [(_nines(p), ns, ns, ns) for p, ns in found if ns > 0]))
            lines.append([result.title(subject)] + [number(dict(found).get(p), "ns") for p in (50, 90, 99, 99.9, 99.99)])
    if not any(s.points for s in series):
        return ""
    title = f"Latency at {row['title']}."
    svg = plot.lines(title, "Each line is one server: the latency that so many per cent of its deliveries stay under.",
                     "share of the deliveries", "latency from the intended send time", series, x_form=_percent_form,
                     y_form=lambda v: number(v, "ns"))
    note = "All repetitions together, from the intended send time, so a server that stalls pays for what waits."
    return figures.add(file_name(row["id"]), title, note, svg, (["", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"], lines))


LATENCIES = ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")


def latency(result, figures):
    rows = result.group("latency")
    if not rows:
        return ""
    parts = [element("h2", "Latency"),
             paragraph("An open loop: events are sent at fixed times whether or not the server keeps up, and latency counts from the "
                       "intended time (no coordinated omission).")]
    for row in rows:
        metrics = [m for m in LATENCIES if m in row["metrics"]]
        lines = [[result.title(s), *(cell(result, row, s, m) for m in metrics), cell(result, row, s, CPU)] for s in row["subjects"]
                 if result.measured(row, "p50_ns")]
        parts += [element("h3", row["title"]), paragraph(capital(row["about"]) + "."),
                  table(f"Latency at {row['title']}", ["", *(result.metric(m)["title"] for m in metrics), "CPU per delivery"], lines),
                  _latency_figure(result, figures, row)]
    return element("section", *parts, id="latency")


# --- Isolation, recovery, idle ------------------------------------------------------------------------------------------


def disturbed(result, row):
    """What the disturbed Roundhouse does, compared with the undisturbed one of the same row."""
    for subject in row["subjects"]:
        if subject == OURS or result.kind(subject) != "roundhouse" or "," not in subject:
            continue
        pair = result.ratio(row, row["primary"], subject, OURS)
        if pair:
            value, low, high = better_by(pair, result.metric(row["primary"])["better"])
            told = "is resolved" if low > 1 or high < 1 else "is not resolved: the interval holds 0"
            yield paragraph(f"{result.title(subject)}: {result.metric(row['primary'])['title']} changes by "
                            f"{percent(pair['median'])} ({span(*spread_of(pair)[:2], percent)}); the difference {told}. "
                            f"{pair['n']} pairs.")


def percent(value):
    """By how much a ratio is more or less than 1."""
    return f"{100 * (value - 1):+.1f} %".replace("-", "−")


def isolation(result, figures):
    rows = result.group("isolation") + result.group("moving") + result.group("recovery") + result.group("filter")
    if not rows:
        return ""
    parts = [element("h2", "Isolation and recovery"),
             paragraph("Whether a subscriber that stops, a pause of all, many changes of subscriptions, somebody who watches, or slots that move are felt by the others; and what filters cost.")]
    for row in rows:
        parts += [element("h3", row["title"]), paragraph(capital(row["about"]) + "."), *disturbed(result, row),
                  grid(result, [row], row["metrics"], row["title"])]
    return element("section", *parts, id="isolation")


def idle(result, figures):
    rows = result.group("idle")
    if not rows:
        return ""
    parts = [element("h2", "Idle cost"), paragraph("What it costs to be there and do nothing.")]
    parts += [grid(result, [row], row["metrics"], f"{row['title']}: {row['about']}") for row in rows]
    return element("section", *parts, id="idle")


# --- What is asked ------------------------------------------------------------------------------------------------------

VERDICTS = {"aim": "✓✓ aim", "met": "✓ met", "missed": "✗ missed", "not resolved": "? not resolved", "not measured": "not measured"}


def _bar_value(result, bar, value):
    if value is None:
        return "–"
    return ratio(value) if bar["against"] or bar.get("of_row") else number(value, result.unit(bar["metric"]))


def asked_table(result, bars, caption, hide_caption=False):
    lines = []
    for bar in bars:
        row = result.by_id.get(bar["row"], {"title": bar["row"]})
        interval = bar.get("interval")
        between = element("small", f" {digits(interval[0])} to {digits(interval[1])}") if interval and bar["against"] else ""
        aim = bar["aim"]
        aim_value = "–" if not aim or bar["aim_value"] is None else ratio(bar["aim_value"]) if aim["against"] else \
            number(bar["aim_value"], result.unit(bar["metric"]))
        lines.append([row["title"], result.title(bar["subject"]), bar["text"],
                      element("span", _bar_value(result, bar, bar["value"]), between), aim_value,
                      element("span", VERDICTS.get(bar["verdict"], bar["verdict"]), class_=f"v {file_name(bar['verdict'])}")])
    return table(caption, ["row", "subject", "what is asked", "measured", "towards the aim", "verdict"], lines, numeric_from=3,
                 hide_caption=hide_caption)


def asked(result):
    bars = [bar for bar in result.raw["bars"] if bar["verdict"] != "not measured"]
    if not bars:
        return ""
    return element("section", element("h2", "What is asked of Roundhouse"),
                   paragraph("The bars that the project has set itself, and what this run shows. “Towards the aim” is the figure that "
                             "the aim is about, where that is another one."), asked_table(result, bars, "Bars", hide_caption=True), id="asked")


def all_of(result, figures):
    made = [in_short(result), headline(result, figures), where_it_loses(result), throughput(result, figures),
            latency(result, figures), isolation(result, figures), idle(result, figures)]
    return join(made)
