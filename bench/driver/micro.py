"""The benches of single parts: bench_micro, whose lines become rows and samples of the result."""

import json
import subprocess
import sys
import time

from driver.servers import prepare_child

RUN_SECONDS = 900
GROUP = "micro/"


def wanted(build, patterns):
    """The runs of bench_micro that the patterns of --only ask for: (program, the benches' names as a pattern or None)."""
    program = build / "bench" / "micro" / "bench_micro"
    if not program.is_file():
        return []
    if not patterns:
        return [(program, None)]
    return [(program, text.removeprefix(GROUP)) for text in patterns if text.startswith(GROUP)]


def _row(result, line):
    row_id = line["row"]
    if all(row["id"] != row_id for row in result["rows"]):
        primary = line.get("primary", "ns_per_op")
        result["rows"].append({"id": row_id, "group": "micro", "title": line["title"], "about": line["about"],
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


def _command(suite, program, names):
    command = [str(program), "--repetitions", str(suite.settings["repetitions"])]
    command += ["--only", names] if names else []
    return command + (["--full"] if suite.settings["mode"] == "full" else [])


def _run(suite, command, names):
    print(f"bench: {GROUP}{names or '*'}", file=sys.stderr, flush=True)
    at, cpus = time.monotonic() - suite.begin, suite.cpus.server() + [suite.cpus.generator]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
                             preexec_fn=lambda: prepare_child(cpus))
        for line in ran.stdout.splitlines():
            _take(suite, json.loads(line), at)
        if ran.returncode != 0:
            raise ValueError(f"ended with status {ran.returncode}: {ran.stderr.strip()[-200:]}")
    except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
        _row(suite.result, {"row": f"{GROUP}bench_micro", "title": "bench_micro", "about": "the program as a whole",
                            "values": {"ns_per_op": 0}})
        suite._fail(f"{GROUP}bench_micro", "micro", 0, error)


def run(suite, found):
    if not found:
        return
    result = suite.result
    commands = [_command(suite, *item) for item in found]
    result["subjects"]["micro"] = {"kind": "micro", "title": "parts of Roundhouse", "version": result["build"]["version"],
                                   "io": None, "shards": None, "command": commands[0]}
    for command, (_, names) in zip(commands, found):
        _run(suite, command, names)
