#!/usr/bin/python3
"""consume.py [--volatile] HOST:PORT QUEUE COUNT [PATTERN...]

A durable consumer: joins a queue, prints a line "TOPIC DATA" for each event and acknowledges it then, and ends after COUNT
of them. What it has not acknowledged when it ends is delivered to whoever joins the queue next. QUEUE may be a mailbox,
@NAME, which has no patterns. Without --volatile the router needs a journal."""

import logging
import sys

import roundhouse


class Consumer:
    def __init__(self, count):
        self.left, self.client = count, None

    def on_delivery(self, delivery):
        if self.left == 0:
            return  # it is not acknowledged, so it comes again
        print(delivery.topic, delivery.event.text_data or delivery.event.binary_data.decode(errors="replace"), flush=True)
        self.left -= 1
        self.client.ack(delivery)

    def on_subscribed(self, id):
        print("subscribed", flush=True)


def main(server, queue, count, *patterns, volatile=False):
    consumer = Consumer(int(count))
    with roundhouse.Client(server, "python example", on_delivery=consumer.on_delivery,
                           on_subscribed=consumer.on_subscribed) as consumer.client:
        consumer.client.join(queue, *patterns, volatile=volatile)
        consumer.client.run(until=lambda: consumer.left == 0)


if __name__ == "__main__":
    arguments = [text for text in sys.argv[1:] if text != "--volatile"]
    if len(arguments) < 3 or not arguments[2].isdecimal():
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    logging.basicConfig()
    try:
        main(*arguments, volatile="--volatile" in sys.argv)
    except KeyboardInterrupt:
        pass
    except (OSError, roundhouse.Refused) as error:
        sys.exit(f"consume.py: {error}")
