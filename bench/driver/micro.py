"""Micro benches: programs of their own, whose lines become rows and samples of the result."""

import fnmatch
import json
import subprocess
import sys
import time

from driver.servers import prepare_child

RUN_SECONDS = 600
ABOUT = "parts of the router alone"


def programs(build):
    folder = build / "bench" / "micro"
    return sorted(p for p in folder.glob("*") if p.is_file() and not p.suffix) if folder.is_dir() else []


def wanted(build, patterns):
    """The programs of which some row could be wanted: micro/NAME... against the patterns of --only."""
    return [p for p in programs(build)
            if not patterns or any(fnmatch.fnmatch(f"micro/{p.name}", text) or text.startswith(f"micro/{p.name}/")
                                   for text in patterns)]


def _row(result, line):
    row_id = line["row"]
    if all(row["id"] != row_id for row in result["rows"]):
        primary = line.get("primary", "ns_per_op")
        result["rows"].append({"id": row_id, "group": "micro", "title": line["title"], "about": line.get("about", ABOUT),
                               "workload": line.get("params", {}), "primary": primary, "metrics": list(line["values"]),
                               "subjects": ["micro"], "curve": line.get("curve")})


def _take(suite, line, at):
    """One line of a program's output."""
    if "metric" in line:
        suite.micro_metrics[line["metric"]] = {key: line[key] for key in ("title", "unit", "better")}
        return
    if line.get("checked") is not True:
        raise ValueError(f"the result of {line.get('row')} was not checked")
    _row(suite.result, line)
    suite.result["samples"].append({"row": line["row"], "subject": "micro", "repetition": line["repetition"], "position": 0,
                                    "at": round(at, 3), "seconds": line["seconds"], "values": line["values"],
                                    "verified": {"checked": True}})


def run(suite, found):
    if not found:
        return
    result = suite.result
    result["subjects"]["micro"] = {"kind": "micro", "title": "parts of Roundhouse", "version": result["build"]["version"],
                                   "io": None, "shards": None, "command": [str(p) for p in found]}
    cpus = suite.cpus.server() + [suite.cpus.generator]
    for program in found:
        print(f"bench: micro/{program.name}", file=sys.stderr, flush=True)
        at = time.monotonic() - suite.begin
        command = [str(program), "--repetitions", str(suite.settings["repetitions"])]
        command += ["--full"] if suite.settings["mode"] == "full" else []
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
                                 preexec_fn=lambda: prepare_child(cpus))
            for line in ran.stdout.splitlines():
                _take(suite, json.loads(line), at)
            if ran.returncode != 0:
                raise ValueError(f"ended with status {ran.returncode}: {ran.stderr.strip()[-200:]}")
        except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
            row_id = f"micro/{program.name}"
            if all(row["id"] != row_id for row in result["rows"]):
                _row(result, {"row": row_id, "title": program.name, "values": {"ns_per_op": 0}})
            suite._fail(row_id, "micro", 0, error)
