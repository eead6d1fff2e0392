"""The native protocol, as little as the rows of the hub need: publishes what was encoded before, and takes what a subscription is given.

A frame is its length as a varint and a protobuf message (include/roundhouse/v1/wire.proto). Python's standard library only."""

import select
import socket

from driver.failure import Failed

ANSWER_SECONDS = 20
READ_BYTES = 1 << 18
# Field numbers of Frame.
EVENT, CONNECT, CONNECTED, SUBSCRIBE, SUBSCRIBED, ERROR, PING, PONG = 1, 2, 3, 4, 5, 12, 13, 14


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(field, content):
    """A field of bytes."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def frame(field, body):
    inner = text(field, body)
    return varint(len(inner)) + inner


def event_frame(topic, id_, contenttype, data):
    """A frame that publishes one CloudEvent with text."""
    attribute = text(1, b"datacontenttype") + text(2, text(3, contenttype))
    event = (text(1, id_) + text(2, b"/bench") + text(3, b"1.0") + text(4, b"bench.event") + text(5, attribute) + text(7, data))
    return frame(EVENT, text(2, topic) + text(3, event))


class Connection:
    """A client of one router, with a socket that blocks only where that is said."""

    def __init__(self, address, name):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""
        self.socket.sendall(frame(CONNECT, b"\x08\x01" + text(2, name.encode())))
        self.await_answer(CONNECTED)

    def send(self, data):
        self.socket.sendall(data)

    def subscribe(self, pattern):
        self.send(frame(SUBSCRIBE, b"\x08\x01" + text(2, pattern.encode())))
        self.await_answer(SUBSCRIBED)

    def read(self, seconds):
        """[(field of Frame, its body)] of what is there now, or comes first within the time."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return []
        piece = self.socket.recv(READ_BYTES)
        if not piece:
            raise Failed("the router has closed the connection")
        found, data, at = [], self._left + piece, 0
        while (bounds := self._bounds(data, at)) is not None:
            found.append(self._body(data[slice(*bounds)]))
            at = bounds[1]
        self._left = data[at:]
        return found

    @staticmethod
    def _varint(data, at):
        """(number, behind it), or None if it is not whole."""
        number = shift = 0
        while at < len(data):
            byte = data[at]
            number |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
            if byte < 128:
                return number, at
        return None

    def _bounds(self, data, at):
        """Where the next frame begins and ends, or None if it is not whole."""
        length = self._varint(data, at)
        if length is None or length[1] + length[0] > len(data):
            return None
        return length[1], length[1] + length[0]

    def _body(self, data):
        tag, at = self._varint(data, 0)
        length, at = self._varint(data, at)
        field, body = tag >> 3, data[at:at + length]
        if field == ERROR:
            raise Failed(f"the router says: {body.decode(errors='replace')}")
        return field, body

    def await_answer(self, field):
        """Everything that comes until a frame of this kind is among it; the next within ANSWER_SECONDS each."""
        found = []
        while all(kind != field for kind, _ in found):
            more = self.read(ANSWER_SECONDS)
            if not more:
                raise Failed("the router does not answer")
            found += more
        return found

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
