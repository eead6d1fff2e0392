#!/usr/bin/python3
"""request.py HOST:PORT TOPIC TEXT        asks, and prints the answer
request.py HOST:PORT --answer @NAME      answers what is asked of the mailbox @NAME, with the text in capitals"""

import logging
import sys

import roundhouse
from publish import make_event


def ask(server, topic, text):
    with roundhouse.Client(server, "python example") as client:
        print(client.request(topic, make_event(text), seconds=10).text_data)


def answer(server, mailbox):
    def on_delivery(delivery):
        if "replyto" in delivery.event.attributes:
            client.reply(delivery.event, make_event(delivery.event.text_data.upper()))
        client.ack(delivery)

    with roundhouse.Client(server, "python example", on_delivery=on_delivery) as client:
        client.join(mailbox, volatile=True)
        print("answering", flush=True)
        client.run()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    logging.basicConfig()
    try:
        if sys.argv[2] == "--answer":
            answer(sys.argv[1], sys.argv[3])
        else:
            ask(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except (OSError, roundhouse.Refused) as error:
        sys.exit(f"request.py: {error}")
