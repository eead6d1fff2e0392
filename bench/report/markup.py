"""HTML and numbers as people read them: elements that escape their text, tables with captions, units."""

import html
import math
import re


def escape(text):
    return html.escape(str(text), quote=True)


class Raw(str):
    """Text that is markup already."""


def element(name, *content, **attributes):
    """<name a="b">content</name>; a str is escaped, Raw is not. `class_` is class, `data_x` is data-x."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
                      if value is not None)
    inner = "".join(part if isinstance(part, Raw) else escape(part) for part in content)
    return Raw(f"<{name}{written}>{inner}</{name}>")


def join(parts, between=""):
    return Raw(between.join(parts))


def capital(text):
    return text[:1].upper() + text[1:]


def table(caption, heads, rows, numeric_from=1, hide_caption=False):
    """A table in a region that can be scrolled by keyboard. The first cell of each row is its heading. A caption that says what
    the heading above it says is for screen readers only."""
    head = element("tr", *(element("th", h, scope="col", class_="n" if i >= numeric_from else None)
                           for i, h in enumerate(heads)))
    body = []
    for cells in rows:
        first = element("th", cells[0], scope="row")
        rest = [element("td", cell, class_="n" if i >= numeric_from else None) for i, cell in enumerate(cells[1:], 1)]
        body.append(element("tr", first, *rest))
    named = element("caption", caption, class_="unseen" if hide_caption else None)
    whole = element("table", named, element("thead", head), element("tbody", *body))
    return element("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def paragraph(*content, **attributes):
    return element("p", *content, **attributes)


def details(summary, *content):
    return element("details", element("summary", summary), *content)


# --- Numbers ----------------------------------------------------------------------------------------------------------


def digits(value, count=3):
    """So many significant digits, without an exponent and without zeros that say nothing."""
    if value == 0:
        return "0"
    places = max(0, count - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) >= 10 ** (math.floor(math.log10(abs(value))) + 1):
        places = max(0, places - 1)  # 9.999 has become 10.00
        text = f"{value:,.{places}f}"
    return text


def _scaled(value, steps):
    for factor, unit in steps:
        if abs(value) >= factor:
            return f"{digits(value / factor)} {unit}"
    return f"{digits(value)} {steps[-1][1]}"


RATES = ((1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1, "/s"))
TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def number(value, unit):
    """A value in the unit of its metric."""
    if value is None:
        return "–"
    if unit == "1/s":
        return _scaled(value, RATES).replace(" /s", "/s")
    if unit == "ns":
        return _scaled(value, TIMES)
    if unit == "bytes":
        return _scaled(value, SIZES)
    if unit == "share":
        return f"{digits(100 * value)} %"
    return digits(value)


def short(text):
    """The same number without zeros at its end: for axes."""
    return re.sub(r"(\.\d*?)0+(?!\d)", lambda m: m[1].rstrip("."), text)


def ratio(value):
    return f"{digits(value)} ×"


def span(low, high, form):
    return form(low) if low == high else f"{form(low)} to {form(high)}"
