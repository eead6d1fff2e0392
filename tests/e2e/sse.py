"""A reader of server-sent events of the admin plane (GET /v1/events)."""

import json
import socket
import time
from urllib.parse import urlencode

import wire


class Stream:
    """One request; `status` and `headers` are there at once, then next() gives (event, id, data) block by block."""

    def __init__(self, address, receive_buffer=None, last_id=None, method="GET", **query):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wire.WAIT_SECONDS)
        self.socket.connect(wire.end_point(address))
        head = f"{method} /v1/events?{urlencode({name.rstrip('_'): value for name, value in query.items()})} HTTP/1.1\r\nHost: localhost\r\n"
        if last_id is not None:
            head += f"Last-Event-ID: {last_id}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        self.raw, self.text, self.last_id = b"", b"", last_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _receive(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError("the stream has ended")
        self.raw += piece

    def head(self):
        """The status; the headers are in `headers`."""
        while b"\r\n\r\n" not in self.raw:
            self._receive()
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.headers = dict(line.split(": ", 1) for line in lines[1:])
        self.status = int(lines[0].split()[1])
        return self.status

    def body(self):
        """Of an answer that is no stream."""
        while len(self.raw) < int(self.headers["Content-Length"]):
            self._receive()
        return json.loads(self.raw)

    def _chunk(self):
        while b"\r\n" not in self.raw:
            self._receive()
        size, rest = self.raw.split(b"\r\n", 1)
        size = int(size, 16)
        while len(rest) < size + 2:
            self._receive()
            rest = self.raw.split(b"\r\n", 1)[1]
        self.raw = rest[size + 2:]
        if size == 0:
            raise EOFError("the stream has ended")
        self.text += rest[:size]

    def block(self):
        """The next block, comments included: {"event": ..., "id": ..., "data": ...}."""
        while b"\n\n" not in self.text:
            self._chunk()
        block, self.text = self.text.split(b"\n\n", 1)
        found = {}
        for line in block.decode().split("\n"):
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")
        if "id" in found:
            self.last_id = found["id"]
        return found

    def next(self, *kinds):
        """(kind, data) of the next block with one of these kinds; others but ids and comments are a fault."""
        end = time.monotonic() + wire.WAIT_SECONDS
        while time.monotonic() < end:
            block = self.block()
            if "event" in block:
                assert not kinds or block["event"] in kinds, block
                return block["event"], json.loads(block["data"])
        raise AssertionError("nothing comes")

    def await_subscribed(self):
        """Until it is sure to get what is published from now on."""
        while self.block().get("") != "subscribed":
            pass
        return self

    def events(self, count):
        return [self.next("cloudevent")[1] for _ in range(count)]

    def await_id(self, other_than=None):
        """Until an id came, which is the place after all that was read."""
        while self.last_id is None or self.last_id == other_than:
            self.block()
        return self.last_id


def opened(made, **options):
    """A stream that has begun: its first block was read."""
    stream = Stream(made.admin, **options)
    assert stream.head() == 200, stream.raw
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert "retry" in stream.block()
    return stream
