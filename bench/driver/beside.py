"""What goes on beside a load: somebody who watches the router over its admin plane, or who moves slots all the while.

A process of its own on the load generator's CPU, so that it takes nothing from the server but what it asks of it:

    beside.py watch|move HOST:PORT

Prints "begun" when it has done everything once, and ends at SIGTERM with the number of rounds; anything that is refused ends it
with status 1 and a sentence.
"""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.request

WATCH_SECONDS = 1.0  # as often as the dashboard asks
MOVE_SECONDS = 0.02
ASK_SECONDS = 10
END_SECONDS = 15
PAGES = ("/v1/shards", "/v1/topics?limit=8&sort=rate", "/v1/laggards", "/v1/connections", "/v1/subscriptions", "/metrics")
MAPS = [f"slots: [ {{ shard: {a}, range: 0-2047 }}, {{ shard: {b}, range: 2048-4095 }} ]\n" for a, b in ((1, 0), (0, 1))]


class Failed(Exception):
    """The router has refused something."""


def ask(address, path, body=None):
    request = urllib.request.Request(f"http://{address}{path}", body, {"Content-Type": "application/yaml"} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=ASK_SECONDS) as page:
            return page.read()
    except OSError as error:
        said = error.read().decode() if hasattr(error, "read") else ""
        raise Failed(f"{path}: {error} {said}".strip()) from error


def read_on(address):
    """A page that shows events as they come; what it is sent is read and dropped."""
    with urllib.request.urlopen(f"http://{address}/v1/events?match=%3E", timeout=ASK_SECONDS) as stream, contextlib.suppress(OSError):
        while stream.read1(65536):
            pass


def watch(address, round_number):
    if round_number == 0:
        threading.Thread(target=read_on, args=(address,), daemon=True).start()
    for path in PAGES:
        ask(address, path)
    return WATCH_SECONDS


def move(address, round_number):
    answer = json.loads(ask(address, "/v1/config?partial=true", MAPS[round_number % 2].encode()))
    if answer["slots_moved"] != 4096:
        raise Failed(f"{answer['slots_moved']} slots have moved, not 4096")
    return MOVE_SECONDS


def main(what, address):
    ended, rounds = threading.Event(), 0
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        while not ended.is_set():
            pause = {"watch": watch, "move": move}[what](address, rounds)
            rounds += 1
            if rounds == 1:
                print("begun", flush=True)
            ended.wait(pause)
    except Failed as failure:
        print(failure, flush=True)
        return 1
    print(rounds, flush=True)
    return 0


@contextlib.contextmanager
def beside(what, address, prepare, failed):
    """Runs it beside what is done within; yields a list that has the rounds per second afterwards. What it could not do raises
    `failed` with its sentence."""
    rate = []
    if what is None:
        yield rate
        return
    with subprocess.Popen([sys.executable, "-B", str(pathlib.Path(__file__).resolve()), what, address], stdout=subprocess.PIPE, text=True,
                          preexec_fn=prepare) as process:
        try:
            first = process.stdout.readline().strip()
            if first != "begun":
                raise failed(f"what goes on beside the load has failed: {first}")
            begin = time.monotonic()
            yield rate
            process.send_signal(signal.SIGTERM)
            said = process.stdout.readline().strip()
            if process.wait(END_SECONDS) != 0:
                raise failed(f"what goes on beside the load has failed: {said}")
            rate.append((int(said) - 1) / (time.monotonic() - begin))
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
