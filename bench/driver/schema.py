"""What a result file must look like: mistakes(result) lists every way in which it does not, as sentences."""

FORMAT = "roundhouse-bench"
VERSION = 1

NUMBER = (int, float)
TEXT = str
OPTIONAL_TEXT = (str, type(None))
OPTIONAL_NUMBER = (int, float, type(None))
OPTIONAL_LIST = (list, type(None))
OPTIONAL_OBJECT = (dict, type(None))

KINDS = ("roundhouse", "relay", "nats", "redis", "mosquitto", "disk", "micro", "converter", "perl")
UNITS = ("1/s", "ns", "bytes", "share", "count", "1")
BETTER = ("higher", "lower", "none")
VERDICTS = ("aim", "met", "missed", "not resolved", "not measured")

TOP = {"format": TEXT, "version": int, "run": dict, "machine": dict, "network": dict, "build": dict, "metrics": dict,
       "subjects": dict, "rows": list, "samples": list, "summary": list, "ratios": list, "bars": list, "failures": list}
RUN = {"started": TEXT, "finished": TEXT, "seconds": NUMBER, "mode": TEXT, "arguments": list, "repetitions": int,
       "stretch_seconds": NUMBER, "warm_up_seconds": NUMBER, "complete": bool}
MACHINE = {"cpu": TEXT, "cpus": list, "server_cpus": list, "generator_cpus": list, "memory_bytes": int, "kernel": TEXT,
           "os": TEXT, "virtual": TEXT, "governor": TEXT, "load_before": NUMBER}
NETWORK = {"namespace": bool, "congestion_control": TEXT, "tcp_rmem": TEXT, "tcp_wmem": TEXT}
STORAGE = {"directory": TEXT, "file_system": TEXT, "device": TEXT}
BUILD = {"commit": TEXT, "version": TEXT, "compiler": TEXT, "flags": TEXT}
METRIC = {"title": TEXT, "unit": TEXT, "better": TEXT}
SUBJECT = {"kind": TEXT, "title": TEXT, "version": TEXT, "io": OPTIONAL_TEXT, "shards": (int, type(None)), "command": list}
ROW = {"id": TEXT, "group": TEXT, "title": TEXT, "about": TEXT, "workload": dict, "primary": TEXT, "metrics": list,
       "subjects": list, "curve": OPTIONAL_OBJECT}
CURVE = {"name": TEXT, "axis": TEXT, "value": NUMBER, "scale": TEXT}
SAMPLE = {"row": TEXT, "subject": TEXT, "repetition": int, "position": int, "at": NUMBER, "seconds": NUMBER,
          "values": dict, "verified": dict}
SUMMARY = {"row": TEXT, "subject": TEXT, "metric": TEXT, "n": int, "median": NUMBER, "low": NUMBER, "high": NUMBER,
           "best": NUMBER, "interval": OPTIONAL_LIST}
RATIO = {"row": TEXT, "metric": TEXT, "subject": TEXT, "against": TEXT, "n": int, "median": NUMBER, "low": NUMBER,
         "high": NUMBER, "interval": OPTIONAL_LIST}
BAR = {"row": TEXT, "metric": TEXT, "subject": TEXT, "against": list, "text": TEXT, "direction": TEXT,
       "least": OPTIONAL_NUMBER, "aim": OPTIONAL_OBJECT, "value": OPTIONAL_NUMBER, "aim_value": OPTIONAL_NUMBER,
       "verdict": TEXT}
FAILURE = {"row": TEXT, "subject": TEXT, "repetition": int, "error": TEXT}


def _fields(where, found, wanted):
    """The keys of one object that are missing or of another type."""
    if not isinstance(found, dict):
        return [f"{where} is not an object"]
    wrong = []
    for key, kind in wanted.items():
        if key not in found:
            wrong.append(f"{where} has no {key}")
        elif not isinstance(found[key], kind) or (isinstance(found[key], bool) and kind is not bool):
            wrong.append(f"{where}.{key} is {found[key]!r}")
    return wrong


def _list(result, key, wanted):
    return [text for i, item in enumerate(result[key]) for text in _fields(f"{key}[{i}]", item, wanted)]


def _one_of(where, value, choices):
    return [] if value in choices else [f"{where} is {value!r}, not one of {', '.join(choices)}"]


def _references(result):
    """Rows, subjects and metrics that are named somewhere and described nowhere."""
    rows = {row["id"]: row for row in result["rows"]}
    wrong = []
    for key in ("samples", "summary", "ratios", "failures"):
        for i, item in enumerate(result[key]):
            if item["row"] not in rows:
                wrong.append(f"{key}[{i}] names the row {item['row']}, which is not described")
            for name in [item["subject"]] + ([item["against"]] if key == "ratios" else []):
                if name not in result["subjects"]:
                    wrong.append(f"{key}[{i}] names the subject {name}, which is not described")
    for i, sample in enumerate(result["samples"]):
        for metric, value in sample["values"].items():
            if metric not in result["metrics"]:
                wrong.append(f"samples[{i}] has the metric {metric}, which is not described")
            if not isinstance(value, NUMBER) or isinstance(value, bool):
                wrong.append(f"samples[{i}].values.{metric} is {value!r}")
        if not (sample["verified"].get("deliveries", 0) > 0 or sample["verified"].get("checked") is True
                or sample["verified"].get("acknowledged", 0) > 0
                or "connections" in sample["verified"]):
            wrong.append(f"samples[{i}] says nothing of what was verified")
    return wrong


def _details(result):
    wrong = []
    for name, metric in result["metrics"].items():
        wrong += _fields(f"metrics.{name}", metric, METRIC)
        if not wrong:
            wrong += _one_of(f"metrics.{name}.unit", metric["unit"], UNITS)
            wrong += _one_of(f"metrics.{name}.better", metric["better"], BETTER)
    for name, subject in result["subjects"].items():
        wrong += _fields(f"subjects.{name}", subject, SUBJECT) or _one_of(f"subjects.{name}.kind", subject["kind"], KINDS)
    for i, row in enumerate(result["rows"]):
        if isinstance(row, dict) and row.get("curve") is not None:
            wrong += _fields(f"rows[{i}].curve", row["curve"], CURVE)
    for i, bar in enumerate(result["bars"]):
        wrong += _fields(f"bars[{i}]", bar, BAR) or _one_of(f"bars[{i}].verdict", bar["verdict"], VERDICTS)
    return wrong


def mistakes(result):
    """Every way in which `result` is not a result file, as sentences; empty for a good one."""
    wrong = _fields("the result", result, TOP)
    if wrong:
        return wrong
    if (result["format"], result["version"]) != (FORMAT, VERSION):
        return [f"the format is {result['format']} {result['version']}, not {FORMAT} {VERSION}"]
    for key, wanted in (("run", RUN), ("machine", MACHINE), ("network", NETWORK), ("build", BUILD)):
        wrong += _fields(key, result[key], wanted)
    for key, wanted in (("rows", ROW), ("samples", SAMPLE), ("summary", SUMMARY), ("ratios", RATIO), ("failures", FAILURE)):
        wrong += _list(result, key, wanted)
    if result.get("storage") is not None:
        wrong += _fields("storage", result["storage"], STORAGE)
    return wrong or _details(result) + _references(result)
