"""The native protocol spoken with a plain socket, for tests.

Knows only the .proto files (compiled here with `protoc --python_out`) and that a frame is preceded by its length as a
varint. It sends whatever a test wants, right or wrong, and every wait has an end.
"""

import importlib.util
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WAIT_SECONDS = 30


def _compile(proto):
    """The Python module that protoc makes of a .proto file under include/."""
    with tempfile.TemporaryDirectory() as folder:
        include = os.path.join(ROOT, "include")
        subprocess.run(["protoc", f"--python_out={folder}", f"-I{include}", proto], check=True)
        path = os.path.join(folder, proto.replace(".proto", "_pb2.py"))
        # By path, not by name: the package `io` of the second one is Python's own.
        spec = importlib.util.spec_from_file_location(proto.replace("/", "_").replace(".proto", "_pb2"), path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


pb = _compile("roundhouse/v1/wire.proto")
ce = _compile("io/cloudevents/v1/cloudevents.proto")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(data):
    return varint(len(data)) + data


def field(number, wire_type, content):
    """One protobuf field by hand; `content` is a number (types 0, 1, 5) or bytes (type 2)."""
    key = varint(number << 3 | wire_type)
    if wire_type == 0:
        return key + varint(content)
    if wire_type == 2:
        return key + delimited(content)
    return key + content.to_bytes(8 if wire_type == 1 else 4, "little")


def frame(**body):
    """A Frame with one body, as it goes on the wire: frame(ping=pb.Ping(data=b"x"))."""
    return delimited(pb.Frame(**body).SerializeToString())


def cloud_event(data=b"", id="1", source="/test", type="test.event", **attributes):
    """A serialized CloudEvent; `data` of type str becomes text_data; attributes become ce_string."""
    event = ce.CloudEvent(id=id, source=source, spec_version="1.0", type=type)
    if isinstance(data, str):
        event.text_data = data
    else:
        event.binary_data = data
    for name, value in attributes.items():
        event.attributes[name].ce_string = value
    return event.SerializeToString()


def event_frame(topic, event, sequence=0):
    return frame(event=pb.Event(topic=topic, event=event, sequence=sequence))


def numbered(topic, number, size=0):
    """An event frame that carries its number as the id and, up to `size` bytes, as its data."""
    return event_frame(topic, cloud_event(payload(number, size), id=str(number)))


def payload(number, size):
    """Bytes that only this number gives: what arrives can be compared with what was sent."""
    text = b"%d," % number
    return (text * (size // len(text) + 1))[:size]


def read_number(event, size=0):
    """The number of a `numbered` event, after comparing its data byte by byte."""
    inner = ce.CloudEvent.FromString(event.event)
    number = int(inner.id)
    assert inner.binary_data == payload(number, size), f"the data of event {number} is not what was sent"
    return number


def position(event):
    """The log position in a sequence: its lower 48 bits."""
    return event.sequence & (1 << 48) - 1


class Closed(Exception):
    """The other side has closed the connection, or reset it."""


def end_point(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


class Client:
    """A connection. The constructor shakes hands unless told not to."""

    def __init__(self, address, ack=0, hello=True, receive_buffer=None, name="test"):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_SECONDS)
        self.socket.connect(end_point(address))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._consumed = 0
        self._settled = 0
        self.connected = None
        if hello:
            self.send(connect=pb.Connect(version=1, client=name, ack=ack))
            self.connected = self.expect("connected")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, **body):
        self.send_bytes(frame(**body))

    def _take(self):
        """The next whole frame in the buffer as bytes, or None."""
        length = shift = 0
        place = self._consumed
        while place < len(self._buffer):
            byte = self._buffer[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if len(self._buffer) - place < length:
                    return None
                data = bytes(self._buffer[place:place + length])
                self._consumed = place + length
                return data
        return None

    def _receive(self, seconds):
        """Receives what there is, waiting so long at most; False when nothing came."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return False
        if self._consumed:
            del self._buffer[:self._consumed]
            self._consumed = 0
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            assert not self._buffer, "the connection was closed in the middle of a frame"
            raise Closed("end of stream")
        self._buffer += data
        return True

    def poll(self, seconds=0):
        """The next frame, or None when none came in time."""
        end = time.monotonic() + seconds
        while True:
            data = self._take()
            if data is not None:
                return pb.Frame.FromString(data)
            if not self._receive(max(0, end - time.monotonic())):
                return None

    def next(self):
        """The next frame; a silent router fails the test."""
        found = self.poll(WAIT_SECONDS)
        assert found is not None, f"no frame within {WAIT_SECONDS} s"
        return found

    def expect(self, kind):
        """The body of the next frame, which must be of this kind."""
        found = self.next()
        assert found.WhichOneof("body") == kind, f"wanted {kind}, got {found}"
        return getattr(found, kind)

    def events(self, count):
        return [self.expect("event") for _ in range(count)]

    def subscribe(self, *patterns, id=1, policy=0, position=b"", start=None, gone=0):
        self.send(subscribe=pb.Subscribe(id=id, patterns=patterns, policy=policy, position=position, start=start, gone=gone))
        answer = self.expect("subscribed")
        assert answer.id == id
        return answer

    def publish(self, topic, event):
        self.send_bytes(event_frame(topic, event))

    def round_trip(self, data=b"round"):
        """Ping, and the Pong for it: what the router answered or delivered before it is returned."""
        self.send(ping=pb.Ping(data=data))
        before = []
        while True:
            found = self.next()
            if found.WhichOneof("body") == "pong":
                assert found.pong.data == data
                return before
            before.append(found)

    def settle(self, through):
        """Reads PublishAcks until all up to `through` are settled; returns the new exceptions by ordinal."""
        exceptions = {}
        while self._settled < through:
            ack = self.expect("publish_ack")
            assert ack.through > self._settled, "a PublishAck did not get further"
            for exception in ack.exceptions:
                assert self._settled < exception.ordinal and exception.ordinal not in exceptions
                exceptions[exception.ordinal] = exception.error
            self._settled = ack.through
        assert self._settled == through, f"acknowledged {self._settled}, published {through}"
        return exceptions

    def poll_quietly(self, seconds):
        """As poll, and None when the connection has ended."""
        try:
            return self.poll(seconds)
        except Closed:
            return None

    def until_closed(self):
        """All frames up to the end of the connection, which the router must close."""
        frames = []
        try:
            while True:
                frames.append(self.next())
        except Closed:
            return frames

    def refused(self):
        """The connection must be closed by the router after a fatal Error, which is returned."""
        errors = [f.error for f in self.until_closed() if f.WhichOneof("body") == "error"]
        assert errors and errors[-1].fatal, f"closed without a fatal Error: {errors}"
        return errors[-1]
