"""`roundhouse convert` and `inspect`: business documents in, canonical events out; and, with pub, through the router."""

import json
import pathlib
import subprocess

import pytest

from conftest import BINARY
from cli_test import Watched

DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
ORDER = DATA / "edifact/smooks__ORDERS_D.03B_Interchange.txt"
BAD_COUNT = DATA / "edifact/smooks__BAD_ORDERS_D.03B_Interchange.txt"
READ = ["edifact", "x12", "idoc", "ubl", "gs1xml", "tradacoms"]
DOCUMENTS = [file for folder in READ for file in sorted((DATA / folder).iterdir()) if file.is_file()]


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_order_in_edifact_becomes_an_order(run):
    done = run("convert", ORDER)
    assert done.returncode == 0, done.stderr
    order, = lines(done)
    assert order["header"]["id"] == "BKOD99" and order["header"]["issued"] == "2005-11-07"
    assert [line["quantity"]["value"] for line in order["lines"]] == ["25", "25", "16", "10"]
    assert order["header"]["origin"]["interchangeRef"] == "6002" and order["header"]["origin"]["offset"] == "55"


def test_a_broken_rule_refuses_the_message_and_a_tolerated_one_is_a_warning(run):
    done = run("convert", "-q", BAD_COUNT)
    assert done.returncode == 65 and done.stdout == ""
    error, refused, summary = done.stderr.splitlines()
    assert error.startswith(f"{BAD_COUNT}:58: error edifact.count-differs: ") and "there is '22', not '57'" in error
    assert "message SSDD1 (ORDERS) is refused" in refused and "0 converted, 1 refused" in summary
    done = run("convert", "--tolerate", "edifact.count-differs", BAD_COUNT)
    assert done.returncode == 0 and len(lines(done)) == 1
    assert ": warning edifact.count-differs: " in done.stderr
    assert run("convert", "--lenient", "-q", BAD_COUNT).stderr == ""


@pytest.mark.parametrize("to", ["edifact", "x12"])
def test_documents_without_references_get_different_ones_and_the_same_the_same(run, tmp_path, to):
    ids = []
    for number in ("1", "2", "1"):
        order = tmp_path / "order.json"
        order.write_text(json.dumps({"header": {"id": f"PO-{number}", "issued": "2026-11-27"}, "lines": []}))
        done = run("convert", "-q", "--message", "Order", "--sender", "S", "--receiver", "R", "--to", to, order)
        assert done.returncode == 0, done.stderr
        (tmp_path / "written.edi").write_text(done.stdout)
        events = run("convert", "-q", "--lenient", "--to", "events", tmp_path / "written.edi")
        ids.append(lines(events)[0]["event"]["id"])
    assert ids[0] != ids[1] and ids[0] == ids[2]


def test_many_notes_of_one_rule_are_counted_and_all_of_them_can_be_had(run, tmp_path):
    items = "".join(f"LIN+{n}++4000862141{n:03}:EN'QTY+21:1:PCE'" for n in range(1, 101))
    message = f"UNH+1+ORDERS:D:96A:UN'BGM+220+4711+9'DTM+137:20260901:102'{items}UNS+S'"
    file = tmp_path / "many.edi"
    file.write_text(f"UNB+UNOA:3+A+B+260901:1000+R'{message}UNT+{message.count(chr(39)) + 1}+1'UNZ+1+R'")
    all_of_them = run("convert", "-v", file).stderr.splitlines()
    done = run("convert", file)
    told = [line for line in done.stderr.splitlines() if ": note map.check-digit: " in line]
    every = sum(": note map.check-digit: " in line for line in all_of_them)
    assert len(told) == 20 and every > 80
    assert f"{file}: map.check-digit: {every - 20} more of these; --verbose tells them all" in done.stderr.splitlines()


def test_a_refused_message_does_not_hold_up_the_others(run):
    done = run("convert", "-q", BAD_COUNT, ORDER, "-", input=ORDER.read_text())
    assert done.returncode == 65 and len(lines(done)) == 2
    one, two = lines(done)
    assert "sha256" in one["header"]["origin"] and "sha256" not in two["header"]["origin"]
    assert one["lines"] == two["lines"]


def test_what_is_written_as_ubl_is_read_again(run, tmp_path):
    (tmp_path / "order.xml").write_text(run("convert", "--to", "ubl", ORDER).stdout)
    again = run("convert", "order.xml")
    assert again.returncode == 0, again.stderr
    assert [(line["id"], line["quantity"]["value"]) for line in lines(again)[0]["lines"]] == [("1", "25"), ("2", "25"), ("3", "16"), ("4", "10")]


def without_origin(message):
    return {**message, "header": {name: value for name, value in message["header"].items() if name != "origin"}}


def test_what_is_written_as_edifact_is_the_same_when_it_is_read_again(run, tmp_path):
    written = run("convert", "--to", "edifact", ORDER)
    assert written.returncode == 0 and "in edifact" not in written.stderr, written.stderr
    assert written.stdout.startswith("UNA:+.? '\nUNB+UNOC:3+APPLICATION:1+COMPANY:1+051107:1159+6002'\nUNH+SSDD1+ORDERS:D:03B:UN:EAN008'\n")
    (tmp_path / "order.edi").write_text(written.stdout)
    again = run("convert", "order.edi")
    assert again.returncode == 0, again.stderr
    assert without_origin(lines(again)[0]) == without_origin(lines(run("convert", ORDER))[0])


def test_an_order_goes_from_edifact_to_x12_and_what_is_lost_is_told(run, tmp_path):
    written = run("convert", "--to", "x12", "--sender", "ZZ:US", "--receiver", "01:012345678", "--test", ORDER)
    assert written.returncode == 0
    isa, gs, st, beg = [line.split("*") for line in written.stdout.splitlines()[:4]]
    assert (isa[5:9], isa[13], isa[15]) == (["ZZ", "US".ljust(15), "01", "012345678".ljust(15)], "000006002", "T")
    assert gs[1:4] == ["PO", "US", "012345678"] and st[1] == "850" and beg[3] == "BKOD99"
    assert f"{ORDER}: note: message SSDD1: header.typeCode '220' became 'SA' in x12" in written.stderr
    assert run("convert", "-q", "--to", "x12", ORDER).stderr == ""
    (tmp_path / "order.x12").write_text(written.stdout)
    again = run("convert", "order.x12")
    assert again.returncode == 0, again.stderr
    assert [(line["id"], line["quantity"]["value"]) for line in lines(again)[0]["lines"]] == [("1", "25"), ("2", "25"), ("3", "16"), ("4", "10")]


def test_json_goes_in_as_events_as_canonical_messages_and_as_many(run, tmp_path):
    """Whatever JSON an order comes as, it is the order that it was."""
    order, = lines(run("convert", ORDER))
    edifact = run("convert", "-q", "--to", "edifact", ORDER).stdout
    events = run("convert", "-q", "--to", "events", ORDER).stdout
    event = json.loads(events)["event"]
    plain = without_origin(order)
    data = {**{name: value for name, value in event.items() if name != "data_base64"}, "datacontenttype": "application/json", "data": plain}
    for text in (json.dumps(order), json.dumps(order, indent=1), events, json.dumps(event), json.dumps(data)):
        done = run("convert", "-", input=text)
        assert done.returncode == 0 and [without_origin(message) for message in lines(done)] == [plain], done.stderr
    assert run("convert", "-q", "--to", "edifact", "-", input=json.dumps(order)).stdout == edifact
    assert run("convert", "-q", "--to", "edifact", "-", input=events).stdout == edifact
    for text in (json.dumps([order, event]), json.dumps(order) + "\n" + events):
        assert len(lines(run("convert", "-", input=text))) == 2
    done = run("convert", "-q", "-", input=json.dumps(plain))
    assert done.returncode == 65 and "error json.message" in done.stderr and done.stdout == ""
    done = run("convert", "--message", "Order", "--to", "ubl", "-", input=json.dumps(plain))
    assert done.returncode == 0 and "<cbc:ID>BKOD99</cbc:ID>" in done.stdout, done.stderr
    done = run("convert", "--message", "Order", "-", input='{"header":{"nonsense":1}}\n{"header":{"id":"2"}}\n')
    assert done.returncode == 65 and "error json.message" in done.stderr and "nonsense" in done.stderr
    assert [message["header"]["id"] for message in lines(done)] == ["2"]
    assert "error json.text" in run("convert", "-", input='{"a":').stderr
    assert run("convert", "--message", "Orders", "-", input="").returncode == 64


def test_a_message_that_a_format_has_no_document_for_is_told(run):
    report = next((DATA / "edifact").glob("own__INVRPT*"))
    for to, name in (("edifact", "EDIFACT"), ("x12", "X12"), ("ubl", "UBL")):
        done = run("convert", "--to", to, report)
        assert done.returncode == 65 and done.stdout == "" and f"{name} has nothing for this: InventoryReport" in done.stderr


def test_protobuf_comes_behind_its_length(run):
    done = run("convert", "--to", "proto", "-q", ORDER, ORDER, text=False)
    size, shift, at = 0, 0, 0
    while True:
        byte = done.stdout[at]
        size |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    assert done.returncode == 0 and len(done.stdout) == 2 * (at + size)


def test_a_legacy_file_goes_through_the_router_and_the_same_file_has_the_same_ids(router, run, spawn):
    made = router()
    watched = Watched(spawn, made, "--count", "2", "erp.order.>")
    for _ in range(2):
        events = run("convert", "-q", "--to", "events", ORDER)
        assert events.returncode == 0, events.stderr
        done = run("pub", "--server", made.address, "--format", "ndjson", input=events.stdout)
        assert done.returncode == 0, done.stderr
    one, two = watched.lines()
    assert one["topic"] == "erp.order.created" and one["event"]["type"] == "erp.order.created.v1"
    assert one["event"]["id"] == two["event"]["id"] and one["event"]["source"] == "/edi/COMPANY/APPLICATION"
    assert one["event"]["subject"] == "BKOD99"


def test_an_outline_shows_what_is_there_and_what_is_wrong(run):
    done = run("inspect", BAD_COUNT)
    assert done.returncode == 65
    outline = done.stdout.splitlines()
    assert outline[0] == str(BAD_COUNT) and outline[1] == "  EDIFACT UNOA:4 6002 from APPLICATION to COMPANY, 20051107 1159, byte 0"
    assert outline[2] == "    ORDERS D:03B:UN EAN008, reference SSDD1, byte 55"
    assert any(": error edifact.count-differs: " in line for line in outline)
    assert outline[-3:] == ["      Order BKOD99: refused", "    1 message, 1272 bytes", "  read as edifact"]
    done = run("inspect", "--segments", ORDER)
    assert done.returncode == 0 and "      BGM  1=220  2=BKOD99  3=9" in done.stdout.splitlines()


def test_an_outline_of_json_shows_events_and_messages(run):
    """Bare messages, events with JSON or protobuf in them, and what is neither, each with its place."""
    order, = lines(run("convert", ORDER))
    events = run("convert", "-q", "--to", "events", ORDER).stdout
    event = json.loads(events)["event"]
    done = run("inspect", "-", input=events)
    assert done.returncode == 0, done.stderr
    shown = f"  event {event['id']} erp.order.created.v1 from {event['source']}, subject BKOD99, application/protobuf"
    assert done.stdout.splitlines() == ["standard input", shown + ", byte 0", "    Order BKOD99, of EDIFACT ORDERS, reference SSDD1", "  read as json"]
    plain = json.dumps(without_origin(order))
    data = json.dumps({"specversion": "1.0", "id": "7", "source": "/s", "type": "t", "datacontenttype": "application/json",
                       "dataschema": "type.googleapis.com/roundhouse.erp.v1.Order", "data": json.loads(plain)})
    other = '{"specversion":"1.0","id":"8","source":"/s","type":"t","data":{"no":"message"}}'
    text = f"{json.dumps(order)}\n{data}\n{plain}\n{other}\n{{"
    done = run("inspect", "-", input=text)
    assert done.returncode == 65, done.stderr
    outline = done.stdout.splitlines()[1:]
    assert outline[0] == "  message, byte 0" and outline[1] == "    Order BKOD99, of EDIFACT ORDERS, reference SSDD1"
    assert outline[2] == f"  event 7 t from /s, application/json, byte {text.index(data)}"
    assert outline[3] == "    Order BKOD99, of JSON"
    assert outline[4] == f"  message, byte {text.index(plain, text.index(data) + len(data))}"
    assert outline[5].startswith("    ") and "error json.message" in outline[5]
    assert outline[6] == f"  event 8 t from /s, application/json, byte {text.index(other)}" and "error json.message" in outline[7]
    assert not outline[8].startswith("    ") and "error json.text" in outline[8]
    assert outline[9:] == ["  read as json"]
    done = run("inspect", "--message", "Order", "-", input=plain)
    assert done.returncode == 0 and done.stdout.splitlines()[2] == "    Order BKOD99, of JSON", done.stdout
    assert "--message is Order, OrderResponse, ..., not 'Orders'" in run("inspect", "--message", "Orders", "-").stderr


def test_a_map_of_ones_own_goes_before_those_that_are_built_in(run, tmp_path):
    (tmp_path / "own.map").write_text("map EDIFACT ORDERS\nevent Order\n\nBGM  2  header.id\nBGM  1  header.notes  role=\"own\"\n")
    done = run("convert", "--map", "own.map", ORDER)
    assert done.returncode == 0, done.stderr
    order, = lines(done)
    assert order["header"]["notes"] == [{"value": "220", "role": "own"}] and "lines" not in order
    (tmp_path / "wrong.map").write_text("map EDIFACT ORDERS\nevent Order\n\nBGM  2  header.idd\n")
    done = run("convert", "--map", "wrong.map", ORDER)
    assert done.returncode == 78 and "wrong.map:4: no field `idd` in Header" in done.stderr


SHOP = """map CSV ORDER
event Order
ORDER  Name      header.id
ORDER  Currency  header.currency
section LINE  lines
    LINE  {Lineitem sku}       item.ids  scheme="SELLER"
    LINE  {Lineitem quantity}  quantity
"""
ROWS = """template shop
event Order
rows lines
column Order     header.id
column Article   lines.item.ids
column Quantity  lines.quantity
"""


def test_tables_are_read_by_a_dialect_and_written_by_a_template(run, tmp_path):
    (tmp_path / "shop.map").write_text(SHOP)
    (tmp_path / "rows.template").write_text(ROWS)
    shop = ["--csv", DATA / "dialects/shopify.dialect", "--map", "shop.map", DATA / "csv/own__shopify_orders_layout_synthetic.csv"]
    done = run("convert", "-q", *shop)
    assert done.returncode == 0, done.stderr
    orders = lines(done)
    assert len(orders) == 2 and all(order["lines"] for order in orders)
    done = run("convert", "-q", "--to", "csv", "--template", "rows.template", *shop)
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert rows[0] == ["Order", "Article", "Quantity"]
    assert rows[1:] == [[o["header"]["id"], line["item"]["ids"][0]["value"], line["quantity"]["value"]] for o in orders for line in o["lines"]]
    assert "ORDER, reference" in run("inspect", *shop).stdout
    (tmp_path / "wrong").write_text("template shop\nevent Order\ncolumn X header.nonsense\n")
    done = run("convert", "--to", "csv", "--template", "wrong", *shop)
    assert done.returncode == 78 and "wrong:3: " in done.stderr


def test_records_of_fixed_width_are_read_by_a_layout(run):
    accounts = DATA / "fixed/carddemo__acctdata.txt"
    done = run("inspect", "--segments", "--fixed", DATA / "layouts/carddemo_account.layout", accounts)
    assert done.returncode == 65 and done.stdout.endswith("  read as fixed\n")
    assert done.stdout.count("error map.none") == 50 and "ACCOUNT  1=00000000001  2=Y  3=194.00" in done.stdout


@pytest.mark.parametrize("arguments, says", [
    (["convert"], "a FILE is missing"),
    (["inspect"], "a FILE is missing"),
    (["convert", "--to", "cobol", "x"], "--to is json, events, proto, ubl, edifact, x12 or csv, not 'cobol'"),
    (["convert", "--tolerate", "edifact.nonsense", "x"], "there is no rule 'edifact.nonsense'"),
    (["convert", "--to", "csv", "x"], "--to csv and --template FILE belong together"),
    (["inspect", "--tolerate", "document.tradacoms", "x"], "nobody can go on from document.tradacoms"),
    (["convert", "--nonsense", "x"], "--nonsense"),
])
def test_mistakes_in_arguments_are_usage(run, arguments, says):
    done = run(*arguments)
    assert done.returncode == 64 and says in done.stderr and done.stdout == ""


def test_files_that_are_none_are_told_and_the_others_are_read(run, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 40)
    done = run("convert", "-q", "missing", "empty", "noise", ".", ORDER)
    assert done.returncode == 65 and len(lines(done)) == 1
    assert "missing: No such file or directory" in done.stderr and ".: Is a directory" in done.stderr
    assert "empty:1: error document.unknown-format" in done.stderr and "noise:1: error document.unknown-format" in done.stderr
    tradacoms = next((DATA / "tradacoms").glob("*.edi"), None) or next(f for f in (DATA / "tradacoms").iterdir() if f.is_file())
    assert "error document.tradacoms" in run("convert", tradacoms).stderr


def test_every_sample_is_read_or_refused_in_words():
    """Strict and lenient, as messages and as an outline: never a crash, and what is refused is told."""
    assert len(DOCUMENTS) > 120
    for options in (["convert"], ["convert", "--lenient", "--to", "events"], ["inspect", "--segments"]):
        for file in DOCUMENTS:
            done = subprocess.run([BINARY, *options, file], capture_output=True, timeout=60, check=False)
            assert done.returncode in (0, 65), (options, file, done.stderr)
            told = done.stdout if options[0] == "inspect" else done.stderr
            assert done.returncode == 0 or b": error " in told or b"is refused" in told, (options, file)
