"""The demo's own judgement: its matcher and its comparison must find every kind of fault, or the demo proves nothing."""

import hashlib
import json
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "examples", "demo"))

from compare import Subscriber, expected_for, judge  # noqa: E402
from documents import DataError, Document, flip_one_byte, from_line, load, to_line  # noqa: E402
from matching import matches, matches_any  # noqa: E402

DATA = os.path.join(ROOT, "tests", "data")


@pytest.mark.parametrize("pattern, topic, wanted", [
    ("raw.edifact.invoic", "raw.edifact.invoic", True),
    ("raw.edifact.invoic", "raw.edifact.invoice", False),
    ("raw.edifact.invoic", "raw.edifact", False),
    ("raw.edifact", "raw.edifact.invoic", False),
    ("raw.*.invoic", "raw.idoc.invoic", True),
    ("raw.*.invoic", "raw.invoic", False),
    ("raw.*.invoic", "raw.a.b.invoic", False),
    ("raw.*.invoic", "raw.ubl.invoice", False),
    ("*.*.invoic", "raw.idoc.invoic", True),
    ("raw.>", "raw.idoc.invoic", True),
    ("raw.>", "raw.x", True),
    ("raw.>", "raw", False),
    ("raw.>", "rawx.y", False),
    ("raw.*.>", "raw.x", False),
    ("raw.*.>", "raw.x.y.z", True),
    (">", "a", True),
    (">", "a.b.c", True),
    ("*", "a", True),
    ("*", "a.b", False),
    (">", "$SYS.started", False),
    ("*.started", "$SYS.started", False),
    ("$SYS.>", "$SYS.started", True),
    (">", "@mailbox", False),
    ("@mailbox", "@mailbox", True),
    ("a.>", "a.$b", True),
])
def test_the_matcher_follows_the_grammar(pattern, topic, wanted):
    assert matches(pattern, topic) is wanted


def test_overlapping_patterns_ask_once():
    assert matches_any(["a.*", "a.>"], "a.b")
    assert not matches_any(["a.*", "a.>"], "b.a")


def sample(number, topic, data):
    return Document(f"doc-{number:03d}", f"file{number}", topic, "text/plain", hashlib.sha256(data).hexdigest(), data)


DOCUMENTS = [sample(1, "raw.a.invoic", b"one"), sample(2, "raw.b.invoic", b"two"),
             sample(3, "raw.a.invoic", b"three"), sample(4, "raw.a.orders", bytes(range(256)))]


def delivered(document, sequence):
    record = json.loads(to_line(document))
    record["sequence"] = sequence
    return from_line(json.dumps(record))


def got(*pairs, patterns=("raw.a.invoic",)):
    return judge(Subscriber("x", list(patterns), [delivered(d, s) for d, s in pairs]), DOCUMENTS)


def test_a_line_carries_every_byte():
    assert delivered(DOCUMENTS[3], 7).data == bytes(range(256))


def test_what_is_right_is_called_right():
    verdict = got((DOCUMENTS[0], 1), (DOCUMENTS[2], 5))
    assert verdict.right and verdict.expected == verdict.received == 2 and verdict.bytes == 8


def test_topics_may_interleave_freely():
    verdict = got((DOCUMENTS[1], 1), (DOCUMENTS[0], 1), (DOCUMENTS[3], 9), (DOCUMENTS[2], 2), patterns=["raw.>"])
    assert verdict.right


def test_a_missing_document_is_found():
    verdict = got((DOCUMENTS[0], 1))
    assert not verdict.right and "file3" in verdict.missing[0]


def test_silence_is_not_right():
    assert len(got().missing) == 2


def test_an_extra_document_is_found():
    verdict = got((DOCUMENTS[0], 1), (DOCUMENTS[1], 1), (DOCUMENTS[2], 2))
    assert [kind for kind, _ in verdict.complaints()] == ["extra"]


def test_an_altered_document_is_found_and_named():
    verdict = got((flip_one_byte(DOCUMENTS[0]), 1), (DOCUMENTS[2], 2))
    assert [kind for kind, _ in verdict.complaints()] == ["altered"] and "file1" in verdict.altered[0]


def test_a_repeated_document_is_found():
    verdict = got((DOCUMENTS[0], 1), (DOCUMENTS[0], 2), (DOCUMENTS[2], 3))
    assert [kind for kind, _ in verdict.complaints()] == ["duplicate"]


def test_another_order_within_a_topic_is_found():
    assert got((DOCUMENTS[2], 1), (DOCUMENTS[0], 2)).disordered


def test_a_sequence_that_does_not_grow_is_found():
    assert got((DOCUMENTS[0], 5), (DOCUMENTS[2], 5)).disordered


@pytest.mark.parametrize("member, value", [("topic", "raw.a.orders")])
def test_a_document_on_another_topic_is_found(member, value):
    record = json.loads(to_line(DOCUMENTS[0]))
    record.update({"sequence": 1, member: value})
    verdict = judge(Subscriber("x", ["raw.>"], [from_line(json.dumps(record))]), DOCUMENTS[:1])
    assert verdict.altered


@pytest.mark.parametrize("member, value", [("datacontenttype", "text/html"), ("subject", "other")])
def test_a_changed_attribute_is_found(member, value):
    record = json.loads(to_line(DOCUMENTS[0]))
    record["sequence"] = 1
    record["event"][member] = value
    verdict = judge(Subscriber("x", ["raw.>"], [from_line(json.dumps(record))]), DOCUMENTS[:1])
    assert verdict.altered


@pytest.mark.parametrize("line", ["", "ready", "{}", "[]", '{"topic":"a","sequence":1}'])
def test_what_is_no_delivery_is_refused(line):
    with pytest.raises(ValueError):
        from_line(line)


def test_an_unreadable_line_is_wrong():
    assert not judge(Subscriber("x", ["none"], [], ["noise"]), DOCUMENTS).right


def test_the_documents_cover_all_families_and_sizes():
    documents = load(DATA)
    sizes = [len(document.data) for document in documents]
    assert len(documents) >= 40 and len({document.file for document in documents}) == len(documents)
    assert {d.topic.split(".")[1] for d in documents} == {
        "edifact", "x12", "idoc", "ubl", "csv", "fixed", "gs1xml", "tradacoms", "json"}
    assert min(sizes) < 100 and max(sizes) > 100_000
    assert len(expected_for(Subscriber("x", ["raw.*.invoic"]), documents)) >= 5
    sources = open(os.path.join(DATA, "SOURCES.md"), encoding="utf-8").read()
    assert all(f"| {document.file} |" in sources for document in documents)


def test_a_damaged_folder_is_refused(tmp_path):
    document = load(DATA)[0]
    (tmp_path / "a").write_bytes(document.data + b"x")
    (tmp_path / "MANIFEST.tsv").write_text(f"file\ttopic\tcontent type\tsha256\na\traw.a.b\tx/y\t{document.sha256}\n")
    with pytest.raises(DataError):
        load(str(tmp_path))
