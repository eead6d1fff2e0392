"""./check --bare: the blocks of README.md, run by script in a fresh minimal Debian 12 that has nothing but what debootstrap brings; then
the package that they have made is installed, upgraded, removed and purged there, and read by lintian.

The packages come from where this machine's apt gets them: sources, keyrings and proxy are read from its configuration at run
time and copied into the new system. What runs inside sees the host's network, but has its own mounts and processes, so that
nothing of it survives the check. The last commit is tested, not the work tree.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import harness
import package
from harness import ROOT, run

SUITE = "bookworm"
DEBOOTSTRAP_SECONDS = 1200
BLOCK_SECONDS = 1800
STOP_SECONDS = 30
INSIDE = "/srv/roundhouse"

# Runs $2 with bash inside the root $1. The mounts and the processes are in namespaces of their own and end with it.
ENTER = r"""
mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && mount --rbind /sys "$1/sys" || exit 125
exec chroot "$1" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    bash -c 'cd "$1" && exec bash -eu "$2"' - "$2" "$3"
"""


def blocks_of_readme():
    """[(first line's number, marker's further words, text)] of the ```sh blocks that are marked `bare`."""
    found, current = [], None
    for number, line in enumerate((ROOT / "README.md").read_text().splitlines(), 1):
        opening = re.match(r"^```sh bare\b ?(.*)$", line)
        if current is None and opening:
            current = (number, opening[1].strip(), [])
        elif current is not None and line.startswith("```"):
            found.append((current[0], current[1], "\n".join(current[2]) + "\n"))
            current = None
        elif current is not None:
            current[2].append(line)
    if current is not None:
        raise ValueError(f"README.md:{current[0]}: the block does not end")
    return found


def starts_router(text):
    """True for a block whose last command is ./run as a server."""
    last = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")][-1:]
    words = last[0].split() if last else []
    return bool(words) and words[0] == "./run" and not {"--demo", "--help", "--build"} & set(words)


def mirror():
    """The address from which this machine's apt gets the suite."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)", "Created-By: Packages"],
                            capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        release, _, site = line.partition(" ")
        if release == SUITE:
            return site
    raise RuntimeError(f"this machine's apt knows no source for {SUITE}")


def apt_files():
    """What of /etc/apt the new system needs: sources, keys, and the settings about how to fetch."""
    etc = pathlib.Path("/etc/apt")
    found = [p for p in (etc / "sources.list", etc / "trusted.gpg") if p.is_file()]
    for folder in ("sources.list.d", "trusted.gpg.d", "keyrings", "auth.conf.d"):
        found += [p for p in sorted((etc / folder).glob("*")) if p.is_file()]
    for path in [etc / "apt.conf"] + sorted((etc / "apt.conf.d").glob("*")):
        if path.is_file() and re.search(r"^\s*Acquire::", path.read_text(errors="replace"), re.M):
            found.append(path)
    found += [p for p in sorted(pathlib.Path("/usr/share/keyrings").glob("*")) if p.is_file()]
    return found + [p for p in (pathlib.Path("/etc/resolv.conf"), pathlib.Path("/etc/hosts")) if p.is_file()]


def make_system(check, root):
    ran = run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "debootstrap", "--variant=minbase",
               SUITE, root, mirror()], check.out("debootstrap.log"), DEBOOTSTRAP_SECONDS)
    check.add("debootstrap", ran.status == 0, ran.seconds, ran.why(), ran.log)
    if ran.status != 0:
        return False
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for path in apt_files():
        target = root / str(path)[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copy(path, target, follow_symlinks=True)
    ran = run(["git", "-c", f"safe.directory={ROOT}/.git", "-c", f"safe.directory={ROOT}", "clone", "-q", "--no-hardlinks",
               ROOT, root / INSIDE[1:]], check.out("clone.log"), 300)
    check.add("clone", ran.status == 0, ran.seconds, ran.why(), ran.log)
    return ran.status == 0


class Block:
    """One block of the README in the new system: its script, its standard output and error, its end."""

    def __init__(self, check, root, number, text):
        self.name = f"README.md:{number}"
        self.out, self.err = check.out(f"{number}.out"), check.out(f"{number}.err")
        script = root / f"block{number}.sh"
        script.write_text(text)
        self.command = ["bash", "-c", 'exec >"$0"; exec unshare --mount --pid --fork --kill-child bash -c "$@"', self.out,
                        ENTER, "enter", root, INSIDE, f"/block{number}.sh"]
        self.root, self.ran = root, None

    def run(self):
        self.ran = run(self.command, self.err, BLOCK_SECONDS)

    def start(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def output(self):
        return self.out.read_text(errors="replace") if self.out.exists() else ""

    def wait_ready(self):
        """The first line of standard output, or '' when the block ended before it."""
        while self.thread.is_alive() and "\n" not in self.output():
            time.sleep(0.2)
        return self.output().split("\n")[0]

    def terminate(self):
        """SIGTERM to the router that runs inside the new system; the number of routers found."""
        found = 0
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                executable = os.readlink(entry / "exe")
                if executable.endswith(f"{INSIDE}/build/release/roundhouse") and os.readlink(entry / "root") == str(self.root):
                    os.kill(int(entry.name), signal.SIGTERM)
                    found += 1
            except OSError:
                continue
        return found


def stop_router(check, block):
    found = block.terminate()
    block.thread.join(STOP_SECONDS)
    if block.thread.is_alive():
        check.add(f"{block.name}: ends after SIGTERM", False, why=f"{found} routers got SIGTERM, none ended", log=block.err)
        for pid in [p for p, parent in harness._parents().items() if parent == os.getpid()]:
            harness.kill_tree(pid)
        block.thread.join()
        return
    check.add(f"{block.name}: ends after SIGTERM with status 0", block.ran.status == 0, 0, block.ran.why(), block.err)


def run_blocks(check, root, blocks):
    router = None
    for number, words, text in blocks:
        block = Block(check, root, number, text)
        if words == "stop" and router:
            stop_router(check, router)
            router = None
        if starts_router(text) and router is None:
            start = time.monotonic()
            block.start()
            line = block.wait_ready()
            check.add(f"{block.name}: ./run says that it is ready", line.startswith("ready "), time.monotonic() - start,
                      f"the first line of its standard output is {line!r}", block.err)
            router = block
            continue
        block.run()
        check.add(f"{block.name}: {text.strip().splitlines()[0][:60]}", block.ran.status == 0, block.ran.seconds,
                  block.ran.why(), block.err)
    if router:
        stop_router(check, router)


def run_package(check, root):
    """The package that a block of the README has made lives its life, and lintian reads it."""
    made = sorted((root / INSIDE[1:] / "build/package").glob("*.deb"))
    if len(made) != 1:
        check.add("the blocks of README.md make a package", False, why=f"{len(made)} packages")
        return
    newer = package.newer(made[0], check.out("package"))
    shutil.copy(newer, root / INSIDE[1:] / "build/newer.deb")
    place = f"{INSIDE}/build"
    life = Block(check, root, "life", f"bash tests/check/package_life.sh {place}/package/{made[0].name} {place}/newer.deb >&2\n")
    life.run()
    package.life_results(check, life.ran)
    lint = Block(check, root, "lintian", "apt-get -q -y install --no-install-recommends lintian >&2\n"
                                         f"lintian --allow-root --fail-on error {place}/package/{made[0].name} >&2\n")
    lint.run()
    check.add("lintian finds no error", lint.ran.status == 0, lint.ran.seconds, lint.ran.why(), lint.err)


def bare(check):
    if os.geteuid() != 0:
        check.add("bare", False, why="debootstrap and chroot need root")
        return
    blocks = blocks_of_readme()
    if not any(starts_router(text) for _, _, text in blocks):
        check.add("README.md", False, why="has no block marked ```sh bare that starts the router with ./run")
        return
    root = pathlib.Path(tempfile.mkdtemp(prefix="roundhouse-bare-"))
    root.chmod(0o755)  # others than root live there, too
    try:
        if make_system(check, root):
            run_blocks(check, root, blocks)
            run_package(check, root)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=False)
