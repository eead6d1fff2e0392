"""bench/compare: what is beyond the noise is marked, what is not is not, and the machine is not taken for the program."""

import itertools
import json
import math
import pathlib
import random
import subprocess
import sys

import pytest

import bench_result

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from report import moved  # noqa: E402


def command(*arguments):
    return subprocess.run([ROOT / "bench/compare", *arguments], capture_output=True, text=True, timeout=60)


def compare(tmp_path, old, new, *arguments):
    for name, content in (("old", old), ("new", new)):
        (tmp_path / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return command(tmp_path / "old.json", tmp_path / "new.json", *arguments)


def verdicts(old, new):
    """{(row, subject, metric): verdict}"""
    return {(c.row["id"], c.subject, c.metric): c.verdict for c in moved.compare(old, new)[0]}


def of_kind(old, new, *subjects):
    return {verdict for (_, subject, metric), verdict in verdicts(old, new).items() if subject in subjects and metric != "rss_bytes"}


# --- What is marked ---


def test_the_same_program_has_not_moved():
    found = list(verdicts(bench_result.make(seed=1), bench_result.make(seed=2)).values())
    assert len(found) > 150
    assert sum(verdict in ("better", "worse") for verdict in found) <= 0.05 * len(found)


def test_a_tenth_faster_is_better_everywhere():
    old, new = bench_result.make(seed=1), bench_result.make(seed=2, faster=1.1)
    found = verdicts(old, new)
    rates = {verdict for (row, subject, metric), verdict in found.items() if row.startswith("router") and subject.startswith("roundhouse")
             and metric == "deliveries_per_s"}
    times = {verdict for (row, subject, metric), verdict in found.items() if row.startswith("scaling") and subject == "roundhouse"
             and metric == "server_cpu_ns_per_delivery"}
    assert rates == times == {"better"}
    assert set(verdicts(new, old)[key] for key in found if key[1] == "roundhouse" and key[2] == "deliveries_per_s") == {"worse"}


def test_a_faster_machine_is_not_taken_for_a_faster_program():
    found = verdicts(bench_result.make(seed=1), bench_result.make(seed=2, machine=1.1))
    marked = [v for (row, subject, metric), v in found.items() if subject.startswith("roundhouse") and row.startswith(("router", "scaling"))
              and metric != "rss_bytes"]
    assert marked.count("machine") > 0.8 * len(marked) and marked.count("better") <= 0.05 * len(marked)


def scaled_parts(result, factor, wanted):
    """The result with the time of some parts multiplied."""
    changed = json.loads(json.dumps(result))
    for sample in changed["samples"]:
        if sample["subject"] == "micro" and wanted(sample["row"]):
            sample["values"]["ns_per_op"] *= factor
    return changed


def test_one_part_that_moved_is_marked_and_all_together_are_the_machine():
    old, new = bench_result.make(seed=1), bench_result.make(seed=2)
    one = verdicts(old, scaled_parts(new, 1.3, lambda row: "wire/scan/shape=many" in row))
    assert one["micro/wire/scan/shape=many", "micro", "ns_per_op"] == "worse"
    assert [v for (_, subject, _), v in one.items() if subject == "micro"].count("worse") == 1
    every = verdicts(old, scaled_parts(new, 1.3, lambda row: True))
    assert {v for (_, subject, metric), v in every.items() if (subject, metric) == ("micro", "ns_per_op")} == {"machine"}


def test_with_three_values_nothing_is_claimed():
    old, new = bench_result.make(seed=1, repetitions=3), bench_result.make(seed=2, repetitions=3, faster=3)
    assert of_kind(old, new, "roundhouse-epoll") == {"few"}


def test_a_change_below_the_least_is_the_same():
    old, new = bench_result.make(seed=1), bench_result.make(seed=2, faster=1.1)
    assert {c.verdict for c in moved.compare(old, new, least=0.5)[0]} <= {"same", "few"}


# --- The interval ---


@pytest.mark.parametrize("n, m", [(1, 1), (2, 3), (3, 3), (4, 4), (3, 5)])
def test_the_rank_sum_is_counted_right(n, m):
    counts = [0] * (n * m + 1)
    for places in itertools.combinations(range(n + m), m):
        others = [i for i in range(n + m) if i not in places]
        counts[sum(a < b for a in places for b in others)] += 1
    assert list(moved._rank_sum_counts(n, m)) == counts and sum(counts) == math.comb(n + m, n)


def test_the_interval_leaves_out_what_the_tables_say():
    # Critical values of Mann and Whitney's U, two-sided 5 %.
    assert {(n, m): moved.outside(n, m) for n, m in ((3, 3), (4, 4), (5, 5), (7, 7), (10, 10), (5, 8))} == {
        (3, 3): None, (4, 4): 0, (5, 5): 2, (7, 7): 8, (10, 10): 23, (5, 8): 6}


def test_the_interval_covers_the_truth_as_often_as_it_says():
    chance, covered = random.Random(7), 0
    for _ in range(600):
        old = [math.exp(chance.gauss(0, 0.1)) for _ in range(7)]
        new = [1.2 * math.exp(chance.gauss(0, 0.1)) for _ in range(7)]
        _, low, high = moved.change(old, new)
        covered += low <= 1.2 <= high
    assert 0.93 < covered / 600 < 0.985


# --- The command ---


def test_the_table_names_what_moved(tmp_path):
    done = compare(tmp_path, bench_result.make(seed=1), bench_result.make(seed=2, faster=1.1))
    assert done.returncode == 0 and done.stderr == ""
    line, = [line for line in done.stdout.splitlines() if line.split()[:3] == ["router/1-10/128", "roundhouse", "deliveries_per_s"]]
    assert line.endswith("better") and "x relay" in line and "M/s" in line
    assert "same programs, changed by: relay 1.0" in done.stdout


def test_other_metrics_and_rows_can_be_asked_for(tmp_path):
    old, new = bench_result.make(seed=1), bench_result.make(seed=2)
    short = compare(tmp_path, old, new, "--only", "router/*").stdout
    long = compare(tmp_path, old, new, "--all").stdout
    assert "rss_bytes" not in short and "scaling/" not in short and "rss_bytes" in long and "  nats  " in long


def test_rows_of_one_side_only_are_named(tmp_path):
    old, new = bench_result.make(seed=1), bench_result.make(seed=2)
    new["rows"] = [row for row in new["rows"] if row["id"] != "recovery/pause"]
    assert "only in the old one: recovery/pause" in compare(tmp_path, old, new).stdout


def test_the_page_of_a_comparison(tmp_path):
    page = tmp_path / "moved.html"
    assert compare(tmp_path, bench_result.make(seed=1), bench_result.make(seed=2, faster=1.1), "--html", page).returncode == 0
    text = page.read_text()
    assert "router/1-1/16" in text and "better" in text and "Mann and Whitney" in text and "<script" not in text


def part_lines(ns):
    yield json.dumps({"metric": "ns_per_op", "title": "time per operation", "unit": "ns", "better": "lower"})
    for i in range(25):
        yield json.dumps({"row": "micro/wake/bell", "title": "wake", "repetition": i, "values": {"ns_per_op": ns + i % 3}})


def test_lines_of_bench_micro_can_be_compared(tmp_path):
    done = compare(tmp_path, "\n".join(part_lines(300)), "\n".join(part_lines(200)))
    assert done.returncode == 0 and "micro/wake/bell" in done.stdout and "1 better" in done.stdout


@pytest.mark.parametrize("content", ["", "{", "nonsense\n", "[]", '{"format": "roundhouse-bench", "version": 9}', '{"row": "micro/x"}',
                                     '{"metric": "x"}'])
def test_what_is_no_result_is_refused(tmp_path, content):
    done = compare(tmp_path, content, bench_result.make())
    assert done.returncode == 65 and "old.json" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--least", "x"], ["--least", "2"], ["--fast"]])
def test_wrong_usage_is_refused(tmp_path, arguments):
    done = compare(tmp_path, bench_result.make(), bench_result.make(), *arguments)
    assert done.returncode == 64 and "usage" in done.stderr


def test_a_missing_file_is_refused(tmp_path):
    assert command(tmp_path / "none", tmp_path / "none").returncode == 65
