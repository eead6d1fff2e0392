"""A small file system of its own for a test, and one that can only be read: mounted in a mount namespace that goes, with all
that is in it, when the process that holds it ends. ext4 on a loop device where there are such; where there are none (or the
user is not root) a tmpfs, and the output of the test says so. Where there is neither the test fails."""

import os
import select
import subprocess

WAIT_SECONDS = 30
EXT4 = "mkfs.ext4 -q -F -m 0 {image} && mount -o loop {image} {place}"  # -m 0: nothing is kept back for root
TMPFS = "mount -t tmpfs -o size={size} none {place}"


class Holder:
    """The process that keeps a mount namespace: `path` leads into it, for everybody of this user."""

    def __init__(self, folder, commands, as_root):
        self.place = folder / "place"
        self.place.mkdir(exist_ok=True)
        script = " && ".join([*commands, "echo mounted", "exec cat"])
        self.process = subprocess.Popen(
            ["unshare", *([] if as_root else ["--map-root-user"]), "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ready = select.select([self.process.stdout], [], [], WAIT_SECONDS)[0]
        self.mounted = bool(ready) and self.process.stdout.readline() == b"mounted\n"
        self.path = f"/proc/{self.process.pid}/root{self.place}"

    def end(self):
        """Ends the process, which unmounts; what it complained of."""
        if not self.mounted and self.process.poll() is None:
            self.process.kill()
        said = self.process.communicate(timeout=WAIT_SECONDS)[1]
        return said.decode(errors="replace").strip()


def hold(folder, *scripts):
    """A Holder by the first of (name, commands) that works here; the others are told on the test's output."""
    as_root = os.geteuid() == 0
    for name, commands in scripts:
        holder = Holder(folder, commands, as_root)
        if holder.mounted:
            print(f"file system: {name}")
            return holder
        print(f"file system: not {name}: {holder.end()}")
    raise AssertionError("no file system can be mounted here, so this can not be tested: see the output above")


def make(folder, size):
    """A file system of `size` bytes."""
    image = folder / "image"
    with open(image, "wb") as file:
        file.truncate(size)
    words = {"image": image, "place": folder / "place", "size": size}
    return hold(folder, ("ext4 on a loop device", [EXT4.format(**words)]), ("tmpfs", [TMPFS.format(**words)]))


def read_only(folder, source):
    """`source`, where nothing can be written, also not by root."""
    place = folder / "place"
    return hold(folder, ("a read-only bind mount", [f"mount --bind {source} {place}", f"mount -o remount,bind,ro {place}"]))


def fill(path, left):
    """Takes all room of the file system but for `left` bytes; returns the file that has it."""
    name, size = os.path.join(path, "filler"), 0
    with open(name, "wb") as file:
        while (free := room(path)) > left:
            more = max(4096, (free - left) // 2)
            os.posix_fallocate(file.fileno(), size, more)
            size += more
    return name


def room(path):
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
