#!/usr/bin/python3
"""publish.py HOST:PORT TOPIC TEXT [COUNT]

Publishes TEXT as a CloudEvent on TOPIC, COUNT times, and ends when the router has acknowledged all of them: status 0, or
1 if any was refused or the router could not be reached. One that was sent again after a lost connection, and that the
router had already, is told as well: it is there, once."""

import logging
import sys
import uuid

import roundhouse
from cloudevents_pb2 import CloudEvent


def make_event(text):
    event = CloudEvent(id=str(uuid.uuid4()), source="/examples/python", spec_version="1.0", type="org.example.greeted")
    event.text_data = text
    event.attributes["datacontenttype"].ce_string = "text/plain"
    return event


def main(server, topic, text, count=1):
    refused = []

    def on_refused(number, error):
        refused.append(number)
        print(f"event {number} refused: {error.text}", file=sys.stderr)

    def on_duplicate(number, sequence):
        print(f"event {number} was stored before, with the sequence {sequence}", file=sys.stderr)

    with roundhouse.Client(server, "python example", on_refused=on_refused, on_duplicate=on_duplicate) as client:
        for _ in range(int(count)):
            client.publish(topic, make_event(text))
    return 1 if refused else 0


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or not "".join(sys.argv[4:] or "1").isdecimal():
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    logging.basicConfig()
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, roundhouse.Refused) as error:
        sys.exit(f"publish.py: {error}")
