"""The benches of single parts: with the least of everything their results are right, and wrong ones are noticed."""

import json
import os
import pathlib
import subprocess

import pytest

PROGRAM = pathlib.Path(os.environ["RH_BUILD"]) / "bench/micro/bench_micro"


def bench(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=100)


def names():
    return [line.split()[0] for line in bench("--list").stdout.splitlines()[1:]]


def test_every_result_is_right():
    done = bench("--check")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    checks = int(done.stdout.split()[0])
    assert checks >= 2 * len(names())


def test_a_wrong_result_is_noticed_in_every_bench():
    done = bench("--check", "--break")
    assert done.returncode == 1
    wrong = {line.split(":")[0] for line in done.stderr.splitlines()}
    assert wrong == set(names())


def read_lines(*arguments):
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [line for line in found if "metric" in line], [line for line in found if "metric" not in line]


def test_each_sample_is_one_line_and_every_number_is_described():
    metrics, samples = read_lines("--check", "--json")
    described = {line["metric"]: line for line in metrics}
    assert {line["better"] for line in metrics} <= {"higher", "lower", "none"}
    assert len({line["row"] for line in samples}) == len(samples)
    for line in samples:
        assert line["checked"] is True and line["checks"] > 0
        assert line["repetition"] == 0 and line["seconds"] >= 0
        assert line["row"].startswith("micro/") and line["title"] and line["about"]
        assert line["clock"].startswith("CLOCK_")
        assert set(line["values"]) <= set(described)
        assert line["values"]["ns_per_op"] > 0
        if "curve" in line:
            assert line["curve"]["value"] == line["params"][line["curve"]["axis"]]
    assert {"/".join(line["row"].split("/")[1:3]) for line in samples} == set(names())


def test_rounds_and_samples_are_numbered():
    for arguments, rounds in ((["--rounds", "2", "--json"], 2), (["--repetitions", "2"], 5), (["--repetitions", "6"], 6)):
        _, samples = read_lines("--quick", *arguments, "--only", "wake/elided")
        assert [line["repetition"] for line in samples] == list(range(5 * rounds))
        assert {(line["rounds"], line["repetitions"]) for line in samples} == {(rounds, 5 * rounds)}


@pytest.mark.parametrize("arguments", [["--only", "no/such"], ["--rounds", "0"], ["--rounds", "x"], ["--fast"], ["file"]])
def test_what_makes_no_sense_is_refused(arguments):
    done = bench(*arguments)
    assert done.returncode == 64 and done.stderr and not done.stdout
