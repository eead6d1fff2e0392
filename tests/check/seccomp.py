"""Filters of system calls: that of examples/container/seccomp.json, in the format of container runtimes, and that of the systemd unit.
libseccomp, which the runtimes use themselves, makes them of the files, and the program runs under them.

    seccomp.py FILE PROGRAM [ARGUMENT...]     runs a program under the filter of a file
"""
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys

from harness import ROOT, run

PROFILE = ROOT / "examples/container/seccomp.json"
URING = {"io_uring_setup", "io_uring_enter", "io_uring_register"}
UNKNOWN = -1  # __NR_SCMP_ERROR
ACTIONS = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000}
OPERATORS = {"SCMP_CMP_NE": 1, "SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


class Comparison(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def library():
    found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_init.argtypes = [ctypes.c_uint32]
    found.seccomp_load.argtypes = [ctypes.c_void_p]
    found.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    found.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    return found


def number_of(seccomp, name):
    return seccomp.seccomp_syscall_resolve_name(name.encode())


def action_of(name, errno):
    return ACTIONS[name] | (errno if name == "SCMP_ACT_ERRNO" else 0)


def comparisons(rule):
    made = [Comparison(arg["index"], OPERATORS[arg["op"]], arg["value"], arg.get("valueTwo", 0)) for arg in rule.get("args", [])]
    return (Comparison * len(made))(*made)


def load(profile):
    """From here on this process, and all that it starts, is under the filter."""
    seccomp = library()
    context = seccomp.seccomp_init(action_of(profile["defaultAction"], profile["defaultErrnoRet"]))
    for rule in profile["syscalls"]:
        compared = comparisons(rule)
        for name in rule["names"]:
            # What another architecture has is passed over.
            result = seccomp.seccomp_rule_add_array(context, action_of(rule["action"], rule.get("errnoRet", 1)),
                                                    number_of(seccomp, name), len(compared), compared)
            if result < 0 and number_of(seccomp, name) >= 0:
                raise OSError(-result, f"{name}: {os.strerror(-result)}")
    result = seccomp.seccomp_load(context)
    if result < 0:
        raise OSError(-result, os.strerror(-result))


# --- What runs under a filter ------------------------------------------------------------------------------------------

# Events over TCP with a journal, and a rule in jq, which runs in a process of its own.
PLAY = r"""
set -eu
program=$1 io=$2 work=$3
"$program" serve --io "$io" --shards 2 --journal "$work/journal" --routes "$work/routes" --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
    --ingest 127.0.0.1:0 >"$work/ready" 2>"$work/log" &
router=$!
trap 'kill -KILL $router 2>/dev/null || true' EXIT
for _ in $(seq 300); do [ -s "$work/ready" ] && break; kill -0 $router || { cat "$work/log"; exit 1; }; sleep 0.1; done
cat "$work/ready"
server=$(sed -n 's/^ready native=\([^ ]*\) .*/\1/p' "$work/ready")
"$program" sub --server "$server" --count 1 'of.rule' >"$work/got" &
sub=$!
for _ in $(seq 100); do
    "$program" pub --server "$server" --ack disk a '{"n": 1}' --content-type application/json
    kill -0 $sub 2>/dev/null || break
    sleep 0.1
done
wait $sub
kill -TERM $router
trap - EXIT
wait $router
"$program" journal verify "$work/journal"
"""
RULES = """on: [a]
rules:
  - name: all
    map: '{twice: (.n * 2)}'
    type: com.example.twice
    then: { topics: of.rule }
"""


def play(check, name, program, profile, io, want):
    """The router serves clients under the filter; `want` is what its ready line must have."""
    work = check.out(f"seccomp-{name}")
    subprocess.run(["rm", "-rf", work], check=True)
    (work / "routes").mkdir(parents=True)
    (work / "routes" / "all.yaml").write_text(RULES)
    (work / "filter.json").write_text(json.dumps(profile))
    ran = run(["/usr/bin/python3", pathlib.Path(__file__).resolve(), work / "filter.json", "/bin/sh", "-c", PLAY, "sh", program, io,
                       work], check.out(f"seccomp-{name}.log"), 120)
    found = ran.status == 0 and want in ran.output
    check.add(f"under the filter of {name} the router serves clients, {want}", found, ran.seconds,
              f"{ran.why()}, wanted {want}", ran.log)


# --- The profile for containers ----------------------------------------------------------------------------------------


def profile(check, tree):
    seccomp, read = library(), json.loads(PROFILE.read_text())
    names = [name for rule in read["syscalls"] for name in rule["names"]]
    unknown = [name for name in names if number_of(seccomp, name) == UNKNOWN]
    check.add("the profile for containers names system calls that there are", not unknown and len(names) > 200, why=f"{unknown}")
    twice = {name for name in names if names.count(name) > 1} - {"socket"}
    check.add("the profile names each once", not twice, why=f"{twice}")
    check.add("the profile allows io_uring", URING <= set(names))
    dangerous = {"ptrace", "mount", "bpf", "kexec_load", "init_module", "setns", "unshare", "reboot", "perf_event_open", "keyctl", "userfaultfd"}
    check.add("the profile allows nothing that a router has no use for", not dangerous & set(names), why=f"{dangerous & set(names)}")
    program = tree / "usr/bin/roundhouse"
    bodies = filtered(check, program, read, "the profile")
    without = {**read, "syscalls": [{**rule, "names": [name for name in rule["names"] if name not in URING]} for rule in read["syscalls"]]}
    play(check, "the profile without io_uring", program, without, "auto",
         "(io_uring_setup: EPERM; a seccomp filter or security module refuses it)" if "io_uring" in bodies else "io=epoll")


def filtered(check, program, read, name):
    """On all bodies that this machine has; says which."""
    bodies = ["epoll", "io_uring"] if uring_runs(program) else ["epoll"]
    for body in bodies:
        play(check, f"{name} with {body}", program, read, "uring" if body == "io_uring" else "epoll", f"io={body}")
    if "io_uring" not in bodies:
        check.skipped.append(f"{name}: this machine has no io_uring")
    return bodies


def uring_runs(program):
    """Whether this machine lets the router have io_uring when no filter of ours is there."""
    process = subprocess.Popen([program, "serve", "--io", "auto", "--shards", "1", "--listen", "127.0.0.1:0", "--admin", "off", "--ingest", "off"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    line = process.stdout.readline().decode()
    process.terminate()
    process.wait(30)
    return " io=io_uring " in line


# --- The unit ------------------------------------------------------------------------------------------------------------


def group(name, known):
    """The system calls of a group of systemd's, those of groups in it included."""
    if not name.startswith("@"):
        return {name}
    if name not in known:
        told = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], text=True, capture_output=True, check=True).stdout
        words = [line.strip() for line in told.splitlines() if line.startswith("    ") and not line.strip().startswith("#")]
        known[name] = set().union(*(group(word, known) for word in words))
    return known[name]


def unit_filter(check, tree, text):
    """The filter of the unit, as systemd makes it of the lines: the first kind of line says what the list is."""
    seccomp, known, allowed = library(), {}, set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, re.M):
        names = set().union(*(group(word, known) for word in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    # Systemd adds what it needs itself to start the program.
    allowed |= group("@default", known) | {"execve", "exit", "exit_group"}
    check.add("the unit allows io_uring", URING <= allowed, why=f"{URING - allowed}")
    usable = sorted(name for name in allowed if number_of(seccomp, name) != UNKNOWN)
    filtered(check, tree / "usr/bin/roundhouse", {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
                                                  "syscalls": [{"names": usable, "action": "SCMP_ACT_ALLOW"}]}, "the unit")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        read = json.load(file)
    load(read)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
