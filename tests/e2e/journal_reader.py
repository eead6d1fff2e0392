"""Reads a journal's events by `roundhouse journal export` into a history, each once, also over many ends of the router."""

import collections
import json

import history

KEPT = 100_000  # of each log, for comparing with what a later export says
POSITION = (1 << 48) - 1


class JournalReader:
    def __init__(self, run, folder):
        self.run, self.folder = run, folder
        self.next = collections.Counter()  # log: position behind what was read
        self.known = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))

    def logs(self):
        return [log for log in range(32) if (self.folder / str(log)).exists()]

    def export(self, log, *arguments):
        done = self.run("journal", "export", "--log", log, *arguments, self.folder, seconds=100)
        assert done.returncode == 0, f"export of log {log} ended with {done.returncode}: {done.stderr}"
        for line in done.stdout.splitlines():
            found = json.loads(line)
            yield int(found["sequence"]), found["topic"], found["event"]["id"]

    def read(self, past):
        """Notes what is new in each log."""
        for log in self.logs():
            for sequence, topic, name in self.export(log, "--from", self.next[log] or 1):
                if sequence & POSITION < self.next[log]:
                    past.fault("backwards", f"log {log} has {name} at {sequence & POSITION} behind {self.next[log] - 1}", topic)
                self.next[log] = (sequence & POSITION) + 1
                self.known[log].append((sequence, name))
                past.read_journal(64 + log, topic, sequence, history.key_of(name))

    def nothing_has_changed(self):
        """A whole export says what was read before, but for what was trimmed in front; returns how many events it has."""
        count = 0
        for log in self.logs():
            now = [(sequence, name) for sequence, _, name in self.export(log)]
            before = list(self.known[log])
            both = min(len(now), len(before))
            assert len(now) <= len(before) or len(before) == KEPT, f"log {log} has {len(now)} events, had {len(before)}"
            assert now[len(now) - both:] == before[len(before) - both:], f"log {log} is not what it was"
            count += len(now)
        return count
