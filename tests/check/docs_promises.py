#!/usr/bin/python3
"""Holds docs/GUARANTEES.md against the tests: each promise is a line of a table and names tests, as `file::test`, that exist
(this script, in the stage `docs`) and that have run and passed in this check (the stage `promises`, by judge_results).

A test is `tests/e2e/x_test.py::test_name` or `tests/unit/.../x_test.c::name`; a fuzz target, a stress program or a model is one
test and is named by its file.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/GUARANTEES.md"
END = "## What is not promised"
NAME = re.compile(r"`(tests/[^`]+)`")
WHOLE = re.compile(r"tests/(fuzz/\w+_fuzz\.c|stress/\w+\.c|models/\w+\.pml)")


def promises(text):
    """[(number of the line, promise, [tests])]"""
    found = []
    for number, line in enumerate(text.split(END)[0].splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|-: ") or cells[-1] == "Held by":
            continue
        found.append((number, cells[0], NAME.findall(cells[-1])))
    return found


def wrong_name(name, root=ROOT):
    """What is wrong with the name of a test, or None."""
    file, _, test = name.partition("::")
    path = root / file
    if not path.is_file():
        return f"{file} does not exist"
    if WHOLE.fullmatch(file):
        return f"{file} is one test: name it without ::{test}" if test else None
    if not test:
        return f"{file} is a file: name the test in it that holds the promise, as {file}::test"
    text = path.read_text()
    pattern = rf"^def {re.escape(test)}\(" if file.endswith(".py") else rf"^(?:Parameterized)?Test\(\w+,\s*{re.escape(test)}\b"
    return None if re.search(pattern, text, re.M) else f"{file} has no test {test}"


def wrong_page(text, root=ROOT):
    """All that is wrong with the page by itself."""
    found = []
    listed = promises(text)
    if not listed or END not in text:
        found.append(f"{PAGE}: no promise, or no section '{END}'")
    for number, promise, names in listed:
        if not names:
            found.append(f"{PAGE}:{number}: a promise names no test: {promise[:80]}")
        found += [f"{PAGE}:{number}: {wrong}" for wrong in (wrong_name(name, root) for name in names) if wrong]
    return found


def belongs(name, result):
    """Whether a result of the check is one of the test `name`."""
    file, _, test = name.partition("::")
    stem = file.rpartition(".")[0]
    if file.startswith("tests/fuzz/"):
        return result.stage == "fuzz" and re.fullmatch(re.escape(pathlib.Path(stem).name.removesuffix("_fuzz")) + r": \d+ runs",
                                                       result.name)
    if WHOLE.fullmatch(file):
        return result.name == stem or result.name.startswith((f"{stem} ", f"{stem}:", file))
    if file.endswith(".py"):
        return re.fullmatch(rf"\w+/{re.escape(stem)}::{re.escape(test)}(\[.*\])?", result.name)
    return re.fullmatch(rf"{re.escape(stem)}: \w+/{re.escape(test)}\b.*", result.name)


def judge_results(text, results):
    """[(test, what is wrong or '')]: each test that the page names has run in this check and passed."""
    judged = []
    for name in sorted({name for _, _, names in promises(text) for name in names}):
        mine = [result for result in results if belongs(name, result)]
        failed = [result for result in mine if not result.passed]
        judged.append((name, f"has failed: {failed[0].name}" if failed else "" if mine else "did not run in this check"))
    return judged


def stage(check):
    """The last stage of a whole check."""
    for name, wrong in judge_results((ROOT / PAGE).read_text(), list(check.results)):
        check.add(name, not wrong, why=f"{PAGE} promises by it, and it {wrong}" if wrong else "")


# --- That it finds what it looks for ---


class Made:
    def __init__(self, stage, name, passed=True):
        self.stage, self.name, self.passed = stage, name, passed


def self_test():
    """Each mistake in a made-up page and made-up results is found, and nothing in a right one."""
    unit, end, fuzz = ("tests/unit/core/journal/crash_test.c::at_random_places_of_many_lives",
                       "tests/e2e/history_test.py::test_a_right_history_passes", "tests/fuzz/scan_fuzz.c")

    def page(*names):
        return f"| Promise | Held by |\n|---|---|\n| It holds | {', '.join(f'`{name}`' for name in names)} |\n\n{END}\n"

    right = [Made("unit-release", "tests/unit/core/journal/crash_test: crash/at_random_places_of_many_lives"),
             Made("e2e", "release/tests/e2e/history_test::test_a_right_history_passes[disk-True]"),
             Made("fuzz", "scan: 20000 runs")]
    for names, wrong in (([unit, end, fuzz], ""), ([], "names no test"), (["tests/e2e/none_test.py::test_x"], "does not exist"),
                         ([end + "_at_all"], "has no test"), ([unit[:-1]], "has no test"), ([end.split(":")[0]], "is a file"),
                         ([fuzz + "::x"], "is one test")):
        found = " ".join(wrong_page(page(*names)))
        assert (wrong in found) if wrong else not found, (names, found)
    assert wrong_page("nothing"), "a page without promises is right"
    assert [wrong for _, wrong in judge_results(page(unit, end, fuzz), right)] == ["", "", ""]
    for left_out in range(3):
        some = right[:left_out] + right[left_out + 1:]
        assert sum("did not run" in wrong for _, wrong in judge_results(page(unit, end, fuzz), some)) == 1
        bad = some + [Made(right[left_out].stage, right[left_out].name, passed=False)]
        assert sum("has failed" in wrong for _, wrong in judge_results(page(unit, end, fuzz), bad)) == 1


def main():
    self_test()
    found = wrong_page((ROOT / PAGE).read_text())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
