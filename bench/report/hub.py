"""Documents and the hub: their sections of the page, and the tables of the manual, with the codecs alone."""

from report.acks import median, place_words
from report.data import OURS
from report.markup import capital, digits, element, paragraph
from report.sections import grid

GROUP, DOCUMENTS = "hub", "documents"
PARTS = ("micro/codec/", "micro/webhook/")
# Rows of micro/codec/ as the manual names them.
CODECS = [
    ("EDIFACT, cut into segments and checked", "edifact/shape=plain"),
    ("X12, cut into segments and checked", "x12/shape=plain"),
    ("EDIFACT to canonical orders of 30 lines", "edifact-typed/output=message,lines=30"),
    ("the same, packed as events", "edifact-typed/output=event,lines=30"),
    ("X12 to canonical orders of 30 lines", "x12-typed/output=message,lines=30"),
    ("the same, packed as events", "x12-typed/output=event,lines=30"),
    ("IDoc, flat, cut by its layout", "idoc/framing=cut"),
    ("CSV, 8 columns", "csv/shape=plain"),
    ("fixed width, text", "fixed/shape=text"),
    ("UBL, an invoice of 16 KiB, read", "ubl/way=reader,document_bytes=16384"),
    ("the same, to its canonical event", "ubl/way=event,document_bytes=16384"),
    ("the same, parsed by expat and nothing else", "ubl/way=expat,document_bytes=16384"),
]
POST = "micro/webhook/post/mode=binary,data_bytes=200,requests_at_a_time=32"


def is_of(row_id):
    """Whether a row, or a bar of it, belongs here."""
    return row_id.startswith((GROUP + "/", DOCUMENTS + "/", *PARTS))


def documents(result, figures):
    rows = result.group(DOCUMENTS)
    if not rows:
        return ""
    parts = [element("h2", "Documents"), paragraph("Whole documents, read, checked and made canonical by one process on one core; its messages are "
                                                   "counted on both sides.")]
    parts += [grid(result, [row], row["metrics"], f"{row['title']}: {row['about']}") for row in rows]
    return element("section", *parts, id="documents")


def section(result, figures):
    rows = result.group(GROUP)
    if not rows:
        return ""
    parts = [element("h2", "Hub"),
             paragraph("A whole router with one connected system: what it costs that a document comes in as a file, and that events go out as HTTP "
                       "requests. Every file must be delivered once and every event be posted once, or there is no number.")]
    for row in rows:
        where = f" Stored on {place_words(row)}." if "states" in row else ""
        parts += [element("h3", row["title"]), paragraph(capital(row["about"]) + "." + where), grid(result, [row], row["metrics"], row["title"])]
    return element("section", *parts, id="hub")


# --- The manual ---


def _documents(result, rows, line_table):
    metrics = ("document_bytes_per_s", "messages_per_s", "cpu_ns_per_message", "rss_peak_bytes")
    cells = []
    for row in rows:
        for name in row["subjects"]:
            rate, *others = (median(result, row, name, metric) for metric in metrics)
            cells.append([row["title"], result.title(name), f"{rate}/s", *others])
    return ["**Documents** read, checked and made canonical by one process on one core, from a pipe; all their messages are counted", "",
            *line_table(["", "who", "of the document", "messages per second", "CPU time per message", "highest memory"], cells)]


def _codecs(result, line_table):
    cells = []
    for title, name in CODECS:
        found = result.summary({"id": PARTS[0] + name}, "micro", "bytes_per_s")
        if found:
            cells.append([title, f"{digits(found['median'] / 1e6)} MB/s"])
    return ["**The codecs alone**, one core, what is read is in the cache", "", *line_table(["", "of the document"], cells)] if cells else []


def _files(result, rows, line_table):
    metrics = ("p50_ns", "p99_ns", "max_ns", "cpu_ns_per_file")
    cells = [[row["title"] + (f" on {place_words(row)}" if "states" in row else ""), *(median(result, row, OURS, metric) for metric in metrics)]
             for row in rows]
    return ["**A file until a subscriber has its order**: from when the file was due to be renamed into the inbox; 100 files per second, each with one "
            "order of EDIFACT, all of which came, once", "",
            *line_table(["", "half of them", "99 of 100", "the slowest", "CPU time of the router per file"], cells)] if cells else []


def _posts(result, rows, line_table):
    cells = [[f"the whole router: {row['title']}", *(median(result, row, OURS, metric) for metric in ("posts_per_s", "cpu_ns_per_post"))]
             for row in rows]
    alone = result.summary({"id": POST}, "micro", "ns_per_op")
    if alone:
        cpu = median(result, {"id": POST}, "micro", "sender_cpu_ns")
        cells.append(["the transport alone, the sink on another core", f"{digits(1e6 / alone['median'])} k/s", cpu])
    return ["**Events posted to a local sink**: 200 bytes of JSON each, over 32 connections that stay open; all that runs in the router shares one core, "
            "and so does the process of a mapping. The sink counts what it is posted: everything, once", "",
            *line_table(["", "per second", "CPU time per event"], cells)] if rows else []


def manual(result, line_table):
    """The lines for a document; its way to write tables is given."""
    rows, of_documents = result.group(GROUP), result.group(DOCUMENTS)
    if not (rows or of_documents):
        return []
    files, posts = ([row for row in rows if row["workload"]["hub"] == kind] for kind in ("directory", "webhook"))
    return ((_documents(result, of_documents, line_table) if of_documents else []) + _codecs(result, line_table)
            + _files(result, files, line_table) + _posts(result, posts, line_table))
