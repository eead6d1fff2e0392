"""The demo's act of the hub: right with a good router, and found out when something is lost, doubled or misshapen."""

import hashlib
import os
import shutil
import stat
import sys

import pytest

import wire
from conftest import BINARY

DEMO = os.path.join(wire.ROOT, "examples", "demo")
sys.path.insert(0, DEMO)

import despatches  # noqa: E402
import hub  # noqa: E402
from documents import DataError, Document  # noqa: E402
from processes import Trouble  # noqa: E402
from tally import Got, System, judge, judge_controls, judge_some  # noqa: E402

with open(os.path.join(wire.ROOT, "tests", "data", despatches.MODEL), "rb") as file:
    DATA = file.read()
DIGEST = hashlib.sha256(DATA).hexdigest()
DOCUMENTS = [Document("doc-1", despatches.MODEL, "raw.edifact.desadv", "application/EDIFACT", DIGEST, DATA)]
GOOD_SECONDS, BAD_SECONDS = 30, 12  # what is lost is waited for


def changed(tmp_path, file, old, new):
    """The examples' spokes with one change, and without golden pairs, which would refuse it."""
    folder = tmp_path / "spokes.d"
    shutil.copytree(hub.SPOKES, folder)
    for path in folder.glob("*.yaml*"):
        path.write_text(path.read_text().partition("tests:\n")[0])
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return str(folder)


# ---- the act ----

def test_everybody_gets_everything_once(body, capsys):
    assert hub.carry_out(BINARY, body, DOCUMENTS, GOOD_SECONDS) == []
    said = capsys.readouterr().out
    assert "none is lost, none came twice" in said and "with 503" in said
    assert "changed crm, unchanged shop tracking warehouse" in said and "DA-77130 is large" in said
    assert '"order": "PO-2026-200"' in said and '"DESPATCH_NO": "DA-77101"' in said and "UCI+DES1001+" in said
    for pattern in ("events", "point-to-point", "hub-and-spoke", "service bus"):
        assert f"  {pattern}:" in said
    assert len(said.splitlines()) <= 40


@pytest.mark.slow
def test_one_that_is_lost_is_found_out(tmp_path, capsys):
    spokes = changed(tmp_path, "crm.yaml", "outbound:\n", "outbound:\n  filter: .header.id != \"DA-77105\"\n")
    wrong = hub.carry_out(BINARY, "auto", DOCUMENTS, BAD_SECONDS, spokes)
    assert wrong == ["DA-77105 never reached the old CRM or the new CRM"]
    assert "NOT EVERYTHING CAME ONCE" in capsys.readouterr().out


def test_one_that_comes_twice_is_found_out(tmp_path):
    twice_one = "  mapping: |\n    select(.header.id == \"DA-77133\"), . |\n"
    spokes = changed(tmp_path, "shop.yaml", "  mapping: |\n", twice_one)
    twice, other_id = hub.carry_out(BINARY, "auto", DOCUMENTS, GOOD_SECONDS, spokes)
    assert twice == "DA-77133 reached the shop 2 times" and other_id.startswith("the shop got DA-77133 with the id ")


def test_another_shape_is_found_out(tmp_path):
    spokes = changed(tmp_path, "crm.yaml.next", "activity:", "deed:")
    wrong = hub.carry_out(BINARY, "auto", DOCUMENTS, GOOD_SECONDS, spokes)
    assert wrong and all("the new CRM got a document of another shape" in sentence for sentence in wrong)


def test_a_crm_that_is_not_replaced_is_found_out(tmp_path):
    """A router whose `spokes apply` says that it has done something, and has done nothing."""
    program = tmp_path / "lazy"
    program.write_text('#!/bin/bash\n[ "$1 $2" = "spokes apply" ] && exec echo "changed   crm"\n'
                       f'exec {BINARY} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    wrong = hub.carry_out(str(program), "auto", DOCUMENTS, GOOD_SECONDS)
    assert wrong == ["the new CRM got nothing: it was not replaced while events flowed"]


def test_a_file_that_is_wrong_is_refused(tmp_path):
    spokes = changed(tmp_path, "crm.yaml.next", "mapping: '{", "mapping: '{{")
    with pytest.raises(Trouble, match="nothing was applied"):
        hub.carry_out(BINARY, "auto", DOCUMENTS, GOOD_SECONDS, spokes)


def test_without_its_document_it_is_not_played():
    with pytest.raises(DataError, match="not in the manifest"):
        hub.carry_out(BINARY, "auto", [], GOOD_SECONDS)


# ---- the judgement ----

NUMBERS = ["DA-1", "DA-2", "DA-3"]
IDS = {number: f"id-{number}" for number in NUMBERS}


def system(name, numbers, shape=frozenset({"number"})):
    made = System(name, ("number",), shape)
    for number in numbers:
        made.take({"number": number}, IDS.get(number, ""))
    return made


def judged(archive=NUMBERS, shop=NUMBERS, old=NUMBERS[:1], new=NUMBERS[1:]):
    return judge(NUMBERS, [Got(number, IDS.get(number, "id")) for number in archive], [system("the shop", shop)],
                 [system("old", old), system("new", new)])


def test_what_is_right_is_right():
    assert judged() == []


@pytest.mark.parametrize("got, sentence", [
    ({"archive": NUMBERS[:2]}, "DA-3 never reached the archive"),
    ({"archive": [*NUMBERS, "DA-1"]}, "DA-1 reached the archive 2 times"),
    ({"shop": NUMBERS[1:]}, "DA-1 never reached the shop"),
    ({"shop": [*NUMBERS, "DA-4"]}, "the shop got DA-4, which nobody sent"),
    ({"shop": [*NUMBERS, ""]}, "the shop got a document without a number, which nobody sent"),
    ({"old": NUMBERS[:2]}, "DA-2 reached old or new 2 times"),
    ({"new": NUMBERS[2:]}, "DA-2 never reached old or new"),
    ({"old": NUMBERS, "new": []}, "new got nothing: it was not replaced while events flowed"),
    ({"old": [], "new": NUMBERS}, "old got nothing: it was not replaced while events flowed"),
])
def test_what_is_wrong_is_a_sentence(got, sentence):
    assert judged(**got) == [sentence]


def test_another_id_is_wrong():
    shop = system("the shop", NUMBERS[1:])
    shop.take({"number": "DA-1"}, "id-DA-2")
    wrong = judge(NUMBERS, [Got(number, IDS[number]) for number in NUMBERS], [shop],
                  [system("old", NUMBERS[:1]), system("new", NUMBERS[1:])])
    assert wrong == ["the shop got DA-1 with the id 'id-DA-2', the event has 'id-DA-1'"]


def test_two_with_one_id_are_wrong():
    assert "different despatches have the same id" in judge(NUMBERS, [Got(number, "id") for number in NUMBERS], [], [])


def test_another_shape_is_wrong():
    assert "another shape" in system("the shop", ["DA-1"], frozenset({"number", "more"})).misshapen[0]


def test_one_that_gets_some_gets_these():
    assert judge_some(system("the dispatcher", ["DA-2"]), ["DA-2"]) == []
    assert judge_some(system("the dispatcher", ["DA-1"]), ["DA-2"]) == [
        "DA-2 never reached the dispatcher", "the dispatcher got DA-1, which nobody sent"]


def test_controls_are_counted_and_read(tmp_path):
    made = despatches.make(DOCUMENTS, 3)
    assert len({d.data for d in made}) == 3
    assert all(d.number.encode() in d.data and d.interchange.encode() in d.data for d in made)
    for n, (despatch, action) in enumerate(zip(made[:2], "74")):
        (tmp_path / f"{n}.edi").write_text("UNB+UNOC:3+A+B+260101:0000+1'UNH+1+CONTRL:D:3:UN'\n"
                                            f"UCI+{despatch.interchange}+A+B+{action}'UNT+3+1'UNZ+1+1'")
    assert judge_controls(made, despatches.controls(tmp_path)) == [
        "DES1003 never reached the warehouse's outbox", "the CONTRL for DES1002 says that it was rejected"]
