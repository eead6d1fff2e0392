"""The page as a whole: head, warnings, sections, method, machine."""

import pathlib

from report import acks, hub, parts, plot, sections
from report.data import PEER_KINDS
from report.figures import Figures
from report.markup import element, escape, join, number, paragraph, table

STYLE = pathlib.Path(__file__).with_name("style.css")
NAMES = (("short", "In short"), ("peers", "Beside its peers"), ("loses", "Where it loses"), ("throughput", "Throughput"),
         ("latency", "Latency"), ("isolation", "Isolation"), ("idle", "Idle cost"), ("documents", "Documents"), ("hub", "Hub"),
         ("acks", "Acknowledgements"), ("scaling", "Scaling"), ("crossovers", "Crossovers"), ("parts", "Parts"), ("asked", "What is asked"), ("method", "Method"), ("machine", "Machine"))

METHOD = (
    "Every server runs alone, pinned to one core; the load generator is a process of its own on another one. Its work per message is kept "
    "small: batches encoded beforehand go out, bytes are counted coming in. All subjects of a row are measured in turn, then all again: "
    "a ratio is made of neighbours in time, and its spread comes from the pairs.",
    "Nothing that is wrong has a number: every measurement counts what arrives, compares contents and order, and one that lost, altered or "
    "repeated an event is in the list of failures instead. Roundhouse checks every event as it does when shipped.",
    "Figures are medians. Where at least six values carry it, the spread is the 95 % interval of the median from order statistics, which "
    "assumes nothing about their distribution; with fewer values it is the lowest and the highest.",
    "The relay limit is a small program that receives bytes and sends the same bytes to the subscribers. It parses nothing, so nothing "
    "that routes can be much faster on this kernel.",
    "The benches of single parts give every sample; the axis of time says which clock was used. Two threads are on two cores.",
    "Compared is speed. What a system promises, which clients it has, how it is run and how it survives failures are reasons to choose one "
    "as well, and are not measured here.")


def _head(result):
    run, build = result.raw["run"], result.raw["build"]
    kinds = {s["kind"] for s in result.raw["subjects"].values()}
    peers = [s["title"] for s in result.raw["subjects"].values() if s["kind"] in PEER_KINDS]
    title = f"Roundhouse beside {', '.join(peers)}" if peers else "Roundhouse measured"
    told = f"{run['started'][:16].replace('T', ' ')} UTC, commit {build['commit']}, {run['mode']} run of {run['seconds'] / 60:.0f} min" \
           f", {len(result.raw['samples'])} measurements"
    return title, [element("h1", title), paragraph(told, class_="sub"), *_warnings(result, kinds)]


def _warnings(result, kinds):
    run, machine, network, build = (result.raw[k] for k in ("run", "machine", "network", "build"))
    failures = result.raw["failures"]
    if failures:
        rows = [[f["row"], f["subject"], f["error"]] for f in failures]
        told = "1 measurement failed and has" if len(failures) == 1 else f"{len(failures)} measurements failed and have"
        yield element("div", element("strong", f"{told} no number."),
                      table("Failures", ["row", "subject", "what happened"], rows, numeric_from=9), class_="warning")
    told = []
    if run["repetitions"] == 1:
        told.append("Everything was measured once: nothing here has a spread, and no comparison can be trusted.")
    if not run["complete"]:
        told.append("The run ended before its end: some rows are missing.")
    if machine["load_before"] > 0.5:
        told.append(f"The machine was busy before the run (load {machine['load_before']:.1f}): trust ratios, not figures.")
    if not network["namespace"] and kinds != {"micro"}:
        told.append("The network was the machine's own and not a namespace: its settings count.")
    if network["congestion_control"] not in ("reno", "cubic") and kinds != {"micro"}:
        told.append(f"TCP used {network['congestion_control']}, which may pace loopback: throughput is lower than with reno or cubic.")
    if build["commit"].endswith("-dirty"):
        told.append("The tree had changes that no commit has.")
    for text in told:
        yield element("p", text, class_="warning")


def _method(result):
    arguments = " ".join(result.raw["run"]["arguments"])
    again = f"./bench/run {arguments}".strip()
    return element("section", element("h2", "Method"), *(paragraph(text) for text in METHOD),
                   paragraph("To reproduce it:"), element("pre", element("code", again)),
                   paragraph("To compare two runs:"), element("pre", element("code", "./bench/compare OLD/result.json NEW/result.json")),
                   paragraph("All single measurements are in ", element("a", "result.json", href="result.json"), "; ",
                             element("code", "bench/README.md"), " explains its format."), id="method")


def _list(pairs):
    return element("dl", *(join([element("dt", name), element("dd", value)]) for name, value in pairs))


def _machine(result):
    machine, network, build, run = (result.raw[k] for k in ("machine", "network", "build", "run"))
    cpus = ", ".join(map(str, machine["server_cpus"]))
    pairs = [("CPU", f"{machine['cpu']}, {len(machine['cpus'])} usable"), ("virtual machine", machine["virtual"]),
             ("governor", machine["governor"]), ("memory", number(machine["memory_bytes"], "bytes")),
             ("server on CPU", cpus), ("generator on CPU", ", ".join(map(str, machine["generator_cpus"]))),
             ("load before", f"{machine['load_before']:.2f}"), ("kernel", machine["kernel"]), ("system", machine["os"]),
             ("congestion control", network["congestion_control"]),
             ("network namespace", "of its own" if network["namespace"] else "the machine's"),
             ("tcp_rmem, tcp_wmem", f"{network['tcp_rmem']}; {network['tcp_wmem']}"),
             ("Roundhouse", f"{build['version']}, commit {build['commit']}"), ("compiler", f"{build['compiler']} {build['flags']}"),
             ("a measurement", f"{run['stretch_seconds']:g} s after {run['warm_up_seconds']:g} s of warm-up"),
             ("repetitions", run["repetitions"])]
    rows = [[s["title"], s["version"], s["io"] or "–", "–" if s["shards"] is None else s["shards"], " ".join(map(str, s["command"]))]
            for s in result.raw["subjects"].values()]
    return element("section", element("h2", "Machine and subjects"), _list(pairs),
                   table("Who was measured", ["", "version", "I/O body", "shards", "command"], rows, numeric_from=9), id="machine")


def _navigation(body):
    links = [element("li", element("a", name, href=f"#{id_}")) for id_, name in NAMES if f'<section id="{id_}"' in body]
    return element("nav", element("ul", *links), aria_label="Sections")


def _document(title, body, more_style=""):
    style = STYLE.read_text(encoding="utf-8") + more_style
    return join(["<!DOCTYPE html>\n", '<html lang="en"><head><meta charset="utf-8">',
                 '<meta name="viewport" content="width=device-width, initial-scale=1">',
                 f"<title>{escape(title)}</title><style>{style}</style></head><body>", body, "</body></html>\n"])


def plain(title, paragraphs, heads, rows):
    """A page of one table, with what is to be said above it."""
    return _document(title, element("main", element("h1", title), *(paragraph(text) for text in paragraphs),
                                    table(title, heads, rows, numeric_from=3, hide_caption=True)))


def make(result):
    """(the page, {file name: SVG document})."""
    figures = Figures()
    title, head = _head(result)
    body = join([sections.all_of(result, figures), hub.documents(result, figures), hub.section(result, figures), acks.section(result, figures),
                 sections.scaling(result, figures), parts.crossovers(result, figures), parts.micro(result, figures), sections.asked(result), _method(result), _machine(result)])
    page = _document(title, join(['<a class="skip" href="#main">To the results</a>', element("header", *head), _navigation(body),
                                  element("main", body, id="main")]), plot.STYLE)
    return page, figures.saved
