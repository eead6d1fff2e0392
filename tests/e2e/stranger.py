"""A client of the event router, by somebody who knows it only from its document.

This module is written from docs/PROTOCOL.md and the two .proto files only, and shares no code with the other clients.
It is plain Python with one thread: whatever waits here also reads and writes. The titles in the comments are those of
the document.
"""

import collections
import dataclasses
import importlib.util
import itertools
import pathlib
import random
import select
import socket
import subprocess
import sys
import tempfile
import time

PROTO_ROOT = pathlib.Path(__file__).resolve().parents[2] / "include"


def _load_classes():
    """Lets protoc make the message classes, in a directory that is gone again when they are loaded."""
    names = {"wire": "roundhouse/v1/wire", "cloudevents": "io/cloudevents/v1/cloudevents"}
    loaded = []
    with tempfile.TemporaryDirectory() as made:
        protos = [name + ".proto" for name in names.values()]
        subprocess.run(["protoc", "-I", PROTO_ROOT, "--python_out", made, *protos], check=True)
        for short, name in names.items():
            spec = importlib.util.spec_from_file_location(f"_stranger_{short}", f"{made}/{name}_pb2.py")
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            loaded.append(module)
    return loaded


wire, cloudevents = _load_classes()


# --- Frames ---------------------------------------------------------------------------------------------------------

FIRST_FRAME_MAX = 4096
BEFORE_CONNECTED_MAX = 64 * 1024  # What a client has to bound
ABOVE_LIMIT = 64 * 1024
POSITION_MAX = 4096


def varint(number):
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def delimited(body):
    return varint(len(body)) + body


class Broken(Exception):
    """The other side does not speak the protocol."""


class Unframer:
    """Takes bytes as they come, and gives the bodies of whole frames."""

    def __init__(self, longest):
        self.longest = longest
        self.buffer = bytearray()
        self.start = 0

    def feed(self, data):
        del self.buffer[: self.start]
        self.start = 0
        self.buffer += data

    def next(self):
        length = 0
        for i in range(10):
            if self.start + i >= len(self.buffer):
                return None
            byte = self.buffer[self.start + i]
            length |= (byte & 127) << (7 * i)
            if byte < 128:
                break
        else:
            raise Broken("a length of more than 10 bytes")
        if length > self.longest:
            raise Broken(f"a frame of {length} bytes")
        begin = self.start + i + 1
        if begin + length > len(self.buffer):
            return None
        self.start = begin + length
        return bytes(self.buffer[begin : self.start])


# --- Topics and patterns --------------------------------------------------------------------------------------------


def matches(pattern, topic):
    if pattern[:1] in ("*", ">") and topic[:1] in ("$", "@"):
        return False
    wanted, there = pattern.split("."), topic.split(".")
    for token, found in itertools.zip_longest(wanted, there):
        if token == ">":
            return found is not None
        if token is None or found is None or token not in ("*", found):
            return False
    return True


# --- One connection -------------------------------------------------------------------------------------------------


class LinkLost(Exception):
    """The connection has ended. `error` is the fatal Error, if one said why."""

    def __init__(self, why, error=None):
        super().__init__(why)
        self.error = error


class Link:
    """One TCP connection, from its first byte to its last. It knows frames, and the handshake, and nothing else."""

    def __init__(self, address, receive_buffer=None, timeout=5):
        host, port = address.rsplit(":", 1)
        try:
            if receive_buffer is None:
                self.socket = socket.create_connection((host, int(port)), timeout)
            else:  # It has to be small before the connection is made.
                self.socket = socket.socket()
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                self.socket.settimeout(timeout)
                self.socket.connect((host, int(port)))
        except OSError as e:
            raise LinkLost(f"can not connect: {e}") from e
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.out = bytearray()
        self.unframer = Unframer(BEFORE_CONNECTED_MAX)
        self.connected = None
        self.body = b""  # the bytes of the frame that was received last
        self.ended = None  # why no more bytes come
        self.last_heard = time.monotonic()

    # The handshake
    def handshake(self, client="", ack=wire.ACK_LEVEL_NONE, features=(), version=1, timeout=5):
        self.send(connect=wire.Connect(version=version, client=client, ack=ack, features=features))
        return self.wait_connected(timeout)

    def wait_connected(self, timeout=5):
        frame = self.receive(timeout)
        if frame is None:
            self.close()
            raise LinkLost("no Connected came in time")
        if frame.WhichOneof("body") != "connected":
            self.close()
            raise LinkLost("the first frame was no Connected", frame.error if frame.HasField("error") else None)
        self.connected = frame.connected
        self.unframer.longest = frame.connected.frame_bytes_max + ABOVE_LIMIT
        return frame.connected

    def send(self, **body):
        """Puts one frame into the queue. It is written whenever this link reads."""
        self.send_bytes(delimited(wire.Frame(**body).SerializeToString()))

    def send_bytes(self, data):
        if self.ended is None:
            self.out += data

    def exchange(self, timeout):
        """Writes and reads what is possible now; waits until something is. ("the one way to get stuck")"""
        readable, writable, _ = select.select([self.socket], [self.socket] if self.out else [], [], max(timeout, 0))
        if writable:
            try:
                del self.out[: self.socket.send(self.out[:262144])]
            except BlockingIOError:
                pass
            except OSError:
                self.out.clear()  # Nobody takes it any more, but an Error may still lie there to be read.
        if readable:
            try:
                data = self.socket.recv(262144)
            except BlockingIOError:
                return
            except OSError as e:
                self.ended = str(e)
                return
            if data:
                self.last_heard = time.monotonic()
                self.unframer.feed(data)
            else:
                self.ended = "the server closed the connection"

    def receive(self, timeout):
        """The next frame of a kind known here, or None when none comes in time. Raises LinkLost at the end."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                body = self.unframer.next()
                while body is not None:
                    frame, self.body = wire.Frame.FromString(body), body
                    if frame.WhichOneof("body") is not None:  # else: skipped
                        return frame
                    body = self.unframer.next()
            except Exception as e:  # DecodeError has no common name in all versions of the library
                self.close()
                raise LinkLost(f"not understood: {e}") from e
            if self.ended is not None:
                raise LinkLost(self.ended)
            left = deadline - time.monotonic()
            if left < 0:
                return None
            self.exchange(left)

    def flush(self, timeout=5):
        """Writes all that is queued. What comes meanwhile is kept."""
        deadline = time.monotonic() + timeout
        while self.out and self.ended is None and time.monotonic() < deadline:
            self.exchange(deadline - time.monotonic())

    def end_sending(self):
        self.flush()
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        """Ends it at once. What was not received yet is lost, and what was not written yet is."""
        self.ended = self.ended or "closed here"
        self.out.clear()
        self.unframer = Unframer(0)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# --- What a client tells its user -----------------------------------------------------------------------------------


@dataclasses.dataclass
class Up:
    """A connection is there, and its handshake done."""

    connected: object


@dataclasses.dataclass
class Down:
    """A connection is lost, or could not be made. The client tries again by itself."""

    why: str
    error: object = None


@dataclasses.dataclass
class Began:
    """A subscription is in force. Comes again after each reconnect."""

    subscription: int
    position: bytes


@dataclasses.dataclass
class Ended:
    subscription: int


@dataclasses.dataclass
class Delivered:
    topic: str
    sequence: int
    event: bytes

    def cloudevent(self):
        return cloudevents.CloudEvent.FromString(self.event)


@dataclasses.dataclass
class Missing:
    """A Gap. `subscription` is the only one concerned, or None: then all are."""

    gap: object
    subscription: int | None


@dataclasses.dataclass
class Routed:
    number: int


@dataclasses.dataclass
class Refused:
    """An event was not routed. `error` is None if the server says so in a way not known here."""

    number: int
    error: object


@dataclasses.dataclass
class Trouble:
    """An Error that is not fatal, and of no event: mostly of a subscription, which is then not there."""

    error: object
    subscription: int
    again: bool  # the client will ask again by itself


@dataclasses.dataclass
class Ponged:
    data: bytes
    position: bytes


@dataclasses.dataclass
class Finished:
    """The answer to Goodbye: all that was published is settled."""

    reason: str


class Rejected(Exception):
    """A fatal Error which says that trying again is of no use."""

    def __init__(self, error):
        super().__init__(f"{wire.ErrorCode.Name(error.code)} {error.field}: {error.text}")
        self.error = error


class TooLarge(ValueError):
    """The event makes a frame longer than the server takes. It was not sent."""


# ErrorCode: those whose advice is "do not try again", when they are fatal.
HOPELESS = {
    wire.ERROR_CODE_PROTOCOL,
    wire.ERROR_CODE_INVALID,
    wire.ERROR_CODE_TOO_LARGE,
    wire.ERROR_CODE_UNSUPPORTED,
}


@dataclasses.dataclass
class _Subscription:
    patterns: list
    policy: int
    position: bytes = b""
    there: bool = False  # Subscribed has come on this connection
    ask_again: float | None = None


# --- The client -----------------------------------------------------------------------------------------------------


class Client:
    """Stays connected, whatever happens, and tells what happens: see next()."""

    PAUSE_FIRST, PAUSE_LONGEST = 0.05, 5.0

    def __init__(self, address, name="", acknowledge=True, ping_every=1.0, unsettled_max=10000, receive_buffer=None):
        self.address = address
        self.name = name
        self.ack = wire.ACK_LEVEL_ROUTED if acknowledge else wire.ACK_LEVEL_NONE
        self.ping_every = ping_every  # None: the user calls ping() itself
        self.pings_lost_max = 4
        self.events_between_pings = 4000
        self.unsettled_max = unsettled_max
        self.seen_max = 100000
        self.receive_buffer = receive_buffer

        self.link = None
        self.limits = None  # the Connected of the last connection
        self.pause = self.PAUSE_FIRST
        self.not_before = 0.0
        self.happened = collections.deque()
        self.leaving = None  # the reason of our Goodbye
        self.over = False

        self.ids = itertools.count(1)  # not 0: an Error could not name it
        self.subscriptions = {}
        self.numbers = itertools.count(1)
        self.unsettled = {}  # number: frame, oldest first
        self.seen = collections.OrderedDict()  # the last (topic, sequence) of this instance, oldest first
        self._forget_connection()

    def _forget_connection(self):
        self.link = None
        self.ordinals = {}  # ordinal: number, of this connection
        self.last_ordinal = 0
        self.through = 0
        self.asked = collections.defaultdict(collections.deque)  # id: what was asked for it, in order
        self.last_ping = 0.0
        self.pings_unheard = 0
        self.events_since_ping = 0
        self.just_subscribed = None
        for s in self.subscriptions.values():
            s.there = False

    # --- what a user calls

    def next(self, timeout):
        """The next thing that happened, or None if nothing does in time. Raises Rejected when it is of no use
        to go on."""
        deadline = time.monotonic() + timeout
        while not self.happened:
            left = deadline - time.monotonic()
            if left < 0 or self.over:
                return None
            self._turn(left)
        return self.happened.popleft()

    def wait(self, kind, timeout=10):
        """The next thing of this kind; what else happened before it stays for next()."""
        deadline = time.monotonic() + timeout
        looked = 0
        while True:
            while looked < len(self.happened):
                if isinstance(self.happened[looked], kind):
                    found = self.happened[looked]
                    del self.happened[looked]
                    return found
                looked += 1
            left = deadline - time.monotonic()
            if left < 0 or self.over:
                raise TimeoutError(f"no {kind} came; but {list(self.happened)[:20]}")
            self._turn(left)

    def subscribe(self, *patterns, policy=wire.SLOW_POLICY_SKIP, position=b""):
        id_ = next(self.ids)
        self.subscriptions[id_] = _Subscription(list(patterns), policy, position)
        if self.link:
            self._send_subscribe(id_)
        return id_

    def unsubscribe(self, id_):
        if self.link and (self.asked[id_] or self.subscriptions[id_].there):
            self.asked[id_].append("unsubscribe")
            self.link.send(unsubscribe=wire.Unsubscribe(id=id_))
        else:
            self._drop(id_)

    def publish(self, topic, event):
        """Sends one event, a CloudEvent or its bytes, and gives the number by which Routed and Refused will name it.

        Waits while there is no connection, and while too much is under way.
        """
        if not isinstance(event, bytes):
            event = event.SerializeToString()
        while self.link is None or len(self.unsettled) >= self.unsettled_max or len(self.link.out) > 262144:
            if self.over or self.leaving is not None:
                raise Broken("published behind Goodbye")
            self._turn(1.0)
        # "Write a sequence of any value but 0": 1.
        body = wire.Frame(event=wire.Event(sequence=1, topic=topic, event=event)).SerializeToString()
        if len(body) > self.limits.frame_bytes_max:  # Look at the length before sending.
            raise TooLarge(f"a frame of {len(body)} bytes, and the server takes {self.limits.frame_bytes_max}")
        number = next(self.numbers)
        frame = delimited(body)
        if self.ack != wire.ACK_LEVEL_NONE:
            self.unsettled[number] = frame
        self._send_event(number, frame)
        return number

    def ping(self, data=b""):
        if self.link:
            self.last_ping = time.monotonic()
            self.pings_unheard += 1
            self.events_since_ping = 0
            self.link.send(ping=wire.Ping(data=data))

    def goodbye(self, reason=""):
        """Says that nothing more will be published. Finished comes at the end."""
        self.leaving = reason
        if self.link:
            self.link.send(goodbye=wire.Goodbye(reason=reason))

    def close(self):
        self.over = True
        if self.link:
            self.link.close()
            self._forget_connection()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- what the client does meanwhile

    def _turn(self, timeout):
        now = time.monotonic()
        if self.link is None:
            if now < self.not_before:
                time.sleep(min(self.not_before - now, timeout))
            else:
                self._connect()
            return
        wait = min(timeout, self._keep_alive(now))
        for id_, s in self.subscriptions.items():
            if s.ask_again is not None and s.ask_again <= now:
                self._send_subscribe(id_)
        try:
            frame = self.link.receive(wait)
            if frame is not None:
                self._handle(frame)
            elif self.pings_unheard > self.pings_lost_max:
                raise LinkLost("nothing was heard for some Pings in a row")
        except LinkLost as lost:
            self._lost(lost)

    # Ping, Pong and idle time
    def _keep_alive(self, now):
        if self.ping_every is None:
            return 1.0
        every = self.ping_every
        if self.limits.idle_ms:
            every = min(every, self.limits.idle_ms / 3000)
        if now - self.last_ping >= every or self.events_since_ping >= self.events_between_pings:
            if self.link.last_heard > self.last_ping:
                self.pings_unheard = 0
            self.ping()
        return max(self.last_ping + every - now, 0)

    # How to reconnect
    def _connect(self):
        try:
            link = Link(self.address, receive_buffer=self.receive_buffer)
            link.handshake(self.name, self.ack)
        except LinkLost as lost:
            self._lost(lost)
            return
        self.link = link
        if self.limits is None or self.limits.instance != link.connected.instance:
            self.seen.clear()
        self.limits = link.connected
        self.last_ping = time.monotonic()
        self.happened.append(Up(link.connected))
        if self.leaving is None:
            for id_ in list(self.subscriptions):
                self._send_subscribe(id_)
        for number, frame in self.unsettled.items():
            self._send_event(number, frame)
        if self.leaving is not None:
            self.link.send(goodbye=wire.Goodbye(reason=self.leaving))

    def _lost(self, lost):
        if self.link:
            self.link.close()
        for id_, asked in list(self.asked.items()):
            if "unsubscribe" in asked:  # It ended with the connection.
                self._drop(id_)
        self._forget_connection()
        if lost.error is not None and lost.error.fatal and lost.error.code in HOPELESS:
            self.over = True
            raise Rejected(lost.error)
        pause = self.pause / 2 * (1 + random.random())
        if lost.error is not None:
            pause = max(pause, lost.error.retry_after_ms / 1000)
            if lost.error.code == wire.ERROR_CODE_EXHAUSTED:
                pause = max(pause, 1.0)
        self.pause = min(self.pause * 2, self.PAUSE_LONGEST)
        self.not_before = time.monotonic() + pause
        self.happened.append(Down(str(lost), lost.error))

    def _send_subscribe(self, id_):
        s = self.subscriptions[id_]
        s.ask_again = None
        self.asked[id_].append("subscribe")
        self.link.send(
            subscribe=wire.Subscribe(id=id_, patterns=s.patterns, policy=s.policy, position=s.position),
        )

    def _send_event(self, number, frame):
        self.last_ordinal += 1
        self.ordinals[self.last_ordinal] = number
        if self.ack == wire.ACK_LEVEL_NONE:  # Only a late Error will ask for it; the last thousands are enough.
            self.ordinals.pop(self.last_ordinal - 100000, None)
        self.link.send_bytes(frame)

    def _drop(self, id_):
        self.subscriptions.pop(id_, None)
        self.happened.append(Ended(id_))

    def _handle(self, frame):
        kind = frame.WhichOneof("body")
        just_subscribed, self.just_subscribed = self.just_subscribed, None
        if kind == "subscribed":
            self.just_subscribed = frame.subscribed.id
        if kind == "gap":
            self._on_gap(frame.gap, just_subscribed)
        else:
            handler = getattr(self, f"_on_{kind}", None)
            if handler is not None:  # Context, for one, is skipped.
                handler(getattr(frame, kind))

    # Subscribing, and Positions
    def _on_subscribed(self, subscribed):
        if self.asked[subscribed.id]:
            self.asked[subscribed.id].popleft()
        self.pause = self.PAUSE_FIRST
        s = self.subscriptions.get(subscribed.id)
        if s is not None:
            s.there = True
            s.position = self._checked(subscribed.position)
            self.happened.append(Began(subscribed.id, s.position))

    def _on_unsubscribed(self, unsubscribed):
        if self.asked[unsubscribed.id]:
            self.asked[unsubscribed.id].popleft()
        self._drop(unsubscribed.id)

    def _checked(self, position):
        if len(position) > POSITION_MAX:
            raise LinkLost(f"a Position of {len(position)} bytes")
        return position

    def _move_on(self, position):
        for s in self.subscriptions.values():
            if s.there and position:  # An empty one would mean to begin live.
                s.position = self._checked(position)

    # Order and duplicates. Remembered are the events themselves and not the last sequence of each topic: a subscription
    # that begins with an old Position gets old events that this client has never had, beside new ones that it has. And
    # a Pong is no reason to forget: while one subscription catches up, its Position lies before what others have had.
    def _on_event(self, event):
        self.events_since_ping += 1
        key = event.topic, event.sequence
        if key in self.seen:
            return
        self.seen[key] = None
        if len(self.seen) > self.seen_max:
            self.seen.popitem(last=False)
        self.happened.append(Delivered(event.topic, event.sequence, event.event))

    # Gaps
    def _on_gap(self, gap, just_subscribed):
        if gap.reason == wire.Gap.REASON_INSTANCE:
            self.happened.append(Missing(gap, just_subscribed))
        else:
            self._move_on(gap.position)
            self.happened.append(Missing(gap, None))

    def _on_pong(self, pong):
        self.pings_unheard = 0
        self._move_on(pong.position)
        self.happened.append(Ponged(pong.data, pong.position))

    def _on_ping(self, ping):
        self.link.send(pong=wire.Pong(data=ping.data))

    # Acknowledgement
    def _on_publish_ack(self, ack):
        self.pause = self.PAUSE_FIRST
        for exception in ack.exceptions:
            self._refused(exception.ordinal, exception.error if exception.HasField("error") else None)
        through = min(ack.through, self.last_ordinal)
        for ordinal in range(self.through + 1, through + 1):
            number = self.ordinals.pop(ordinal, None)
            if number is not None:
                self.unsettled.pop(number, None)
                self.happened.append(Routed(number))
        self.through = max(self.through, through)

    def _refused(self, ordinal, error):
        number = self.ordinals.pop(ordinal, None)
        if number is not None:
            self.unsettled.pop(number, None)
            self.happened.append(Refused(number, error))

    # Errors
    def _on_error(self, error):
        if error.fatal:
            raise LinkLost(error.text, error)
        if error.ordinal:
            self._refused(error.ordinal, error)
            return
        again = False
        id_ = error.subscription
        # The Error names the id and not the kind of the request. Requests of one id are answered in their order.
        asked = self.asked[id_].popleft() if self.asked[id_] else None
        if asked == "subscribe" and error.code == wire.ERROR_CODE_EXHAUSTED:
            again = True
            self.subscriptions[id_].ask_again = time.monotonic() + max(1.0, error.retry_after_ms / 1000)
        elif asked == "subscribe" or (asked == "unsubscribe" and error.code == wire.ERROR_CODE_INVALID):
            self.subscriptions.pop(id_, None)
        self.happened.append(Trouble(error, id_, again))

    # Goodbye. That of a server that stops may cross ours, and is no answer to it.
    def _on_goodbye(self, goodbye):
        if self.leaving is None or not goodbye.settled:
            raise LinkLost(goodbye.reason)
        self.happened.append(Finished(goodbye.reason))
        self.close()
