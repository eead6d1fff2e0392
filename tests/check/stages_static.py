"""Stages that need no running router: tools, format, layers, shell scripts, docs, the four builds, clang-tidy, cppcheck."""
import pathlib
import re
import shutil

import harness
from harness import BUILD, CORES, ROOT, parallel, run, sources

# Every program the check calls: a missing one fails here, by name, and not as a strange error later.
TOOLS = """gcc clang cmake ninja protoc-c protoc pkg-config git clang-format clang-tidy cppcheck shellcheck spin
llvm-symbolizer patch promtool curl cpack dpkg-shlibdeps file groff systemd-analyze /usr/bin/python3""".split()

FUZZ_TARGETS = ["fuzzers", "canaries"]


def tools(check):
    for tool in TOOLS:
        if not shutil.which(tool):
            check.add(f"tool {tool}", False, why="is not installed, and no package of packages.txt brought it")
    for module in ("pytest", "pytest_timeout", "google.protobuf"):
        ran = run(["/usr/bin/python3", "-c", f"import {module}"], check.out(f"{module}.log"), 60)
        if ran.status != 0:
            check.add(f"python module {module}", False, why="can not be imported", log=ran.log)
    if not any(r.stage == "tools" for r in check.results):
        check.add(f"{len(TOOLS)} tools are there", True)


def formatting(check):
    """clang-format must leave every C file alone; a file it must not leave alone shows that it looks."""
    crooked = check.out("crooked.c")
    crooked.parent.mkdir(parents=True, exist_ok=True)
    crooked.write_text("int  f( void )\n{ return 1 ; }\n")
    command = ["clang-format", "--dry-run", "-Werror", f"--style=file:{ROOT}/.clang-format"]
    ran = run(command + [crooked], check.out("crooked.log"), 60)
    check.add("a crooked file is refused", ran.status == 1, ran.seconds, "clang-format passed it", ran.log)
    files = sources(".c", ".h")
    for chunk in [files[i::CORES] for i in range(CORES)]:
        if not chunk:
            continue
        ran = run(command + chunk, check.out(f"format{len(check.results)}.log"), 300)
        if ran.status == 0:
            check.add(f"{len(chunk)} files from {chunk[0]}", True, ran.seconds)
            continue
        named = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", ran.output, re.M))) or ["clang-format"]
        for name in named:
            check.add(name, False, why="clang-format would change it", log=ran.log)


def layers(check):
    script = ROOT / "tests/check/layers.py"
    for name, argument in (("each rule refuses its bad example", "--self-test"), ("the tree keeps every rule", "")):
        ran = run(["/usr/bin/python3", script] + ([argument] if argument else []), check.out(f"{name}.log"), 120)
        lines = ran.output.strip().splitlines() or [""]
        check.add(name, ran.status == 0, ran.seconds, f"{ran.why()}: {lines[-1]}", ran.log)


def shell(check):
    scripts = sources(".sh")
    for name in sources(""):
        if "." in pathlib.Path(name).name and not name.startswith(".ci/"):
            continue
        with open(ROOT / name, "rb") as file:
            if re.match(rb"#!.*\b(ba|da)?sh\b", file.readline()):
                scripts.append(name)
    for name in sorted(set(scripts)):
        ran = run(["shellcheck", "-x", "-P", "SCRIPTDIR", name], check.out(f"{name}.log"), 60)
        check.add(name, ran.status == 0, ran.seconds, "shellcheck", ran.log)


def docs(check):
    """The scripts that compare what the documentation says with what is there: tests/check/docs*.py."""
    scripts = sorted(n for n in sources(".py", under="tests/check/docs"))
    for name in scripts:
        ran = run(["/usr/bin/python3", ROOT / name], check.out(f"{name}.log"), 120)
        lines = ran.output.strip().splitlines() or [""]
        check.add(name, ran.status == 0, ran.seconds, f"{ran.why()}: {lines[-1]}", ran.log)
    if not scripts:
        check.add("tests/check/docs.py", False, why="is not there: nothing compares the documentation with the program")


# --- The four builds -------------------------------------------------------------------------------------------------


def build(check, name, sanitize, targets):
    folder = BUILD / name
    cache = folder / "CMakeCache.txt"
    if cache.exists() and f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\n" not in cache.read_text():
        shutil.rmtree(folder)  # the tree was moved or copied with its builds in it
    steps = [
        ["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", f"-DRH_SANITIZE={sanitize}",
         "-DRH_WERROR=ON"],
        ["cmake", "--build", folder, "-j", str(CORES), "--target", *targets, "--", "-k", "0"],
    ]
    for number, step in enumerate(steps):
        ran = run(step, check.out(f"{number}.log"), 1200)
        if ran.status != 0:
            errors = re.findall(r"^.*(?:error: |Error |undefined reference|FAILED: ).*$", ran.output, re.M)
            check.add(f"build {name}", False, ran.seconds, (errors or [ran.why()])[0][-250:], ran.log)
            return
    check.add(f"build {name}", True, ran.seconds)


def build_release(check):
    targets = ["all", "unit"] if check.quick else ["all", "unit", "stress", "bench"]
    build(check, "release", "none", targets)


def build_asan(check):
    build(check, "asan", "address", ["all", "unit", "canaries"])


def build_tsan(check):
    build(check, "tsan", "thread", ["stress", "canaries"])


def build_fuzz(check):
    build(check, "fuzz", "fuzz", FUZZ_TARGETS)


# --- Readers of code -------------------------------------------------------------------------------------------------


def product_sources():
    return [n for n in sources(".c") if n.split("/")[0] in ("ring", "codecs", "core")]


def tidy(check):
    """clang-tidy over the product's sources; a file with a known fault shows that it looks."""
    faulty = check.out("faulty.c")
    faulty.parent.mkdir(parents=True, exist_ok=True)
    faulty.write_text("#include <string.h>\nint f(const char *s);\nint f(const char *s) { return sizeof(s) == memcmp(s, s, 1); }\n"
                      "int g(int *p);\nint g(int *p) { if (p == 0) return *p; return 0; }\n")
    config = f"--config-file={ROOT}/.clang-tidy"
    ran = run(["clang-tidy", "--quiet", config, faulty, "--", "-std=gnu17"], check.out("faulty.log"), 60)
    check.add("a faulty file is refused", ran.status not in (0, None) and "NullDereference" in ran.output, ran.seconds,
              "clang-tidy passed it", ran.log)

    def one(name):
        # gcc's flags that clang has not
        passed_over = ["unknown-warning-option", "ignored-optimization-argument"]
        return name, run(["clang-tidy", "--quiet", config, "-p", BUILD / "release",
                          *(f"--extra-arg=-Wno-{flag}" for flag in passed_over), ROOT / name],
                         check.out(f"{name}.log"), 240)

    for name, ran in parallel(product_sources(), one):
        found = re.search(r"(?:warning|error): (.*)", ran.output)
        check.add(name, ran.status == 0, ran.seconds, found[1] if found else ran.why(), ran.log)


def cppcheck(check):
    faulty = check.out("faulty.c")
    faulty.parent.mkdir(parents=True, exist_ok=True)
    faulty.write_text("int f(void) { int a[2]; a[0] = 1; a[1] = 2; return a[2]; }\n")
    command = ["cppcheck", "--quiet", "--error-exitcode=1", "--enable=warning,performance,portability", "--std=c11",
               "--inline-suppr", f"--suppressions-list={ROOT}/tests/check/cppcheck.txt", "--language=c",
               "-D_GNU_SOURCE", "-D__x86_64__", "-D__linux__", "-D__GNUC__=12", f"-j{CORES}"]
    ran = run(command + [faulty], check.out("faulty.log"), 60)
    check.add("a faulty file is refused", ran.status == 1, ran.seconds, "cppcheck passed it", ran.log)
    files = [ROOT / n for n in product_sources()]
    if not files:
        return
    ran = run(command + [f"-I{ROOT}", f"-I{ROOT}/include", *files], check.out("product.log"), 600)
    found = re.search(r"(?:error|warning|performance|portability): (.*)", ran.output)
    check.add(f"{len(files)} files", ran.status == 0, ran.seconds, found[1] if found else ran.why(), ran.log)
