"""What a crossover bench shows, as a sentence: where the lines cross, or where the curve is lowest, and whether the limit is there."""

from report.markup import number

SUBJECT = "micro"
LEVEL = 0.03  # medians that differ by less are level


def _medians(result, rows, metric, label):
    """{what else is set: {how: {x: median}}}."""
    found = {}
    for row in rows:
        rest = label(row)
        summary = result.summary(row, SUBJECT, metric)
        if summary:
            found.setdefault(rest, {}).setdefault(row["workload"].get("how", ""), {})[row["curve"]["value"]] = summary["median"]
    return found


def _winners(ways):
    """[(x, the better way or "level")] of two ways."""
    (first, a), (second, b) = ways.items()
    for x in sorted(set(a) & set(b)):
        yield x, "level" if abs(a[x] / b[x] - 1) < LEVEL else first if a[x] < b[x] else second


def _stretches(winners):
    """[(way, first x, last x)] of neighbours with the same winner."""
    found = []
    for x, way in winners:
        if found and found[-1][0] == way:
            found[-1][2] = x
        else:
            found.append([way, x, x])
    return found


def _crossing(rest, ways, form):
    stretches = _stretches(_winners(ways))
    words = []
    for way, low, high in stretches:
        where = f"at {form(low)}" if low == high else f"from {form(low)} to {form(high)}"
        words.append(f"{'both are level' if way == 'level' else way + ' is better'} {where}")
    return (f"{rest}: " if rest else "") + ", ".join(words) + "."


def _best(rest, points, limit, form, unit, higher):
    best = (max if higher else min)(points, key=points.get)
    told = f"best is {form(best)} ({number(points[best], unit)})"
    if limit and limit["value"] in points and limit["value"] != best:
        at = points[limit["value"]]
        told += f"; at {limit['name']} it is {number(at, unit)}, {100 * abs(at / points[best] - 1):.0f} % worse"
    elif limit and limit["value"] == best:
        told += f", which is {limit['name']}"
    return (f"{rest}: " if rest else "") + told + "."


def _switch(rest, points, limit, form, unit):
    """Above the limit something else is done: up to where would the first way have been cheaper?"""
    above = [x for x in sorted(points) if x > limit["value"]]
    if not above:
        return ""
    other = points[above[0]]
    cheaper = [x for x in sorted(points) if x <= limit["value"] and points[x] <= other]
    told = f"beyond the limit it takes {number(other, unit)}; " + (f"below it is cheaper up to {form(cheaper[-1])}" if cheaper else
                                                                "below it is never cheaper")
    return (f"{rest}: " if rest else "") + told + "."


SWITCHES = ("micro/crossover/changes",)  # benches in which the program changes its way at the limit


def finding(result, rows, metric, form, label):
    """The sentence, or "" where a curve alone does not decide. `label(row)` names what is set besides the axis and `how`."""
    curve, unit = rows[0]["curve"], result.unit(metric)
    limit, told = curve.get("limit"), []
    for rest, ways in _medians(result, rows, metric, label).items():
        if len(ways) == 2:
            told.append(_crossing(rest, ways, form))
        elif curve["name"] in SWITCHES and limit:
            told.append(_switch(rest, ways[""], limit, form, unit))
        elif limit and len(ways) == 1:
            told.append(_best(rest, next(iter(ways.values())), limit, form, unit, result.metric(metric)["better"] == "higher"))
    return " ".join(sentence[:1].upper() + sentence[1:] for sentence in told)
