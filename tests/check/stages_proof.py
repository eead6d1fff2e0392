"""Stages that show that the tests can fail, or that search what tests can not: canaries, models, mutants, fuzzing."""
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

import harness
import stages_run
from harness import BUILD, CORES, ROOT, SANITIZER_REPORT, header_keys, parallel, run, sources

# --- Canaries --------------------------------------------------------------------------------------------------------

CANARIES = [
    ("asan", "leak", r"LeakSanitizer: detected memory leaks"),
    ("asan", "overflow", r"AddressSanitizer: heap-buffer-overflow"),
    ("asan", "undefined", r"runtime error: signed integer overflow"),
    ("tsan", "race", r"ThreadSanitizer: data race"),
]


def canaries(check):
    for build, name, report in CANARIES:
        ran = run([BUILD / build / "tests/check/canaries" / name], check.out(f"{name}.log"), 60)
        found = ran.status not in (0, None, 127) and re.search(report, ran.output)
        check.add(f"{name} is noticed by {build}", found, ran.seconds, f"{ran.why()}, no such report", ran.log)
    crash = BUILD / "fuzz/tests/check/canaries/crash_fuzz"
    ran = run([crash, "-runs=200000", "-seed=1", f"-artifact_prefix={check.out('')}/"], check.out("crash.log"), 60)
    found = ran.status not in (0, None, 127) and "deadly signal" in ran.output
    check.add("the fuzz canary crashes", found, ran.seconds, f"{ran.why()}: libFuzzer did not find the crash", ran.log)
    counted(check)
    hang(check)


def counted(check):
    """The two runners' known results must come out as exactly that."""
    trial = harness.Check()
    trial.stage = check.stage
    stages_run.criterion(trial, BUILD / "asan/tests/check/canaries/counted_test", "counted_test", ROOT)
    compare_count(check, "Criterion's results are counted", trial, passed=3, failed=6)
    trial = harness.Check()
    trial.stage = check.stage
    source = ROOT / "tests/check/canaries/counted_pytest.py"
    xml = check.out("counted_pytest.xml")
    ran = run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", f"--rootdir={source.parent}",
               "--timeout=3", f"--junitxml={xml}", source], check.out("counted_pytest.log"), 60)
    stages_run.junit_results(trial, "counted_pytest", xml, ran)
    compare_count(check, "pytest's results are counted", trial, passed=1, failed=3)


def compare_count(check, name, trial, passed, failed):
    got = (sum(r.passed for r in trial.results), sum(not r.passed for r in trial.results))
    why = f"counted {got[0]} passed and {got[1]} failed, there are {passed} and {failed}"
    log = trial.results[0].log if trial.results else None
    check.add(name, got == (passed, failed), sum(r.seconds for r in trial.results), why, log)


def hang(check):
    """A program that does not end, with a child that hides in another session: both must be gone, and it must fail."""
    marker = "86399.25"
    ran = run(["bash", "-c", f"setsid sleep {marker} & sleep {marker}"], check.out("hang.log"), 1)
    left = subprocess.run(["pgrep", "-f", f"^sleep {marker}$"], capture_output=True, check=False).stdout.split()
    check.add("a hang is ended with all its children", ran.status is None and not left, ran.seconds,
              f"{ran.why()}, {len(left)} processes left", ran.log)


# --- Models ----------------------------------------------------------------------------------------------------------

MODEL_SECONDS = 300
MODEL_MIB = 2048


def defines_of(text):
    """`-DA -DB=2 what it is` -> ['-DA', '-DB=2']: the words in front that are defines."""
    found = []
    for word in text.split():
        if not word.startswith("-D"):
            break
        found.append(word)
    if not found:
        raise ValueError(f"no -D in `{text}`")
    return found


def model_cases(name):
    """What has to be shown of one model: (label, defines, formula or None, must pass)."""
    keys = header_keys(ROOT / name, "//", 60)
    good = keys.get("expect", ["fail" if "_broken_" in name else "pass"])[0] == "pass"
    cases = [(name, [], None, good)]
    cases += [(f"{name} {v}", defines_of(v), None, good) for v in keys.get("variant", [])]
    cases += [(f"{name} ltl {formula}", [], formula, good) for formula in keys.get("ltl", [])]
    cases += [(f"{name} {m}", defines_of(m), None, False) for m in keys.get("mutant", [])]
    flags = " ".join(keys.get("cc", ["-DSAFETY -DCOLLAPSE"])).split()
    arguments = " ".join(keys.get("pan", ["-m100000"])).split()
    return [(case, flags, arguments) for case in cases], good and not keys.get("mutant")


def model(check, work):
    (label, defines, formula, good), flags, arguments = work
    name = label.split(" ")[0]
    folder = check.out(label)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if formula:
        flags = [flag for flag in flags if flag != "-DSAFETY"]
        arguments = arguments + ["-a", "-N", formula]
    steps = [
        ["spin", *defines, "-a", ROOT / name],
        ["gcc", "-O2", "-w", *flags, f"-DMEMLIM={MODEL_MIB}", "-o", "pan", "pan.c"],
        ["./pan", *arguments],
    ]
    seconds = 0.0
    for number, step in enumerate(steps):
        ran = run(step, folder / f"{number}.log", MODEL_SECONDS * (4 if check.soak else 1), cwd=folder)
        seconds += ran.seconds
        if ran.status != 0 and number < 2:
            check.add(label, False, seconds, f"{step[0]}: {ran.why()}", ran.log)
            return
    wrong = model_verdict(ran, good)
    check.add(label, not wrong, seconds, wrong, ran.log)


def model_verdict(ran, good):
    """Why pan's output is not what was to be shown, or ''."""
    errors = re.search(r"errors: (\d+)", ran.output)
    if ran.status is None or errors is None:
        return f"no verdict: {ran.why()}"
    if int(errors[1]) > 0:
        kinds = re.search(r"assertion violated|invalid end state|acceptance cycle|non-progress cycle", ran.output)
        if not good:
            return "" if kinds else "pan reports errors, but no violation"
        return f"violated: {kinds[0] if kinds else 'see the log'}"
    incomplete = re.search(r"max search depth too small|Search not completed|out of memory|reached -DMEMLIM|hash tables? full",
                           ran.output)
    if incomplete:
        return f"the search is not complete: {incomplete[0]}"
    return "" if good else "no error found: the broken variant is not noticed"


def models(check):
    work = []
    for name in sources(".pml", under="tests/models/"):
        cases, no_mutant = model_cases(name)
        work += cases
        others = any(n.startswith(name[:-4] + "_broken_") for n in sources(".pml", under="tests/models/"))
        if no_mutant and not others:
            check.add(f"{name} has a mutant", False, why="nothing shows that this model can fail")
    parallel(work, lambda item: model(check, item))


# --- Mutants ---------------------------------------------------------------------------------------------------------

MUTANT_BUILDS = {"release": "release", "tsan": "tsan", "asan": "asan"}


def dependants(folder, patched):
    """The objects of a build whose source is, or includes, one of the patched files, from ninja's own record."""
    text = subprocess.run(["ninja", "-C", str(folder), "-t", "deps"], capture_output=True, text=True, check=True).stdout
    wanted, current = set(), None
    absolute = {str(ROOT / name) for name in patched}
    for line in text.splitlines():
        if line and not line[0].isspace():
            current = line.split(":")[0]
        elif line.strip() and str((folder / line.strip()).resolve()) in absolute:
            wanted.add(current)
    return wanted


def mutant_build(check, name, keys, copy):
    """Patches a copy of the tree and links the changed objects in front of the library; returns the program or a reason."""
    build = MUTANT_BUILDS[keys.get("build", ["release"])[0]]
    folder = BUILD / build
    stem = "tests/" + keys["run"][0]
    for entry in ("ring", "codecs", "core", "include", "tests/unit", "tests/stress"):
        if (ROOT / entry).exists():
            shutil.copytree(ROOT / entry, copy / entry)
    ran = run(["patch", "-p1", "--forward", "--fuzz=0", "--no-backup-if-mismatch", "-i", ROOT / name],
              check.out(f"{name}.patch.log"), 30, cwd=copy)
    if ran.status != 0:
        return None, f"the patch does not apply: {ran.output.strip().splitlines()[-1:]}"
    patched = re.findall(r"^\+\+\+ (?:b/)?(\S+)", (ROOT / name).read_text(), re.M)
    wanted = dependants(folder, patched)
    commands = json.loads((folder / "compile_commands.json").read_text())
    objects, log = [], check.out(f"{name}.build.log")
    for entry in commands:
        source = str(pathlib.Path(entry["file"]).relative_to(ROOT)) if entry["file"].startswith(f"{ROOT}/") else ""
        words = shlex.split(entry["command"])
        output = words[words.index("-o") + 1]
        # Only the library's objects and the program itself: not those of the other tests, nor the client library's copies.
        own = output.startswith("CMakeFiles/roundhouse_core.dir/") or source == stem + ".c"
        if not own or not (output in wanted or source in patched or source == stem + ".c"):
            continue
        words[words.index("-o") + 1] = str(copy / f"{len(objects)}.o")
        words = [w.replace(f"{ROOT}/", f"{copy}/") if not w.startswith((f"{BUILD}/", f"-I{BUILD}")) else w for w in words]
        words = [f"-I{copy}" if w == f"-I{ROOT}" else w for w in words]
        ran = run(words, log, 120, cwd=folder)
        if ran.status != 0:
            return None, f"{source} does not compile"
        objects.append(copy / f"{len(objects)}.o")
    if not objects or stem + ".c" not in [str(pathlib.Path(e["file"]).relative_to(ROOT)) for e in commands
                                          if e["file"].startswith(f"{ROOT}/")]:
        return None, f"the build {build} has no {stem}"
    return mutant_link(folder, stem, objects, copy / "program", log)


def mutant_link(folder, stem, objects, program, log):
    """The link command that ninja would use, with our objects instead of the program's own."""
    text = subprocess.run(["ninja", "-C", str(folder), "-t", "commands", stem], capture_output=True, text=True, check=True).stdout
    link = [line for line in text.splitlines() if re.search(rf"-o {re.escape(stem)}(\s|$)", line)]
    if not link:
        return None, "no link command found"
    words = shlex.split(link[-1].removeprefix(": && ").split(" && ")[0])
    words[words.index("-o") + 1] = str(program)
    first = next(i for i, w in enumerate(words) if w.endswith(".o"))
    words = [w for w in words if not w.endswith(".o")]
    words[first:first] = [str(o) for o in objects]
    ran = run(words, log, 120, cwd=folder)
    return (program, "") if ran.status == 0 else (None, "does not link")


def mutant(check, name):
    keys = header_keys(ROOT / name, "#", 40)
    for key in ("mutant", "run"):
        if key not in keys:
            check.add(name, False, why=f"no `# {key}:` line")
            return
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        program, why = mutant_build(check, name, keys, pathlib.Path(folder))
        if program is None:
            check.add(name, False, why=why, log=check.out(f"{name}.build.log"))
            return
        mutant_runs(check, name, keys, program)


def mutant_runs(check, name, keys, program):
    """Runs a mutant until it fails as it has to, at most `runs` times."""
    seconds, timeout = 0.0, int(keys.get("timeout", ["60"])[0])
    arguments = keys.get("args", [""])[0].split()
    if keys["run"][0].startswith("unit/"):
        arguments = ["-j1", *arguments]
    pattern = keys.get("expect", [""])[0]
    why = "every run passed: the broken variant is not noticed"
    for number in range(int(keys.get("runs", ["3"])[0])):
        ran = run([program, *arguments], check.out(f"{name}.{number}.log"), timeout)
        seconds += ran.seconds
        if ran.status == 0 and not SANITIZER_REPORT.search(ran.output):
            continue
        if ran.status is None and keys.get("hang", [""])[0] != "counts":
            why = f"no end after {timeout} s, and no `# hang: counts`"
            break
        if ran.status is not None and not re.search(pattern, ran.output):
            why = f"it failed ({ran.why()}), but its output does not match {pattern!r}"
            break
        check.add(name, True, seconds)
        return
    check.add(name, False, seconds, why, ran.log)


def mutants(check):
    """One at a time: the stress of a lock-free ring wants the cores for itself."""
    for name in sources(".patch", under="tests/mutants/"):
        mutant(check, name)


# --- Fuzzing ---------------------------------------------------------------------------------------------------------

FUZZ_SECONDS = 120
FUZZ_DEFAULTS = {"runs": 20000, "max_len": 4096, "timeout": 5}


def fuzz_options(path):
    options = dict(FUZZ_DEFAULTS)
    for value in header_keys(path, "//", 40).get("check", []) + header_keys(path, "", 40).get("check", []):
        for word in value.split():
            key, _, number = word.partition("=")
            if key not in options:
                raise ValueError(f"{path}: unknown `check:` word {word!r}")
            options[key] = int(number)
    return options


def fuzz_coverage(check, name, program, seeds):
    """The functions in the target's list must be reached by the seeds alone."""
    list_file = ROOT / f"tests/fuzz/coverage/{name}.txt"
    label = f"{name}: the seeds reach what the list names"
    if not list_file.exists():
        check.add(label, False, why=f"there is no tests/fuzz/coverage/{name}.txt")
        return
    wanted = {line.split("#")[0].strip() for line in list_file.read_text().splitlines()} - {""}
    ran = run([program, "-runs=0", "-print_coverage=1", seeds], check.out(f"{name}.coverage.log"), FUZZ_SECONDS)
    reached = set(re.findall(r"^COVERED_FUNC:.*?(?: in )?\b([A-Za-z_]\w*) [^ ]*:\d+", ran.output, re.M))
    missing = sorted(wanted - reached)
    why = ran.why() if ran.status != 0 else f"not reached: {' '.join(missing)}" if wanted else "the list is empty"
    check.add(label, ran.status == 0 and wanted and not missing, ran.seconds, why, ran.log)


def fuzz_target(check, source):
    name = pathlib.Path(source).name.removesuffix("_fuzz.c")
    program = BUILD / "fuzz" / source[:-2]
    options = fuzz_options(ROOT / source)
    with open(ROOT / source, encoding="utf-8") as file:
        first = file.readline()
    check.add(f"{name}: the first line names the function", re.match(r"(//|/\*).*[a-z]\w*_\w+", first), why=first.strip())
    seeds = ROOT / "tests/fuzz/corpus" / name
    if not seeds.is_dir() or not any(seeds.iterdir()):
        check.add(f"{name}: has seeds", False, why=f"tests/fuzz/corpus/{name} is empty or missing")
        return
    fuzz_coverage(check, name, program, seeds)
    grown, found = check.out(f"{name}.corpus"), check.out(f"{name}.found")
    for folder in (grown, found):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    limit = FUZZ_SECONDS * (10 if check.soak else 1)
    runs = options["runs"] * (50 if check.soak else 1)
    command = [program, f"-runs={runs}", f"-max_len={options['max_len']}", f"-timeout={options['timeout']}", "-seed=4470",
               "-rss_limit_mb=2048", f"-max_total_time={limit * 3 // 4}", "-print_final_stats=1", f"-artifact_prefix={found}/"]
    dictionary = ROOT / f"tests/fuzz/dict/{name}.dict"
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    ran = run(command + [grown, seeds], check.out(f"{name}.log"), limit)
    executed = re.search(r"stat::number_of_executed_units: +(\d+)", ran.output)
    if ran.status == 0 and not (executed and int(executed[1]) > 0):
        check.add(f"{name}: {runs} runs", False, ran.seconds, "no run was made", ran.log)
        return
    check.add_run(f"{name}: {executed[1] if executed else 'no'} runs", ran)
    shutil.rmtree(grown, ignore_errors=True)


def fuzz(check):
    targets = [n for n in sources("_fuzz.c", under="tests/fuzz/") if n.count("/") == 2]
    parallel(targets, lambda source: fuzz_target(check, source), workers=CORES)
