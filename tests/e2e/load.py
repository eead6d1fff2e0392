"""Publishers and subscribers in threads that note in a history (history.py) all that they do and are told.

A Publisher or Subscriber goes through several runs of a router: `start(address)` begins a connection in a thread,
`join()` waits for its end. They never fail by themselves; what is wrong with the protocol becomes a fault of the history.
"""

import random
import threading
import time
import zlib

import history
import wire
from wire import pb

LEVELS = {history.ROUTED: pb.ACK_LEVEL_ROUTED, history.DISK: pb.ACK_LEVEL_DISK}
WINDOW = 400  # events of a publisher that are not settled
PING_SECONDS = 0.03
TICK_SECONDS = 0.005
DRAIN_SECONDS = 60
FLOOD_BYTES = 4000


def size_of(key):
    """How long an event's data is; the key tells it, so that a reader knows what must have come."""
    if key[0].startswith("flood"):
        return FLOOD_BYTES
    choice = zlib.crc32(f"{key[0]}/{key[1]}".encode()) / (1 << 32)
    return int(choice * 300) if choice < 0.97 else int((choice - 0.97) * 600_000)


def event_of(key):
    return wire.cloud_event(wire.payload(key[1], size_of(key)), id=history.name_of(key), source="/" + key[0])


class Party:
    """A thread for each connection, and a way to end it."""

    def __init__(self, past, name):
        self.past, self.name = past, name
        self.thread, self.client, self.failure = None, None, None
        self.ending = threading.Event()

    def start(self, address):
        self.ending.clear()
        self.thread = threading.Thread(target=self._run, args=(address,), name=self.name, daemon=True)
        self.thread.start()
        return self

    def _run(self, address):
        try:
            with self._connect(address) as self.client:
                self._go()
        except (wire.Closed, ConnectionError, TimeoutError):
            self.past.note(self.name, "is disconnected")
        except AssertionError as error:
            if "middle of a frame" not in str(error):  # a router that is killed may have sent half of one
                self.failure = error
        except Exception as error:
            self.failure = error

    def join(self):
        """Waits until the connection is over, for this reason or that."""
        if self.thread is None:
            return
        self.thread.join(DRAIN_SECONDS + wire.WAIT_SECONDS)
        assert not self.thread.is_alive(), f"{self.name} does not come to an end"
        self.thread = None
        if self.failure:
            raise self.failure

    def stop(self):
        self.ending.set()
        self.join()


    def _await(self, client, kind):
        """The next frame's body. A router that stops says so, or that nobody can come any more: that ends the connection."""
        found = client.next()
        if found.WhichOneof("body") == "goodbye" or (found.WhichOneof("body") == "error"
                                                     and found.error.code == pb.ERROR_CODE_UNAVAILABLE):
            raise wire.Closed("it stops")
        assert found.WhichOneof("body") == kind, f"wanted {kind}, got {found}"
        return getattr(found, kind)

    def _hello(self, address, level=pb.ACK_LEVEL_NONE, buffer=None):
        client = wire.Client(address, hello=False, receive_buffer=buffer)
        client.send(connect=pb.Connect(version=1, client=self.name, ack=level))
        try:
            client.connected = self._await(client, "connected")
        except BaseException:
            client.close()
            raise
        return client


class Publisher(Party):
    """Publishes numbered events to topics, a burst at a time. With `limit` so many on each connection, and then it waits
    until all are settled; else until stop(), or the end of the router."""

    def __init__(self, past, name, topics, level, limit=None, burst=30, pause=0.002):
        super().__init__(past, name)
        self.topics, self.level, self.limit, self.burst, self.pause = topics, level, limit, burst, pause
        self.number, self.random = 0, random.Random(f"{past.seed}/{name}")
        self.settled_all = False

    def _connect(self, address):
        return self._hello(address, LEVELS[self.level])

    def _go(self):
        self.sent, self.through, self.settled_all, self.goodbye = [], 0, False, False
        while not self.ending.is_set() and not self.goodbye and (self.limit is None or len(self.sent) < self.limit):
            if len(self.sent) - self.through < WINDOW:
                self._publish(self.random.randint(1, self.burst))
            self._listen(self.random.random() * self.pause)
        while self.through < len(self.sent) or self.goodbye:  # behind a Goodbye the router closes
            self._listen(wire.WAIT_SECONDS, one=True)
        self.settled_all = True

    def _publish(self, count):
        data = b""
        for _ in range(count if self.limit is None else min(count, self.limit - len(self.sent))):
            self.number += 1
            key = (self.name, self.number)
            topic = self.random.choice(self.topics)
            data += wire.event_frame(topic, event_of(key))
            self.sent.append(self.past.publish(key, topic, self.level))
        self.client.send_bytes(data)

    def _listen(self, seconds, one=False):
        end = time.monotonic() + seconds
        while (found := self.client.poll(max(0, end - time.monotonic()))) is not None:
            kind = found.WhichOneof("body")
            if kind == "publish_ack":
                self._settle(found.publish_ack)
            elif kind == "goodbye":
                self.goodbye = True
            else:
                self.past.fault("acknowledgement", f"{self.name} got {kind}: {found}")
            if one:
                return
        if one:
            self.past.fault("acknowledgement", f"{self.name} waits for {len(self.sent) - self.through} of its events")
            raise TimeoutError

    def _settle(self, ack):
        wrong = None
        refused = {exception.ordinal: exception.error for exception in ack.exceptions}
        if not self.through < ack.through <= len(self.sent):
            wrong = f"through {ack.through} behind {self.through}, with {len(self.sent)} published"
        elif ack.level != LEVELS[self.level]:
            wrong = f"level {ack.level}, asked for {LEVELS[self.level]}"
        elif any(not self.through < ordinal <= ack.through for ordinal in refused):
            wrong = f"exceptions {sorted(refused)} of {self.through + 1} to {ack.through}"
        if wrong:
            self.past.fault("acknowledgement", f"{self.name} got a PublishAck that can not be: {wrong}")
            raise TimeoutError
        for ordinal in range(self.through + 1, ack.through + 1):
            error = refused.get(ordinal)
            if error is None:
                self.past.settle(self.sent[ordinal - 1], history.ACKNOWLEDGED)
            elif error.code != pb.ERROR_CODE_UNKNOWN_OUTCOME:
                self.past.settle(self.sent[ordinal - 1], history.REFUSED, error.text)
        self.through = ack.through


class Subscriber(Party):
    """Reads; a later connection resumes at the last Position. `nap` is how long it sleeps at most before it reads on."""

    def __init__(self, past, name, patterns, matches, nap=0, buffer=None, policy=pb.SLOW_POLICY_SKIP):
        super().__init__(past, name)
        self.stream = past.stream(name, matches)
        self.patterns, self.nap, self.buffer, self.policy = patterns, nap, buffer, policy
        self.random = random.Random(f"{past.seed}/{name}")
        self.place, self.wanted, self.hurries = b"", set(), False
        self.ready = threading.Event()

    def start(self, address):
        self.ready.clear()
        self.hurries = False
        return super().start(address)

    def hurry(self):
        """It sleeps no more on this connection: nobody waits for what the router can not see."""
        self.hurries = True

    def nod(self):
        if self.nap and not self.hurries:
            time.sleep(self.random.random() * self.nap)

    def await_ready(self):
        """Until it is subscribed, or its connection is over."""
        while not self.ready.wait(0.005) and self.thread.is_alive():
            pass

    def _connect(self, address):
        return self._hello(address, buffer=self.buffer)

    def _go(self):
        self.client.send(subscribe=pb.Subscribe(id=1, patterns=self.patterns, policy=self.policy, position=self.place))
        subscribed = self._await(self.client, "subscribed")
        self.stream.subscribed()
        if not self.place:
            self._resume_at(subscribed.position)
        self.ready.set()
        ping, end = 0, None
        while not self.ending.is_set() or self.wanted:
            if self.ending.is_set():
                end = end or time.monotonic() + DRAIN_SECONDS
                if time.monotonic() > end:
                    self.past.fault("hole", f"{self.name} waits for {sorted(self.wanted)[:5]}: nothing more comes")
                    return
            if time.monotonic() > ping:
                self.client.send(ping=pb.Ping(data=b"p"))
                ping = time.monotonic() + PING_SECONDS
            self.nod()
            self._read()

    def _read(self):
        found = self.client.poll(TICK_SECONDS)
        while found is not None:
            self._take(found)
            found = self.client.poll(0)
            if self.random.random() < 0.02:
                self.nod()

    def _take(self, found):
        kind = found.WhichOneof("body")
        if kind == "event":
            inner = wire.ce.CloudEvent.FromString(found.event.event)
            key = history.key_of(inner.id)
            intact = key[1] >= 0 and inner.binary_data == wire.payload(key[1], size_of(key)) and inner.source == "/" + key[0]
            self.stream.event(found.event.topic, found.event.sequence, key, intact)
            self.wanted.discard(key)
        elif kind == "gap":
            gap = found.gap
            self.stream.gap(gap.log, getattr(gap, "from"), gap.to, gap.at_most, gap.reason)
            if gap.reason != pb.Gap.REASON_INSTANCE:
                self._resume_at(gap.position)
        elif kind == "pong":
            self._resume_at(found.pong.position)
        elif kind != "goodbye":
            self.past.fault("stray", f"{self.name} got {kind}: {found}")

    def _resume_at(self, position):
        self.place = position
        self.stream.position()


def drain(past, publisher, subscribers, address, topics):
    """Waits until all subscribers have got what there is: a last event for each topic is published, and they read it."""
    keys = {}
    publisher.limit = 0
    for topic in topics:
        publisher.topics, publisher.limit = [topic], 1
        publisher.start(address).join()
        keys[(publisher.name, publisher.number)] = topic
    for subscriber in subscribers:
        subscriber.hurry()
        # What it has got by now needs no waiting for.
        got = {key for _, _, key in subscriber.stream.raw[-4000:]}
        subscriber.wanted = {key for key, topic in keys.items() if subscriber.stream.matches(topic)} - got
    for subscriber in subscribers:
        subscriber.stop()
        subscriber.stream.has_read_all()
