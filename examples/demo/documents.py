"""The sample documents of tests/data, and the CloudEvent that carries one of them."""

import base64
import csv
import hashlib
import json
import os
from dataclasses import dataclass

SOURCE = "/roundhouse/demo"
TYPE = "org.roundhouse.demo.document.received"


class DataError(Exception):
    """The folder with the documents is not what its manifest says."""


@dataclass(frozen=True)
class Document:
    """One line of the manifest, with the bytes of the file."""

    id: str
    file: str
    topic: str
    content_type: str
    sha256: str
    data: bytes

    def with_data(self, data):
        """The same document with other bytes and the old digest: what a fault on the way would make of it."""
        return Document(self.id, self.file, self.topic, self.content_type, self.sha256, data)


def load(folder):
    """All documents of the manifest, in its order; refuses a folder that differs from its manifest."""
    documents = []
    with open(os.path.join(folder, "MANIFEST.tsv"), encoding="utf-8", newline="") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            with open(os.path.join(folder, row["file"]), "rb") as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() != row["sha256"]:
                raise DataError(f"{row['file']}: its bytes are not those of the manifest")
            documents.append(Document(f"doc-{len(documents) + 1:03d}", row["file"], row["topic"],
                                      row["content type"], row["sha256"], data))
    if not documents:
        raise DataError("the manifest names no document")
    return documents


def flip_one_byte(document):
    """The document with the byte in its middle inverted; its digest stays that of the original."""
    data = bytearray(document.data)
    data[len(data) // 2] ^= 0xFF
    return document.with_data(bytes(data))


def to_line(document):
    """The document as one line for `roundhouse pub --format ndjson`."""
    event = {
        "specversion": "1.0",
        "id": document.id,
        "source": SOURCE,
        "type": TYPE,
        "subject": document.file,
        "datacontenttype": document.content_type,
        "data_base64": base64.b64encode(document.data).decode("ascii"),
    }
    return json.dumps({"topic": document.topic, "event": event}) + "\n"


@dataclass(frozen=True)
class Delivery:
    """One line that `roundhouse sub --format json` printed."""

    topic: str
    sequence: int
    id: str
    subject: str
    content_type: str
    data: bytes

    @property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()


def from_line(line):
    """Reads a line of `roundhouse sub --format json`; raises ValueError when it is not one."""
    try:
        record = json.loads(line)
        event = record["event"]
        if event["specversion"] != "1.0" or event["source"] != SOURCE or event["type"] != TYPE:
            raise ValueError("an attribute of the event has changed")
        data = base64.b64decode(event["data_base64"], validate=True)
        return Delivery(record["topic"], int(record["sequence"]), event["id"], event["subject"],
                        event["datacontenttype"], data)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a delivery ({error!r})") from error
