"""The table on standard output: a line for each row as it is done, then the bars and what went wrong."""

from driver import stats

WIDTH = 33
COLUMN = 14
SHORT = {"roundhouse-epoll": "epoll", "roundhouse-2": "2 shards", "roundhouse-2-epoll": "2 sh. epoll",
         "roundhouse-4": "4 shards", "roundhouse-8": "8 shards", "roundhouse, one stopped": "one stopped",
         "roundhouse, churn": "with changes", "roundhouse, ack routed": "ack routed", "roundhouse, filter": "one filter",
         "roundhouse, filters": "five filters", "business-edifact": "Perl"}
# Roundhouse beside another, at the right of the router's rows: heading, metric, whom, how it is written. CPU: how many
# deliveries it makes of the same CPU time.
RATIO = 9
RATIOS = [("x nats", "deliveries_per_s", "nats", lambda r: f"{r:.2f}"),
          ("CPU", "server_cpu_ns_per_delivery", "nats", lambda r: f"{1 / r:.2f}"),
          ("% relay", "deliveries_per_s", "relay", lambda r: f"{100 * r:.0f} %"),
          ("CPU", "server_cpu_ns_per_delivery", "relay", lambda r: f"{100 / r:.0f} %")]
HEADINGS = {"router": "deliveries per second, and server CPU ns per delivery", "latency": "latency in µs: 50 % / 99 %",
            "isolation": "server CPU ns per delivery, or deliveries per second", "recovery": "ms until everybody is back",
            "moving": "deliveries per second and server CPU ns per delivery; latency in µs: 50 % / 99 %",
            "filter": "server CPU ns per delivery, and deliveries per second",
            "idle": "resident bytes per connection, or CPU share", "scaling": "server CPU ns per delivery, and deliveries per second",
            "ack": "deliveries per second and server CPU ns per delivery; events acknowledged per second and their bytes; µs until "
            "an event is acknowledged: 50 % / 99 %", "documents": "bytes of the document per second", "hub": "µs from a file to the subscriber: 50 % / 99 %; "
            "events posted per second", "micro": "ns per operation"}


def number(value):
    """Three digits, and a letter for thousands, millions, ..."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def _cell(summaries, row):
    """What is shown of one subject in one row; summaries: metric -> summary."""
    def show(metric, factor=1.0):
        return number(summaries[metric]["median"] * factor) if metric in summaries else "-"

    if row["primary"] == "acked_per_s":
        return f"{show('acked_per_s')} {show('stored_bytes_per_s')}B"
    if row["group"] == "latency" or row["primary"] == "p50_ns":
        return f"{show('p50_ns', 1e-3)} / {show('p99_ns', 1e-3)}"
    if row["group"] == "recovery":
        return show("recovered_ns", 1e-6)
    if row["primary"] == "deliveries_per_s":
        return f"{show('deliveries_per_s')} {show('server_cpu_ns_per_delivery')}"
    if row["group"] == "scaling":
        return f"{show('server_cpu_ns_per_delivery')} {show('deliveries_per_s')}"
    return show(row["primary"])


class Table:
    """Prints rows as they come; a group's heading before its first row."""

    def __init__(self, out):
        self.out, self.heading, self.told = out, None, set()

    def line(self, text=""):
        print(text.rstrip(), file=self.out, flush=True)

    def begin(self, result):
        machine, network, build = result["machine"], result["network"], result["build"]
        self.line(f"Roundhouse {build['version']}, commit {build['commit']}, {build['compiler']} {build['flags']}")
        self.line(f"{machine['cpu']}, {len(machine['cpus'])} CPUs ({machine['virtual']}), kernel {machine['kernel']}; server on CPU "
                  f"{machine['server_cpus'][0]}, load generator on CPU {machine['generator_cpus'][0]}")
        where = "a network namespace of its own" if network["namespace"] else "the network of the machine, NOT a namespace of its own"
        self.line(f"{where}, congestion control {network['congestion_control']}; median of {result['run']['repetitions']} "
                  f"repetitions of {result['run']['stretch_seconds']:g} s")
        if machine["load_before"] > 0.5:
            self.line(f"The machine was busy before the run (load {machine['load_before']:.1f}): trust ratios, not figures.")

    def _head(self, row):
        names = [SHORT.get(name, name) for name in row["subjects"]]
        head = (row["group"], tuple(names))
        if head == self.heading:
            return
        if self.heading is None or self.heading[0] != row["group"]:
            self.line()
            self.line(f"{row['group']}: {HEADINGS.get(row['group'], '')}")
        self.heading = head
        self.line(" " * WIDTH + "".join(f"{name:>{COLUMN}}" for name in names) + self._ratio_heads(row))

    def _states(self, row):
        """What is synced when, and where: each sentence once in a run."""
        if "states" not in row:
            return
        load = row["workload"]
        told = [f"  stored in {load['directory']}: {load['file_system']} on {load['device']}"]
        told += [f"  {name}: {state}" for name, state in row["states"].items()]
        for text in told:
            if text not in self.told:
                self.line(text)
                self.told.add(text)

    @staticmethod
    def _ratio_heads(row):
        return "".join(f"{head:>{RATIO}}" for head, _, name, _ in RATIOS if name in row["subjects"]) if row["group"] == "router" else ""

    @staticmethod
    def _ratios(result, row):
        cells = ""
        for _, metric, name, form in RATIOS:
            if name in row["subjects"] and row["group"] == "router":
                ratios = stats.pair_ratios(result["samples"], row["id"], metric, "roundhouse", name)
                cells += f"{form(stats.median(ratios)) if ratios else '-':>{RATIO}}"
        return cells

    def row_done(self, result, row_id):
        row = next((row for row in result["rows"] if row["id"] == row_id), None)
        if row is None:
            return
        self._head(row)
        self._states(row)
        by_subject = {}
        for summary in result["summary"]:
            if summary["row"] == row_id:
                by_subject.setdefault(summary["subject"], {})[summary["metric"]] = summary
        cells = "".join(f"{_cell(by_subject.get(name, {}), row):>{COLUMN}}" for name in row["subjects"])
        self.line(f"{row['title'][:WIDTH - 1]:<{WIDTH}}{cells}{self._ratios(result, row)}")

    def parts(self, result, asked):
        """The rows of bench_micro: all of them if they were asked for by name, else only how many there are."""
        rows = [row for row in result["rows"] if row["group"] == "micro"]
        if not rows:
            return
        self.line()
        if not asked:
            self.line(f"micro: {len(rows)} rows; they are on the page")
            return
        self.line(f"micro: {HEADINGS['micro']}: median, lowest and highest")
        found = {(s["row"], s["metric"]): s for s in result["summary"]}
        for row in rows:
            summary = found.get((row["id"], row["primary"]))
            if summary:
                self.line(f"{row['title']:<76}{number(summary['median']):>9}  ({number(summary['low'])} to {number(summary['high'])})")

    def end(self, result):
        shown = [bar for bar in result["bars"] if bar["verdict"] != "not measured"]
        if shown:
            self.line()
            self.line("what is asked")
        for bar in shown:
            interval = bar.get("interval")
            between = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval and bar["against"] else ""
            aim = f", aim: {number(bar['aim_value'])}" if bar["aim_value"] is not None else ""
            self.line(f"{bar['verdict']:<13}{number(bar['value']):>8}{between}{aim}  {bar['row']}, {bar['subject']}: {bar['text']}")
        for failure in result["failures"]:
            self.line(f"FAILED       {failure['row']}, {failure['subject']}, repetition {failure['repetition']}: {failure['error']}")
        run = result["run"]
        self.line()
        self.line(f"{len(result['samples'])} measurements in {run['seconds']:.0f} s, every delivery of them verified; "
                  f"{len(result['failures'])} failed{'' if run['complete'] else '; ended before its end'}")
