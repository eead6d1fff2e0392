"""The demo's warehouse: despatch advices in EDIFACT, each with its own references, and the CONTRLs that come back."""

import os
import re
from dataclasses import dataclass

from documents import DataError

# What the document is made from: the references that make each one another, and so give its event another id.
MODEL = "edifact/own__DESADV_D96A_EAN005_synthetic.edi"
NUMBER, INTERCHANGE, ORDER = b"DA-77001", b"DES0042", b"PO-2026-118"
QUANTITY, LARGE, LARGE_NUMBER = b"QTY+12:48:PCE", b"QTY+12:4800:PCE", "DA-77130"
REJECTED = "4"  # the action code in UCI


@dataclass(frozen=True)
class Despatch:
    """A file of the warehouse: its number is in the document (BGM), its interchange is what a CONTRL answers (UNB)."""

    file: str
    number: str
    interchange: str
    data: bytes


def make(documents, count):
    """So many different despatch advices, three of them to an order; one has a hundred times as many pieces."""
    model = next((document.data for document in documents if document.file == MODEL), None)
    if model is None:
        raise DataError(f"{MODEL}, which the despatch advices are made from, is not in the manifest")
    made = []
    for n in range(1, count + 1):
        number, interchange, order = f"DA-{77100 + n}", f"DES{1000 + n}", f"PO-2026-{200 + n // 3}"
        data = model.replace(NUMBER, number.encode()).replace(INTERCHANGE, interchange.encode())
        data = data.replace(QUANTITY, LARGE) if number == LARGE_NUMBER else data
        made.append(Despatch(f"despatch-{n:02d}.edi", number, interchange, data.replace(ORDER, order.encode())))
    return made


def excerpt(despatch):
    """Some segments of it, for people."""
    segments = [segment.strip() for segment in despatch.data.decode("latin-1").split("'")]
    first = {segment[:3]: segment for segment in reversed(segments)}
    return " ... ".join(f"{first[tag]}'" for tag in ("UNB", "BGM", "LIN", "QTY"))


def drop(despatch, inbox):
    """As a careful program does it: written under another name, and then renamed."""
    path = os.path.join(inbox, despatch.file)
    with open(path + ".tmp", "wb") as file:
        file.write(despatch.data)
    os.rename(path + ".tmp", path)


@dataclass(frozen=True)
class Control:
    """A CONTRL: which interchange it answers, and whether that was taken."""

    interchange: str
    taken: bool
    segments: tuple


def controls(outbox):
    """The CONTRLs that lie in the outbox, by the names of their files."""
    found = []
    for name in sorted(os.listdir(outbox)) if os.path.isdir(outbox) else []:
        if name.startswith("."):
            continue
        with open(os.path.join(outbox, name), encoding="latin-1") as file:
            segments = tuple(segment.strip() for segment in re.split(r"(?<!\?)'", file.read()) if segment.strip())
        for segment in segments:
            if segment.startswith("UCI+"):
                elements = segment.split("+")
                found.append(Control(elements[1], len(elements) > 4 and elements[4] != REJECTED, segments))
    return found
