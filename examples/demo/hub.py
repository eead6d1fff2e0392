"""The act of the hub: a file of the nineties comes in, four systems get it, and one of them is replaced.

The warehouse (a directory) drops despatch advices in EDIFACT. Each becomes a canonical event on the topic
`erp.despatchadvice.created`, for an archive that subscribes to it, a tracking app over TCP, a shop and a CRM by HTTP.
A rule (routes.d) tells a dispatcher, by his mailbox, what needs a bigger lorry. While more files come, the shop fails
for a moment, and the CRM is replaced by another one with another shape: its file in spokes.d is edited and applied, and that
is all. Every despatch must then have reached one CRM, the old one or the new one, and each other system, once; and the
warehouse has a CONTRL for each.

The files of the systems are those of examples/spokes.d; only the addresses of the targets are filled in.
"""

import difflib
import json
import os
import shutil
import tempfile
import threading
import time

import report
from despatches import LARGE_NUMBER, controls, drop, excerpt, make
from processes import Demo, Trouble
from tally import Got, System, judge, judge_controls, judge_some
from targets import Target

HERE = os.path.dirname(os.path.abspath(__file__))
SPOKES = os.path.join(os.path.dirname(HERE), "spokes.d")
RULES = os.path.join(os.path.dirname(HERE), "routes.d", "despatches.yaml")
CONFIG = 'topics: [ { match: "erp.>", duplicates: { window: 1h } } ]\n'  # ids of documents are remembered for so long
DESPATCHES = 40
# Of what is for the CRM, the shop and the tracking app, of the warehouse's CONTRLs, of the rule, and the mailbox.
QUEUES = 6
PACE_SECONDS = 0.02  # between two files
SHOP_TIRED = 20  # requests, after which one is answered with 503
CRM_SECONDS = 0.1  # that a CRM takes for a request: so some are on their way when it is replaced
QUIET_SECONDS = 0.5  # after the last one that is expected: time for one too many to show itself
TOPIC = "erp.despatchadvice.created"


class Stage:
    """The systems around the hub: two subscribers over TCP, three targets of HTTP, a warehouse with its directories."""

    def __init__(self, folder, spokes, shop, old, new):
        self.spokes, self.routes, self.inbox, self.outbox = (
            os.path.join(folder, path) for path in ("spokes.d", "routes.d", "warehouse/inbox", "warehouse/outbox"))
        self._targets = {"shop": shop, "old": old, "new": new}
        self._places = {"shop.example": shop.address, "new-crm.example": new.address, "crm.example": old.address}
        self.archive = []  # Got, of the canonical events
        self.tracking = System("the tracking app", ("despatch",), frozenset({"despatch", "parcels", "from", "to"}))
        self.shop = System("the shop", ("despatch",),
                           frozenset({"order", "status", "despatch", "expected", "parcels", "items"}))
        self.old = System("the old CRM", ("DESPATCH_NO",), frozenset({"DESPATCH_NO", "CUSTOMER_GLN", "LINE_COUNT"}))
        self.new = System("the new CRM", ("reference",), frozenset({"activity", "reference", "account", "due"}))
        self.dispatcher = System("the dispatcher", ("despatch",), frozenset({"despatch", "pieces", "leaves"}))
        self._copy(spokes)

    def _copy(self, spokes):
        """The files of the systems, with the addresses that the targets have here."""
        shutil.copytree(spokes, self.spokes)
        os.makedirs(self.inbox)
        for name in sorted(os.listdir(self.spokes)):
            path = os.path.join(self.spokes, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                for place, address in self._places.items():
                    text = text.replace(f"//{place}/", f"//{address}/")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
        os.mkdir(self.routes)
        shutil.copy(RULES, self.routes)
        shutil.copytree(os.path.join(os.path.dirname(RULES), "tests"), os.path.join(self.routes, "tests"))

    def take(self, archive, tracking, dispatcher):
        """What came so far."""
        while (line := archive.line(0)) is not None:
            self.take_archived(line)
        for system, program in ((self.tracking, tracking), (self.dispatcher, dispatcher)):
            while (line := program.line(0)) is not None:
                system.take(json.loads(line)["event"].get("data"))
        for name, target in self._targets.items():
            system = getattr(self, name)
            for post in target.posts[len(system.got):]:
                system.take(post.body, post.event)

    def take_archived(self, line):
        event = json.loads(line)["event"]
        self.archive.append(Got(event.get("subject", ""), event["id"]))

    def complete(self, count):
        """Whether everybody has at least as many as there are."""
        crm = len(self.old.got) + len(self.new.got)
        return min(len(self.archive), len(self.tracking.got), len(self.shop.got), crm,
                   len(controls(self.outbox))) >= count and bool(self.dispatcher.got)


def _line(program, name, seconds):
    """The next event that a subscriber prints, and when it came."""
    line = program.line(seconds)
    if line is None:
        raise Trouble(f"{name} got nothing within {seconds} s; it said:\n{program.errors()}")
    return line, time.monotonic()


def _until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def _indented(lines):
    for line in lines:
        report.say(f"        {line}")


def _members(body):
    """A document of JSON: its texts on one line, then a line for each list, and for each object in one."""
    texts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in body.items() if not isinstance(value, list)]
    lines = [", ".join(texts)]
    for key, value in body.items():
        if isinstance(value, list):
            name = f"{json.dumps(key)}: ["
            rows = map(json.dumps, value)
            joint = ",\n" + " " * len(name) if value and isinstance(value[0], dict) else ", "
            lines += (name + joint.join(rows) + "]").splitlines()
    return lines


def _first(stage, despatch, programs, targets, seconds):
    """One file, and what becomes of it everywhere."""
    archive, tracking, _ = programs
    shop, old = targets
    began = time.monotonic()
    drop(despatch, stage.inbox)
    line, when = _line(archive, "the archive", seconds)
    stage.take_archived(line)
    event = json.loads(line)["event"]
    report.say(f"  the warehouse drops {despatch.file} into its inbox: an EDIFACT DESADV, {len(despatch.data)} B\n"
               f"        {excerpt(despatch)}\n"
               f"  the hub makes it {TOPIC}, subject {event.get('subject')}, id {event['id']}")
    report.say(f"    archive   {(when - began) * 1000:6.1f} ms after the file, over TCP: "
               "the canonical event, because it subscribes to erp.>")
    line, when = _line(tracking, "the tracking app", seconds)
    seen = json.loads(line)["event"].get("data")
    stage.tracking.take(seen)
    report.say(f"    tracking  {(when - began) * 1000:6.1f} ms, over TCP: {json.dumps(seen)}")
    for name, target in (("old CRM", old), ("shop", shop)):
        if not _until(lambda: target.posts, seconds):
            raise Trouble(f"{target.name} was POSTed nothing within {seconds} s")
        post = target.posts[0]
        whole = json.dumps(post.body) if name != "shop" else ""
        report.say(f"    {name:<9} {(post.when - began) * 1000:6.1f} ms, POST {post.path}: {whole}")
    _indented(_members(shop.posts[0].body))
    if not _until(lambda: controls(stage.outbox), seconds):
        raise Trouble(f"the warehouse has no CONTRL within {seconds} s")
    report.say("    warehouse finds in its outbox, when all of the file is settled, its CONTRL:")
    segments = [f"{segment}'" for segment in controls(stage.outbox)[0].segments]
    _indented([" ".join(segments[:2]), " ".join(segments[2:])])


def _edit(stage):
    """The one file is replaced, by rename as an editor does; what has changed, as lines."""
    path = os.path.join(stage.spokes, "crm.yaml")
    with open(path, encoding="utf-8") as before, open(path + ".next", encoding="utf-8") as after:
        changed = list(difflib.unified_diff(before.read().splitlines(), after.read().splitlines(), lineterm="", n=0))
    os.rename(path + ".next", path)
    return [line for line in changed if line[0] in "+-" and line[:3] not in ("+++", "---") and line[1:2] != "#"]


def _replace(stage, demo, despatches, old, seconds):
    """The other files are dropped, and the CRM is replaced in the middle; what the command said."""
    applied, given_up = threading.Event(), threading.Event()

    def feed():
        for n, despatch in enumerate(despatches):
            if given_up.is_set():
                return
            if n == len(despatches) * 3 // 4:
                applied.wait(seconds)  # some must come after it
            drop(despatch, stage.inbox)
            time.sleep(PACE_SECONDS)

    report.say(f"  {len(despatches)} more files are dropped; "
               "meanwhile the CRM is replaced by editing spokes.d/crm.yaml:")
    feeder = threading.Thread(target=feed, daemon=True)
    try:
        feeder.start()
        if not _until(lambda: len(old.posts) > len(despatches) // 4, seconds):
            raise Trouble(f"{old.name} got {len(old.posts)} POSTs within {seconds} s, and no more")
        busy = old.busy
        _indented(_edit(stage))
        said = demo.run("roundhouse spokes apply", seconds, "spokes", "apply", "--admin", demo.admin)
    except BaseException:  # Ctrl-C, too: the inbox goes before this thread would end by itself
        given_up.set()
        raise
    finally:
        applied.set()
        if feeder.ident is not None:
            feeder.join(seconds)
    fates = [line.split() for line in said]
    told = ", ".join(f"{fate} {' '.join(name for one, name in fates if one == fate)}" for fate in dict(fates))
    report.say(f"  roundhouse spokes apply, while {busy} requests to the old one are on their way: {told}")


def _tell(stage, despatches, shop, crm, wrong):
    for post in crm.posts[:1]:
        report.say(f"  the new CRM gets all that the old one has not taken: {json.dumps(post.body)}")
    if stage.dispatcher.got:
        report.say(f"  {stage.dispatcher.got[0].number} is large: "
                   "by a rule in routes.d the mailbox @dispatcher has it, too")
    if shop.refused:
        report.say("  the shop fails for a moment, with 503: what it has not taken is sent again")
    table = (("files", len(despatches)), ("archive", len(stage.archive)), ("tracking", len(stage.tracking.got)),
             ("shop", len(stage.shop.got)), ("old + new CRM", f"{len(stage.old.got)} + {len(stage.new.got)}"),
             ("CONTRL", len(controls(stage.outbox))))
    report.say("  " + ", ".join(f"{name} {value}" for name, value in table) + ": "
               + report.mark(not wrong, "none is lost, none came twice", "NOT EVERYTHING CAME ONCE"))
    report.heading("Which pattern did what")
    for name, sentence in (
            ("events", f"{TOPIC} was published once; whoever subscribed to it was pushed it at once"),
            ("point-to-point", "a mailbox is the dispatcher's, a CONTRL the warehouse's; "
             "the queue spoke.crm kept what was the CRM's until one took it"),
            ("hub-and-spoke", "EDIFACT and four shapes of JSON met in one canonical event: no system knows another"),
            ("service bus", "what came was checked, mapped, routed, sent, sent again and acknowledged, as files say;\n"
             + " " * 18 + "a system was replaced by editing its file, and neither the others nor the events noticed")):
        report.say(f"  {name + ':':<16}{sentence}")


def _play(stage, demo, despatches, targets, seconds):
    """The act with a router that runs; what is wrong."""
    archive = demo.start("the archive", "sub", "--format", "json", "erp.>")
    tracking = demo.start("the tracking app", "sub", "--format", "json", "spoke.tracking.>")
    dispatcher = demo.start("the dispatcher", "sub", "--format", "json", "@dispatcher")
    programs = (archive, tracking, dispatcher)
    for program in programs:
        program.said("subscribed", seconds)
    if not _until(lambda: demo.metric("roundhouse_queues") >= QUEUES, seconds):
        raise Trouble(f"not all spokes were there within {seconds} s; the router said:\n{demo.router.errors()}")
    _first(stage, despatches[0], programs, targets, seconds)
    _replace(stage, demo, despatches[1:], targets[1], seconds)

    def complete():
        stage.take(*programs)
        return stage.complete(len(despatches))

    _until(complete, seconds)
    time.sleep(QUIET_SECONDS)
    status = demo.router.stop(seconds)
    if status != 0:
        raise Trouble(f"the router ended with status {status}; it said:\n{demo.router.errors()}")
    for program in programs:
        program.stop(seconds)
    stage.take(*programs)
    wrong = judge([d.number for d in despatches], stage.archive, [stage.tracking, stage.shop], [stage.old, stage.new])
    return wrong + judge_controls(despatches, controls(stage.outbox)) + judge_some(stage.dispatcher, [LARGE_NUMBER])


def carry_out(binary, io, documents, seconds, spokes=SPOKES):
    """Plays the act; what is wrong, as sentences: none is right."""
    despatches = make(documents, DESPATCHES)
    report.heading("A hub for four systems, of which one is replaced")
    with tempfile.TemporaryDirectory(prefix="roundhouse-demo-") as folder, \
            Target("the shop", tired=SHOP_TIRED) as shop, Target("the old CRM", CRM_SECONDS) as old, \
            Target("the new CRM", CRM_SECONDS) as new:
        stage = Stage(folder, spokes, shop, old, new)
        with Demo(binary, io, os.path.join(folder, "journal"), CONFIG,
                  ["--spokes", stage.spokes, "--routes", stage.routes]) as demo:
            demo.await_ready(seconds)
            report.say("  a router with a journal and a file in spokes.d for each system: "
                       "warehouse (directory), tracking (TCP), shop and crm (HTTP)")
            wrong = _play(stage, demo, despatches, (shop, old), seconds)
        _tell(stage, despatches, shop, new, wrong)
    return wrong
