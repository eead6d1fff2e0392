"""Servers that keep events on disk: where that is, when each of them syncs, and how many events it says it has in the end."""

import json
import os
import re
import socket
import subprocess

from driver.failure import Failed

ASK_SECONDS = 60
STREAM = "BENCH"
TOPICS = "erp.order.*"

# When an event is acknowledged, and what has been synced by then. It stands beside every figure.
STATES = {
    "roundhouse": "ack disk: the event's group is written with O_DIRECT and RWF_DSYNC (write and fdatasync where the file system refuses them), "
              "then acknowledged",
    "roundhouse, ack routed": "ack routed: in the log in memory, then acknowledged; written and synced behind it as above. What a round trip "
                              "costs without waiting for the disk",
    "jetstream": "PubAck: written to the page cache, then acknowledged; synced every 2 minutes (sync_interval, its default)",
    "redis-streams": "answer to XADD: appendonly, appendfsync always: fdatasync once per turn of its loop, then acknowledged",
    "disk-read": "sequential reads of 4 MiB with O_DIRECT, one after the other, no server",
    "disk": "sequential writes with O_DIRECT and RWF_DSYNC, one after the other, no server",
}


def _unescaped(text):
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


class Place:
    """The folder in which servers keep what they store, and what is below it: file system and device."""

    def __init__(self, directory):
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file_system, self.device = self._mounted()

    def _mounted(self):
        """Of the longest mount point that the folder is in."""
        best = ("", "unknown", "unknown")
        try:
            with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
                lines = mounts.read().splitlines()
        except OSError:
            return best[1:]
        for line in lines:
            left, _, right = line.partition(" - ")
            point, (kind, source) = _unescaped(left.split()[4]), right.split()[:2]
            inside = os.path.commonpath([point, str(self.directory)]) == point
            if inside and len(point) >= len(best[0]):
                best = (point, kind, _unescaped(source))
        return best[1:]

    def described(self):
        return {"directory": str(self.directory), "file_system": self.file_system, "device": self.device}


# --- small conversations with a server, beside the measurement ---


def _connect(server):
    host, port = server.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), ASK_SECONDS)


def _jetstream(server, subject, request):
    """One request to JetStream, and its answer."""
    body = json.dumps(request) if request else ""
    with _connect(server) as connection, connection.makefile("rb") as answers:
        connection.sendall(f'CONNECT {{"verbose":false}}\r\nSUB answer 1\r\nPUB $JS.API.{subject} answer {len(body)}\r\n{body}\r\n'.encode())
        for line in answers:
            if line.startswith(b"MSG "):
                said = json.loads(answers.read(int(line.split()[-1])))
                if "error" in said:
                    raise Failed(f"{server.subject.title} refused {subject}: {said['error'].get('description')}")
                return said
    raise Failed(f"{server.subject.title} did not answer {subject}")


def _redis(server, *words):
    """One command whose answer is a number."""
    with _connect(server) as connection, connection.makefile("rb") as answers:
        connection.sendall(f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
        line = answers.readline()
    if not line.startswith(b":"):
        raise Failed(f"{server.subject.title} answered {words[0]} with {line.decode(errors='replace').strip()}")
    return int(line[1:])


def prepare(server):
    """What must be there before the first event."""
    if server.subject.protocol == "jetstream":
        _jetstream(server, f"STREAM.CREATE.{STREAM}", {"name": STREAM, "subjects": [TOPICS], "storage": "file", "retention": "limits",
                                                      "discard": "old", "num_replicas": 1})


def stored(server, publishers):
    """How many events a running server says it has; None when it can only be asked when it has ended."""
    if server.subject.protocol == "jetstream":
        return _jetstream(server, f"STREAM.INFO.{STREAM}", None)["state"]["messages"]
    if server.subject.protocol == "streams":
        return sum(_redis(server, "XLEN", f"erp.order.{topic:06d}") for topic in range(publishers))
    return None


def forget(directory):
    """What lies below is read from the disk again, not from the page cache; all of it is synced."""
    for path in directory.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def stored_by_roundhouse(build, directory):
    """{events, groups} of a journal that nobody has open: all of it is read and checked. Nothing but events was written to it."""
    ran = subprocess.run([str(build / "roundhouse"), "journal", "verify", str(directory)], capture_output=True, text=True,
                         timeout=ASK_SECONDS, check=False)
    found = re.findall(r"^log \d+: good: .*positions (\d+) to (\d+); last group (\d+)", ran.stdout, re.M)
    if ran.returncode != 0 or not found:
        raise Failed(f"the journal is not good: {' '.join((ran.stdout + ran.stderr).split())[-300:]}")
    return {"events": sum(int(last) - int(first) + 1 for first, last, _ in found), "groups": sum(int(group) for _, _, group in found)}
