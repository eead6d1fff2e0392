"""The run: every row, its competitors in turn within each repetition, and what becomes of it."""

import datetime
import json
import sys
import time

from driver import bars, documents, hub, machine, measure, micro, schema, stats, stores
from driver.metrics import METRICS
from driver.rows import RATE
from driver.failure import Failed
from driver.servers import version
from driver.subjects import SUBJECTS


def _now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Suite:
    """One run, and its result as it grows. `settings` has mode, repetitions, seconds, warm_up, arguments."""

    def __init__(self, rows, names, settings, build, cpus, namespace, place):
        self.rows, self.names, self.settings, self.build, self.cpus = rows, names, settings, build, cpus
        self.place = place
        self.begin = time.monotonic()
        self.done, self.planned = 0, sum(self._repetitions(row) * len(self.subjects_of(row)) for row in rows)
        self.micro_metrics = {}
        self.result = {
            "format": schema.FORMAT, "version": schema.VERSION,
            "run": {"started": _now(), "finished": "", "seconds": 0.0, "mode": settings["mode"],
                    "arguments": settings["arguments"], "repetitions": settings["repetitions"],
                    "stretch_seconds": settings["seconds"], "warm_up_seconds": settings["warm_up"], "complete": False},
            "machine": machine.describe(cpus), "network": machine.network(namespace), "build": machine.built(build),
            "storage": place.described() if place else None,
            "metrics": {}, "subjects": {}, "rows": [], "samples": [], "summary": [], "ratios": [], "bars": [], "failures": []}

    def subjects_of(self, row):
        """The row's competitors that are wanted and that this machine has the CPUs for."""
        return [name for name in row.subjects + (row.full_subjects if self.settings["all_subjects"] else [])
                if (self.names is None or name in self.names) and (SUBJECTS[name].shards or 1) <= self.cpus.shards_max()]

    def _repetitions(self, row):
        return self.settings.get("forced_repetitions") or row.repetitions or self.settings["repetitions"]

    # --- one sample ---

    def _say(self, row, name, repetition):
        left = ""
        if self.done > 5:
            left = f", about {(time.monotonic() - self.begin) / self.done * (self.planned - self.done):.0f} s left"
        text = f"bench: {self.done + 1}/{self.planned}{left}: {row.title} ({repetition + 1}/{self._repetitions(row)}), {name}"
        if sys.stderr.isatty():
            print(f"\r\033[K{text[:150]}", end="", file=sys.stderr, flush=True)
        elif repetition == 0:
            print(text, file=sys.stderr, flush=True)

    def _base(self, row, subject):
        """The load generator's options."""
        seconds, warm_up = self._times(row)
        load = {"payload": 128, "warm-up": warm_up, "seconds": seconds, **row.load}
        if subject.kind == "relay":
            load.update(row.relay_load)
        return load

    def _times(self, row):
        """Length of the measured stretch, and of what comes before it. A row may need its own, unless --seconds says."""
        seconds, warm_up = self.settings["seconds"], self.settings["warm_up"]
        return (seconds, warm_up) if self.settings.get("short") else (row.seconds or seconds, row.warm_up or warm_up)

    def _reached(self, row_id, subject):
        """Deliveries per second of this server in another row; measured now if it was not."""
        found = [s["values"][RATE] for s in self.result["samples"] if s["row"] == row_id and s["subject"] == subject.name]
        if found:
            return stats.median(found)
        other = next(row for row in self.all_rows if row.id == row_id)
        made, _ = measure.sample(self.build, self.cpus, subject, self._base(other, subject))
        return made["values"][RATE]

    def _measure(self, row, name, repetition, position):
        subject = SUBJECTS[name]
        load = dict(row.load) if "format" in row.load else self._base(row, subject)
        if row.rate_of:
            load["rate"] = round(self._reached(row.rate_of[0], subject) * row.rate_of[1])
        at = time.monotonic() - self.begin
        if subject.kind == "disk":
            made, facts = measure.disk_sample(self.build, self.cpus, self.place, {**row.disk_load, "seconds": load["seconds"]})
        elif "format" in load:
            made, facts = documents.sample(self.build, self.cpus, subject, load)
        elif "hub" in load:
            made, facts = hub.sample(self.build, self.cpus, subject, load, self.place if row.stores else None)
        elif load.get("mode") == "replay":
            made, facts = measure.replay_sample(self.build, self.cpus, subject, load, self.place)
        elif "pause" in load:
            made, facts = measure.sustained_sample(self.build, self.cpus, subject, load)
        else:
            place = self.place if row.stores else None
            made, facts = measure.sample(self.build, self.cpus, subject, load, row.server, place)
        known = self.result["subjects"][name]
        known["io"], known["command"] = facts["io"] or known["io"], facts["command"]
        self.result["samples"].append({"row": row.id, "subject": name, "repetition": repetition, "position": position,
                                       "at": round(at, 3), **made})

    def _fail(self, row_id, name, repetition, error):
        self.result["failures"].append({"row": row_id, "subject": name, "repetition": repetition, "error": str(error)})
        print(f"{chr(10) if sys.stderr.isatty() else ''}bench: FAILED {row_id}, {name}: {error}", file=sys.stderr, flush=True)

    # --- all of them ---

    def _describe(self, name):
        subject = SUBJECTS[name]
        if name not in self.result["subjects"]:
            self.result["subjects"][name] = {"kind": subject.kind, "title": subject.title, "io": None, "shards": subject.shards,
                                             "version": version(subject.kind, self.build), "command": []}

    def run_row(self, row):
        """Each repetition begins with another competitor, so that none always has the same neighbour."""
        names = self.subjects_of(row)
        if not names:
            return
        described = row.described(names)
        if row.stores:
            described["workload"].update(self.place.described())
            described["states"] = {name: stores.STATES[name] for name in names}
        self.result["rows"].append(described)
        for name in names:
            self._describe(name)
        for repetition in range(self._repetitions(row)):
            turn = repetition % len(names)
            for position, name in enumerate(names[turn:] + names[:turn]):
                self._say(row, name, repetition)
                try:
                    self._measure(row, name, repetition, position)
                except Failed as error:
                    self._fail(row.id, name, repetition, error)
                self.done += 1

    def run(self, all_rows, micro_names, table):
        """Runs to the end, or until it is interrupted; what was measured is in the result either way."""
        self.all_rows = all_rows
        try:
            if micro_names:
                micro.run(self, micro_names)
                self._settle(complete=False)
                table.parts(self.result, asked=self.settings["mode"] == "custom")
            for row in self.rows:
                self.run_row(row)
                self._settle(complete=False)
                table.row_done(self.result, row.id)
            complete = True
        except KeyboardInterrupt:
            print("\nbench: interrupted", file=sys.stderr)
            complete = False
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        self._settle(complete)
        self.result["ratios"] = stats.all_ratios(self.result)
        self.result["bars"] = bars.judge(self.result)
        return self.result

    def _settle(self, complete):
        result = self.result
        known = {**METRICS, **self.micro_metrics}
        used = {metric for sample in result["samples"] for metric in sample["values"]}
        used |= {metric for row in result["rows"] for metric in row["metrics"]}
        result["metrics"] = {name: known[name] for name in known if name in used}
        result["summary"] = stats.all_summaries(result)
        result["run"].update(finished=_now(), seconds=round(time.monotonic() - self.begin, 1), complete=complete)


def write(result, path):
    """Writes the file whole or not at all."""
    wrong = schema.mistakes(result)
    if wrong:
        raise AssertionError("the result file would be wrong: " + "; ".join(wrong[:5]))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result) + "\n")
    partial.replace(path)
