"""The Debian package: made by cpack of the optimised build, looked at from outside, used as somebody who has installed it would use
it, and installed, upgraded, removed and purged (package_life.sh) in a copy of this system that is gone afterwards.
"""
import contextlib
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import seccomp
from docs import LINK
from harness import BUILD, CORES, ROOT, run

PACK_SECONDS = 600
LIFE_SECONDS = 300
EXPOSURE_MAX = 2.0  # of `systemd-analyze security`: 0 is best, 10 worst

# A system that sees this one, and whose changes are in memory. Runs $2.. inside.
OVERLAY = r"""
mount -t tmpfs tmpfs "$1" && mkdir "$1/up" "$1/work" "$1/root" || exit 125
mount -t overlay overlay -o lowerdir=/,upperdir="$1/up",workdir="$1/work" "$1/root" || exit 125
mount --rbind /dev "$1/root/dev" && mount -t proc proc "$1/root/proc" && mount --rbind /sys "$1/root/sys" || exit 125
mount -t tmpfs tmpfs "$1/root/run" && mount -t tmpfs tmpfs "$1/root/tmp" || exit 125
mkdir "$1/root/tmp/package" && cp "$2" "$3" "$4" "$1/root/tmp/package" || exit 125
exec chroot "$1/root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    bash "/tmp/package/${4##*/}" "/tmp/package/${2##*/}" "/tmp/package/${3##*/}"
"""


def build_package(check, folder, config=BUILD / "release" / "CPackConfig.cmake"):
    """The path of the package; None when there is none. Mostly all is built already."""
    built = run(["cmake", "--build", config.parent, "-j", str(CORES)], check.out("build.log"), PACK_SECONDS)
    if built.status != 0:
        check.add("what the package has is built", False, built.seconds, built.why(), built.log)
        return None
    ran = run(["cpack", "--config", config, "-B", folder], check.out("cpack.log"), PACK_SECONDS)
    found = sorted(folder.glob("*.deb"))
    good = ran.status == 0 and len(found) == 1
    check.add("cpack makes a package", good, ran.seconds, f"{ran.why()}, {len(found)} packages", ran.log)
    return found[0] if good else None


def newer(deb, folder):
    """The same package with a higher version and a default config that has changed."""
    tree, made = folder / "newer", folder / "newer.deb"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", lambda line: line[0] + "+1", control.read_text(), flags=re.M))
    with open(tree / "etc/roundhouse/roundhouse.yaml", "a", encoding="utf-8") as file:
        file.write("\n# a new key of the new version\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, made], check=True, stdout=subprocess.DEVNULL)
    return made


# --- What is in it ---------------------------------------------------------------------------------------------------

WANTED = """usr/bin/roundhouse usr/lib/libroundhouse.a usr/lib/libroundhouse.so usr/lib/libroundhouse.so.0 usr/lib/pkgconfig/roundhouse.pc
usr/include/roundhouse/client.h usr/include/roundhouse/v1/wire.proto usr/include/roundhouse/erp/v1/erp.proto
usr/include/io/cloudevents/v1/cloudevents.proto usr/share/man/man1/roundhouse.1.gz usr/share/man/man5/roundhouse.yaml.5.gz
etc/roundhouse/roundhouse.yaml lib/systemd/system/roundhouse.service usr/share/doc/roundhouse/copyright
usr/share/doc/roundhouse/changelog.gz usr/share/doc/roundhouse/docs/OPERATIONS.md
usr/share/doc/roundhouse/examples/container/seccomp.json""".split()


def contents(check, deb, tree):
    missing = [name for name in WANTED if not os.path.lexists(tree / name)]
    check.add("everything is in it", not missing, why=f"not there: {missing}")
    told = subprocess.run(["dpkg-deb", "-c", deb], text=True, capture_output=True, check=True).stdout
    strange = [line for line in told.splitlines() if " root/root " not in line or not re.match(r"[dl-]r[w-][x-]r-[x-]r-[x-]|l", line)]
    check.add("its files are root's, and nobody else may write", not strange, why="; ".join(strange[:3]))
    places = [p.relative_to(tree) for p in tree.rglob("*") if p.is_file() and not p.is_symlink() and str(ROOT).encode() in p.read_bytes()]
    check.add("no file names the folder that it was built in", not places, why=f"{places[:5]}")
    control = subprocess.run(["dpkg-deb", "-f", deb], text=True, capture_output=True, check=True).stdout
    depends = re.search(r"^Depends: (.*)$", control, re.M)[1]
    wanted = ["libc6", "liburing2", "libevent-core", "libjansson", "libmicrohttpd", "adduser"]
    lacks = [name for name in wanted if name not in depends]
    manual = (tree / "usr/share/doc/roundhouse/docs/OPERATIONS.md").read_text()
    untold = [name for name in re.findall(r"\blib[\w.+-]+", depends) if f"{name} " not in manual and f"{name}`" not in manual]
    check.add("the manual names the libraries that it needs", not untold, why=f"{untold}")
    check.add("it says what it needs", not lacks and re.search(r"^Recommends: libcurl\S*, ca-certificates$", control, re.M),
              why=f"lacks {lacks}:\n{control}")


def links(check, tree):
    """A document that is installed leads nowhere but to what is installed with it."""
    found, dead = 0, []
    for path in sorted((tree / "usr/share/doc/roundhouse").rglob("*.md")):
        for target, _ in LINK.findall(path.read_text()):
            if not re.match(r"[a-z]+:", target):
                found += 1
                if not (path.parent / target).exists():
                    dead.append(f"{path.relative_to(tree)}: {target}")
    check.add("every link of a document of the package leads somewhere", found > 100 and not dead, why=f"of {found}: {'; '.join(dead)[:500]}")


def names_of(library, *flags):
    told = subprocess.run(["nm", "--defined-only", *flags, library], text=True, capture_output=True, check=True).stdout
    return {line.split()[2] for line in told.splitlines() if len(line.split()) == 3}


def symbols(check, tree):
    """What the libraries show is what the header declares."""
    header = re.sub(r"/\*.*?\*/", "", (tree / "usr/include/roundhouse/client.h").read_text(), flags=re.S)
    declared = set(re.findall(r"\b(rh_\w+)\(", re.sub(r"\btypedef .*?;", "", header, flags=re.S)))
    for name, flags in (("libroundhouse.so.0", ["-D"]), ("libroundhouse.a", ["-g"])):
        shown = names_of(tree / "usr/lib" / name, *flags)
        check.add(f"{name} shows what client.h declares, and nothing else", declared == shown and len(declared) > 20,
                  why=f"not there: {sorted(declared - shown)}, too much: {sorted(shown - declared)[:10]}")
    told = subprocess.run(["readelf", "-d", tree / "usr/lib/libroundhouse.so"], text=True, capture_output=True, check=True).stdout
    check.add("the library has a soname, and no text relocations", "[libroundhouse.so.0]" in told and "TEXTREL" not in told, why=told)


# --- Used by a program ------------------------------------------------------------------------------------------------

# Names that the library has for itself; a program may have them, too.
OWN_NAMES = """#include <roundhouse/client.h>
int list_init(void); int clock_mono_ns(void); int io__cloudevents__v1__cloud_event__init(void);
int list_init(void) { return 1; }
int clock_mono_ns(void) { return 2; }
int io__cloudevents__v1__cloud_event__init(void) { return 3; }
"""


@contextlib.contextmanager
def router(tree, log):
    """The router of the package on free ports; gives its address."""
    with open(log, "wb") as errors:
        process = subprocess.Popen([tree / "usr/bin/roundhouse", "serve", "--config", tree / "etc/roundhouse/roundhouse.yaml", "--shards",
                                    "1", *(word for name in ("listen", "admin", "ingest") for word in (f"--{name}", "127.0.0.1:0"))],
                                   stdout=subprocess.PIPE, stderr=errors)
        try:
            line = process.stdout.readline().decode()
            yield re.match(r"ready native=(\S+)", line)[1]
        finally:
            process.terminate()
            process.wait(30)


def compiled(check, tree, work, how):
    """The examples and names of one's own, with nothing but what pkg-config says; gives the program `publish`."""
    environment = {"PKG_CONFIG_PATH": str(tree / "usr/lib/pkgconfig")}
    static = ["-static"] if how == "static" else []
    (work / "own.c").write_text(OWN_NAMES)
    for source in sorted((tree / "usr/share/doc/roundhouse/examples/c").glob("*.c")):
        made = work / how / source.stem
        made.parent.mkdir(exist_ok=True)
        ran = run(["sh", "-c", 'exec cc -Wall -Werror "$@" $(pkg-config --cflags --libs ' + ("--static " if static else "") + "roundhouse)",
                   "sh", *static, "-o", made, source, work / "own.c"], check.out(f"{how}-{source.stem}.log"), 120, env=environment)
        errors = re.findall(r"^.*(?:error|undefined|multiple).*$", ran.output, re.M)
        check.add(f"{source.name} compiles by pkg-config, {how}", ran.status == 0, ran.seconds, (errors or [ran.why()])[0][-200:], ran.log)
    return work / how / "publish"


def library(check, tree, work):
    with router(tree, check.out("router.log")) as address:
        for how in ("shared", "static"):
            program = compiled(check, tree, work, how)
            environment = {"LD_LIBRARY_PATH": str(tree / "usr/lib")} if how == "shared" else {}
            ran = run([program, address, "package.test", "hello"], check.out(f"publish-{how}.log"), 60, env=environment)
            check.add(f"the program with the {how} library publishes", ran.status == 0, ran.seconds, ran.why(), ran.log)


# --- Manual pages, config, unit ---------------------------------------------------------------------------------------


def page(tree, name):
    """A manual page as text without line breaks."""
    path = tree / "usr/share/man" / f"man{name[-1]}" / f"{name}.gz"
    made = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-P-cbou", "-rLL=2000n"], input=gzip.decompress(path.read_bytes()),
                          capture_output=True, check=True)
    return " ".join(made.stdout.decode().split()), made.stderr.decode()


def manual_pages(check, tree):
    binary = tree / "usr/bin/roundhouse"
    text, warnings = page(tree, "roundhouse.1")
    check.add("roundhouse(1) is right roff", not warnings, why=warnings[:200])
    listed = subprocess.run([binary, "help"], text=True, capture_output=True, check=True).stdout
    names = [words.split() for words in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", listed, re.M)]
    names = [words for words in names if words[0] not in ("help", "version", "roundhouse")]
    missing, options = [], 0
    for words in names:
        said = subprocess.run([binary, *words, "--help"], text=True, capture_output=True, check=True).stdout
        found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", said))
        options += len(found)
        section = text.split(f"roundhouse {' '.join(words)} roundhouse ", 1)[-1]
        missing += [f"{' '.join(words)} {option}" for option in found if option not in section]
    check.add("roundhouse(1) has every option of every command", not missing and len(names) > 10 and options > 60,
              why=f"{missing[:10]}, {len(names)} commands, {options} options")
    text, warnings = page(tree, "roundhouse.yaml.5")
    check.add("roundhouse.yaml(5) is right roff", not warnings, why=warnings[:200])
    rows = re.findall(r'^    \{"([a-z][\w.\[\]]*)",', (ROOT / "core/config/schema.c").read_text(), re.M)
    missing = [key for key in rows if f" {key} " not in text]
    check.add("roundhouse.yaml(5) has every key", not missing and len(rows) > 30, why=f"{missing}, of {len(rows)}")


def default_config(check, tree, work):
    """With every '#' taken away it is the example, which other tests hold to the program; as it is, it changes nothing."""
    path, binary = tree / "etc/roundhouse/roundhouse.yaml", tree / "usr/bin/roundhouse"
    lines = path.read_text().splitlines()
    check.add("the config of the package says nothing that is not commented out", all(not line or line[0] == "#" for line in lines))
    uncommented = "\n".join(re.sub(r"^#(?! )|^#(?=  \w+:)", "", line) for line in lines)
    example = (ROOT / "examples/config/roundhouse.yaml").read_text()
    keys = [[line for line in text.splitlines() if line and line[0] != "#"] for text in (uncommented, example)]
    check.add("without its '#' it is the example with every key", keys[0] == keys[1] and len(keys[0]) > 30, why=f"{keys[0][:5]}")
    (work / "all.yaml").write_text(uncommented)
    for name, config in (("as it is", path), ("with every key", work / "all.yaml")):
        ran = run([binary, "config", "check", config], check.out(f"config-{name}.log"), 60)
        check.add(f"the config of the package has no mistake, {name}", ran.status == 0, ran.seconds, ran.why(), ran.log)


def unit(check, tree, work):
    path = tree / "lib/systemd/system/roundhouse.service"
    text = path.read_text()
    # What it starts is looked for in this system, so it is verified as one that starts the package's program here.
    here = work / "roundhouse.service"
    here.write_text(text.replace("/usr/bin/roundhouse", str(tree / "usr/bin/roundhouse"))
                    .replace("/etc/roundhouse/", f"{tree}/etc/roundhouse/").replace("Documentation=", "#"))
    ran = run(["systemd-analyze", "verify", "--man=no", here], check.out("verify.log"), 60)
    wrong = [line for line in ran.output.splitlines() if "roundhouse" in line]
    check.add("systemd accepts the unit", not wrong, ran.seconds, "; ".join(wrong)[:300], ran.log)
    ran = run(["systemd-analyze", "security", "--offline=true", "--no-pager", path], check.out("security.log"), 60)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.output)
    check.add(f"what the unit leaves open is at most {EXPOSURE_MAX} of 10", level and float(level[1]) <= EXPOSURE_MAX, ran.seconds,
              level[0] if level else ran.why(), ran.log)
    seccomp.unit_filter(check, tree, text)


# --- The whole life ---------------------------------------------------------------------------------------------------


def life(check, deb, work):
    """As root, in an overlay over this system: what dpkg and the scripts change is gone afterwards."""
    script = ROOT / "tests/check/package_life.sh"
    with tempfile.TemporaryDirectory(prefix="roundhouse-life-") as folder:
        ran = run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", OVERLAY, "overlay", folder, deb, newer(deb, work),
                   script], check.out("life.log"), LIFE_SECONDS)
    life_results(check, ran)


def life_results(check, ran):
    done = re.findall(r"^ok: (.*)$", ran.output, re.M)
    for name in done:
        check.add(name, True)
    failed = re.search(r"^FAILED: (.*)$", ran.output, re.M)
    check.add("the package lives as it should", ran.status == 0 and len(done) > 25, ran.seconds,
              failed[1] if failed else f"{ran.why()} (a root of its own can be mounted only as root)", ran.log)


def stage(check):
    work = check.out("work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    deb = build_package(check, work)
    if deb is None:
        return
    tree = pathlib.Path(work) / "tree"
    subprocess.run(["dpkg-deb", "-x", deb, tree], check=True)
    contents(check, deb, tree)
    links(check, tree)
    symbols(check, tree)
    library(check, tree, work)
    manual_pages(check, tree)
    default_config(check, tree, work)
    unit(check, tree, work)
    seccomp.profile(check, tree)
    life(check, deb, work)
    shutil.rmtree(tree)
    shutil.rmtree(work / "newer")
