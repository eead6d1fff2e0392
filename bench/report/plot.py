"""Plots as SVG, written by hand: lines with spreads over two axes, and ratios with their intervals beside each other.

Colours come from CSS classes, so that one file serves light and dark. What a colour says is said by a marker, a dash and a
label at the line's end, too. Each plot has a title and a description for those who do not see it.
"""

import math
from dataclasses import dataclass, field

from report.markup import Raw, digits, element, escape, short

WIDTH, HEIGHT = 780, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 204, 34, 50
LABEL_STEP = 16  # between two labels at the right
LOG_SPAN_LEAST = 2.0  # each way from the middle: noise must not fill a plot
MARK = 4.2       # half the size of a marker

# Used in files of their own and inside the page alike; the page's own style sheet does not know plots.
STYLE = """
svg.plot { --ink: #1d2733; --soft: #55616e; --line: #d5dbe1; --ground: #ffffff; --s0: #0b5cad; --s1: #3f8fd6; --s2: #12756a;
  --s3: #6b7480; --s4: #2f7d32; --s5: #b8431f; --s6: #7a3fa0; --s7: #8a6a00; --mark: #a32a4d; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg.plot { --ink: #e6ebf0; --soft: #a6b1bd; --line: #36414d; --ground: #161c22;
  --s0: #6fb1f5; --s1: #9ccbf7; --s2: #5fc9bb; --s3: #a3adb8; --s4: #7fca83; --s5: #f39270; --s6: #c79aeb; --s7: #dcbc55;
  --mark: #f08aa6; } }
svg.plot text { fill: var(--ink); }
svg.plot .soft { fill: var(--soft); }
svg.plot .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg.plot .axis { stroke: var(--soft); stroke-width: 1; fill: none; }
svg.plot .one { stroke: var(--ink); stroke-width: 1.5; }
svg.plot .limit { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 5 4; }
svg.plot text.limit { fill: var(--mark); stroke: none; }
svg.plot .leader { stroke: var(--line); stroke-width: 1; fill: none; }
svg.plot .halo { stroke: var(--ground); stroke-width: 4px; paint-order: stroke; stroke-linejoin: round; }
""" + "".join(f"""svg.plot .l{i} {{ stroke: var(--s{i}); fill: none; stroke-width: 2; }}
svg.plot .m{i} {{ stroke: var(--s{i}); fill: var(--s{i}); stroke-width: 1.6; }}
svg.plot .o{i} {{ stroke: var(--s{i}); fill: var(--ground); stroke-width: 1.8; }}
svg.plot .r{i} {{ stroke: var(--s{i}); stroke-width: 1.4; opacity: 0.75; }}
svg.plot text.t{i} {{ fill: var(--s{i}); font-weight: 600; }}
""" for i in range(8))


@dataclass
class Look:
    """How one subject is drawn, the same in every plot."""

    colour: int
    marker: str = "circle"  # circle, square, diamond, triangle, cross
    hollow: bool = False
    dash: str | None = None


LOOKS = {
    "roundhouse": Look(0), "roundhouse-epoll": Look(1, "circle", True, "7 3"), "roundhouse-2": Look(2, "triangle"),
    "roundhouse-2-epoll": Look(2, "triangle", True, "7 3"), "relay": Look(3, "diamond", True, "2 4"),
    "nats": Look(4, "square"), "redis": Look(5, "cross"), "mosquitto": Look(6, "diamond"),
}
OTHER_LOOKS = [Look(0), Look(5, "square"), Look(4, "triangle"), Look(6, "diamond"), Look(7, "circle", True), Look(2, "cross"),
               Look(3, "square", True, "2 4"), Look(1, "triangle", True, "7 3")]


@dataclass
class Series:
    """points: (x, y, low, high), sorted by x; low and high may be y itself."""

    name: str
    look: Look
    points: list = field(default_factory=list)


# --- Scales -----------------------------------------------------------------------------------------------------------


@dataclass
class Scale:
    low: float
    high: float
    begin: float
    end: float
    log: bool

    def at(self, value):
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = math.log(value) if self.log else value
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)


def _log_ticks(low, high):
    """Powers of ten; with few of them also 2 and 5 times."""
    steps = (1,) if math.log10(high / low) > 3 else (1, 2, 5) if math.log10(high / low) > 0.7 else (1, 1.5, 2, 3, 4, 5, 7)
    ticks = [step * 10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for step in steps]
    return [t for t in ticks if low <= t * 1.000001 and t <= high * 1.000001]


def _linear_ticks(low, high):
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next((factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6), 10)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def scale_for(values, begin, end, log):
    """A scale that holds all values with a little room; a linear one begins at 0."""
    low, high = min(values), max(values)
    if log:
        room = max(1.12, (high / low) ** 0.05, LOG_SPAN_LEAST / (high / low) ** 0.5)
        return Scale(low / room, high * room, begin, end, True)
    high = high if high > 0 else 1
    return Scale(min(0, low), high * 1.06, begin, end, False)


def ticks_of(scale):
    return _log_ticks(scale.low, scale.high) if scale.log else _linear_ticks(scale.low, scale.high)


def thinned(values, scale, room):
    """Of the measured values those whose labels do not touch."""
    ordered = sorted(set(values))
    kept = ordered[:1]
    for value in ordered[1:]:
        if scale.at(value) - scale.at(kept[-1]) >= room:
            kept.append(value)
    if kept[-1] != ordered[-1] and len(kept) > 1:
        kept[-1] = ordered[-1]  # the last one says how far it was measured
    return kept


# --- Pieces -----------------------------------------------------------------------------------------------------------


def _n(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")


def line(x1, y1, x2, y2, class_):
    return Raw(f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{class_}"/>')


def text(x, y, words, class_=None, anchor="start"):
    named = f' class="{class_}"' if class_ else ""
    return Raw(f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{named}>{escape(words)}</text>')


def marker(x, y, look, told):
    """A marker with a text that appears when it is pointed at."""
    shape, m = f'class="{"o" if look.hollow else "m"}{look.colour}"', MARK
    title = f"<title>{escape(told)}</title>"
    if look.marker == "circle":
        return Raw(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{m}" {shape}>{title}</circle>')
    if look.marker == "square":
        return Raw(f'<rect x="{_n(x - m)}" y="{_n(y - m)}" width="{2 * m}" height="{2 * m}" {shape}>{title}</rect>')
    if look.marker == "cross":
        path = f"M{_n(x - m)} {_n(y - m)}L{_n(x + m)} {_n(y + m)}M{_n(x - m)} {_n(y + m)}L{_n(x + m)} {_n(y - m)}"
        return Raw(f'<path d="{path}" class="l{look.colour}">{title}</path>')
    corners = {"diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)), "triangle": ((0, -1.3), (1.25, 0.95), (-1.25, 0.95))}
    path = "M" + "L".join(f"{_n(x + dx * m)} {_n(y + dy * m)}" for dx, dy in corners[look.marker]) + "Z"
    return Raw(f'<path d="{path}" {shape}>{title}</path>')


def _svg(title, description, width, height, parts):
    """A whole plot. The title is read by screen readers; the page shows it as the figure's caption."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {width} {height}" role="img" ' \
           f'aria-label="{escape(title)}. {escape(description)}">'
    return Raw(head + "".join(parts) + "</svg>")


def standalone(svg, title):
    """The same plot as a file of its own."""
    opening, rest = svg.split(">", 1)
    ground = '<rect width="100%" height="100%" fill="var(--ground)"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{opening}><title>{escape(title)}</title><style>{STYLE}</style>{ground}{rest}\n'


# --- Lines over two axes ----------------------------------------------------------------------------------------------


def _axes(x, y, x_ticks, x_form, y_form, x_title, y_title):
    parts = []
    for tick in ticks_of(y):
        at = y.at(tick)
        parts += [line(LEFT, at, WIDTH - RIGHT, at, "grid"), text(LEFT - 8, at + 4.5, short(y_form(tick)), "soft", "end")]
    for tick in x_ticks:
        at = x.at(tick)
        parts += [line(at, TOP, at, HEIGHT - BOTTOM, "grid"), text(at, HEIGHT - BOTTOM + 18, short(x_form(tick)), "soft", "middle")]
    parts += [line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis"),
              text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_title, None, "middle"),
              text(8, 16, y_title)]
    return parts


def _curve(series, x, y, x_form, y_form):
    look = series.look
    path = "M" + "L".join(f"{_n(x.at(px))} {_n(y.at(py))}" for px, py, _, _ in series.points)
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    parts = [Raw(f'<path d="{path}" class="l{look.colour}"{dash}/>')]
    for px, py, low, high in series.points:
        if high > low:
            parts.append(line(x.at(px), y.at(low), x.at(px), y.at(high), f"r{look.colour}"))
    for px, py, low, high in series.points:
        told = f"{series.name}, {x_form(px)}: {y_form(py)}" + (f" ({y_form(low)} to {y_form(high)})" if high > low else "")
        parts.append(marker(x.at(px), y.at(py), look, told))
    return parts


def spread(wanted, step, low, high):
    """Places as near as possible to the wanted ones, at least `step` apart and between low and high; in the same order."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [min(max(wanted[i], low), high) for i in order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    overflow = places[-1] - high if places else 0
    if overflow > 0:
        places[-1] -= overflow
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - step)
    found = [0.0] * len(wanted)
    for place, i in zip(places, order):
        found[i] = place
    return found


def _labels(all_series, x, y):
    """The names at the lines' ends, moved apart where they would touch."""
    ends = [s.points[-1] for s in all_series]
    places = spread([y.at(p[1]) for p in ends], LABEL_STEP, TOP + 6, HEIGHT - BOTTOM - 4)
    parts, at = [], WIDTH - RIGHT + 22
    for series, end, place in zip(all_series, ends, places):
        if not series.name:
            continue
        parts += [Raw(f'<path d="M{_n(x.at(end[0]) + 7)} {_n(y.at(end[1]))}L{_n(at - 4)} {_n(place)}" class="leader"/>'),
                  text(at, place + 4.5, series.name, f"t{series.look.colour}")]
    return parts


def _limits(limits, x):
    parts = []
    for value, label in limits:
        if not x.low <= value <= x.high:
            continue
        at = x.at(value)
        right = at > (LEFT + WIDTH - RIGHT) / 2
        parts += [line(at, TOP, at, HEIGHT - BOTTOM, "limit"),
                  text(at + (-6 if right else 6), TOP + 12, label, "limit halo", "end" if right else "start")]
    return parts


def lines(title, description, x_title, y_title, all_series, *, x_log=True, y_log=True, limits=(), x_form=digits, y_form=digits,
          x_ticks=None):
    """limits: (x, label), drawn as upright lines."""
    all_series = [s for s in all_series if s.points]
    xs = [p[0] for s in all_series for p in s.points]
    ys = [v for s in all_series for p in s.points for v in p[1:]]
    x = scale_for(xs, LEFT + 8, WIDTH - RIGHT - 8, x_log and min(xs) > 0)
    y = scale_for(ys, HEIGHT - BOTTOM, TOP, y_log and min(ys) > 0)
    shown = thinned(x_ticks or xs, x, 46)
    parts = _axes(x, y, shown, x_form, y_form, x_title, y_title) + _limits(limits, x)
    for series in all_series:
        parts += _curve(series, x, y, x_form, y_form)
    return _svg(title, description, WIDTH, HEIGHT, parts + _labels(all_series, x, y))


# --- Ratios beside each other -----------------------------------------------------------------------------------------


@dataclass
class Ratio:
    """One dot: `asked` is where it should be at least, or None."""

    name: str
    look: Look
    value: float
    low: float
    high: float
    asked: float | None = None


FOREST_RIGHT, ROW_GAP, ROW_STEP = 92, 12, 17
FOREST_LEFT_LEAST, LETTER = 120, 7.6  # what labels take: the widest letters that are common


def _ratio_line(item, x, at):
    parts = []
    if item.high > item.low:
        parts.append(line(x.at(item.low), at, x.at(item.high), at, f"r{item.look.colour}"))
    if item.asked is not None:
        asked = x.at(item.asked)
        parts.append(Raw(f'<line x1="{_n(asked)}" y1="{_n(at - 7)}" x2="{_n(asked)}" y2="{_n(at + 7)}" class="limit" '
                         f'style="stroke-dasharray:none"><title>asked: {digits(item.asked)} ×</title></line>'))
    told = f"{item.name}: {digits(item.value)} × ({digits(item.low)} to {digits(item.high)})"
    parts += [marker(x.at(item.value), at, item.look, told),
              text(WIDTH - FOREST_RIGHT + 10, at + 4.5, f"{digits(item.value)} ×", f"t{item.look.colour}")]
    return parts


def ratios(title, description, groups, x_title):
    """groups: (label, list of Ratio), from top to bottom."""
    top = 10
    groups = [(label, items) for label, items in groups if items]
    height = top + sum(len(items) * ROW_STEP + ROW_GAP for _, items in groups) + BOTTOM
    values = [v for _, items in groups for i in items for v in (i.low, i.high, i.asked) if v] + [1.0]
    left = max([FOREST_LEFT_LEAST, *(24 + LETTER * len(label) for label, _ in groups)])
    x = scale_for(values, left, WIDTH - FOREST_RIGHT, True)
    bottom, parts, at = height - BOTTOM, [], top
    for tick in thinned(ticks_of(x), x, 34):
        parts += [line(x.at(tick), top, x.at(tick), bottom, "grid"),
                  text(x.at(tick), bottom + 18, f"{short(digits(tick))} ×", "soft", "middle")]
    parts.append(line(x.at(1), top, x.at(1), bottom, "one"))
    for label, items in groups:
        middle = at + len(items) * ROW_STEP / 2 + ROW_GAP / 2
        parts.append(text(left - 12, middle + 4.5, label, None, "end"))
        for i, item in enumerate(items):
            parts += _ratio_line(item, x, at + ROW_GAP / 2 + (i + 0.5) * ROW_STEP)
        at += len(items) * ROW_STEP + ROW_GAP
        parts.append(line(10, at, WIDTH - 10, at, "grid"))
    parts.append(text((left + WIDTH - FOREST_RIGHT) / 2, height - 8, x_title, None, "middle"))
    return _svg(title, description, WIDTH, height, parts)


def key(names_and_looks):
    """The markers and what they stand for, as a list for the page."""
    parts = []
    for name, look in names_and_looks:
        sample = Raw('<svg class="plot key" viewBox="0 0 34 14" width="34" height="14" aria-hidden="true">'
                     + line(2, 7, 32, 7, f"l{look.colour}").replace("/>", f' stroke-dasharray="{look.dash or "none"}"/>')
                     + marker(17, 7, look, name) + "</svg>")
        parts.append(element("li", sample, " ", name))
    return element("ul", *parts, class_="key")
