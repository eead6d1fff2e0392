"""What a compiler does not refuse: the direction of includes, bare atomics, the sizes of functions and files, headers without
their opening comment, words that mark something as unfinished, and the paths of somebody's own machine.

    layers.py              check the tree: one line for each finding, status 1 if there is one
    layers.py --sizes      the distribution of function lengths, too
    layers.py --self-test  each rule must refuse its bad example and accept its good one
"""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402

EXCEPTIONS = harness.ROOT / "tests/check/layers_exceptions.txt"

FUNCTION_MEDIAN, FUNCTION_NINTH, FUNCTION_MAX = 12, 40, 70
FILE_MAX, LINE_MAX, HEADER_COMMENT_MIN = 900, 110, 5

# Which folders each folder may include, besides itself. ring, codecs, core/io, core/route and core/queue are siblings.
BASE = ["core/base"]
SIBLINGS = BASE + ["ring", "codecs", "core/io", "core/route"]
CONN = BASE + ["ring", "core/io", "core/route"]  # a connection knows no protocol
SESSION = SIBLINGS + ["core/conn"]
SHARD = SESSION + ["core/session", "core/queue", "core/filter"]
OUTER = SHARD + ["core/shard"]
ALLOWED = {
    "core/base": [],
    "ring": BASE,
    "codecs": BASE,
    "core/io": BASE,
    "core/route": BASE,
    "core/queue": BASE,
    "core/filter": BASE + ["codecs"],
    "core/conn": CONN,
    "core/session": SESSION,
    "core/shard": SHARD,
    "core/journal": OUTER,
    "core/bridge": OUTER + ["core/client"],
    "core/config": OUTER + ["core/journal", "core/bridge"],
    "core/transport": BASE + ["codecs", "core/bridge"],
    "core/spoke": OUTER + ["core/journal", "core/bridge", "core/client", "core/config", "core/transport"],
    "core/routes": OUTER + ["core/bridge", "core/client", "core/config"],
    "core/admin": OUTER + ["core/journal", "core/bridge", "core/config"],
    "core/client": BASE + ["codecs", "core/filter"],
    "core/doctor": OUTER + ["core/config"],
    "core/cli": OUTER + ["core/doctor", "core/journal", "core/bridge", "core/config", "core/admin", "core/client",
                         "core/transport", "core/spoke", "core/routes"],
    "core/main.c": OUTER + ["core/journal", "core/bridge", "core/config", "core/admin", "core/client", "core/cli",
                            "core/transport", "core/spoke", "core/routes"],
    "include": [],
}
# Inside codecs/ each folder stands alone, but for these.
CODECS = {
    "codecs/wire": ["codecs/event", "codecs/proto"],
    "codecs/event": ["codecs/proto"],
    "codecs/edi": ["codecs/document"],
    "codecs/idoc": ["codecs/document", "codecs/layout"],
    "codecs/xml": ["codecs/document"],
    "codecs/table": ["codecs/document", "codecs/layout"],
    "codecs/layout": [],
    "codecs/erp": ["codecs/document", "codecs/event", "codecs/layout", "codecs/proto"],
}
# Counters that other threads read live in ring/counter.h, which includes nothing of ring: the siblings may count, too.
LEAVES = {"ring/counter.h": ["core/base", "core/io", "core/route", "core/queue", "codecs"]}
# A library's header stays behind the folder that was made for it.
LIBRARIES = {
    r"liburing(/.*)?\.h|linux/io_uring\.h": ["core/io", "bench"],
    r"event2/.*|event\.h": ["core/io", "core/admin", "core/bridge", "core/transport", "core/spoke", "core/routes",
                              "bench", "tests"],
    r"yaml\.h": ["core/config"],
    r"curl/.*": ["core/transport"],
    r"microhttpd\.h": ["core/transport"],
    r"jq\.h|jv\.h": ["core/bridge"],
    r"expat\.h": ["codecs/xml", "bench"],
    r"openssl/.*": ["codecs/erp", "core/transport", "tests"],
    r"iconv\.h": ["codecs/document", "tests"],
    r"criterion/.*": ["tests"],
}
GENERATED = r".*\.pb-c\.h|rh_build\.h"

ATOMICS = re.compile(r"\b(__atomic_\w+|__sync_\w+|_Atomic|stdatomic\.h|atomic_(load|store|fetch|exchange|compare|thread)\w*)\b")
UNFINISHED = re.compile(r"\b(%s)\b|\b(?i:for n" r"ow|place" r"holder)\b" % "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK"]))
OWN_PATHS = re.compile(r"(?<![\w.$}/*-])/(home|Users|root|work|mnt)/\w|/tmp/" r"build\b")
DEAD_CODE = re.compile(r"^\s*//\s*(return\b.*|[\w>.\[\]*-]+\s*(=|\().*);\s*$")

PRODUCT = ("ring/", "codecs/", "core/", "include/")
TEXT = (".c", ".h", ".py", ".sh", ".md", ".txt", ".cmake", ".proto", ".yaml", ".yml", ".pml", ".patch")


class Tree:
    """The files of one tree, read once, and what was found in them."""

    def __init__(self, root, names):
        self.root, self.findings = root, []
        self.files = {n: (root / n).read_text(encoding="utf-8", errors="replace").splitlines() for n in names}

    def c_files(self, prefixes=None):
        return {n: lines for n, lines in self.files.items()
                if n.endswith((".c", ".h")) and (prefixes is None or n.startswith(prefixes))}

    def find(self, rule, name, line, text):
        self.findings.append((rule, name, line, text))


def layer_of(name):
    if name == "core/main.c":
        return name
    parts = name.split("/")
    if parts[0] == "core" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def check_includes(tree):
    for name, lines in tree.c_files().items():
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                check_include(tree, name, number, quoted=match[1] == '"', target=match[2])


def check_include(tree, name, number, quoted, target):
    layer = layer_of(name)
    for pattern, homes in LIBRARIES.items():
        if re.fullmatch(pattern, target) and not name.startswith(tuple(f"{home}/" for home in homes)):
            tree.find("include", name, number, f"{target} is for {', '.join(homes)} only")
    if target.startswith("roundhouse/") and not re.fullmatch(GENERATED, target):
        if not (tree.root / "include" / target).exists():
            tree.find("include", name, number, f"{target} does not exist under include/")
    if not quoted or re.fullmatch(GENERATED, target) or target.startswith("roundhouse/"):
        return
    if not (tree.root / target).exists():
        tree.find("include", name, number, f'"{target}" is not a path from the root of the repository')
        return
    if layer in ("tests", "bench"):
        return
    other = layer_of(target)
    if layer == "examples":
        tree.find("include", name, number, f"an example includes <roundhouse/...> only, not {target}")
    elif layer not in ALLOWED:
        tree.find("include", name, number, f"the folder {layer} has no place in the layers of tests/check/layers.py")
    elif layer in LEAVES.get(target, []):
        return
    elif other != layer and other not in ALLOWED[layer]:
        tree.find("include", name, number, f"{layer} may not include {other} ({target})")
    elif layer == other == "codecs":
        mine, theirs = "/".join(name.split("/")[:2]), "/".join(target.split("/")[:2])
        if mine != theirs and theirs not in CODECS.get(mine, ["codecs/proto"]):
            tree.find("include", name, number, f"{mine} may not include {theirs} ({target})")


def code_only(lines):
    """The lines with comments and string literals blanked, so that words in them are not taken for code."""
    text = "\n".join(lines)
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text).split("\n")


def check_atomics(tree):
    for name, lines in tree.c_files().items():
        if name.startswith(("ring/", "tests/")):
            continue
        for number, (line, raw) in enumerate(zip(code_only(lines), lines), 1):
            match = ATOMICS.search(line) or re.search(r"#\s*include\s*<stdatomic", raw)
            if match:
                tree.find("atomic", name, number, f"{match[0].strip()}: atomics live in ring/ (ring/counter.h and others)")


def functions(lines):
    """(name, first line, number of lines from the opening brace's line to the closing one) of formatted C."""
    code, start, name = code_only(lines), None, ""
    for number, line in enumerate(code, 1):
        if start is None and line.rstrip().endswith(("{", "{}")) and re.search(r"\)\s*\{\}?\s*$", line):
            head = number
            while head > 1 and (code[head - 1][:1].isspace()):
                head -= 1
            signature = " ".join(code[head - 1:number])
            if re.match(r"[A-Za-z_]", signature) and not re.match(r"(struct|union|enum)\b[^()]*\{", signature):
                match = re.search(r"(\w+)\s*\(([^()]*)", signature)
                name = match[1] if match else "?"
                if name in ("Test", "ParameterizedTest", "TestSuite") and match:
                    name = match[2].replace(",", " ").split()[1] if "," in match[2] else name
                if line.rstrip().endswith("{}"):
                    yield name, number, 1
                else:
                    start = number
        elif start is not None and line.startswith("}"):
            yield name, start, number - start + 1
            start = None


def check_sizes(tree, show=False):
    lengths = []
    for name, lines in tree.c_files().items():
        if len(lines) > FILE_MAX:
            tree.find("file-size", name, len(lines), f"{len(lines)} lines, {FILE_MAX} are allowed")
        for function, line, length in functions(lines):
            if name.startswith(PRODUCT):
                lengths.append(length)
            if length > FUNCTION_MAX:
                tree.find("function-size", name, line, f"{function} has {length} lines, {FUNCTION_MAX} are allowed")
    if not lengths:
        return
    lengths.sort()
    median, ninth = lengths[len(lengths) // 2], lengths[min(len(lengths) - 1, len(lengths) * 9 // 10)]
    if show:
        print(f"{len(lengths)} functions: median {median}, nine in ten at most {ninth}, longest {lengths[-1]}")
    if median > FUNCTION_MEDIAN:
        tree.find("function-size", "(all)", 0, f"the median function has {median} lines, {FUNCTION_MEDIAN} are allowed")
    if ninth > FUNCTION_NINTH:
        tree.find("function-size", "(all)", 0, f"one in ten has more than {ninth} lines, {FUNCTION_NINTH} are allowed")


def check_headers(tree):
    for name, lines in tree.c_files().items():
        if not name.endswith(".h"):
            continue
        text = "\n".join(lines).lstrip()
        block = re.match(r"/\*(.*?)\*/", text, re.S)
        if block:
            comment = [line for line in block[1].splitlines() if re.search(r"\w", line)]
        else:
            comment = re.match(r"(?://[^\n]*\n)*", text + "\n")[0].splitlines()
        if len(comment) < HEADER_COMMENT_MIN:
            tree.find("header", name, 1, f"opens with {len(comment)} lines of comment: say what it is, who owns it, which "
                      "thread may call, what blocks, how it fails")


def check_words(tree):
    for name, lines in tree.files.items():
        if not name.endswith(TEXT) and "." in pathlib.Path(name).name:
            continue
        if name.startswith(("tests/data/", "tests/fuzz/corpus/")):
            continue
        is_c = name.endswith((".c", ".h"))
        for number, line in enumerate(lines, 1):
            match = UNFINISHED.search(line)
            if match:
                tree.find("unfinished", name, number, f"`{match[0]}`: finish it, or say what is so and why")
            match = OWN_PATHS.search(line)
            if match:
                tree.find("path", name, number, f"`{match[0]}` is a place on somebody's own machine")
            if is_c and DEAD_CODE.match(line):
                tree.find("dead-code", name, number, "commented-out code")
            if is_c and len(line) > LINE_MAX and "http" not in line:
                tree.find("width", name, number, f"{len(line)} columns, {LINE_MAX} are allowed")


def exceptions():
    """{(rule, file or file:function): reason}; a line is `rule path reason...`."""
    found = {}
    if EXCEPTIONS.exists():
        for number, line in enumerate(EXCEPTIONS.read_text().splitlines(), 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 3 or len(words[2]) < 15:
                sys.exit(f"{EXCEPTIONS}:{number}: an exception needs a rule, a path and a reason")
            found[(words[0], words[1])] = words[2]
    return found


def check_all(tree, show=False):
    check_includes(tree)
    check_atomics(tree)
    check_sizes(tree, show)
    check_headers(tree)
    check_words(tree)
    return tree.findings


def main():
    tree = Tree(harness.ROOT, harness.sources(""))
    allowed, used, count = exceptions(), set(), 0
    for rule, name, line, text in sorted(check_all(tree, "--sizes" in sys.argv)):
        keys = {(rule, name), (rule, f"{name}:{text.split()[0]}")} & set(allowed)
        used |= keys
        if not keys:
            print(f"{name}:{line}: {rule}: {text}")
            count += 1
    for rule, name in sorted(set(allowed) - used):
        print(f"{EXCEPTIONS.name}: {rule} {name}: is no longer needed, take it out")
        count += 1
    print(f"{count} findings in {len(tree.files)} files")
    return 1 if count or not tree.files else 0


# --- The rules' own test ---------------------------------------------------------------------------------------------

HEADER = "/* a\n * b\n * c\n * d\n * e */\n"


def long_function(lines):
    return "int f(void) {\n" + "    g();\n" * (lines - 2) + "}\n"


# path, text, the rule that must refuse it (None: must be accepted)
EXAMPLES = [
    ("ring/a.c", '#include "core/base/x.h"\n', None),
    ("ring/a.c", '#include "core/io/x.h"\n', "include"),
    ("ring/a.c", '#include "x.h"\n', "include"),
    ("core/conn/a.c", '#include "core/io/x.h"\n', None),
    ("core/conn/a.c", '#include "codecs/wire/x.h"\n', "include"),
    ("core/io/a.c", '#include "ring/x.h"\n', "include"),
    ("core/io/a.c", '#include "ring/counter.h"\n', None),
    ("core/session/a.c", '#include "codecs/wire/x.h"\n', None),
    ("core/session/a.c", '#include "core/shard/x.h"\n', "include"),
    ("core/shard/a.c", '#include <liburing.h>\n', "include"),
    ("core/io/a.c", '#include <liburing.h>\n', None),
    ("core/shard/a.c", '#include "core/queue/x.h"\n', None),
    ("core/queue/a.c", '#include "core/base/x.h"\n', None),
    ("core/queue/a.c", '#include "core/route/x.h"\n', "include"),
    ("core/queue/a.c", '#include "ring/counter.h"\n', None),
    ("core/client/a.c", '#include "ring/x.h"\n', "include"),
    ("codecs/event/a.c", '#include "codecs/wire/x.h"\n', "include"),
    ("codecs/wire/a.c", '#include "codecs/event/x.h"\n', None),
    ("core/odd/a.c", '#include "core/base/x.h"\n', "include"),
    ("core/shard/a.c", "int x = __atomic_load_n(&y, 5);\n", "atomic"),
    ("core/shard/a.c", "_Atomic int x;\n", "atomic"),
    ("core/shard/a.c", "// Not an __atomic_load here.\n", None),
    ("ring/a.c", "_Atomic int x;\n", None),
    ("ring/a.c", long_function(70), "function-size"),  # one function of 70 lines is also the median
    ("tests/unit/a.c", long_function(70), None),
    ("tests/unit/a.c", long_function(71), "function-size"),
    ("ring/a.c", "int x;\n" * 900, None),
    ("ring/a.c", "int x;\n" * 901, "file-size"),
    ("ring/a.h", "/* short\n * header */\n", "header"),
    ("ring/a.h", HEADER, None),
    ("ring/a.c", "// TO" "DO later\n", "unfinished"),
    ("docs/a.md", "This is a place" "holder.\n", "unfinished"),
    ("docs/a.md", "see /ho" "me/me/notes\n", "path"),
    ("ring/a.c", "    // x = f(y);\n", "dead-code"),
    ("ring/a.c", "    // Called once (at start); never again.\n", None),
    ("ring/a.c", "// " + "x" * 108 + "\n", "width"),
]


def self_test():
    wrong = 0
    for path, text, rule in EXAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            others = ["core/base", "core/io", "core/route", "core/queue", "core/shard", "ring", "codecs/wire", "codecs/event"]
            for name, content in [(f"{other}/x.h", HEADER) for other in others] + [("ring/counter.h", HEADER)] + [(path, text)]:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
            names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
            found = {finding[0] for finding in check_all(Tree(root, names))}
        if found != ({rule} if rule else set()):
            print(f"{path} {text[:60]!r}: found {sorted(found)}, should be {rule}")
            wrong += 1
    print(f"{len(EXAMPLES)} examples, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(self_test() if "--self-test" in sys.argv else main())
