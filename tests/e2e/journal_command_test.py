"""`roundhouse journal`: verify, export and cut, on files that were not written by it."""

import fcntl
import json
import os

import pytest

import journal_files
from journal_files import BLOCK

FIRST = "0/000000000001.jnl"


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def exported(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_good_journal_is_verified_and_exported_as_sub_prints(run, tmp_path):
    journal_files.journal(tmp_path / "j", logs=2)
    before = contents(tmp_path / "j")
    done = run("journal", "verify", tmp_path / "j")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "MANIFEST: good: 2 logs, opened 1 times",
        "log 0: good: 1 segments, 1 to 1; positions 1 to 8; last group 4, sealed",
        "log 1: good: 1 segments, 1 to 1; positions 1 to 8; last group 4, sealed"]
    done = run("journal", "export", tmp_path / "j")
    assert done.returncode == 0 and done.stderr == ""
    lines = exported(done)
    assert [(line["topic"], line["sequence"], line["event"]["id"]) for line in lines] == [
        (f"orders.{log}", str(1 << 48 | n), str(n)) for log in (0, 1) for n in range(1, 9)]
    assert set(lines[0]) == {"topic", "sequence", "event"} and lines[0]["event"]["specversion"] == "1.0"
    assert contents(tmp_path / "j") == before


def test_export_can_begin_at_a_sequence_and_take_one_log(run, tmp_path):
    journal_files.journal(tmp_path / "j", logs=2)
    for start in ("6", str(1 << 48 | 6)):
        done = run("journal", "export", "--log", "1", "--from", start, tmp_path / "j")
        assert done.returncode == 0
        assert [line["event"]["id"] for line in exported(done)] == ["6", "7", "8"]
    done = run("journal", "export", tmp_path / "j", "--from", "9")
    assert done.returncode == 0 and done.stdout == ""


def test_what_the_router_keeps_for_itself_is_not_exported(run, tmp_path):
    segment = journal_files.journal(tmp_path / "j")
    segment.add(b"state of a queue", kind=journal_files.STATE)
    segment.add(*journal_files.frames(10, 1), kind=journal_files.EXPIRING)
    segment.add(b"no frame at all")
    segment.write(tmp_path / "j" / FIRST)
    done = run("journal", "export", "--from", "8", tmp_path / "j")
    assert done.returncode == 65
    assert [line["event"]["id"] for line in exported(done)] == ["8", "10"]
    assert done.stderr.startswith("log 0: record 11 can not be shown: ")


def test_damage_is_found_and_what_lies_around_it_exported(run, tmp_path):
    segment = journal_files.journal(tmp_path / "j")
    flip(tmp_path / "j" / FIRST, segment.places[1] + 100)
    done = run("journal", "verify", tmp_path / "j")
    assert done.returncode == 65
    assert (f"log 0: DAMAGED: {FIRST} at byte {segment.places[1]}: group 2 expected: its checksum is wrong; behind it lie 2 "
            "valid groups with 4 records") in done.stdout
    assert "journal export" in done.stderr and "--accept-loss" in done.stderr
    done = run("journal", "export", tmp_path / "j")
    assert done.returncode == 65
    assert [line["event"]["id"] for line in exported(done)] == ["1", "2", "3", "5", "6", "7", "8"]
    assert f"{FIRST}: bytes {segment.places[1]} to {segment.places[2] - 1} can not be read" in done.stderr
    assert "positions 4 to 4 are missing before group 3" in done.stderr


def test_cut_wants_the_loss_accepted_then_keeps_the_original_and_reports(run, tmp_path):
    segment = journal_files.journal(tmp_path / "j")
    flip(tmp_path / "j" / FIRST, segment.places[1] + 100)
    before = contents(tmp_path / "j")
    done = run("journal", "cut", tmp_path / "j")
    assert done.returncode == 64 and "--accept-loss" in done.stderr and "journal export" in done.stderr
    assert contents(tmp_path / "j") == before
    done = run("journal", "cut", tmp_path / "j", "--accept-loss")
    assert done.returncode == 65, done.stderr
    assert "kept are the positions below 4" in done.stdout and "positions below 9 may have been seen" in done.stdout
    report, = (tmp_path / "j").glob("loss-*.txt")
    assert report.read_text() == done.stdout
    kept, = (tmp_path / "j" / "0").glob("*.cut-*")
    assert kept.read_bytes() == before[type(report)(FIRST)]
    done = run("journal", "verify", tmp_path / "j")
    assert done.returncode == 0, done.stdout
    done = run("journal", "export", tmp_path / "j")
    assert [line["event"]["id"] for line in exported(done)] == ["1", "2", "3"]
    done = run("journal", "cut", "--accept-loss", tmp_path / "j")
    assert done.returncode == 0 and done.stdout == "nothing is damaged, nothing was changed\n"


def test_a_torn_group_at_the_end_is_no_damage(run, tmp_path):
    segment = journal_files.journal(tmp_path / "j")
    data = bytearray((tmp_path / "j" / FIRST).read_bytes())
    data[len(segment.bytes) + 512:len(segment.bytes) + 1024] = b"\x55" * 512
    (tmp_path / "j" / FIRST).write_bytes(data)
    done = run("journal", "verify", tmp_path / "j")
    assert done.returncode == 0 and "it was never acknowledged" in done.stdout


def test_without_manifest_only_export_works(run, tmp_path):
    journal_files.journal(tmp_path / "j")
    (tmp_path / "j" / "MANIFEST").write_bytes(b"\0" * 2 * BLOCK)
    for verb in (["verify"], ["cut", "--accept-loss"]):
        done = run("journal", *verb, tmp_path / "j")
        assert done.returncode == 65 and "both copies in MANIFEST are damaged" in done.stderr
    done = run("journal", "export", tmp_path / "j")
    assert done.returncode == 65 and len(exported(done)) == 8
    assert "both copies in MANIFEST are damaged" in done.stderr


def test_a_later_version_is_not_touched(run, tmp_path):
    journal_files.journal(tmp_path / "j")
    (tmp_path / "j" / "MANIFEST").write_bytes(journal_files.manifest(2, 1, version=7) + journal_files.manifest(1, 1))
    for verb in (["verify"], ["cut", "--accept-loss"]):
        done = run("journal", *verb, tmp_path / "j")
        assert done.returncode == 65 and "its version is 7, this program knows 1: use the newer program" in done.stderr


def test_a_journal_that_is_open_is_refused(run, tmp_path):
    journal_files.journal(tmp_path / "j")
    directory = os.open(tmp_path / "j", os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    for verb in (["verify"], ["export"], ["cut", "--accept-loss"]):
        done = run("journal", *verb, tmp_path / "j")
        assert done.returncode == 69 and "end that one first" in done.stderr
    fcntl.flock(directory, fcntl.LOCK_SH)
    assert run("journal", "verify", tmp_path / "j").returncode == 0
    assert run("journal", "cut", "--accept-loss", tmp_path / "j").returncode == 69
    os.close(directory)


@pytest.mark.parametrize("words, text", [
    ([], "say verify, export or cut"),
    (["burn", "d"], "there is no 'burn'"),
    (["verify"], "name the directory"),
    (["verify", "a", "b"], "one directory at a time"),
    (["verify", "--log", "1", "d"], "--log and --from are for export"),
    (["export", "--log", "32", "d"], "0 to 31, not '32'"),
    (["export", "--from", "x", "d"], "a whole number, not 'x'"),
    (["export", "--accept-loss", "d"], "--accept-loss is for cut"),
    (["export", "--log"], "the option '--log' needs a value"),
], ids=str)
def test_wrong_words_are_usage(run, words, text):
    done = run("journal", *words)
    assert done.returncode == 64 and text in done.stderr and done.stdout == ""


def test_a_directory_that_is_not_there_or_no_journal_is_said(run, tmp_path):
    done = run("journal", "verify", tmp_path / "none")
    assert done.returncode == 65 and "No such file or directory" in done.stderr
    (tmp_path / "empty").mkdir()
    done = run("journal", "verify", tmp_path / "empty")
    assert done.returncode == 65 and "there is no MANIFEST in it" in done.stderr
    done = run("journal", "export", "--log", "3", tmp_path / "empty")
    assert done.returncode == 65 and done.stdout == ""


def test_help_names_all_three(run):
    done = run("journal", "--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("verify", "export", "cut", "--accept-loss"))
