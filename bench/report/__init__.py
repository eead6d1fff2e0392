"""One HTML page from a result file of the bench suite, with its plots: write(result, folder).

The page needs nothing but itself. Each plot is in it, and a file of its own under plots/.
"""

import pathlib

from report.data import Result, Unusable, load
from report.page import make

__all__ = ["Result", "Unusable", "load", "write"]


def write(result, folder):
    """Writes report.html and plots/*.svg of a result (as in the file) into a folder; returns the page's path."""
    folder = pathlib.Path(folder)
    page, plots = make(Result(result))
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    for name, document in plots.items():
        (folder / "plots" / name).write_text(document, encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path
