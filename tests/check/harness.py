"""What every stage of ./check uses: results, bounded processes that leave nothing behind, work in parallel, lists of files.

A result is one line of the final count. A stage is a function that gets the Check object and adds results to it. Every
process a stage starts gets a time limit; at its end the whole tree of its descendants is killed, also those that moved
to a session of their own (Criterion's children do), because the check makes itself the reaper of orphans.
"""
import ctypes
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
OUT = BUILD / "check"
CORES = max(1, len(os.sched_getaffinity(0)))
PR_SET_CHILD_SUBREAPER = 36

# What the sanitizers write into OUT/sanitizer is a failure even when the program that was found out ended with status 0.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=66",
}
SANITIZER_REPORT = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error: |SUMMARY: \w+Sanitizer"
)


@dataclasses.dataclass
class Result:
    stage: str
    name: str
    passed: bool
    seconds: float = 0.0
    why: str = ""
    log: pathlib.Path | None = None


@dataclasses.dataclass
class Ran:
    """How a process ended: status is its exit status, negative for a signal, None when it ran out of time."""

    status: int | None
    seconds: float
    log: pathlib.Path

    @property
    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def why(self):
        if self.status is None:
            return f"no end after {self.seconds:.0f} s"
        if self.status < 0:
            return f"ended by signal {signal.Signals(-self.status).name}"
        return f"status {self.status}"


# --- Processes -------------------------------------------------------------------------------------------------------

_running = set()  # process ids that this program started itself and waits for
_running_lock = threading.Lock()


def adopt_orphans():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _parents():
    """Process id -> parent's id, of everything that runs."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as file:
                    text = file.read()
                table[int(entry)] = int(text.rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    return table


def _descendants(root):
    children = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        for pid in children.get(queue.pop(), []):
            found.append(pid)
            queue.append(pid)
    return found


def _kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def kill_tree(root):
    """Kills a process and what descends from it; stops everything first, so that nothing forks away meanwhile."""
    tree = [root] + _descendants(root)
    for pid in tree:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            continue
    _kill(set(tree + _descendants(root)))


def reap_orphans():
    """Kills what finished runners left running; returns the command lines. Zombies are only collected."""
    left = []
    with _running_lock:
        mine = [pid for pid, parent in _parents().items() if parent == os.getpid() and pid not in _running]
        for pid in mine:
            try:
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                command = ""
            if command.strip():
                left.append(command.strip())
                kill_tree(pid)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue
    return left


def run(command, log, timeout, env=None, cwd=ROOT, stdin=subprocess.DEVNULL):
    """Runs a command with its output in the file log; after timeout seconds its whole tree is killed."""
    log = pathlib.Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **SANITIZER_ENV, **(env or {})}
    start = time.monotonic()
    with open(log, "wb") as file:
        try:
            with _running_lock:
                process = subprocess.Popen(
                    [str(part) for part in command], stdin=stdin, stdout=file, stderr=subprocess.STDOUT,
                    cwd=cwd, env=environment, start_new_session=True)
                _running.add(process.pid)
        except OSError as error:
            file.write(f"{command[0]}: {error}\n".encode())
            return Ran(127, 0.0, log)
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.wait()
        status = None
        with open(log, "ab") as file:
            file.write(f"\ncheck: ended after {timeout} s without a result\n".encode())
    except BaseException:
        kill_tree(process.pid)
        process.wait()
        raise
    finally:
        with _running_lock:
            _running.discard(process.pid)
    return Ran(status, time.monotonic() - start, log)


def parallel(items, function, workers=CORES):
    """function(item) for every item, some at a time; the results in order. An exception ends the check."""
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        return list(pool.map(function, items))


# --- Files -----------------------------------------------------------------------------------------------------------


def sources(*suffixes, under=""):
    """The project's files (tracked, or new and not ignored) that end in one of the suffixes, as paths from the root."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True, check=False)
    if listed.returncode == 0:
        names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    else:
        names = sorted(str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
                       if p.is_file() and p.relative_to(ROOT).parts[0] not in ("build", ".git"))
    return [n for n in names if n.endswith(suffixes) and n.startswith(under) and (ROOT / n).is_file()]


def header_keys(path, lead, lines):
    """The `// key: value` (or `# key: value`) lines at the beginning of a file, as key -> list of values."""
    keys = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for _, line in zip(range(lines), file):
            match = re.match(rf"^[ *]*{re.escape(lead)} *([a-z]+): *(.*?)\s*$", line)
            if match:
                keys.setdefault(match[1], []).append(match[2])
    return keys


def flat(name):
    return re.sub(r"[^\w.=-]+", "_", str(name)).strip("_")


# --- Result files of the runners -------------------------------------------------------------------------------------


def read_criterion(path):
    """[(name, passed, seconds, why)] from the XML of one Criterion program."""
    found = []
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            status = case.get("status")
            why = " ".join("".join(node.itertext()).strip() for node in case)[:300]
            found.append((f"{suite.get('name')}/{case.get('name')}", status == "PASSED",
                          float(case.get("time") or 0), "" if status == "PASSED" else f"{status}: {why}"))
    return found


# A skipped test is a failed one, but for this: the kernel or the container may forbid io_uring, which is a supported
# situation that the router's start-up probe detects, and then the same test has run on the other body.
SKIP_ALLOWED = re.compile(r"io_uring")


def read_junit(path):
    """([(name, passed, seconds, why)], [skipped]) from pytest's XML."""
    found, skipped = [], []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        wrong = [node for node in case if node.tag in ("failure", "error")]
        passed_over = case.find("skipped")
        why = (wrong[0].get("message") or "") if wrong else ""
        if not wrong and passed_over is not None:
            why = "skipped: " + (passed_over.get("message") or "")
            if SKIP_ALLOWED.search(why):
                skipped.append(f"{name}: {why}")
                continue
        found.append((name, not why and not wrong, float(case.get("time") or 0), why[:300]))
    return found, skipped


# --- The check itself ------------------------------------------------------------------------------------------------


class Check:
    def __init__(self, soak=False, quick=False):
        self.soak, self.quick = soak, quick
        self.results, self.skipped = [], []
        self.stage = ""
        self._lock = threading.Lock()

    def out(self, *parts):
        return OUT.joinpath(flat(self.stage), *[flat(p) for p in parts])

    def add(self, name, passed, seconds=0.0, why="", log=None):
        with self._lock:
            self.results.append(Result(self.stage, name, bool(passed), seconds, why, log))

    def add_run(self, name, ran, timeout_why=""):
        """One result for one process: status 0 and no sanitizer's report."""
        report = SANITIZER_REPORT.search(ran.output)
        why = "" if ran.status == 0 else (timeout_why or ran.why())
        if report:
            why = f"{why + ', ' if why else ''}sanitizer: {report[0]}"
        self.add(name, not why, ran.seconds, why, ran.log)
        return not why

    def run_stage(self, name, function):
        """Runs one stage, tells its seconds and its counts; an exception inside is a failed result."""
        self.stage = name
        start, before = time.monotonic(), len(self.results)
        self.show_start(name)
        try:
            function(self)
        except Exception as error:  # a stage that breaks must not end the check without a count
            import traceback
            log = self.out("exception.log")
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(traceback.format_exc())
            self.add(f"{name} (the stage itself)", False, why=f"{type(error).__name__}: {error}", log=log)
        for command in reap_orphans():
            self.add("process left behind", False, why=command[:200])
        new = self.results[before:]
        if not new:
            self.add("nothing found to test", False, why="a stage without tests does not pass")
            new = self.results[before:]
        failed = [r for r in new if not r.passed]
        seconds = time.monotonic() - start
        text = f"{seconds:7.1f} s  {name:<18} {len(new) - len(failed):4} passed"
        if failed:
            text += f", {len(failed)} failed"
        self.show(text)
        for result in failed[:20]:
            self.show(f"           FAILED {result.name}: {result.why}" + (f"  [{self.short(result.log)}]" if result.log else ""))
        if len(failed) > 20:
            self.show(f"           and {len(failed) - 20} more, see {self.short(OUT / 'results.tsv')}")
        self.write_results()
        return not failed

    @staticmethod
    def short(path):
        try:
            return pathlib.Path(path).relative_to(ROOT)
        except ValueError:
            return path

    @staticmethod
    def show_start(name):
        if sys.stdout.isatty():
            print(f"           {name} ...", end="\r", flush=True)

    @staticmethod
    def show(text):
        print(f"\033[K{text}" if sys.stdout.isatty() else text, flush=True)

    def write_results(self):
        OUT.mkdir(parents=True, exist_ok=True)
        with open(OUT / "results.tsv", "w", encoding="utf-8") as file:
            for r in self.results:
                why = re.sub(r"\s+", " ", r.why)
                file.write(f"{'pass' if r.passed else 'FAIL'}\t{r.seconds:.3f}\t{r.stage}\t{r.name}\t{why}\n")

    def finish(self):
        """The ten slowest, what was skipped, the tails of the failed logs, and the count as the last line."""
        failed = [r for r in self.results if not r.passed]
        self.show("\nthe ten slowest tests:")
        for r in sorted(self.results, key=lambda r: -r.seconds)[:10]:
            self.show(f"{r.seconds:7.1f} s  {r.stage}: {r.name}")
        if self.skipped:
            self.show(f"\nnot run here ({len(self.skipped)}):")
            for line in self.skipped[:20]:
                self.show(f"  {line}")
        if failed:
            self.show("\nfailed:")
        for r in failed[:12]:
            self.show(f"--- {r.stage}: {r.name}: {r.why}")
            if r.log and pathlib.Path(r.log).exists():
                for line in pathlib.Path(r.log).read_text(errors="replace").splitlines()[-12:]:
                    self.show(f"    {line[:200]}")
        for r in failed[12:]:
            self.show(f"--- {r.stage}: {r.name}: {r.why}")
        self.write_results()
        self.show(f"{len(self.results) - len(failed)} passed, {len(failed)} failed")
        return 1 if failed or not self.results else 0
