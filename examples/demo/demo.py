#!/usr/bin/python3
"""Shows Roundhouse's main job on real business documents, and checks it.

    /usr/bin/python3 examples/demo/demo.py --binary build/release/roundhouse [--break] [--io auto|uring|epoll]

The demo starts a router on free ports of the loopback address and three subscribers, each a `roundhouse sub`:

    ledger    raw.edifact.invoic    a literal topic
    invoices  raw.*.invoic          invoices of every format
    archive   raw.>                 everything

Then one `roundhouse pub` publishes every document of tests/data/MANIFEST.tsv as a CloudEvent on its topic
`raw.<format>.<kind>`: EDIFACT, X12, IDoc, UBL, GS1 XML, TRADACOMS, CSV, fixed width (EBCDIC too) and JSON.
Each delivery is printed. At the end the demo compares what each subscriber got with what it should have got:
the manifest's SHA-256 digests say what, and matching.py, which shares no code with the router, says who.
Missing, extra, altered and repeated documents are wrong, and so is another order than that of publishing
within a topic.

Then comes an act with a router that has a journal (mailbox.py): an order is sent to the mailbox of a system that is
away; the router is killed by SIGKILL and started again; the system comes, gets its order byte for byte, and answers a
request.

The last act is the hub (hub.py): a warehouse drops EDIFACT files into a directory; an archive, a tracking app over TCP,
a shop and a CRM by HTTP get each of them once, each in its own shape; the CRM is replaced by another one while files
come, by editing one file; a rule puts a large one into a dispatcher's mailbox; the warehouse gets a CONTRL for each. What
each got is compared with what was dropped.

With --break one byte of one document is flipped after its digest was taken and before it is published.
The demo must then find it, name the document and fail.

Exit status: 0 everything is right, 1 something is wrong, 2 the demo could not be carried out, 64 a wrong option,
130 ended by Ctrl-C, 141 nobody reads what it prints.
Every wait is bounded; what was started is ended by its process id.
"""

import argparse
import os
import sys
import time

import hub
import mailbox
import report
from compare import Subscriber, expected_for, judge
from documents import DataError, flip_one_byte, from_line, load, to_line
from processes import Demo, Trouble

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
START_SECONDS = 30
STOP_SECONDS = 15
DELIVERY_SECONDS = 30
QUIET_SECONDS = 0.3  # after the last expected delivery: time for one too many to show itself


def subscribers():
    return [Subscriber("ledger", ["raw.edifact.invoic"]),
            Subscriber("invoices", ["raw.*.invoic"]),
            Subscriber("archive", ["raw.>"])]


class Collector:
    """Takes the lines of the subscribing programs as they come and prints each delivery."""

    def __init__(self, people, programs, documents):
        self._pairs = list(zip(people, programs))
        self._by_id = {document.id: document for document in documents}
        self._wanted = {person.name: len(expected_for(person, documents)) for person in people}

    def take(self, person, line):
        try:
            delivery = from_line(line)
        except ValueError as error:
            person.unreadable.append(f"{error}: {line.strip()[:80]}")
            return
        person.deliveries.append(delivery)
        report.delivery(person.name, delivery, self._by_id.get(delivery.id))

    def _round(self):
        """Takes at most one line of each program; whether there was one."""
        any_line = False
        for person, program in self._pairs:
            line = program.line(0)
            if line is not None:
                any_line = True
                self.take(person, line)
        if not any_line:
            time.sleep(0.01)
        return any_line

    def _complete(self):
        return all(len(person.deliveries) >= self._wanted[person.name] for person, _ in self._pairs)

    def until_complete(self, seconds):
        """Until everybody has the expected number of deliveries, or the time is over."""
        end = time.monotonic() + seconds
        while not self._complete() and time.monotonic() < end:
            self._round()

    def until_quiet(self, seconds):
        """Until no program has printed anything for so long: what is too much is seen here."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._round():
                end = time.monotonic() + seconds

    def rest(self):
        """What the programs, by now ended, had still printed."""
        for person, program in self._pairs:
            while (line := program.line(0)) is not None:
                self.take(person, line)


def carry_out(options, documents, people):
    """Publishes the documents through a real router and fills in what each subscriber got."""
    sent = list(documents)
    if options.broken:
        target = next(n for n, d in enumerate(documents) if d.topic == people[0].patterns[0])
        sent[target] = flip_one_byte(documents[target])
        report.say(f"breaking on purpose: one byte of {documents[target].file} is flipped on its way")
    with Demo(options.binary, options.io) as demo:
        demo.await_ready(START_SECONDS)
        report.say(f"the router says: {demo.facts}")
        programs = [demo.subscribe(person.name, person.patterns) for person in people]
        demo.await_subscriptions(sum(len(person.patterns) for person in people), START_SECONDS)
        report.heading("Deliveries")
        demo.publish([to_line(document) for document in sent], DELIVERY_SECONDS)
        collector = Collector(people, programs, documents)
        collector.until_complete(DELIVERY_SECONDS)
        collector.until_quiet(QUIET_SECONDS)
        for program in programs:
            program.stop(STOP_SECONDS)
        collector.rest()
        status = demo.router.stop(STOP_SECONDS)
        if status != 0:
            raise Trouble(f"the router ended with status {status}; it said:\n{demo.router.errors()}")


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, f"demo: {message}; see --help\n")


def arguments():
    parser = Arguments(description="Shows Roundhouse's main job on real documents, and checks it: events for whoever "
                                   "subscribes, a mailbox that outlives a killed router, and a hub of four systems, of "
                                   "which one is replaced while events flow.")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "release", "roundhouse"),
                        help="the router (default: %(default)s)")
    parser.add_argument("--data", default=os.path.join(ROOT, "tests", "data"), help="the folder with MANIFEST.tsv")
    parser.add_argument("--break", dest="broken", action="store_true",
                        help="flip one byte of one document on its way; the demo must then fail")
    parser.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"), help="the router's I/O body")
    return parser.parse_args()


def main():
    options, begin = arguments(), time.monotonic()
    people = subscribers()
    try:
        documents = load(options.data)
        report.say(f"{len(documents)} documents, {sum(len(d.data) for d in documents)} bytes, "
                   f"{len({d.topic for d in documents})} topics")
        carry_out(options, documents, people)
        lost = mailbox.carry_out(options.binary, options.io, documents, DELIVERY_SECONDS)
        lost += hub.carry_out(options.binary, options.io, documents, DELIVERY_SECONDS)
    except BrokenPipeError:
        raise
    except (Trouble, DataError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    verdicts = [judge(person, documents) for person in people]
    report.summary(people, verdicts)
    report.complaints(lost)
    right = all(verdict.right for verdict in verdicts) and not lost
    report.last_word(right, time.monotonic() - begin, len(documents), sum(v.received for v in verdicts))
    return 0 if right else 1


def main_or_ended():
    """main, and what stands for Ctrl-C and for a closed pipe, as a shell would say it of any program."""
    try:
        status = main()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("demo: ended by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its end
        return 141


if __name__ == "__main__":
    sys.exit(main_or_ended())
