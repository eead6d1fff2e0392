"""Stages that run the tests as such: Criterion programs, stress programs, end-to-end tests with pytest."""
import os
import re
import shutil

from harness import BUILD, CORES, OUT, ROOT, SANITIZER_REPORT, parallel, read_criterion, read_junit, run, sources

UNIT_SECONDS = 180
STRESS_SECONDS = 120
SIMULATION_SECONDS = 3600
SOAK_FACTOR = 10
E2E_TEST_SECONDS = 120
E2E_FILE_SECONDS = 900


# --- Unit tests ------------------------------------------------------------------------------------------------------


def criterion(check, program, stem, folder):
    """Runs one Criterion program; adds a result for each of its tests, and one for what the tests do not tell."""
    xml = check.out(f"{stem}.xml")
    ran = run([program, "-j1", "--verbose", f"--xml={xml}"], check.out(f"{stem}.log"), UNIT_SECONDS, cwd=folder)
    try:
        cases = read_criterion(xml)
    except (OSError, SyntaxError) as error:
        check.add(stem, False, ran.seconds, f"{ran.why()}, no result file ({type(error).__name__})", ran.log)
        return
    for name, passed, seconds, why in cases:
        check.add(f"{stem}: {name}", passed, seconds, why, ran.log)
    all_passed = all(passed for _, passed, _, _ in cases)
    if not cases:
        check.add(stem, False, ran.seconds, "a program without tests", ran.log)
    elif all_passed and ran.status != 0:
        check.add(stem, False, ran.seconds, f"every test passed but the program did not: {ran.why()}", ran.log)
    elif all_passed and SANITIZER_REPORT.search(ran.output):
        check.add(stem, False, ran.seconds, "every test passed with a sanitizer's report", ran.log)
    elif all_passed and re.search(r"\] \S+: Assertion Failed", ran.output):
        # Criterion 2.4.1 prints what fails in a test's .fini, and does not count it.
        check.add(stem, False, ran.seconds, "every test passed, but an assertion failed after one", ran.log)


def unit(check, build):
    stems = [name[:-2] for name in sources("_test.c", under="tests/unit/")]

    def one(stem):
        criterion(check, BUILD / build / stem, stem, BUILD / build)

    parallel(stems, one)


def unit_release(check):
    unit(check, "release")


def unit_asan(check):
    unit(check, "asan")


# --- The simulation, over many seeds ---------------------------------------------------------------------------------


def simulation(check, build, seeds):
    """The sweep of the unit tests over many more seeds; a failure names its seed, and RH_SIM_SEED replays it."""
    stem = "tests/unit/core/shard/sim_sweep_test"
    ran = run([BUILD / build / stem, "-j1"], check.out(f"{stem}.{build}.log"), SIMULATION_SECONDS,
              env={"RH_SIM_SEEDS": str(seeds)}, cwd=BUILD / build)
    check.add_run(f"{build}, {seeds} seeds", ran)


def kills(check, build, times):
    """A directory's reader is killed at random moments, more often than in the unit tests."""
    stem = "tests/unit/core/transport/directory_crash_test"
    ran = run([BUILD / build / stem, "-j1"], check.out(f"{stem}.{build}.log"), SIMULATION_SECONDS,
              env={"RH_KILLS": str(times)}, cwd=BUILD / build)
    check.add_run(f"{build}, {times} kills", ran)


def simulation_soak(check):
    kills(check, "release", 100)
    simulation(check, "release", 40000)
    simulation(check, "asan", 8000)


# --- Stress programs -------------------------------------------------------------------------------------------------


def stress(check, build):
    """One after the other: each has threads enough for the machine."""
    for name in sources(".c", under="tests/stress/"):
        if name.count("/") != 2:
            continue
        options = stress_options(ROOT / name)
        if build not in options["builds"]:
            continue
        stem = name[:-2]
        factor = [str(SOAK_FACTOR)] if check.soak else ["1"] if options["args"] else []
        limit = options["timeout"] * (15 if check.soak else 1)
        ran = run([BUILD / build / stem, *factor, *options["args"]], check.out(f"{stem}.log"), limit)
        check.add_run(stem, ran)


def stress_options(path):
    """What the `// check: key=value ...` lines in front of a stress program ask for."""
    options = {"timeout": STRESS_SECONDS, "builds": ["release", "tsan"], "args": []}
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for _, line in zip(range(40), file)]
    for line in lines:
        if not line.lstrip("*/ ").startswith("check:"):
            continue
        text = line.split("check:", 1)[1].strip().removesuffix("*/").strip()
        if text.startswith("args="):
            options["args"] = text[5:].split()
            continue
        for word in text.split():
            key, _, value = word.partition("=")
            if key == "timeout":
                options["timeout"] = int(value)
            elif key == "builds":
                options["builds"] = value.split(",")
            else:
                raise ValueError(f"{path}: unknown `check:` word {word!r}")
    return options


def stress_release(check):
    stress(check, "release")


def stress_tsan(check):
    stress(check, "tsan")


# --- End-to-end tests ------------------------------------------------------------------------------------------------


def pytest_file(check, name, build, extra):
    """One pytest process for one file, so that what goes wrong in it stays in it."""
    label = f"{build}/{name.removesuffix('.py')}"
    xml, basetemp = check.out(f"{label}.xml"), check.out(f"{label}.tmp")
    shutil.rmtree(basetemp, ignore_errors=True)
    environment = {
        "RH_BINARY": str(BUILD / build / "roundhouse"), "RH_BUILD": str(BUILD / build),
        "RH_SANITIZE": "address" if build == "asan" else "none", "PYTHONDONTWRITEBYTECODE": "1",
    }
    reports = check.out(f"{label}.sanitizer")
    if build == "asan":
        # Whatever a router says to its sanitizers is seen, also when the test has thrown its standard error away.
        shutil.rmtree(reports, ignore_errors=True)
        reports.mkdir(parents=True)
        environment["ASAN_OPTIONS"] = f"detect_leaks=1:detect_stack_use_after_return=1:log_path={reports}/asan"
        environment["UBSAN_OPTIONS"] = f"print_stacktrace=1:halt_on_error=1:log_path={reports}/ubsan"
    if check.soak:
        environment["RH_SOAK"] = str(SOAK_FACTOR)
    seconds = E2E_TEST_SECONDS * (SOAK_FACTOR if check.soak else 1)
    ran = run(["/usr/bin/python3", "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "-o", "junit_family=xunit1",
               f"--timeout={seconds}", f"--junitxml={xml}", f"--basetemp={basetemp}", *extra, ROOT / name],
              check.out(f"{label}.log"), E2E_FILE_SECONDS * (SOAK_FACTOR if check.soak else 1), env=environment)
    junit_results(check, label, xml, ran)
    for report in sorted(reports.glob("*")) if reports.exists() else []:
        check.add(f"{label} {report.name}", False, why="a sanitizer's report of a router", log=report)
    shutil.rmtree(basetemp, ignore_errors=True)


def junit_results(check, label, xml, ran):
    try:
        cases, skipped = read_junit(xml)
    except (OSError, SyntaxError) as error:
        # Status 5: every test of the file was left out by its marker, which the caller of this stage asked for.
        if ran.status != 5:
            check.add(label, False, ran.seconds, f"{ran.why()}, no result file ({type(error).__name__})", ran.log)
        return
    check.skipped.extend(f"{label}: {line}" for line in skipped)
    for name, passed, seconds, why in cases:
        check.add(f"{label}::{name.split('::')[-1]}", passed, seconds, why, ran.log)
    if ran.status not in (0, 5) and all(passed for _, passed, _, _ in cases):
        check.add(label, False, ran.seconds, f"every test passed but pytest did not: {ran.why()}", ran.log)


def pytest_stage(check, wanted):
    """wanted: (build, arguments) pairs. The files run side by side: they wait more than they compute."""
    OUT.mkdir(parents=True, exist_ok=True)
    for build in {build for build, _ in wanted}:
        if not os.access(BUILD / build / "roundhouse", os.X_OK):
            check.add(f"{build}/roundhouse", False, why="is not built, so no end-to-end test can run")
            return
    files = [n for n in sources("_test.py", under="tests/e2e/") if n.count("/") == 2]
    work = [(name, build, extra) for build, extra in wanted for name in files]
    parallel(work, lambda item: pytest_file(check, *item), workers=min(CORES, 4))


def e2e_quick(check):
    pytest_stage(check, [("release", ["-m", "not slow"])])


def e2e(check):
    pytest_stage(check, [("release", []), ("asan", ["-m", "not slow"])])
