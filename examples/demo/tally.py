"""What is wrong with what the systems around the hub got: each despatch once, under one id, in the system's own shape.

What they should have got is known from the files that the warehouse wrote; nothing is taken from the router but the ids,
and these must be the same everywhere.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Got:
    """One despatch that a system got: its number as the system has it, the id of the event ('' where none is told)."""

    number: str
    id: str = ""


def read(body, path):
    """The text at a path such as ("account", "gln") of a body; '' where there is none."""
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body if isinstance(body, str) else ""


@dataclass
class System:
    """A system, and what it got in order of arrival. `shape` are the names of its documents' members."""

    name: str
    path: tuple
    shape: frozenset
    got: list = field(default_factory=list)
    misshapen: list = field(default_factory=list)

    def take(self, body, event=""):
        if not isinstance(body, dict) or set(body) != self.shape:
            self.misshapen.append(f"{self.name} got a document of another shape: {str(body)[:100]}")
        self.got.append(Got(read(body, self.path), event))


def _count(name, wanted, numbers):
    """Sentences about what never came, came again, or was never sent."""
    wrong = [f"{number} never reached {name}" for number in wanted if number not in numbers]
    for number in dict.fromkeys(numbers):
        if number not in wanted:
            wrong.append(f"{name} got {number or 'a document without a number'}, which nobody sent")
        elif numbers.count(number) > 1:
            wrong.append(f"{number} reached {name} {numbers.count(number)} times")
    return wrong


def _ids(name, got, ids):
    """Whether what is said to be an event is that event."""
    return [f"{name} got {one.number} with the id {one.id!r}, the event has {ids[one.number]!r}"
            for one in got if one.id and one.number in ids and one.id != ids[one.number]]


def judge(wanted, archive, systems, replaced):
    """Sentences; none is right.

    `wanted`: the numbers of the despatches. `archive`: a Got for each canonical event. `systems`: whoever gets all of
    them. `replaced`: the old and the new one of a system that is replaced; each gets some, together they are one.
    """
    wrong = _count("the archive", wanted, [one.number for one in archive])
    ids = {one.number: one.id for one in archive}
    if len(set(ids.values())) != len(ids):
        wrong.append("different despatches have the same id")
    for system in systems:
        wrong += _count(system.name, wanted, [one.number for one in system.got])
    both = " or ".join(system.name for system in replaced)
    wrong += _count(both, wanted, [one.number for system in replaced for one in system.got])
    wrong += [f"{system.name} got nothing: it was not replaced while events flowed"
              for system in replaced if not system.got]
    for system in [*systems, *replaced]:
        wrong += system.misshapen + _ids(system.name, system.got, ids)
    return wrong


def judge_some(system, wanted):
    """The same of a system that gets some of them only."""
    return _count(system.name, wanted, [one.number for one in system.got]) + system.misshapen


def judge_controls(despatches, controls):
    """The same of the CONTRLs: one for each interchange, which was taken."""
    wrong = _count("the warehouse's outbox", [d.interchange for d in despatches], [c.interchange for c in controls])
    return wrong + [f"the CONTRL for {c.interchange} says that it was rejected" for c in controls if not c.taken]
