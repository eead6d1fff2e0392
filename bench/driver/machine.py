"""Where the suite runs: CPUs and which of them do what, the network's settings, what was built."""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
IPV4 = pathlib.Path("/proc/sys/net/ipv4")


def _read(path, otherwise=""):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return otherwise


def _core_of(cpu):
    """What tells the physical core of a CPU: two hardware threads of one core share it."""
    folder = f"/sys/devices/system/cpu/cpu{cpu}/topology"
    return _read(f"{folder}/physical_package_id", "0"), _read(f"{folder}/core_id", str(cpu))


def cpus_by_core():
    """The usable CPUs, the first hardware thread of each core before the second ones."""
    cores = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        cores.setdefault(_core_of(cpu), []).append(cpu)
    threads = max(len(cpus) for cpus in cores.values())
    return [cpus[i] for i in range(threads) for cpus in cores.values() if i < len(cpus)]


class Cpus:
    """Who runs where: a server of one shard on the first CPU, the load generator on the second; further shards on the
    third and so on, and where there are only two CPUs, the second shard shares the generator's."""

    def __init__(self):
        self.all = cpus_by_core()
        if len(self.all) < 2:
            raise SystemExit("bench: at least two CPUs are needed: one for the server, one for the load generator")
        self.generator = self.all[1]

    def server(self, shards=1):
        apart = [cpu for cpu in self.all if cpu != self.generator]
        return (apart + [self.generator])[:shards]

    def shards_max(self):
        return len(self.all)


def _virtual():
    if shutil.which("systemd-detect-virt"):
        found = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True, check=False).stdout.strip()
        if found:
            return found
    return "virtual machine" if re.search(r"^flags.*\bhypervisor\b", _read("/proc/cpuinfo"), re.M) else "none"


def describe(cpus):
    model = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.M)
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), re.M)
    governor = _read(f"/sys/devices/system/cpu/cpu{cpus.all[0]}/cpufreq/scaling_governor", "unknown")
    return {"cpu": model[1] if model else platform.machine(), "cpus": cpus.all, "server_cpus": cpus.server(),
            "generator_cpus": [cpus.generator], "memory_bytes": int(memory[1]) * 1024 if memory else 0,
            "kernel": platform.release(), "os": name[1] if name else platform.system(), "virtual": _virtual(),
            "governor": governor, "load_before": os.getloadavg()[0]}


def network(namespace):
    return {"namespace": namespace, "congestion_control": _read(IPV4 / "tcp_congestion_control", "unknown"),
            "tcp_rmem": " ".join(_read(IPV4 / "tcp_rmem").split()), "tcp_wmem": " ".join(_read(IPV4 / "tcp_wmem").split())}


def _flags(build):
    """The compiler's options as they were given for the router's main file, but for the one that names its folder."""
    try:
        commands = json.loads((build / "compile_commands.json").read_text())
    except (OSError, ValueError):
        return "unknown"
    command = next((c["command"] for c in commands if c["file"].endswith("core/main.c")), "")
    return " ".join(word for word in command.split() if re.match(r"-(O|g|f|m|D|std)", word) and "-prefix-map=" not in word)


def built(build):
    """From the header that the build wrote."""
    header = _read(build / "gen" / "rh_build.h")
    values = dict(re.findall(r'#define RH_(\w+) "(.*)"', header))
    return {"commit": values.get("COMMIT", "unknown"), "version": values.get("VERSION", "unknown"),
            "compiler": values.get("COMPILER", "unknown"), "flags": _flags(build)}
