"""Compares what a subscriber got with what it should have got.

What it should have got follows from the manifest and the patterns alone (see matching.py).
"""

from dataclasses import dataclass, field

from matching import matches_any


@dataclass
class Subscriber:
    """A subscriber of the demo: its name, what it asks for, and what reached it, in order of arrival."""

    name: str
    patterns: list
    deliveries: list = field(default_factory=list)
    unreadable: list = field(default_factory=list)


@dataclass
class Verdict:
    """Every way in which a subscriber's deliveries can be wrong, each as a list of sentences."""

    expected: int = 0
    received: int = 0
    bytes: int = 0
    missing: list = field(default_factory=list)
    extra: list = field(default_factory=list)
    altered: list = field(default_factory=list)
    duplicate: list = field(default_factory=list)
    disordered: list = field(default_factory=list)

    KINDS = ("missing", "extra", "altered", "duplicate", "disordered")

    @property
    def right(self):
        return not any(getattr(self, kind) for kind in self.KINDS)

    def complaints(self):
        """Pairs of (kind, sentence)."""
        return [(kind, text) for kind in self.KINDS for text in getattr(self, kind)]


def expected_for(subscriber, documents):
    """The documents that a subscriber must get, in the order in which they are published."""
    return [d for d in documents if matches_any(subscriber.patterns, d.topic)]


def difference(document, delivery):
    """What a delivery changed about its document, as words; empty when nothing."""
    changed = []
    if delivery.topic != document.topic:
        changed.append(f"topic is {delivery.topic}, not {document.topic}")
    if delivery.subject != document.file:
        changed.append(f"subject is {delivery.subject}")
    if delivery.content_type != document.content_type:
        changed.append(f"content type is {delivery.content_type}, not {document.content_type}")
    if delivery.sha256 != document.sha256:
        changed.append(f"digest is {delivery.sha256[:16]}..., the manifest says {document.sha256[:16]}...")
    return "; ".join(changed)


def _judge_order(wanted, deliveries, verdict):
    """Per topic the order of arrival is the order of publishing, and sequences grow."""
    place = {document.id: n for n, document in enumerate(wanted)}
    last = {}
    for delivery in deliveries:
        if delivery.id not in place:
            continue
        now = (place[delivery.id], delivery.sequence)
        before = last.get(delivery.topic)
        if before and now[0] < before[0]:
            verdict.disordered.append(f"{delivery.subject} came after a later document of {delivery.topic}")
        elif before and now[1] <= before[1]:
            verdict.disordered.append(f"{delivery.subject}: sequence {now[1]} does not follow {before[1]}")
        last[delivery.topic] = now


def judge(subscriber, documents):
    """Everything that is wrong with what `subscriber` got; documents are those of the manifest, unaltered."""
    wanted = expected_for(subscriber, documents)
    by_id = {document.id: document for document in wanted}
    verdict = Verdict(expected=len(wanted), received=len(subscriber.deliveries))
    verdict.extra += [f"an unreadable line: {text}" for text in subscriber.unreadable]
    seen = set()
    for delivery in subscriber.deliveries:
        verdict.bytes += len(delivery.data)
        document = by_id.get(delivery.id)
        if document is None:
            verdict.extra.append(f"{delivery.subject} on {delivery.topic} was not asked for")
            continue
        if delivery.id in seen:
            verdict.duplicate.append(f"{document.file} came again")
        seen.add(delivery.id)
        changed = difference(document, delivery)
        if changed:
            verdict.altered.append(f"{document.file}: {changed}")
    verdict.missing = [f"{d.file} on {d.topic} never came" for d in wanted if d.id not in seen]
    _judge_order(wanted, subscriber.deliveries, verdict)
    return verdict
