"""Which topics a pattern asks for: the rule said as plainly as possible.

The demo judges the router by this function, so it shares nothing with it: no code, no tables, no tries.
A topic is tokens joined by dots. In a pattern '*' stands for exactly one token, and '>' as the last token
for one or more. A wildcard in front matches neither the router's own topics ('$...') nor mailboxes ('@...').
"""


def matches(pattern, topic):
    """Whether a subscriber to `pattern` gets an event on `topic`."""
    wanted, tokens = pattern.split("."), topic.split(".")
    if topic[0] in "$@" and wanted[0] in ("*", ">"):
        return False
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[:len(wanted)]
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens))


def matches_any(patterns, topic):
    """Whether one of several patterns matches: overlapping patterns still ask for an event once."""
    return any(matches(pattern, topic) for pattern in patterns)
