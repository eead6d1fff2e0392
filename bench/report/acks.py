"""Acknowledgements: the section of the page, and the tables of the manual."""

from report.data import OURS
from report.markup import capital, element, number, paragraph
from report.sections import disturbed, grid

GROUP = "ack"
CPU = "server_cpu_ns_per_delivery"


def place_words(row):
    """Where the servers of a row keep what they store."""
    load = row["workload"]
    return f"{load['file_system']} on {load['device']}"


def states(result, rows):
    """{title: what is synced when}, of all rows in which something is stored."""
    return {result.title(name): state for row in rows for name, state in row.get("states", {}).items()}


def section(result, figures):
    rows = result.group(GROUP)
    if not rows:
        return ""
    parts = [element("h2", "Acknowledgements"),
             paragraph("What it costs that a publisher is told what became of its events. Every acknowledgement is read and counted, and all "
                       "must come; what is acknowledged as stored is counted in the store afterwards, too.")]
    told = states(result, rows)
    if told:
        parts.append(element("dl", *(part for name, state in told.items() for part in (element("dt", name), element("dd", capital(state))))))
    for row in rows:
        where = f" Stored on {place_words(row)}." if "states" in row else ""
        parts += [element("h3", row["title"]), paragraph(capital(row["about"]) + "." + where), *disturbed(result, row),
                  grid(result, [row], row["metrics"], row["title"])]
    return element("section", *parts, id="acks")


# --- The manual ---


def median(result, row, subject, metric):
    found = result.summary(row, subject, metric)
    return number(found["median"], result.unit(metric)) if found else "–"


def _routed(result, rows, line_table, ratio):
    cells = []
    for row in rows:
        routed = next((name for name in row["subjects"] if name != OURS), None)
        cells.append([row["title"], median(result, row, OURS, row["primary"]), median(result, row, routed, row["primary"]),
                      *(ratio(result.ratio(row, metric, routed, OURS)) for metric in (row["primary"], CPU))])
    return ["**Acknowledgements of level `routed`**: deliveries per second without and with them, all of them read and counted; and CPU time per "
            "delivery, which decides", "", *line_table(["", "none", "routed", "routed / none", "CPU time, routed / none"], cells)]


def _rates(result, row, name):
    """Events per second and their bytes; the disk alone has only bytes."""
    events, stored = (median(result, row, name, metric) for metric in ("acked_per_s", "stored_bytes_per_s"))
    return "–" if stored == "–" else ", ".join([events] * (events != "–") + [f"{stored}/s"])


def _stored(result, rows, line_table):
    names = [name for name in result.raw["subjects"] if any(name in row["subjects"] for row in rows)]
    cells = []
    for row in rows:
        if row["primary"] == "p50_ns":
            shown = [" / ".join(median(result, row, name, metric) for metric in ("p50_ns", "p99_ns")) for name in names]
        else:
            shown = [_rates(result, row, name) for name in names]
        cells.append([row["title"], *shown])
    places = sorted({place_words(row) for row in rows})
    told = [f"- {name}: {state}" for name, state in states(result, rows).items()]
    return [f"**Events stored and acknowledged**, on {' and '.join(places)}: events and their bytes per second; of one publisher alone, how long one "
            "event's acknowledgement takes: half of them, and 99 of 100, are faster. All that was acknowledged was found in the store.", "",
            *line_table(["", *(result.title(name) for name in names)], cells), *told, ""]


def _replayed(result, rows, line_table, ratio):
    ours, disk = OURS, "disk-read"
    cells = []
    for row in rows:
        rates = [median(result, row, ours, metric) + "/s" for metric in ("replayed_bytes_per_s", "journal_bytes_per_s")]
        cells.append([row["title"], median(result, row, ours, "deliveries_per_s"), *rates, median(result, row, disk, "journal_bytes_per_s") + "/s",
                      ratio(result.ratio(row, "journal_bytes_per_s", ours, disk))])
    return [f"**Replay from the journal**, on {' and '.join(sorted({place_words(row) for row in rows}))}, of what is in no cache: events per second, "
            "their bytes, the bytes of the journal that were read for them, and what the disk alone reads in sequence", "",
            *line_table(["", "events per second", "their bytes", "journal", "the disk alone", "journal / disk"], cells)]


def manual(result, line_table, ratio):
    """The lines for a document; its way to write tables and ratios is given."""
    rows = result.group(GROUP)
    replayed = [row for row in rows if row["workload"].get("mode") == "replay"]
    stored = [row for row in rows if "states" in row and row not in replayed]
    routed = [row for row in rows if "states" not in row]
    return ((_routed(result, routed, line_table, ratio) if routed else []) + (_stored(result, stored, line_table) if stored else [])
            + (_replayed(result, replayed, line_table, ratio) if replayed else []))
