"""A small Roundhouse client: publishes with acknowledgement, subscribes, and comes again when the connection is lost.

All it knows is in docs/PROTOCOL.md, and in two modules that protoc makes of the .proto files (see README.md). It has one
thread and no locks: it works inside subscribe, publish, flush, run and close, and calls back from there.
"""

import collections
import logging
import random
import secrets
import select
import socket
import time
from types import SimpleNamespace

import cloudevents_pb2
import wire_pb2 as wire
from google.protobuf.message import DecodeError

CONNECT_SECONDS = 5  # for the TCP connection, and again for Connected
PING_SECONDS, PING_EVENTS = 1, 1000  # a Ping at least so often while events come: each moves the Position on
SILENCE_SECONDS = 10  # nothing came for so long after a Ping: the connection is dead
PAUSE_SECONDS = 0.05, 5  # before connecting again: the first pause, and the longest
SEEN_EVENTS = 100_000  # so many of the last events are remembered, to recognise those that come again
UNSETTLED_BYTES = 4 << 20  # published and not acknowledged; publish waits when there are more
FRAME_SLACK = 64 << 10  # what a frame from the server may be longer than frame_bytes_max
FOR_GOOD = {wire.ERROR_CODE_PROTOCOL, wire.ERROR_CODE_INVALID, wire.ERROR_CODE_TOO_LARGE, wire.ERROR_CODE_UNSUPPORTED}

log = logging.getLogger("roundhouse")


class Refused(Exception):
    """The server refuses, and would again: something has to be changed first."""


def delimited(**body):
    """A frame as it is sent: its length as a varint, then itself. delimited(ping=wire.Ping())"""
    data = wire.Frame(**body).SerializeToString()
    length, prefix = len(data), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes(prefix) + bytes([length]) + data


class Client:
    """A connection that is made again by itself. The first one is made here, and raises OSError or Refused.

    on_event(topic, event, sequence)   for each event, which is a CloudEvent
    on_gap(gap)                        events may be missing here
    on_subscribed(id)                  a subscription has begun, or goes on after a lost connection
    on_refused(number, error)          the event that publish gave this number was not routed
    on_duplicate(number, sequence)     it is not stored again, as the server has it already under this sequence
    on_delivery(delivery)              for each event of a queue: delivery.event, .topic, .attempt; answer it by ack.
                                       .replay: it comes once more because somebody asked for a replay
    on_expired(delivery)               it took too long, and is delivered again

    A callback may publish and ack; it calls nothing else of the client.
    """

    def __init__(self, server="127.0.0.1:4470", name="", **callbacks):
        host, _, port = server.rpartition(":")
        self._address, self._name, self._callbacks = (host.strip("[]"), int(port)), name, callbacks
        self._last_id = 0
        self._subscriptions = {}  # by id; of each, among others, the Position to resume at and when to ask for it
        self._unsettled = collections.deque()  # frames of published events, oldest first
        self._unsettled_bytes = self._settled = 0  # settled: how many events, over all connections
        self._instance = b""
        self._seen = collections.OrderedDict()  # topic and sequence of events that came, oldest first
        self._pause = PAUSE_SECONDS[0]
        self._closing = self._inside = False
        self._connections = 0  # so far: a delivery belongs to one of them
        self._inbox = self._replies = None  # for requests
        self._limits = wire.Connected()
        self._connect()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.close()
        finally:
            self._hang_up()

    # --- What a program calls ---

    def subscribe(self, *patterns, policy=wire.SLOW_POLICY_SKIP, start=None, gone=wire.GONE_POLICY_GAP, seconds=30):
        """Returns the subscription's id when it is in force. `start` is where it begins: wire.Start(last_per_topic=True),
        wire.Start(time_ns=...); None is live."""
        return self._begin(seconds, SimpleNamespace(patterns=patterns, policy=policy, start=start, gone=gone, queue=None))

    def join(self, name, *patterns, seconds=30, **terms):
        """Becomes a member of a queue; a name that begins with '@' is a mailbox, which has no patterns. Terms are those of
        wire.Queue: volatile=True, group=True, window=..., lease_ms=... Returns the subscription's id."""
        return self._begin(seconds, SimpleNamespace(patterns=patterns, policy=wire.SLOW_POLICY_DISCONNECT, start=None,
                                                    gone=wire.GONE_POLICY_GAP, queue=wire.Queue(name=name, **terms)))

    def ack(self, delivery, kind=wire.Ack.KIND_DONE, reason="", after_ms=0):
        """What became of a delivery. One of an earlier connection comes again by itself, with another number."""
        if delivery.connection == self._connections and self._socket and not self._closing:
            self._send(ack=wire.Ack(subscription=delivery.subscription, delivery=delivery.number, kind=kind, reason=reason,
                                    after_ms=after_ms))

    def request(self, topic, event, seconds=30):
        """Publishes an event and returns the one that answers it. Raises TimeoutError, or Refused. Not in a callback."""
        if self._inbox is None:
            self._inbox, self._replies = "@inbox-" + secrets.token_hex(16), {}
            self.join(self._inbox, volatile=True, ephemeral=True, take_over=True)
        question, correlation = cloudevents_pb2.CloudEvent(), secrets.token_hex(8)
        question.CopyFrom(event)
        question.attributes["replyto"].ce_string = self._inbox
        question.attributes["correlationid"].ce_string = correlation
        question.attributes["expirytime"].ce_timestamp.FromNanoseconds(time.time_ns() + int(seconds * 1e9))
        self._replies[correlation] = None
        self._asked = self.publish(topic, question), correlation
        try:
            if not self.run(seconds, until=lambda: self._replies[correlation]):
                raise TimeoutError(f"no reply on {topic} within {seconds} s")
            answer = self._replies[correlation]
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            del self._replies[correlation]

    def reply(self, question, event):
        """Publishes the answer to an event that has a replyto. Returns its number, as publish does."""
        for name in ("correlationid", "expirytime"):
            if name in question.attributes:
                event.attributes[name].CopyFrom(question.attributes[name])
        return self.publish(question.attributes["replyto"].ce_string, event)

    def publish(self, topic, event):
        """Takes one event and returns its number: 1, 2, 3, ... Waits when too much is unsettled (not in a callback)."""
        frame = delimited(event=wire.Event(sequence=1, topic=topic, event=event.SerializeToString()))
        if len(frame) > self._limits.frame_bytes_max:
            raise ValueError("the event is too large: the server would end the connection")
        self._unsettled.append(frame)
        self._unsettled_bytes += len(frame)
        number = self._settled + len(self._unsettled)
        if self._socket:  # else it is sent with all the others, after Connected
            self._out += frame
        if not self._inside:
            self._turn(0)
            self.run(until=lambda: self._unsettled_bytes <= UNSETTLED_BYTES)
        return number

    def flush(self, seconds=30):
        """Waits until all that was published is settled: routed, or refused and told so."""
        if not self.run(seconds, until=lambda: not self._unsettled):
            raise TimeoutError(f"{len(self._unsettled)} events are not acknowledged")

    def run(self, seconds=None, until=lambda: False):
        """Works until the time is over (None: for ever) or `until` says so; returns what `until` said last."""
        end = time.monotonic() + seconds if seconds is not None else float("inf")
        while not until():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._turn(min(left, self._ping_seconds / 2))
        return True

    def close(self, seconds=10):
        """Settles what was published, says Goodbye, and waits until the server says that all is settled."""
        self.flush(seconds)
        self._closing = True
        self._send(goodbye=wire.Goodbye(reason="done"))
        self.run(seconds, until=lambda: not self._socket)
        if not getattr(self._over, "settled", False):  # of a callback that published meanwhile nothing is known
            log.warning("the connection ended without the server's answer to Goodbye")

    def _begin(self, seconds, subscription):
        id = self._last_id = self._last_id + 1  # never used again
        subscription.position, subscription.begun, subscription.lived, subscription.ask_at = b"", False, False, 0
        self._subscriptions[id] = subscription
        if not self.run(seconds, until=lambda: subscription.begun):
            raise TimeoutError("no answer to Subscribe")
        return id

    # --- The connection ---

    def _connect(self):
        """Connects and shakes hands, and waits for that."""
        self._in, self._out = bytearray(), bytearray()
        self._connected = False
        self._connections += 1
        self._context = wire.Context()  # whose the events are that come next
        self._over = None  # the fatal Error or the Goodbye that came
        self._heard = self._pinged = time.monotonic()
        self._events = 0  # since the last Ping
        self._socket = socket.create_connection(self._address, CONNECT_SECONDS)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connect = wire.Connect(version=1, client=self._name, ack=wire.ACK_LEVEL_ROUTED)
            self._socket.sendall(delimited(connect=connect))
            while not self._connected:
                self._receive()
            self._socket.setblocking(False)
        except BaseException:
            self._hang_up()
            raise

    def _hang_up(self):
        if self._socket:
            self._socket.close()
        self._socket, self._connect_at = None, float("inf")

    def _lost(self, why):
        """Connects again after a pause, one half of which is random: so clients do not all come at once."""
        self._hang_up()
        if self._closing:
            return
        log.warning("the connection is lost: %s", why)
        least = getattr(self._over, "retry_after_ms", 0) / 1000
        self._connect_at = time.monotonic() + max(least, self._pause * random.uniform(0.5, 1))
        self._pause = min(2 * self._pause, PAUSE_SECONDS[1])
        for subscription in self._subscriptions.values():
            subscription.begun, subscription.ask_at = False, 0

    def _turn(self, wait):
        """Does what can be done now, and waits at most so long for more."""
        try:
            if not self._socket:
                time.sleep(max(0, min(wait, self._connect_at - time.monotonic())))
                if time.monotonic() >= self._connect_at:
                    self._connect()
                return
            self._ask()
            # It reads also while it waits to write: else server and client could wait for each other for ever.
            readable, writable, _ = select.select([self._socket], [self._socket] if self._out else [], [], wait)
            if writable:
                del self._out[:self._socket.send(self._out[:1 << 16])]
            if readable:
                self._receive()
        except BlockingIOError:
            pass
        except (OSError, DecodeError) as error:
            self._lost(error)

    def _ask(self):
        """Sends what is due: a Subscribe, a Ping."""
        now = time.monotonic()
        if self._over or self._closing:
            return
        for id, one in self._subscriptions.items():
            if one.ask_at is not None and one.ask_at <= now:
                one.ask_at = None
                self._send(subscribe=wire.Subscribe(id=id, patterns=one.patterns, policy=one.policy, position=one.position,
                                                    start=one.start, gone=one.gone, queue=one.queue))
        if self._pinged > self._heard:
            if now - self._pinged > SILENCE_SECONDS:
                raise ConnectionError("the server is silent")
        elif now - self._pinged > self._ping_seconds or self._events >= PING_EVENTS:
            self._pinged, self._events = now, 0
            self._send(ping=wire.Ping())

    def _send(self, **body):
        self._out += delimited(**body)

    def _receive(self):
        data = self._socket.recv(1 << 18)
        if not data and getattr(self._over, "code", None) in FOR_GOOD:
            self._hang_up()
            raise Refused(self._over.text)
        if not data:
            raise ConnectionError(getattr(self._over, "text", getattr(self._over, "reason", "closed by the server")))
        self._in += data
        self._heard = time.monotonic()
        while (frame := self._next_frame()) is not None:
            kind = frame.WhichOneof("body")
            handle = getattr(self, f"_on_{kind}", None)  # kinds that are unknown here are skipped
            if handle:
                handle(getattr(frame, kind))

    def _next_frame(self):
        """Takes a frame out of what was received; None when it is not all there yet."""
        length = 0
        for place, byte in enumerate(self._in[:10]):
            length |= (byte & 127) << 7 * place
            if byte < 128:
                break
        else:
            if len(self._in) < 10:
                return None
            raise ConnectionError("a length of more than 10 bytes: this is not the protocol")
        begin, end = place + 1, place + 1 + length
        if length > self._limits.frame_bytes_max + FRAME_SLACK:
            raise ConnectionError(f"a frame of {length} bytes is too long")
        if len(self._in) < end:
            return None
        data = bytes(self._in[begin:end])
        del self._in[:end]
        return wire.Frame.FromString(data)

    # --- What comes ---

    def _tell(self, what, *arguments):
        self._inside = True
        try:
            self._callbacks.get(what, lambda *_: None)(*arguments)
        finally:
            self._inside = False

    def _on_connected(self, connected):
        self._limits, self._connected = connected, True
        if connected.instance != self._instance:  # another run of the server: its sequences are new ones
            self._seen.clear()
        self._instance = connected.instance
        self._ping_seconds = min(PING_SECONDS, connected.idle_ms / 3000 or PING_SECONDS)
        self._base = self._settled  # the server's ordinals begin at 1 again
        self._ask()
        self._out += b"".join(self._unsettled)

    def _on_subscribed(self, subscribed):
        subscription = self._subscriptions[subscribed.id]
        subscription.begun = subscription.lived = True
        if not subscription.queue:  # a queue knows by itself where it goes on
            subscription.position = subscribed.position
        self._pause = PAUSE_SECONDS[0]
        if not (subscription.queue and subscription.queue.name == self._inbox):
            self._tell("on_subscribed", subscribed.id)

    def _on_context(self, context):
        self._context = context

    def _on_delivery(self, event):
        """An event of a queue: the Context says whose, and counts on with each."""
        delivery = SimpleNamespace(topic=event.topic, event=cloudevents_pb2.CloudEvent.FromString(event.event),
                                   attempt=self._context.attempt, lease_ms=self._context.lease_ms,
                                   replay=self._context.replay,
                                   subscription=self._context.subscription, number=self._context.delivery,
                                   connection=self._connections)
        self._context.delivery += 1
        subscription = self._subscriptions.get(delivery.subscription)
        if subscription and subscription.queue.name == self._inbox:
            correlation = delivery.event.attributes["correlationid"].ce_string
            if correlation in self._replies:
                self._replies[correlation] = delivery.event
            self.ack(delivery)
        elif subscription:
            self._tell("on_delivery", delivery)

    def _on_lease_expired(self, expired):
        self._tell("on_expired", SimpleNamespace(subscription=expired.subscription, number=expired.delivery,
                                                 connection=self._connections))

    def _on_event(self, event):
        self._events += 1
        if self._context.subscription:
            self._on_delivery(event)
            return
        key = event.topic, event.sequence
        if key in self._seen:
            return
        self._seen[key] = None
        if len(self._seen) > SEEN_EVENTS:
            self._seen.popitem(last=False)
        self._tell("on_event", event.topic, cloudevents_pb2.CloudEvent.FromString(event.event), event.sequence)

    def _on_pong(self, pong):
        self._resume_at(pong.position)
        self._pause = PAUSE_SECONDS[0]

    def _on_gap(self, gap):
        if gap.reason != wire.Gap.REASON_INSTANCE:  # there the Position is that of the Subscribed before it
            self._resume_at(gap.position)
        self._tell("on_gap", gap)

    def _resume_at(self, position):
        for subscription in self._subscriptions.values():
            if subscription.begun and not subscription.queue:
                subscription.position = position

    def _on_publish_ack(self, ack):
        for exception in ack.exceptions:
            if exception.HasField("error"):
                number = self._base + exception.ordinal
                if self._replies and self._asked[0] == number:
                    self._replies[self._asked[1]] = Refused(exception.error.text)
                self._tell("on_refused", number, exception.error)
            elif exception.HasField("duplicate_of"):
                self._tell("on_duplicate", self._base + exception.ordinal, exception.duplicate_of)
        while self._settled < self._base + ack.through and self._unsettled:
            self._unsettled_bytes -= len(self._unsettled.popleft())
            self._settled += 1
        self._pause = PAUSE_SECONDS[0]

    def _on_ping(self, ping):
        self._send(pong=wire.Pong(data=ping.data))

    def _on_error(self, error):
        if error.fatal:  # the server closes the connection: _receive sees that
            self._over = error
            return
        subscription = self._subscriptions.get(error.subscription)
        held = (subscription and subscription.queue and subscription.lived and not subscription.begun
                and error.code == wire.ERROR_CODE_UNAVAILABLE)  # by our own last connection, perhaps
        if error.field.startswith("ack."):
            log.warning("an acknowledgement came too late: %s", error.text)
        elif subscription and (error.code == wire.ERROR_CODE_EXHAUSTED or held):
            subscription.ask_at = time.monotonic() + 1
            log.warning("Subscribe is refused and tried again in a second: %s", error.text)
        elif (subscription and error.field == "subscribe.position" and subscription.position
              and subscription.gone == wire.GONE_POLICY_GAP):  # of another version, perhaps: begin anew
            subscription.position, subscription.ask_at = b"", 0
            if not (subscription.start and subscription.start.last_per_topic):
                subscription.start = None  # live
            self._tell("on_gap", wire.Gap(reason=wire.Gap.REASON_INSTANCE))
        elif subscription:
            del self._subscriptions[error.subscription]
            raise Refused(error.text)

    def _on_goodbye(self, goodbye):
        self._over = goodbye
