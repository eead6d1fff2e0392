"""The sections about parts of the router alone: the micro benches, and the crossovers that limits rest on."""

from report import crossover, plot
from report.data import spread_of
from report.figures import file_name
from report.markup import capital, digits, element, number, paragraph, short, table
from report.sections import cell

SUBJECT = "micro"
FAMILIES = {"bound": "What the machine can do", "log": "The log", "handover": "From one thread to another", "wake": "Waking",
            "topic": "Topics", "route": "Routes", "wire": "Frames", "event": "Events", "codec": "Documents"}
# What is drawn where it is not the time per operation alone.
DRAWN = {"crossover/spin": ("ns_per_op", "latency_p50_ns"), "crossover/send": ("bytes_per_s",), "log/append": ("bytes_per_s", "ns_per_op"),
         "bound/copy": ("bytes_per_s",), "bound/read": ("bytes_per_s",)}
CURVE_POINTS = 3  # fewer are a table


def bench_of(row):
    """`micro/log/append/record_bytes=64` belongs to `log/append`."""
    return "/".join(part for part in row["id"].split("/")[1:] if "=" not in part)


def by_bench(rows):
    found = {}
    for row in rows:
        found.setdefault(bench_of(row), []).append(row)
    return found


def axis_title(axis):
    if axis.endswith("_bytes"):
        return axis.removesuffix("_bytes").replace("_", " ") + " size"
    return axis.removesuffix("_ns").replace("_", " ")


def varying(rows):
    """The parameters, besides the horizontal axis, that tell the lines of a curve apart."""
    axis = rows[0]["curve"]["axis"]
    return [key for key in rows[0]["workload"] if key != axis and len({row["workload"].get(key) for row in rows}) > 1]


def label(row, keys):
    """What a row has set for these parameters: words as they are, numbers with what they are."""
    parts = []
    for key in keys:
        value = row["workload"][key]
        name = key.removesuffix("_bytes").removesuffix("_ns").replace("_", " ")
        parts.append(value if isinstance(value, str) else f"{name} {axis_form(key)(value)}")
    return ", ".join(parts)


def axis_form(axis):
    unit = "bytes" if axis.endswith("_bytes") else "ns" if axis.endswith("_ns") else None
    return (lambda v: short(number(v, unit))) if unit else lambda v: f"{v:,.0f}" if v >= 10 else short(digits(v))


# --- Curves -----------------------------------------------------------------------------------------------------------


def _series(result, rows, metric):
    found, keys = {}, varying(rows)
    for row in rows:
        summary = result.summary(row, SUBJECT, metric)
        if summary and summary["median"] > 0:
            low, high, _ = spread_of(summary)
            found.setdefault(label(row, keys), []).append((row["curve"]["value"], summary["median"], low, high))
    return [plot.Series(name, plot.OTHER_LOOKS[i % len(plot.OTHER_LOOKS)], sorted(points))
            for i, (name, points) in enumerate(found.items())]


def _numbers(result, rows, metric):
    keys = varying(rows)
    lines = list(dict.fromkeys(label(row, keys) for row in rows))
    values = sorted({row["curve"]["value"] for row in rows})
    at = {(row["curve"]["value"], label(row, keys)): row for row in rows}
    form = axis_form(rows[0]["curve"]["axis"])
    heads = [axis_title(rows[0]["curve"]["axis"]), *(line or result.metric(metric)["title"] for line in lines)]
    return heads, [[form(v)] + [cell(result, at[v, line], SUBJECT, metric) if (v, line) in at else "" for line in lines] for v in values]


def curve(result, figures, name, rows, metric):
    about, first, unit = rows[0]["about"], rows[0]["curve"], result.unit(metric)
    form, limit = axis_form(first["axis"]), first.get("limit")
    limits = [(limit["value"], f"{limit['name']} = {form(limit['value'])}")] if limit else []
    title = f"{name}: {result.metric(metric)['title']}."
    others = [key for key in varying(rows) if key != "how"]
    is_crossover = name.startswith("crossover/")
    found = crossover.finding(result, rows, metric, form, lambda row: label(row, others)) if is_crossover else ""
    svg = plot.lines(title, f"{capital(about)}. {found}", axis_title(first["axis"]), result.metric(metric)["title"],
                     _series(result, rows, metric), x_log=first["scale"] == "log", limits=limits, x_form=form,
                     y_form=lambda v: number(v, unit))
    note = f"{capital(about)}."
    return figures.add(file_name(f"micro {name} {metric}"), title, element("span", note, " ", element("em", found)), svg,
                       _numbers(result, rows, metric))


def is_curve(rows):
    return all(row.get("curve") for row in rows) and len({row["curve"]["value"] for row in rows}) >= CURVE_POINTS


def curves(result, figures, name, rows):
    metrics = [m for m in DRAWN.get(name, (rows[0]["primary"],)) if m in rows[0]["metrics"]]
    return [curve(result, figures, name, rows, metric) for metric in metrics]


# --- Tables -----------------------------------------------------------------------------------------------------------


def single_table(result, title, benches):
    """One line for each row of benches that have no curve."""
    rows = [(name, row) for name, found in benches.items() for row in found]
    metrics = list(dict.fromkeys(m for _, row in rows for m in row["metrics"]))
    lines = []
    for name, row in rows:
        parameters = row["title"].partition(": ")[2]
        head = element("span", name + (f": {parameters}" if parameters else ""), element("small", row["about"]))
        lines.append([head] + [cell(result, row, SUBJECT, metric) for metric in metrics])
    return table(title, ["", *(result.metric(m)["title"] for m in metrics)], lines, hide_caption=True)


def shapes_table(result, benches):
    """Benches over shapes of events, beside each other."""
    shapes = list(dict.fromkeys(row["workload"]["shape"] for rows in benches.values() for row in rows))
    at = {(name, row["workload"]["shape"]): row for name, rows in benches.items() for row in rows}
    lines = [[shape] + [cell(result, at[name, shape], SUBJECT, "ns_per_op") if (name, shape) in at else "" for name in benches]
             for shape in shapes]
    told = element("ul", *(element("li", element("strong", name), ": ", rows[0]["about"]) for name, rows in benches.items()))
    return [told, table("Time per event, by the shape of the event", ["shape", *benches], lines)]


# --- Sections ---------------------------------------------------------------------------------------------------------

CROSSOVERS = """Each of these limits is where one way becomes better than another. The upright line is the limit as the code has it.
What this machine shows is said in each caption."""
PARTS = """One part at a time, its result checked. They have no peers; what bounds them is measured, too: copying and reading memory, a
word from one core to another, reading the clock."""


def crossovers(result, figures):
    benches = {n: rows for n, rows in by_bench(result.group("micro")).items() if n.startswith("crossover/")}
    if not benches:
        return ""
    parts = [element("h2", "Crossovers"), paragraph(CROSSOVERS)]
    for name, rows in benches.items():
        parts += curves(result, figures, name, rows) if is_curve(rows) else [single_table(result, name, {name: rows})]
    return element("section", *parts, id="crossovers")


def family(result, figures, name, benches):
    parts = [element("h3", FAMILIES.get(name, name))]
    singles = {n: rows for n, rows in benches.items() if not is_curve(rows)}
    if singles:
        parts.append(single_table(result, FAMILIES.get(name, name), singles))
    for bench, rows in benches.items():
        if is_curve(rows):
            parts += curves(result, figures, bench, rows)
    return parts


def micro(result, figures):
    benches = {n: rows for n, rows in by_bench(result.group("micro")).items() if not n.startswith("crossover/")}
    if not benches:
        return ""
    parts = [element("h2", "Parts of the router"), paragraph(PARTS)]
    shaped = {n: rows for n, rows in benches.items() if all(set(row["workload"]) == {"shape"} for row in rows)}
    rest = {n: rows for n, rows in benches.items() if n not in shaped}
    for name in dict.fromkeys(n.split("/")[0] for n in rest):
        parts += family(result, figures, name, {n: rows for n, rows in rest.items() if n.split("/")[0] == name})
    if shaped:
        parts += [element("h3", "Events by their shape"), *shapes_table(result, shaped)]
    return element("section", *parts, id="parts")
