"""./check: builds and runs everything that checks the project. README.md beside this file says what belongs where."""
import argparse
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bare  # noqa: E402
import docs_promises  # noqa: E402
import harness  # noqa: E402
import package  # noqa: E402
import stages_proof as proof  # noqa: E402
import stages_run as tests  # noqa: E402
import stages_static as static  # noqa: E402

# In the order in which they run: name, function, in which modes. What is cheap and fails often comes first.
STAGES = [
    ("tools", static.tools, "quick full soak"),
    ("format", static.formatting, "quick full"),
    ("layers", static.layers, "quick full"),
    ("shell", static.shell, "quick full"),
    ("docs", static.docs, "quick full"),
    ("build-release", static.build_release, "quick full soak"),
    ("unit-release", tests.unit_release, "quick full"),
    ("e2e-quick", tests.e2e_quick, "quick"),
    ("build-asan", static.build_asan, "full soak"),
    ("build-tsan", static.build_tsan, "full soak"),
    ("build-fuzz", static.build_fuzz, "full soak"),
    ("canaries", proof.canaries, "full soak"),
    ("unit-asan", tests.unit_asan, "full soak"),
    ("simulation", tests.simulation_soak, "soak"),
    ("tidy", static.tidy, "full"),
    ("cppcheck", static.cppcheck, "full"),
    ("models", proof.models, "full soak"),
    ("stress-release", tests.stress_release, "full soak"),
    ("stress-tsan", tests.stress_tsan, "full soak"),
    ("mutants", proof.mutants, "full soak"),
    ("fuzz", proof.fuzz, "full soak"),
    ("e2e", tests.e2e, "full soak"),
    ("package", package.stage, "full"),
    ("promises", docs_promises.stage, "full"),
]


def arguments():
    parser = argparse.ArgumentParser(prog="./check", description="Builds and runs everything that checks the project.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="the developer's loop: format, layers, release, unit, fast e2e")
    mode.add_argument("--soak", action="store_true", help="the long runs: stress, fuzz and end-to-end tests, much more of each")
    mode.add_argument("--bare", action="store_true", help="README.md's blocks inside a fresh minimal Debian 12 (needs root)")
    parser.add_argument("--only", metavar="STAGE[,STAGE]", help="only these stages of the mode; the builds must be there")
    parser.add_argument("--list", action="store_true", help="name the stages of the mode and end")
    return parser.parse_args()


def chosen_stages(options):
    if options.bare:
        return [("bare", bare.bare)]
    mode = "quick" if options.quick else "soak" if options.soak else "full"
    stages = [(name, function) for name, function, modes in STAGES if mode in modes.split()]
    if options.only:
        wanted = options.only.split(",")
        unknown = set(wanted) - {name for name, _ in stages}
        if unknown:
            sys.exit(f"check: no such stage here: {', '.join(sorted(unknown))}")
        stages = [stage for stage in stages if stage[0] in wanted]
    return stages


def main():
    options = arguments()
    stages = chosen_stages(options)
    if options.list:
        print("\n".join(name for name, _ in stages))
        return 0
    harness.adopt_orphans()
    os.chdir(harness.ROOT)
    for name, _ in stages:
        shutil.rmtree(harness.OUT / harness.flat(name), ignore_errors=True)
    check = harness.Check(soak=options.soak, quick=options.quick)
    try:
        for name, function in stages:
            passed = check.run_stage(name, function)
            if not passed and name == "tools":
                check.show("           without its tools no other stage can be right: they are left out")
                break
    except KeyboardInterrupt:
        check.stage = "check"
        check.add("interrupted", False, why="ended from the keyboard")
        harness.reap_orphans()
    return check.finish()


if __name__ == "__main__":
    sys.exit(main())
