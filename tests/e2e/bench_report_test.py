"""The HTML page of the bench suite: from a made-up result, because what must be on it has to be known."""

import html.parser
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import bench_result

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import report  # noqa: E402
from report import data, markup, plot  # noqa: E402

VOID = {"meta", "br", "line", "circle", "rect", "path"}


class Page(html.parser.HTMLParser):
    """The elements of a page; fails where they are not nested as they should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def section(text, name):
    """What is in one section, without its markup."""
    inner = re.search(rf'<section id="{name}">(.*?)</section>', text, re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", inner[1])) if inner else None


@pytest.fixture(scope="module")
def result():
    return bench_result.make()


@pytest.fixture(scope="module")
def text(result, tmp_path_factory):
    return report.write(result, tmp_path_factory.mktemp("report")).read_text()


def written(result, tmp_path):
    return report.write(result, tmp_path).read_text()


# --- The page as a document ---


def test_the_page_needs_nothing_but_itself(text):
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "img", "iframe")
        assert "src" not in attributes and not any(name.startswith("on") for name in attributes)
        target = attributes.get("href", "#")
        assert target.startswith("#") or target == "result.json" or target.startswith("plots/")
    assert "url(" not in text and "@import" not in text


def test_every_link_leads_somewhere_and_every_name_is_there_once(text):
    page = Page(text)
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert len(targets) > 10 and set(targets) <= set(names)


def test_it_can_be_read_without_seeing_it(text):
    page = Page(text)
    assert page.all("html")[0]["lang"] == "en" and page.all("main")
    plots = [a for a in page.all("svg") if "key" not in a["class"]]
    assert plots and all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in plots)
    assert len(page.all("caption")) == len(page.all("table")) > 10
    assert all("scope" in a for a in page.all("th"))
    regions = [a for a in page.all("div") if a.get("role") == "region"]
    assert len(regions) == len(page.all("table")) and all(a["tabindex"] == "0" and a["aria-label"] for a in regions)
    assert len(page.all("figure")) == len(plots), "each plot is a figure with its numbers"
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_each_plot_is_a_file_of_its_own(result, tmp_path):
    text = written(result, tmp_path)
    files = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert files == sorted(re.findall(r'href="plots/([^"]+)"', text))
    for name in files:
        root = ElementTree.parse(tmp_path / "plots" / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        numbers = " ".join(value for element in root.iter() for value in element.attrib.values())
        assert "nan" not in numbers and "inf" not in numbers


def test_what_comes_from_the_machine_is_escaped(text):
    assert "A Processor &lt;fast &amp; new&gt;" in text and "<fast" not in text


# --- What it says ---


def test_the_ratios_are_those_of_the_file(result, text):
    peers = section(text, "peers")
    found = data.Result(result)
    for row in found.group("router"):
        for peer in ("nats", "redis", "mosquitto"):
            pair = found.ratio(row, "deliveries_per_s", "roundhouse", peer)
            assert f"{markup.ratio(pair['median'])} {markup.digits(pair['interval'][0])} to {markup.digits(pair['interval'][1])}" in peers


def test_where_a_peer_is_better_is_said(text):
    loses = section(text, "loses")
    assert "Median latency redis-server 2 of 2" in loses
    assert "Resident memory" in loses and "Deliveries per second" not in loses
    assert "at least 5 × nats-server's" in loses.replace("&#x27;", "'"), "what is asked and missed"


def test_what_is_not_lost_is_not_said(tmp_path):
    loses = section(written(bench_result.make(faster=20), tmp_path), "loses")
    assert "Median latency" not in loses and "Resident memory" in loses


def test_every_section_has_its_rows(text):
    for name, words in (("short", "relay limit"), ("throughput", "1 → 100, 128 B"), ("latency", "99.9 %"), ("isolation", "20 pairs"),
                        ("idle", "10,000 idle connections"), ("scaling", "What each further shard gives"), ("crossovers", "SEND_COPY_MAX"),
                        ("parts", "wire/scan"), ("asked", "✗ missed"), ("method", "./bench/run --quick --peers"), ("machine", "6.1.0")):
        assert words in section(text, name), name


def test_a_crossover_is_named(text):
    crossovers = section(text, "crossovers")
    assert "Copied is better at 64 B, iovec is better from 1 KiB to 16 KiB." in crossovers
    assert "SEND_COPY_MAX = 1 KiB" in crossovers


def test_a_failure_and_a_doubtful_machine_are_told_first(result, tmp_path):
    doubtful = json.loads(json.dumps(result))
    doubtful["failures"] = [{"row": "router/1-1/16", "subject": "nats", "repetition": 2, "error": "lost 17 events"}]
    doubtful["network"]["congestion_control"] = "bbr"
    doubtful["machine"]["load_before"] = 3.0
    doubtful["run"]["complete"] = False
    head = written(doubtful, tmp_path).split("<main")[0]
    for words in ("lost 17 events", "bbr", "load 3.0", "ended before its end"):
        assert words in head
    assert "warning" not in written(result, tmp_path).split("<main")[0].split("</style>")[1]


@pytest.mark.parametrize("group", ["micro", "router", "latency", "idle", "documents", "hub"])
def test_one_group_alone_makes_a_page(result, tmp_path, group):
    only = json.loads(json.dumps(result))
    only["rows"] = [row for row in only["rows"] if row["group"] == group]
    kept = {row["id"] for row in only["rows"]}
    for key in ("samples", "summary", "ratios", "bars"):
        only[key] = [item for item in only[key] if item["row"] in kept]
    used = {name for row in only["rows"] for name in row["subjects"]}
    only["subjects"] = {name: value for name, value in only["subjects"].items() if name in used}
    page = Page(written(only, tmp_path))
    assert only["rows"][0]["title"] in page.text or group == "micro"


def test_one_repetition_makes_a_page(tmp_path):
    text = written(bench_result.make(repetitions=1), tmp_path)
    assert "Everything was measured once" in text and "The bar through a mark" not in text


# --- Its parts ---


@pytest.mark.parametrize("value, unit, words", [
    (4.5e6, "1/s", "4.50 M/s"), (38.25, "ns", "38.2 ns"), (1234, "ns", "1.23 µs"), (999.6, "ns", "1,000 ns"), (2048, "bytes", "2.00 KiB"),
    (0, "count", "0"), (0.98, "share", "98.0 %"), (0.001234, "1", "0.00123"), (9.999, "1", "10.0"), (None, "ns", "–")])
def test_numbers_are_written_as_people_read_them(value, unit, words):
    assert markup.number(value, unit) == words


def test_zeros_that_say_nothing_are_left_out():
    assert [markup.short(t) for t in ("1.00 ×", "16.0 KiB", "1.50 µs", "100 ns", "99.990 %", "0.0100")] == [
        "1 ×", "16 KiB", "1.5 µs", "100 ns", "99.99 %", "0.01"]


def test_labels_do_not_touch_and_keep_their_order():
    wanted = [100.0, 101.0, 99.5, 300.0, 300.1]
    places = plot.spread(wanted, 16, 10, 310)
    ordered = [p for _, p in sorted(zip(wanted, places))]
    assert all(b - a >= 16 - 1e-6 for a, b in zip(ordered, ordered[1:])) and ordered[0] >= 10 and ordered[-1] <= 310


@pytest.mark.parametrize("low, high, log", [(1, 1000, True), (17, 23, True), (3, 3, True), (0, 128, False), (0, 0.4, False)])
def test_scales_have_ticks_inside(low, high, log):
    scale = plot.scale_for([low, high], 0, 500, log)
    ticks = plot.ticks_of(scale)
    assert 2 <= len(ticks) <= 14 and all(-0.01 <= scale.at(tick) <= 500.01 for tick in ticks)
    assert 0 <= scale.at(low) <= scale.at(high) <= 500


def test_percentiles_of_a_histogram():
    histogram = [(10, 500), (20, 400), (30, 90), (40, 10)]
    assert data.percentiles(histogram) == [(50, 10), (90, 20), (99, 30), (99.9, 40)]


# --- The command ---


def command(*arguments):
    return subprocess.run(["/usr/bin/python3", ROOT / "bench/report", *arguments], capture_output=True, text=True, timeout=60)


def test_the_command_writes_beside_the_result(result, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result))
    done = command(tmp_path / "result.json")
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").exists() and (tmp_path / "plots/ratios.svg").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', '{"format": "roundhouse-bench", "version": 2}',
                                     '{"format": "roundhouse-bench", "version": 1, "rows": []}'])
def test_what_is_no_result_is_refused(tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    done = command(tmp_path / "result.json")
    assert done.returncode == 65 and "result.json" in done.stderr and not (tmp_path / "report.html").exists()
    assert "Traceback" not in done.stderr


def test_a_missing_file_and_a_wrong_option_are_refused(tmp_path):
    assert command(tmp_path / "none").returncode == 65
    assert command("--fast", "x").returncode == 64


def test_the_figures_of_a_document_are_written_anew_and_nothing_else(result, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result))
    document = tmp_path / "page.md"
    document.write_text("# Page\n\nbefore\n\n<!-- figures: begin -->\nold\n<!-- figures: end -->\n\n![](pictures/ratios.svg)\n"
                        "<!-- acks: begin --><!-- acks: end -->\n<!-- hub: begin -->\n<!-- hub: end -->\n")
    arguments = (tmp_path / "result.json", "--document", document, "--plots", tmp_path / "pictures")
    assert command(*arguments).returncode == 0
    text = document.read_text()
    assert text.startswith("# Page\n\nbefore\n\n<!-- figures: begin -->\n") and text.endswith("<!-- hub: end -->\n")
    assert "<!-- figures: end -->\n\n![](pictures/ratios.svg)\n<!-- acks: begin -->\n" in text
    assert "old" not in text and result["build"]["commit"] in text
    titles = {row["title"] for row in result["rows"] if row["group"] in ("router", "latency")}
    assert titles and all(f"| {title} |" in text for title in titles)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables and all(line.endswith("|") for line in tables)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["ratios.svg"] and not (tmp_path / "report.html").exists()
    assert command(*arguments).returncode == 0 and document.read_text() == text


def block(text, name):
    return re.search(rf"<!-- {name}: begin -->\n(.*)<!-- {name}: end -->", text, re.S)[1]


def test_acknowledgements_have_figures_of_their_own(result, tmp_path):
    """A result with nothing else leaves the other figures as they are; what is stored is told with how it is synced, and where."""
    of_acks = {**result, "rows": [row for row in result["rows"] if row["group"] == "ack"]}
    (tmp_path / "result.json").write_text(json.dumps(of_acks))
    document = tmp_path / "page.md"
    document.write_text("<!-- figures: begin -->\nold\n<!-- figures: end -->\n<!-- acks: begin -->\nold acks\n<!-- acks: end -->\n")
    assert command(tmp_path / "result.json", "--document", document).returncode == 0
    text = document.read_text()
    assert block(text, "figures") == "old\n" and "old acks" not in text
    told = block(text, "acks")
    assert "ext4 on /dev/made-up" in told and "- JetStream: how jetstream syncs" in told
    assert all(f"| {row['title']} |" in told for row in of_acks["rows"])
    assert "at least half of it" in told and "nats-server's" not in told


def test_the_page_has_acknowledgements_with_how_they_are_synced(result, tmp_path):
    page = report.write(result, tmp_path).read_text()
    told = section(page, "acks")
    assert "1 publisher, ack disk" in told and "How jetstream syncs" in told and "Stored on ext4 on /dev/made-up" in told
    assert "Acknowledgements" in section(page, "acks") and 'href="#acks"' in page


def test_documents_and_the_hub_have_figures_of_their_own(result, tmp_path):
    """With the codecs alone, and what is asked of them; a codec that was not measured has no line."""
    kept = [row for row in result["rows"] if row["group"] in ("documents", "hub") or row["id"].startswith("micro/codec/")]
    (tmp_path / "result.json").write_text(json.dumps({**result, "rows": kept}))
    document = tmp_path / "page.md"
    document.write_text("<!-- figures: begin -->\nold\n<!-- figures: end -->\n<!-- hub: begin -->\nold hub\n<!-- hub: end -->\n")
    assert command(tmp_path / "result.json", "--document", document).returncode == 0
    text = document.read_text()
    told = block(text, "hub")
    assert block(text, "figures") == "old\n" and "old hub" not in text
    assert "| EDIFACT, 64 MiB | roundhouse convert |" in told and "| EDIFACT, 64 MiB | A parser in Perl |" in told
    assert re.search(r"\| EDIFACT, cut into segments and checked \| (5[89]|6[012])\d MB/s \|", told) and "expat" not in told
    assert "| directory, memory |" in told and "| directory, journal on ext4 on /dev/made-up |" in told
    assert "| the whole router: webhook |" in told and "the transport alone" not in told
    assert "| webhook | at least 20,000 posted | 30.0 k/s | yes |" in told and "at least half of it" not in told


def test_the_page_has_documents_beside_the_hub(result, tmp_path):
    page = report.write(result, tmp_path).read_text()
    assert "EDIFACT, 64 MiB" in section(page, "documents") and 'href="#hub"' in page
    told = section(page, "hub")
    assert "CPU time per file" in told and "Stored on ext4 on /dev/made-up" in told
    assert page.index('<section id="documents">') < page.index('<section id="hub">')


def test_a_document_without_a_place_for_figures_is_left_alone(result, tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result))
    document = tmp_path / "page.md"
    document.write_text("# Page\n")
    done = command(tmp_path / "result.json", "--document", document)
    assert done.returncode == 65 and "figures: begin" in done.stderr and document.read_text() == "# Page\n"
