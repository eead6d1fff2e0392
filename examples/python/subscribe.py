#!/usr/bin/python3
"""subscribe.py HOST:PORT COUNT PATTERN...

Prints "subscribed", then a line "TOPIC DATA" for each event, and ends after COUNT of them."""

import logging
import sys

import roundhouse


class Printer:
    def __init__(self, count):
        self.left = count

    def on_event(self, topic, event, sequence):
        if self.left > 0:  # more may have come together with the last one
            self.left -= 1
            data = event.text_data or event.binary_data.decode(errors="replace")
            print(topic, data, flush=True)

    def on_subscribed(self, id):
        print("subscribed", flush=True)

    def on_gap(self, gap):
        print(f"at most {gap.at_most} events are missing" if gap.at_most else "events may be missing", file=sys.stderr)


def main(server, count, *patterns):
    printer = Printer(int(count))
    with roundhouse.Client(server, "python example", on_event=printer.on_event, on_gap=printer.on_gap,
                           on_subscribed=printer.on_subscribed) as client:
        client.subscribe(*patterns)
        client.run(until=lambda: printer.left == 0)


if __name__ == "__main__":
    if len(sys.argv) < 4 or not sys.argv[2].isdecimal():
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    logging.basicConfig()
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except (OSError, roundhouse.Refused) as error:
        sys.exit(f"subscribe.py: {error}")
