"""The demo's act of the mailbox: right with a router that keeps its promise, and not with one that forgets."""

import hashlib
import os
import stat
import sys

import pytest

import wire
from conftest import BINARY

DEMO = os.path.join(wire.ROOT, "examples", "demo")
sys.path.insert(0, DEMO)

import mailbox  # noqa: E402
from documents import Document  # noqa: E402
from processes import Trouble  # noqa: E402

DATA = bytes(range(256))
ORDER = Document("doc-1", "order.edi", "raw.edifact.orders", "application/EDIFACT", hashlib.sha256(DATA).hexdigest(), DATA)


def test_the_order_is_there_and_the_request_is_answered(body, capsys):
    assert mailbox.carry_out(BINARY, body, [ORDER], 30) == []
    said = capsys.readouterr().out
    assert "SIGKILL" in said and "digest ok" in said and "order.edi is being picked" in said


def forgetful(folder):
    """A router that begins with an empty journal each time."""
    program = folder / "forgetful"
    program.write_text(f'#!/bin/bash\nfor word; do [ "$last" = --journal ] && rm -rf "$word"; last=$word; done\nexec {BINARY} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_a_router_that_forgets_is_found_out(tmp_path, capsys):
    with pytest.raises(Trouble, match="warehouse"):
        mailbox.carry_out(forgetful(tmp_path), "auto", [ORDER], 3)
    assert "SIGKILL" in capsys.readouterr().out


def test_an_order_that_has_changed_is_wrong(body, capsys):
    other = Document(ORDER.id, ORDER.file, ORDER.topic, ORDER.content_type, "0" * 64, ORDER.data)
    wrong = mailbox.carry_out(BINARY, body, [other], 30)
    assert len(wrong) == 1 and "byte for byte" in wrong[0] and "DIGEST DIFFERS" in capsys.readouterr().out
