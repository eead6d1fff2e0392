"""What the demo prints: a line per delivery, a table, and the last word. Colours only on a terminal."""

import os
import sys

GREEN, RED, DIM, BOLD = "32", "31", "2", "1"
COLUMNS = ("expected", "received", "missing", "extra", "altered", "duplicate", "disordered")


def _paint(text, colour):
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def heading(text):
    print(f"\n{_paint(text, BOLD)}")


def say(text):
    print(text, flush=True)


def mark(right, good, bad):
    return _paint(good, GREEN) if right else _paint(bad, RED)


def delivery(name, item, document):
    """One line: subscriber, topic, file, bytes, and whether the digest is the manifest's."""
    right = document is not None and item.sha256 == document.sha256
    print(f"  {name:<9} {item.topic:<38} {item.subject:<58} {len(item.data):>7} B  "
          f"{mark(right, 'digest ok', 'DIGEST DIFFERS')}", flush=True)


def summary(subscribers, verdicts):
    """The table of all subscribers, then every complaint as a sentence."""
    heading("Summary")
    print(f"  {'subscriber':<10} {'patterns':<22}" + "".join(f"{c:>11}" for c in COLUMNS) + f"{'bytes':>11}")
    for subscriber, verdict in zip(subscribers, verdicts):
        cells = [verdict.expected, verdict.received] + [len(getattr(verdict, kind)) for kind in verdict.KINDS]
        row = f"  {subscriber.name:<10} {' '.join(subscriber.patterns):<22}"
        row += "".join(f"{cell:>11}" for cell in cells) + f"{verdict.bytes:>11}"
        print(_paint(row, GREEN if verdict.right else RED))
    for subscriber, verdict in zip(subscribers, verdicts):
        for kind, sentence in verdict.complaints():
            print(f"  {_paint('WRONG', RED)} {subscriber.name}: {kind}: {sentence}")


def complaints(sentences):
    for sentence in sentences:
        print(f"  {_paint('WRONG', RED)} {sentence}")


def last_word(right, seconds, documents, deliveries):
    text = f"{documents} documents published, {deliveries} deliveries, {seconds:.1f} s"
    if right:
        say(_paint("\nRIGHT: every subscriber got exactly what it asked for, byte for byte; the killed router lost nothing, "
                   f"and the replaced CRM missed nothing ({text}).", GREEN))
    else:
        say(_paint(f"\nWRONG: not every subscriber got what it asked for ({text}).", RED))
