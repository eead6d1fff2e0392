"""A network namespace of the suite's own: only loopback, with a congestion control that does not pace it."""

import os
import pathlib
import shutil
import subprocess
import sys

CONTROL = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
WANTED = ("reno", "cubic")
INSIDE = "ROUNDHOUSE_BENCH_NAMESPACE"

# The kernel's own defaults: a distribution may have changed them, and a result is to be compared with others.
BUFFERS = {"tcp_rmem": "4096 131072 6291456", "tcp_wmem": "4096 16384 4194304"}


def _command():
    """How to become the first process of a new network namespace; None when it is not allowed."""
    unshare = shutil.which("unshare")
    tries = [["--net"]] if os.geteuid() == 0 else [["--user", "--map-root-user", "--net"]]
    for arguments in tries:
        if unshare and subprocess.run([unshare, *arguments, "true"], capture_output=True, check=False).returncode == 0:
            return [unshare, *arguments]
    return None


def enter():
    """Starts this program again inside a namespace, once. Returns only inside of it, or when there can be none."""
    if os.environ.get(INSIDE):
        return
    command = _command()
    if command is None:
        print("bench: no network namespace can be had here (it needs root): measuring in the network as it is", file=sys.stderr)
        return
    os.environ[INSIDE] = "1"
    os.execv(command[0], [*command, sys.executable, *sys.argv])


def set_up():
    """Inside: loopback up, congestion control and buffer sizes set. True when all of it could be done."""
    if not os.environ.get(INSIDE):
        return False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        available = (CONTROL.parent / "tcp_available_congestion_control").read_text().split()
        CONTROL.write_text(next(name for name in WANTED if name in available))
        for name, value in BUFFERS.items():
            (CONTROL.parent / name).write_text(value)
    except (OSError, StopIteration) as error:
        print(f"bench: the network's settings can not be changed: {error}", file=sys.stderr)
    return True
