"""Judges what a router did, in the manner of Jepsen: a history of what was published, answered and read is compared with
what is promised. It knows nothing of how the router works; history_test.py shows that each rule finds its violation.

Whoever publishes or reads notes each step here, from any thread. An event is known by its key: (publisher, number). The
outcome of an event is `acknowledged`, `refused`, or unknown: then it may be there or not, but never twice, and in order.
"""

import bisect
import collections
import dataclasses
import itertools

UNKNOWN, ACKNOWLEDGED, REFUSED = "unknown", "acknowledged", "refused"
ROUTED, DISK = "routed", "disk"
INSTANCE = 2  # Gap.REASON_INSTANCE
POSITION = (1 << 48) - 1
SHOWN, AROUND = 8, 40  # violations, and lines of the history of each


@dataclasses.dataclass(slots=True)
class Publication:
    key: tuple
    topic: str
    level: str
    run: int
    step: int
    outcome: str = UNKNOWN


@dataclasses.dataclass(slots=True)
class Gap:
    log: int
    first: int
    last: int
    at_most: int
    reason: int
    run: int
    step: int


@dataclasses.dataclass(slots=True)
class Violation:
    kind: str
    text: str
    topic: str = ""
    key: tuple = ()

    def __str__(self):
        return f"{self.kind}: {self.text}"


def name_of(key):
    return f"{key[0]}-{key[1]}"


def key_of(name):
    """The key in an event's id, or the id itself when nobody here can have written it."""
    publisher, _, number = name.rpartition("-")
    return (publisher, int(number)) if publisher and number.isdigit() else (name, -1)


class Stream:
    """What one subscriber was given, over all its connections. When it resumes at a Position, what came behind that is
    forgotten here, because it must come again; that it did come is still known (`raw`)."""

    def __init__(self, history, name, matches):
        self.history, self.name, self.matches = history, name, matches
        self.items, self.raw, self.sessions = [], [], 0
        self.begin = None  # the step of the first Subscribed
        self.read_to = 0  # a step: it has had time for all that was acknowledged before it
        self._mark, self._read_at_mark, self._last, self._seen = 0, 0, {}, set()

    def subscribed(self):
        self.sessions += 1
        if self.begin is None:
            self.begin = self.history.note(self.name, "is subscribed")
        else:
            self.history.note(self.name, "resumes")
            if len(self.items) > self._mark:  # what it had read by then is due again, and not yet
                self.read_to = self._read_at_mark
            del self.items[self._mark:]
        self._last = {}
        self._seen = {item for item in self.items if not isinstance(item, Gap)}

    def has_read_all(self):
        self.read_to = self.history.note(self.name, "has read all")

    def position(self):
        """A Position came: a later connection resumes here."""
        self._mark, self._read_at_mark = len(self.items), self.read_to

    def event(self, topic, sequence, key, intact=True):
        history = self.history
        history.note(self.name, "gets", topic, key, sequence)
        if not intact:
            history.fault("altered", f"{self.name} got {name_of(key)} of {topic} with other data than was published", topic, key)
        if not self.matches(topic):
            history.fault("stray", f"{self.name} got {topic}, which it has not asked for", topic, key)
        if sequence <= self._last.get(topic, 0):
            history.fault("backwards", f"{self.name} got {name_of(key)} of {topic} at {spell(sequence)} behind "
                          f"{spell(self._last[topic])} on one connection", topic, key)
        self._last[topic] = sequence
        self.raw.append((topic, sequence, key))
        # A Position may be older than what came before it: what comes again is no event of its own.
        if (topic, sequence, key) not in self._seen:
            self.items.append((topic, sequence, key))

    def gap(self, log, first, last, at_most, reason):
        step = self.history.note(self.name, "is told of a Gap", f"log {log}", (), f"{first} to {last}, reason {reason}")
        self.items.append(Gap(log, first, last, at_most, reason, self.history.run, step))
        if reason != INSTANCE and (first > last or at_most < last - first + 1):
            self.history.fault("gap", f"{self.name}: a Gap from {first} to {last} says at most {at_most}")


def spell(sequence):
    return f"{sequence >> 48}|{sequence & POSITION}"


class History:
    def __init__(self, seed, durable=(), instance_lives=True):
        """durable(topic): whether it is kept on disk. instance_lives: sequences are of one instance over all runs."""
        self.seed, self.instance_lives = seed, instance_lives
        self.durable = durable or (lambda topic: False)
        self.run = 0
        self.publications, self.streams, self.journal = {}, [], []
        self.journal_is_whole = False  # the last run was stopped cleanly: all that was acknowledged is in the journal
        self.journal_read = False
        self.logs = {}  # topic: number of its log, where it is known
        self.faults, self.lines = [], []
        self._steps = itertools.count(1)

    # --- what happens ---

    def note(self, who, verb, topic="", key=(), detail=""):
        step = next(self._steps)
        self.lines.append((step, who, verb, topic, key, detail))
        return step

    def fault(self, kind, text, topic="", key=()):
        """A violation that shows at once."""
        self.faults.append(Violation(kind, text, topic, key))

    def publish(self, key, topic, level):
        made = Publication(key, topic, level, self.run, self.note(key[0], "publishes", topic, key, level))
        if key in self.publications:
            raise ValueError(f"{key} was published before")
        self.publications[key] = made
        return made

    def settle(self, publication, outcome, why=""):
        publication.outcome = outcome
        self.note(publication.key[0], f"is told {outcome}", publication.topic, publication.key, why)

    def begin_run(self, text):
        self.run += 1
        self.note("router", f"run {self.run}: {text}")

    def stream(self, name, matches=lambda topic: True):
        made = Stream(self, name, matches)
        self.streams.append(made)
        return made

    def read_journal(self, log, topic, sequence, key):
        """One event in the journal; those of a log in their order."""
        self.journal.append((topic, sequence, key))
        self.journal_read = True
        if self.logs.setdefault(topic, log) != log:
            self.fault("two logs", f"{topic} is in log {self.logs[topic]} and in log {log}", topic, key)

    # --- what to say of it ---

    def line(self, entry):
        step, who, verb, topic, key, detail = entry
        detail = spell(detail) if isinstance(detail, int) else detail
        number = f"#{key[1]} of {key[0]}" if key else ""
        return f"  {step:7}  {who:<10} {verb:<20} {topic:<8} {number:<16} {detail}".rstrip()

    def excerpt(self, violation):
        """The lines that concern a violation's topic, around its event; runs and Gaps always."""
        chosen, at = [], None
        for entry in self.lines:
            if entry[1] == "router" or "Gap" in entry[2] or "subscribed" in entry[2] or "resumes" in entry[2] or (
                    violation.topic and entry[3] == violation.topic):
                if at is None and violation.key and entry[4] == violation.key:
                    at = len(chosen)
                chosen.append(entry)
        middle = len(chosen) if at is None else at
        begin = max(0, middle - AROUND // 2)
        return "\n".join(self.line(entry) for entry in chosen[begin:begin + AROUND])


# --- The rules ---


class Judge:
    def __init__(self, history):
        self.history, self.found = history, list(history.faults)
        self.order = {}  # topic: {place: key}, a place being (run or 0, sequence)
        self.places = {}  # key: place

    def add(self, kind, text, topic="", key=()):
        self.found.append(Violation(kind, text, topic, key))

    def place(self, publication, sequence):
        return (0 if self.history.instance_lives else publication.run, sequence)

    def one_order(self):
        """Everybody who names an event names the same topic and place; nobody knows an event that is none."""
        for who, seen in [(stream.name, stream.raw) for stream in self.history.streams] + [("journal", self.history.journal)]:
            for topic, sequence, key in seen:
                self.one_event(who, topic, sequence, key)

    def one_event(self, who, topic, sequence, key):
        publication = self.history.publications.get(key)
        if publication is None or publication.topic != topic:
            self.add("phantom", f"{who} has {name_of(key)} of {topic}, which nobody has published", topic, key)
            return
        if publication.outcome == REFUSED:
            self.add("refused", f"{who} has {name_of(key)} of {topic}, which was refused", topic, key)
        place = self.place(publication, sequence)
        other = self.order.setdefault(topic, {}).setdefault(place, key)
        if other != key:
            self.add("two events", f"{topic} at {spell(sequence)} is {name_of(key)} for {who}, {name_of(other)} for others",
                     topic, key)
        before = self.places.setdefault(key, place)
        if before != place:
            self.add("twice", f"{name_of(key)} of {topic} is at {spell(before[1])} and, says {who}, at {spell(sequence)}",
                     topic, key)

    def publishers_order(self):
        for topic, order in self.order.items():
            last = {}
            for place in sorted(order):
                publisher, number = order[place]
                if number <= last.get(publisher, -1):
                    self.add("reordered", f"{topic}: {publisher}-{number} lies behind {publisher}-{last[publisher]}",
                             topic, (publisher, number))
                last[publisher] = number

    def in_journal(self):
        """What was acknowledged as on disk, or shown to a subscriber, is in the journal; and nothing is in it twice."""
        history = self.history
        if not history.journal_read and not history.journal_is_whole:
            return
        count = collections.Counter(key for _, _, key in history.journal)
        for key, times in count.items():
            if times > 1:
                self.add("twice", f"{name_of(key)} is {times} times in the journal", history.publications[key].topic
                         if key in history.publications else "", key)
        for publication in history.publications.values():
            if publication.key in count or publication.outcome != ACKNOWLEDGED or not history.durable(publication.topic):
                continue
            if publication.level == DISK or (history.journal_is_whole and publication.run == history.run):
                self.add("lost", f"{name_of(publication.key)} of {publication.topic} was acknowledged "
                         f"({publication.level}) and is not in the journal", publication.topic, publication.key)
        for stream in history.streams:
            for topic, sequence, key in stream.raw:
                if history.durable(topic) and key not in count and key in history.publications:
                    self.add("seen too early", f"{stream.name} was given {name_of(key)} of {topic} at {spell(sequence)}, "
                             "which is not in the journal", topic, key)

    # --- holes ---

    def covered(self, gap, publication, place):
        history = self.history
        in_memory = not history.durable(publication.topic)
        if gap.reason == INSTANCE:
            log = history.logs.get(publication.topic)
            return in_memory and publication.step < gap.step and (gap.log == 0 or log is None or log == gap.log)
        if place is not None and not gap.first <= place[1] & POSITION <= gap.last:
            return False
        if in_memory and gap.run != publication.run:
            return False
        return history.logs.get(publication.topic, gap.log) == gap.log

    def holes(self, stream):
        topics = collections.defaultdict(lambda: ([], []))  # topic: its places, and where they are in the stream
        gaps = []
        for index, item in enumerate(stream.items):
            if isinstance(item, Gap):
                gaps.append((index, item))
            elif item[2] in self.history.publications:
                places, indexes = topics[item[0]]
                places.append(self.place(self.history.publications[item[2]], item[1]))
                indexes.append(index)
        for topic, (places, _) in topics.items():
            if places != sorted(places):
                self.add("reordered", f"{stream.name} got {topic} in another order than its sequences", topic)
        missing = 0
        for publication in self.history.publications.values():
            if stream.matches(publication.topic) and stream.begin is not None:
                missing += self.hole(stream, publication, topics[publication.topic], gaps)
        most = sum(gap.at_most for _, gap in gaps)
        if missing > most and not any(gap.reason == INSTANCE for _, gap in gaps):
            self.add("gap", f"{stream.name} misses {missing} events, and its Gaps tell of {most} at most")

    def hole(self, stream, publication, seen, gaps):
        """Whether this event had to come on this stream, did not, and a Gap says so; without a Gap it is a violation. Where
        an event lies that nobody has got is not known: then any Gap of its log may be the one."""
        places, indexes = seen
        place = self.places.get(publication.key)
        begin, end = -1, len(stream.items)
        if place is not None:
            at = bisect.bisect_left(places, place)
            if at < len(places) and places[at] == place:
                return False
            begin = indexes[at - 1] if at > 0 else -1
            end = indexes[at] if at < len(places) else end
            due = at < len(places) or publication.step < stream.read_to
            after_begin = at > 0 or publication.step > stream.begin
        else:
            # In no journal and shown to nobody, what was only routed went with its run: nobody knows of a hole.
            went = self.history.journal_read and self.history.durable(publication.topic) and publication.level != DISK
            due = publication.step < stream.read_to and publication.outcome == ACKNOWLEDGED and not went
            after_begin = publication.step > stream.begin
        if not due or not after_begin:
            return False
        if any(begin < index < end and self.covered(gap, publication, place) for index, gap in gaps):
            return True
        where = f" at {spell(place[1])}" if place else ""
        self.add("hole", f"{stream.name} never got {name_of(publication.key)} of {publication.topic}{where} "
                 f"({publication.outcome}), and no Gap says so", publication.topic, publication.key)
        return False


def judge(history):
    """All violations in a history."""
    judging = Judge(history)
    judging.one_order()
    judging.publishers_order()
    judging.in_journal()
    for stream in history.streams:
        judging.holes(stream)
    return judging.found


def must_be_right(history):
    """Fails with what is wrong and the part of the history that shows it."""
    found = judge(history)
    if not found:
        return
    text = [f"{len(found)} violations in a history of {len(history.lines)} steps, seed {history.seed}"]
    for violation in found[:SHOWN]:
        text.append(f"{violation}\n{history.excerpt(violation)}")
    raise AssertionError("\n".join(text))
