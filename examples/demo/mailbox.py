"""The act of the mailbox: an order for a system that is away, a router that is killed, and nothing lost.

The order is a document of tests/data. It is sent with --ack disk: acknowledged means that it is in the journal.
"""

import os
import tempfile

import report
from documents import from_line, to_line
from processes import Demo, Trouble

MAILBOX = "@warehouse"
QUESTION = "has the order arrived?"


def _run(demo, name, seconds, command, *arguments):
    """Runs a program that connects to the router, to its end; its lines of output."""
    return demo.run(name, seconds, command, "--server", demo.native, *arguments)


def _send(demo, order, seconds):
    """The ERP sends the order, and waits until it is on disk."""
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
        file.write(to_line(order).replace(f'"topic": "{order.topic}"', f'"topic": "{MAILBOX}"'))
        file.flush()
        _run(demo, "the ERP", seconds, "pub", "--format", "ndjson", "--ack", "disk", "--file", file.name)


def _receive(demo, seconds):
    """The warehouse takes one event out of its mailbox."""
    line, = _run(demo, "the warehouse", seconds, "sub", MAILBOX, "--count", "1")
    return from_line(line)


def _ask(demo, answer, seconds):
    """The ERP asks, the warehouse answers; what the ERP was answered."""
    warehouse = demo.start("the warehouse", "reply", MAILBOX, "--count", "1", "--data", answer)
    warehouse.said("answering", seconds)
    lines = _run(demo, "the ERP", seconds, "request", "--timeout", f"{seconds}s", MAILBOX, QUESTION)
    if warehouse.wait(seconds) != 0:
        raise Trouble(f"the warehouse ended badly; it said:\n{warehouse.errors()}")
    return "".join(lines).rstrip("\n")


def carry_out(binary, io, documents, seconds):
    """Plays the act; what is wrong, as sentences: none is right."""
    order = next(document for document in documents if document.topic.endswith(".orders"))
    wrong = []
    report.heading("A mailbox, and a router that is killed")
    with tempfile.TemporaryDirectory(prefix="roundhouse-demo-") as folder, Demo(binary, io, os.path.join(folder, "journal")) as demo:
        demo.await_ready(seconds)
        report.say(f"  a router with a journal: {demo.facts}")
        opening = demo.start("the warehouse", "sub", MAILBOX)
        opening.said("subscribed", seconds)
        opening.stop(seconds)
        report.say(f"  the warehouse has opened its mailbox {MAILBOX}, and has gone home")
        _send(demo, order, seconds)
        report.say(f"  the ERP has sent it an order ({order.file}, {len(order.data)} B): acknowledged as on disk")
        demo.kill_router()
        report.say("  the router is killed (SIGKILL), in the middle of the night")
        demo.restart_router(seconds)
        report.say("  it is started again, and reads its journal")
        delivery = _receive(demo, seconds)
        right = delivery.id == order.id and delivery.sha256 == order.sha256
        report.say(f"  the warehouse comes, and finds {delivery.subject}, {len(delivery.data)} B: "
                   f"{report.mark(right, 'digest ok', 'DIGEST DIFFERS')}")
        if not right:
            wrong.append(f"the mailbox held {delivery.id} ({delivery.subject}), not the order {order.id} byte for byte")
        answer = f"{order.file} is being picked"
        answered = _ask(demo, answer, seconds)
        report.say(f"  the ERP asks: {QUESTION} - the warehouse answers: {answered}")
        if answered != answer:
            wrong.append(f"the answer was {answered!r}, not {answer!r}")
        status = demo.router.stop(seconds)
        if status != 0:
            raise Trouble(f"the router ended with status {status}; it said:\n{demo.router.errors()}")
    return wrong
