"""One measurement: a fresh server, one run of the load generator against it, what both say, and the server's end."""

import json
import subprocess

from driver import stores
from driver.beside import beside
from driver.failure import Failed
from driver.servers import Server, prepare_child

RUN_SECONDS = 180
INDEX_ENTRY_BYTES = 32
SUSTAINED_AGE_NS = 15e6  # before the pause the latest subscriber may be so late on average
SLOWER_TRIES, SLOWER = 4, 0.7


def run_load(build, cpu, options):
    """Runs the load generator; its JSON object, or Failed with its sentence."""
    command = [str(build / "bench" / "load")]
    for name, value in options.items():
        command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
                             preexec_fn=lambda: prepare_child([cpu]))
    except subprocess.TimeoutExpired as late:
        raise Failed(f"the load generator did not end within {RUN_SECONDS} s") from late
    try:
        said = json.loads(ran.stdout)
    except ValueError as error:
        raise Failed(f"the load generator ended with status {ran.returncode}: {ran.stderr.strip()[-200:]}") from error
    if ran.returncode != 0 or said.get("ok") is not True:
        raise Failed(said.get("error", f"the load generator ended with status {ran.returncode}"))
    return said


def _run_against(server, build, cpus, options):
    """The load generator against a server, which must be there in the end."""
    said = run_load(build, cpus.generator, {"protocol": server.subject.protocol, "address": server.address, "server": server.pid,
                                            "server-cpu": server.cpus[0], **options})
    if not server.alive():
        raise Failed(f"{server.subject.title} did not survive the measurement")
    return said


def _traffic(said):
    """What counts deliveries."""
    seconds, deliveries = said["seconds"], said["deliveries"]
    if deliveries <= 0:
        raise Failed("nothing was delivered within the measured stretch")
    return {"deliveries_per_s": deliveries / seconds,
            "server_cpu_ns_per_delivery": said["server_cpu_ns"] / deliveries}


LATENCY = ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")


def _latency(said):
    return {name: said[name] for name in (*LATENCY, "send_lag_p50_ns", "send_lag_p99_ns", "generator_idle_share", "offered_per_s")}


def _acknowledged(said, payload):
    """What counts acknowledgements."""
    seconds, events = said["seconds"], said["acknowledged"]
    if events <= 0:
        raise Failed("no event was acknowledged within the measured stretch")
    return {"acked_per_s": events / seconds, "stored_bytes_per_s": events * payload / seconds,
            "server_cpu_ns_per_event": said["server_cpu_ns"] / events, **{name: said[name] for name in LATENCY}}


def _stored(server, build, said, publishers):
    """Everything that was acknowledged is there, and nothing else: {stored, events per group where that is known}."""
    found, events = {}, stores.stored(server, publishers)
    if events is None:
        server.end()
        found = stores.stored_by_roundhouse(build, server.stored_in)
        events = found["events"]
    if events != said["verified_acknowledged"]:
        raise Failed(f"{said['verified_acknowledged']} events are acknowledged, {events} are stored")
    return {"stored": events, **({"events_per_sync": events / found["groups"]} if found else {})}


def _common(said):
    """Shares of one CPU's time, and memory."""
    seconds = said["seconds"]
    values = {"server_cpu_share": said["server_cpu_ns"] / 1e9 / seconds,
              "generator_cpu_share": said["generator_cpu_ns"] / 1e9 / seconds, "memory_bytes": said["memory_bytes"],
              "rss_bytes": said["rss_bytes"]}
    if "core_busy_s" in said:
        values["core_busy_share"] = said["core_busy_s"] / seconds
    for name in ("rss_peak_bytes", "memory_per_connection_bytes", "churn_per_s", "recovered_ns", "age_before_ns"):
        if name in said:
            values[name] = said[name]
    return values


def _roundhouse(before, after, values):
    """What only Roundhouse tells: from its metrics, before and after."""
    grown = {name: after[name] - before.get(name, 0) for name in after if name != "io"}
    sends = grown.get("roundhouse_io_sends_total", 0)
    rings = (after.get("roundhouse_log_data_capacity_bytes", 0)
             + INDEX_ENTRY_BYTES * after.get("roundhouse_log_capacity_records", 0))
    found = {"memory_beyond_rings_bytes": values["memory_bytes"] - rings,
             "laggards": after.get("roundhouse_laggards", 0), "gaps": grown.get("roundhouse_gaps_total", 0),
             "slow_disconnects": grown.get("roundhouse_slow_disconnects_total", 0),
             "catch_up_entered": grown.get("roundhouse_catch_up_entered_total", 0)}
    if sends > 0:
        found["bytes_per_send"] = grown["roundhouse_io_sent_bytes_total"] / sends
    return found


def _verified(said):
    if "verified_connections" in said:
        return {"connections": said["verified_connections"]}
    acknowledged = {"acknowledged": said["verified_acknowledged"]} if "verified_acknowledged" in said else {}
    return {**acknowledged, "deliveries": said["verified_deliveries"], "compared_bytes": said["compared_bytes"],
            "published": said["published"]}


def _recovery(said, values):
    """How many subscribers are not where they were before the pause: behind, in catch-up, cut off, or with a gap."""
    values["not_recovered"] = said["behind"] + sum(values.get(name, 0) for name in ("laggards", "slow_disconnects", "gaps"))


def sustained_sample(build, cpus, subject, options):
    """As `sample`, for a rate that must be held before the pause: one that this machine can not hold now is lowered."""
    for _ in range(SLOWER_TRIES):
        made, facts = sample(build, cpus, subject, options)
        if made["values"]["age_before_ns"] < SUSTAINED_AGE_NS:
            break
        options = {**options, "rate": round(options["rate"] * SLOWER)}
    return made, facts


def _values(said, options):
    values = _common(said)
    if options.get("mode") == "acked":
        values.update(_acknowledged(said, options["payload"]))
    elif options.get("mode") != "idle":
        values.update(_traffic(said))
    if options.get("mode") == "paced":
        values.update(_latency(said))
    return values


def disk_sample(build, cpus, place, options):
    """The disk alone, written to or read from the CPU on which a server would run."""
    said = run_load(build, cpus.server()[0], {"mode": "disk", "directory": place.directory, **options})
    if "read_bytes" in said:
        calls, rate = "reads", said["read_bytes"] / said["seconds"]
        values = {"replayed_bytes_per_s": rate, "journal_bytes_per_s": rate}
    else:
        calls, values = "writes", {"stored_bytes_per_s": said["written_bytes"] / said["seconds"]}
    values.update({name: said[name] for name in LATENCY})
    made = {"seconds": said["seconds"], "values": values, "verified": {"checked": True, calls: said[calls], "direct": bool(said["direct"])},
            "histogram": said["histogram"]}
    return made, {"io": None, "command": ["load", "--mode", "disk", *(["--read"] if "read" in options else [])]}


def replay_sample(build, cpus, subject, options, place):
    """What a run of acknowledged publishers has left in the journal, read from the disk by a router that was started over it."""
    publishers = {name: options[name] for name in ("publishers", "topics", "payload")}
    with Server(subject, build, cpus.server(subject.shards or 1), None, place) as server:
        filled = _run_against(server, build, cpus, {**publishers, "mode": "acked", "ack": "disk", "outstanding": 256, "warm-up": 0,
                                                    "seconds": options["fill"]})
        written = server.metrics()["roundhouse_journal_bytes_total"]
        events = filled["verified_acknowledged"]
        server.restart()
        stores.forget(server.stored_in)
        said = _run_against(server, build, cpus, {**publishers, "mode": "replay", "events": events,
                                                  "subscribers": options.get("subscribers", 1)})
        after, command = server.metrics(), server.command
    values = {**_common(said), **_traffic(said), "replayed_bytes_per_s": events * options["payload"] / said["seconds"],
              "journal_bytes_per_s": written / said["seconds"]}
    values.update(_roundhouse({}, after, values))
    return {"seconds": said["seconds"], "values": values, "verified": _verified(said)}, {"io": after.get("io"), "command": command}


def sample(build, cpus, subject, options, server_options=None, place=None):
    """Measures once, with a `place` a server that stores there. Returns what belongs into a sample: seconds, values, verified, and
    the server's facts."""
    options, stored = {**options, **subject.extra}, {}
    with Server(subject, build, cpus.server(subject.shards or 1), server_options, place) as server:
        before = server.metrics()
        with beside(subject.beside, server.admin, lambda: prepare_child([cpus.generator]), Failed) as rounds:
            said = _run_against(server, build, cpus, options)
        after = server.metrics()
        command = server.command
        if place:
            stored = _stored(server, build, said, options.get("publishers", 1))
    values = _values(said, options)
    if "events_per_sync" in stored:
        values["events_per_sync"] = stored.pop("events_per_sync")
    if after:
        values.update(_roundhouse(before, after, values))
    if options.get("pause"):
        _recovery(said, values)
    if rounds:
        values["beside_per_s"] = rounds[0]
    made = {"seconds": said["seconds"], "values": values, "verified": {**_verified(said), **stored}}
    if "histogram" in said:
        made["histogram"] = said["histogram"]
    return made, {"io": after.get("io"), "command": command}
