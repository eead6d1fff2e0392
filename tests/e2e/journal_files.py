"""The journal's files, written from their description (core/journal/format.h) and not by the program under test."""

import ctypes
import struct

import wire

BLOCK = 4096
SEGMENT = 64 * 1024
INSTANCE = bytes(range(16))
EVENT, OPEN, STATE, EXPIRING = 0, 2, 3, 4

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def xxh3(data, seed=0):
    return _xxhash.XXH3_64bits_withSeed(data, len(data), seed)


def block_sum(block):
    """Of MANIFEST and segment headers: the last eight bytes are the checksum of the others."""
    block = block.ljust(BLOCK - 8, b"\0")
    return block + struct.pack("<Q", xxh3(block))


def manifest(generation, logs, epoch=1, oldest=None, version=1):
    oldest = (oldest or [1] * logs) + [0] * (32 - logs)
    return block_sum(struct.pack("<8sIIQ16sQII32Q", b"RHOJMAN\0", version, logs, generation, INSTANCE, 4711, epoch, 1, *oldest))


def record(number, frame, kind=EVENT, slot=1, time=0, topic_at=0, topic_length=0):
    flags = kind | slot << 4 | topic_at << 16 | topic_length << 24
    rest = struct.pack("<QQQQII", number, 1 << 48 | number, time, 0, flags, len(frame)) + frame
    length = (8 + len(rest) + 7) // 8 * 8
    return (struct.pack("<II", length, xxh3(rest) & 0xffffffff) + rest).ljust(length, b"\0")


class Segment:
    """One segment of a log: groups are added one by one."""

    def __init__(self, log=0, number=1, first_group=1, first=1, previous=0, salt=0x5a17):
        self.salt, self.group, self.position, self.previous = salt, first_group, first, previous
        self.bytes = block_sum(struct.pack("<8sHHIQ16sQQQQQ", b"RHOJSEG\0", 1, 12, log, number, INSTANCE, salt, SEGMENT,
                                           first_group, first, previous))
        self.places = []

    def add(self, *frames, kind=EVENT):
        """A group of records; without any it is a seal."""
        body = b"".join(record(self.position + i, frame, kind) for i, frame in enumerate(frames))
        head = struct.pack("<IHHQQIIQQQ", 0x47524852, 1, 0 if frames else 1, self.group, self.salt, len(body), len(frames),
                           self.position, self.position - 1, self.previous)
        rest = body.ljust(-(64 + len(body)) % BLOCK + len(body), b"\0")
        self.previous = xxh3(rest, xxh3(head, self.salt))
        self.places.append(len(self.bytes))
        self.bytes += head + struct.pack("<Q", self.previous) + rest
        self.group += 1
        self.position += len(frames)

    def write(self, path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.bytes.ljust(SEGMENT, b"\0"))


def frames(first, count, topic="orders.created"):
    """Records as the ring has them: frames with their sequence."""
    return [wire.event_frame(topic, wire.cloud_event(b"%d" % n, id=str(n)), sequence=1 << 48 | n) for n in range(first, first + count)]


def journal(folder, groups=(3, 1, 4), logs=1):
    """A journal of one log with so many events in each group, sealed; its segment."""
    folder.mkdir()
    (folder / "MANIFEST").write_bytes(manifest(2, logs) + manifest(1, logs))
    for log in range(logs):
        segment = Segment(log)
        for count in groups:
            segment.add(*frames(segment.position, count, f"orders.{log}"))
        segment.add()
        segment.write(folder / str(log) / "000000000001.jnl")
    return segment
