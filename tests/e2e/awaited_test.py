"""Acknowledgements that are awaited: what answers a document, what is overdue, and that neither is lost or told twice."""

import http.client
import os
import re

import pytest

import wire
from spokes_test import Spokes
from wire import pb

OLDEST = pb.Start(oldest=True)
US, PARTNER = "4012345000009", "4098765000009"
UNB = re.compile(r"UNB\+[^+]*\+([^+]*)\+([^+]*)\+[^+]*\+([^+']*)")


@pytest.fixture
def body():
    return "epoll"  # spokes are clients of the router: what carries its network makes no difference to them


@pytest.fixture
def spokes(tmp_path, router, run):
    return Spokes(tmp_path, router, run)


def order(number):
    return (f"UNB+UNOC:3+4000001000005:14+{US}:14+260902:1412+R{number}'UNH+1+ORDERS:D:96A:UN:EAN008'BGM+220+{number}+9'"
            f"DTM+137:20260902:102'NAD+BY+4000001000005::9'NAD+SU+{US}::9'LIN+1++4012345123456:EN'QTY+21:3'UNS+S'"
            f"UNT+9+1'UNZ+1+R{number}'")


def contrl(reference, action=7):
    return (f"UNB+UNOA:3+{PARTNER}:14+{US}:14+260902:1412+A{action}{reference[:11]}'UNH+1+CONTRL:D:3:UN'"
            f"UCI+{reference}+{US}:14+{PARTNER}:14+{action}'UNT+3+1'UNZ+1+A{action}{reference[:11]}'")


def drop(folder, name, text):
    """As a partner does: the file is there at once."""
    (folder / f".{name}").write_text(text)
    os.rename(folder / f".{name}", folder / name)


class Partner:
    """An ERP system whose orders go to a partner, as EDIFACT, and what the partner does."""

    def __init__(self, spokes, folder, await_for):
        self.spokes, self.folder = spokes, folder
        spokes.write("erp", "transport: directory\ndirectory: { inbox: ../erp/in }\ninbound: { format: edifact }\n")
        spokes.write("partner", "transport: directory\ndirectory: { inbox: ../p/in, outbox: ../p/out }\n"
                                "inbound: { format: edifact }\noutbound:\n  topics: erp.order.created\n  format: edifact\n"
                                f"  sender: \"14:{US}\"\n  receiver: \"14:{PARTNER}\"\n  await_acknowledgement: {await_for}\n")

    def start(self, *arguments):
        self.made = self.spokes.start(*arguments)
        self.spokes.running(*self.spokes.list())
        return self.made

    def order(self, number):
        """Sends one, and gives the reference that the partner sees."""
        known = set(self.files())
        drop(self.folder / "erp" / "in", f"{number}.edi", order(number))
        self.spokes.until(lambda: set(self.files()) - known, "the partner gets nothing")
        new, = set(self.files()) - known
        sender, receiver, reference = UNB.search(new.read_text()).groups()
        assert (sender, receiver) == (f"{US}:14", f"{PARTNER}:14")
        return reference

    def files(self):
        return list((self.folder / "p" / "out").glob("[!.]*"))

    def answer(self, reference, action=7):
        drop(self.folder / "p" / "in", f"contrl-{reference}-{action}.edi", contrl(reference, action))

    def counts(self):
        listed = self.spokes.list()["partner"]
        return tuple(listed[name] for name in ("awaited", "acknowledged", "turned_down", "overdue"))

    def until(self, *counts):
        self.spokes.until(lambda: self.counts() == counts, f"not {counts}")


@pytest.fixture
def partner(spokes, tmp_path):
    return lambda await_for: Partner(spokes, tmp_path, await_for)


def test_a_document_is_awaited_until_it_is_acknowledged(partner):
    partner = partner("24h")
    made = partner.start()
    first, second, third = (partner.order(number) for number in (1, 2, 3))
    partner.until(3, 0, 0, 0)
    partner.answer(second)
    partner.until(2, 1, 0, 0)
    partner.answer(second, 8)  # once more, and this time it says only that it has come
    partner.answer("NOBODYS")
    partner.answer(first, 4)
    partner.until(1, 2, 1, 0)
    assert re.search(rf'msg="a document has been rejected by its receiver" spoke=partner interchange="{first}" '
                     rf'partner="{PARTNER}" status="REJECTED"', made.errors())
    partner.answer(third, 8)
    partner.until(0, 3, 1, 0)
    assert made.metric("roundhouse_spoke_acknowledged_total", spoke="partner") == 3


def test_an_acknowledgement_counts_by_whichever_way_it_comes(partner, spokes):
    partner = partner("24h")
    spokes.write("post", "transport: http\ninbound: { format: edifact }\n")
    made = partner.start()
    reference = partner.order(1)
    partner.until(1, 0, 0, 0)
    connection = http.client.HTTPConnection(made.ingest, timeout=wire.WAIT_SECONDS)
    connection.request("POST", "/v1/ingest/post", contrl(reference))
    assert connection.getresponse().status == 202
    connection.close()
    partner.until(0, 1, 0, 0)


def test_what_is_overdue_is_told_once_whatever_happens_to_the_router(partner, tmp_path):
    partner = partner("1s")
    made = partner.start("--journal", tmp_path / "journal")
    first = partner.order(1)
    partner.until(1, 0, 0, 1)
    assert f'msg="an acknowledgement is overdue" spoke=partner interchange="{first}"' in made.errors()
    second = partner.order(2)
    made.process.kill()
    made.process.wait()
    made = partner.start("--journal", tmp_path / "journal")
    with made.client() as client:
        client.subscribe("erp.acknowledgement.overdue", start=OLDEST)
        events = [event.event for event in client.events(2)]
        assert client.round_trip() == []
    for event, reference in zip(events, (first, second)):
        for text in (b"erp.acknowledgement.overdue.v1", b"OVERDUE", reference.encode(), PARTNER.encode(), b"interchangeref"):
            assert text in event
    partner.answer(first)
    made.await_metric("roundhouse_spoke_acknowledged_total", lambda count: count == 1, spoke="partner")
    assert partner.counts()[0] == 1
    assert f'msg="an acknowledgement has come that was overdue" spoke=partner interchange="{first}"' in made.errors()


def test_what_is_answered_while_the_router_is_down_is_answered(partner, tmp_path):
    partner = partner("24h")
    made = partner.start("--journal", tmp_path / "journal")
    answered, _ = partner.order(1), partner.order(2)
    partner.until(2, 0, 0, 0)
    made.process.kill()
    made.process.wait()
    partner.answer(answered)
    partner.start("--journal", tmp_path / "journal")
    partner.until(1, 1, 0, 0)


def test_only_documents_that_can_be_acknowledged_are_awaited(partner, spokes):
    spokes.write("json", "transport: tcp\noutbound: { topics: erp.order.>, await_acknowledgement: 1h }\n")
    done = spokes.run("spokes", "test", spokes.folder)
    assert done.returncode != 0
    assert "documents of EDIFACT and X12 are acknowledged; add format: edifact, or x12" in done.stdout + done.stderr
