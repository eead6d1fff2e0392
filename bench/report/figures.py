"""Figures of the page: each is inline, has its numbers in a table behind it, and is saved as a file of its own."""

from report import plot
from report.markup import element, paragraph, table


class Figures:
    def __init__(self):
        self.saved = {}  # file name -> SVG document

    def add(self, name, title, note, svg, numbers, looks=()):
        """`numbers`: (heads, rows) of what is drawn. Returns the figure."""
        self.saved[f"{name}.svg"] = plot.standalone(svg, title)
        parts = [element("figcaption", element("strong", title), " ", note)]
        if looks:
            parts.append(plot.key(looks))
        parts += [svg, element("details", element("summary", "The numbers of this plot"), table(title, *numbers),
                               paragraph(element("a", f"{name}.svg", href=f"plots/{name}.svg")))]
        return element("figure", *parts, id=name)


def file_name(text):
    """A name that is one file: letters, digits, dashes."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
