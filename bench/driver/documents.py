"""Whole documents: a converter reads a stream that is made on the generator's CPU, and what it makes of it is counted as it comes."""

import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time

from driver.failure import Failed
from driver.servers import prepare_child

RUN_SECONDS = 300
LINES = 40
PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 20
ASK_EVERY = 64  # pieces
PEER_SCRIPT = pathlib.Path(__file__).with_name("business_edifact.pl")
FORMATS = ("edifact", "x12")


# --- The stream: as many orders with 40 lines each as it takes, in one interchange -------------------------------------


def _gtin(number):
    """A number of thirteen digits whose last one is right."""
    digits = f"400008{number:06d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def _edifact_lines(count):
    return "".join(f"LIN+{i}++{_gtin(i)}:EN'PIA+5+ABC{i}:SA'IMD+F++:::Chair with arms number {i}'QTY+21:{i * 10}:PCE'PRI+AAA:{i}.50'"
                   for i in range(1, count + 1))


EDIFACT_LINES = _edifact_lines(LINES)
X12_LINES = "".join(f"PO1*{i}*{i * 10}*EA*{i}.50**UP*{_gtin(i)[1:]}*VN*ABC{i}~PID*F****CHAIR WITH ARMS NUMBER {i}~" for i in range(1, LINES + 1))


def _edifact(number, lines=EDIFACT_LINES, count=LINES):
    body = (f"UNH+{number:08d}+ORDERS:D:96A:UN:EAN008'BGM+220+PO{number:08d}+9'DTM+137:20260901:102'NAD+BY+5412345000013::9'"
            f"NAD+SU+4012345500004::9'CUX+2:EUR:9'{lines}UNS+S'CNT+2:{count}'")
    return f"{body}UNT+{body.count(chr(39)) + 1}+{number:08d}'"


def _x12(number):
    body = (f"ST*850*{number:09d}~BEG*00*SA*PO{number:08d}**20260901~CUR*BY*USD~N1*BY*BUYER*9*1234567890000~N1*SE*SELLER*9*0987654320000~"
            f"{X12_LINES}CTT*{LINES}~")
    return f"{body}SE*{body.count('~') + 1}*{number:09d}~"


ENVELOPES = {
    "edifact": ("UNA:+.? 'UNB+UNOC:3+5412345000013:14+4012345500004:14+260901:1000+REF1'", _edifact, "UNZ+{n}+REF1'"),
    "x12": ("ISA*00*          *00*          *01*123456789      *01*987654321      *260901*1000*U*00401*000000001*0*P*>~"
            "GS*PO*123456789*987654321*20260901*1000*1*X*004010~", _x12, "GE*{n}*1~IEA*1*000000001~"),
}


def order_file(number, lines):
    """An interchange of EDIFACT with one small order; its number, and the interchange's, is this one."""
    body = _edifact(number, _edifact_lines(lines), lines)
    reference = f"{number:08d}"
    return f"UNA:+.? 'UNB+UNOC:3+5412345000013:14+4012345500004:14+260901:1000+{reference}'{body}UNZ+1+{reference}'".encode()


BLOCK = 256  # messages made and written at a time


def stream(kind, size, write):
    """Writes an interchange of about `size` bytes; (bytes, messages)."""
    head, message, tail = ENVELOPES[kind]
    written, count = len(head), 0
    write(head.encode())
    while written < size:
        block = "".join(message(count + i + 1) for i in range(BLOCK)).encode()
        write(block)
        written, count = written + len(block), count + BLOCK
    end = tail.format(n=count).encode()
    write(end)
    return written + len(end), count


# --- Who reads it -----------------------------------------------------------------------------------------------------


class Packed:
    """Counts messages of protobuf, each behind its length, in pieces of any size."""

    def __init__(self):
        self.count, self.skip, self.left = 0, 0, b""

    def take(self, piece):
        data, at = self.left + piece, self.skip
        self.left, self.skip = b"", 0
        while at < len(data):
            length = shift = 0
            p = at
            while p < len(data):
                byte = data[p]
                length |= (byte & 0x7F) << shift
                shift, p = shift + 7, p + 1
                if byte < 0x80:
                    break
            else:
                self.left = data[at:]
                return
            self.count, at = self.count + 1, p + length
        self.skip = at - len(data)

    def whole(self):
        return self.skip == 0 and not self.left


def _converted(process, kind, size):
    """Feeds the process from a thread; (bytes, messages written, messages read, its highest memory)."""
    made, memory = {}, 0

    def feed():
        try:
            with process.stdin as pipe:
                made["fed"] = stream(kind, size, pipe.write)
        except BrokenPipeError:
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    packed, pieces = Packed(), 0
    while piece := process.stdout.read(READ_BYTES):
        packed.take(piece)
        if pieces % ASK_EVERY == 0:
            memory = _memory(process.pid) or memory
        pieces += 1
    feeder.join()
    if "fed" not in made or not packed.whole():
        raise Failed("it ended before its input did")
    return *made["fed"], packed.count, memory


def _memory(pid):
    """The highest so far. What wait4 tells begins with that of the process it was forked from."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _peer(process, messages):
    said = process.stdout.read().split()
    return [int(word) for word in said] == [messages, messages * LINES]


def _ended(process, begin):
    """Its wall time and CPU time."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"it ended with status {process.returncode}")
    return time.monotonic() - begin, used.ru_utime + used.ru_stime


def _limited(process):
    timer = threading.Timer(RUN_SECONDS, process.kill)
    timer.start()
    return timer


def _values(size, messages, seconds, cpu_seconds, memory):
    return {"document_bytes_per_s": size / seconds, "messages_per_s": messages / seconds, "cpu_ns_per_message": cpu_seconds * 1e9 / messages,
            **({"rss_peak_bytes": memory} if memory else {})}


def sample(build, cpus, subject, options):
    """One process, one document, from its start to its end."""
    kind, peer = options["format"], subject.kind == "perl"
    with tempfile.TemporaryDirectory() as folder:
        if peer:
            path = pathlib.Path(folder, "document")
            with open(path, "wb") as file:
                size, messages = stream(kind, options["peer_bytes"], file.write)
            command = ["perl", str(PEER_SCRIPT), str(path)]
        else:
            command = [str(build / "roundhouse"), "convert", "--quiet", "--to", "proto", "-"]
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL if peer else subprocess.PIPE, stdout=subprocess.PIPE,
                                   pipesize=PIPE_BYTES, preexec_fn=lambda: prepare_child(cpus.server()))
        timer = _limited(process)
        try:
            memory = 0
            if peer:
                right = _peer(process, messages)
            else:
                size, messages, found, memory = _converted(process, kind, options["bytes"])
                right = found == messages
            seconds, cpu_seconds = _ended(process, begin)
        finally:
            timer.cancel()
            process.stdout.close()
            if process.returncode is None:
                process.kill()
                process.wait()
    if not right:
        raise Failed("it did not find all messages")
    return {"seconds": seconds, "values": _values(size, messages, seconds, cpu_seconds, memory),
            "verified": {"checked": True, "messages": messages}}, {"io": None, "command": command}
