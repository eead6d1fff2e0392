#!/usr/bin/python3
"""Makes the manual pages of what is said elsewhere already: roundhouse(1) of the help texts of the program, roundhouse.yaml(5)
of the table of keys in docs/OPERATIONS.md, which a unit test holds to the program's own.

    man.py BINARY MANUAL FOLDER     writes FOLDER/roundhouse.1 and FOLDER/roundhouse.yaml.5
"""
import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"^( {2,8})(-\S+(?: \S+)*?|[a-z]+(?: [a-z]+)?)(?:  +(\S.*))?$")
EXAMPLE = re.compile(r"^  (roundhouse|echo|curl|cat) ")
CONFIG_FILE = "/etc/roundhouse/roundhouse.yaml"


def help_of(binary, *command):
    done = subprocess.run([binary, *command, "--help"], text=True, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout.startswith("usage: "):
        raise SystemExit(f"man.py: roundhouse {' '.join(command)} --help: {done.stderr or done.stdout}")
    return done.stdout


def commands(text):
    """[(words, what it does)] of the list in `roundhouse help`."""
    return [(words.split(), what) for words, what in re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +(\S.*)$", text, re.M)
            if words != "roundhouse"]


def escaped(text):
    """Text as roff takes it: no hyphens where minus signs are meant, no request at the beginning of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return "\\&" + text if text.startswith((".", "'")) else text


def bold(text):
    return f"\\fB{escaped(text)}\\fR"


def body(text):
    """The lines of a help text behind its usage, as roff."""
    out, example, listed = [], False, False
    for line in text:
        found = OPTION.match(line)
        if EXAMPLE.match(line):
            if not example:
                out += [".PP", ".EX"]
            out.append(escaped(line))
            example = True
            continue
        if example:
            out.append(".EE")
            example = False
        if not line:
            out.append(".PP")
            listed = False
        elif found and (found[2].startswith("-") or found[3]):
            out += [".TP", bold(found[2])] + ([escaped(found[3])] if found[3] else [])
            listed = True
        elif listed and line.startswith("   "):
            out.append(escaped(line.strip()))
        else:
            out.append(escaped(line.strip()))
    if example:
        out.append(".EE")
    return "\n".join(tidied(out))


def tidied(lines):
    """No paragraph that begins where none can: before a request that begins one itself, and at the end."""
    out = []
    for line in lines:
        while out and out[-1] == ".PP" and (line == ".PP" or line.startswith((".TP", ".SS", ".SH"))):
            out.pop()
        out.append(line)
    while out and out[-1] == ".PP":
        out.pop()
    return out[1:] if out[:1] == [".PP"] else out


def usage_and_rest(text):
    lines = text.rstrip("\n").splitlines()
    end = lines.index("") if "" in lines else len(lines)
    usage = [line[len("usage: "):] for line in lines[:end]]
    return usage, lines[end + 1:]


def synopsis(usage):
    return "\n".join([".EX", *map(escaped, usage), ".EE"])


def heading(name, section, version):
    return f'.\\" Made by packaging/man.py of what the program says itself.\n.TH {name} {section} "" "Roundhouse {version}" ""\n'


def command_page(binary, version):
    text = subprocess.run([binary, "help"], text=True, capture_output=True, check=True).stdout
    usage, rest = usage_and_rest(text)
    found = commands(text)
    page = heading("ROUNDHOUSE", 1, version)
    page += ".SH NAME\nroundhouse \\- routes business events: a router, and the commands around it\n"
    page += f".SH SYNOPSIS\n{synopsis(usage)}\n.SH DESCRIPTION\n{body(rest)}\n.SH COMMANDS\n"
    for words, what in found:
        if words in (["version"], ["help"]):
            continue
        usage, rest = usage_and_rest(help_of(binary, *words))
        page += f".SS {bold('roundhouse ' + ' '.join(words))}\n{synopsis(usage)}\n.PP\n{body(rest)}\n"
    page += (".SH FILES\n.TP\n" + bold(CONFIG_FILE) + "\nthe config of the service, see roundhouse.yaml(5)\n.TP\n"
             + bold("/var/lib/roundhouse") + "\nwhere the service may write: its journal\n")
    page += (".SH SIGNALS\nOf the router: SIGTERM, SIGINT: stop. SIGUSR2: restart in place. SIGHUP: read again what can change.\n"
             ".SH SEE ALSO\n.BR roundhouse.yaml (5)\n.PP\nThe manual: /usr/share/doc/roundhouse/docs/OPERATIONS.md\n")
    return page


def table(manual, header):
    """Rows of the table with this header, as lists of cells without the marks of Markdown."""
    begin = manual.index(header)
    rows = manual[begin:].split("\n\n")[0].splitlines()[2:]
    return [[plain(cell.strip()) for cell in row.strip("|").split("|")] for row in rows]


def plain(text):
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("**", "")


def config_page(manual, version):
    reasons = dict(row[:2] for row in table(manual, "| key | change it when |"))
    values = re.search(r"^\*\*How values are written\.\*\* (.*?)\n\n", manual, re.M | re.S)[1]
    page = heading("ROUNDHOUSE.YAML", 5, version)
    page += (".SH NAME\nroundhouse.yaml \\- the config of the router roundhouse\n.SH SYNOPSIS\n" + bold(CONFIG_FILE)
             + "\n.SH DESCRIPTION\nA file of YAML. Every key is optional. roundhouse config check FILE names every mistake with its line and "
               "column, and starts nothing. A key with dots lies in the mapping of what is before the dot, and [] stands for each item of a list.\n.PP\n")
    page += escaped(plain(" ".join(values.split()))) + "\n.SH KEYS\n"
    for key, allowed, default, change, what in table(manual, "| key | values | default |"):
        page += f".TP\n{bold(key)}\n{escaped(what)}.\n.br\nValues: {escaped(allowed)}."
        page += f" Default: {escaped(default)}." if default else ""
        page += f" A change: {escaped(change)}.\n"
        page += f".br\nChange it when {escaped(reasons[key])}.\n" if reasons.get(key, "the same").split(",")[0] != "the same" else ""
    return page + ".SH SEE ALSO\n.BR roundhouse (1)\n"


def main():
    binary, manual, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    said = subprocess.run([binary, "version"], text=True, capture_output=True, check=True).stdout
    version = said.split()[1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roundhouse.1").write_text(command_page(binary, version))
    (folder / "roundhouse.yaml.5").write_text(config_page(manual.read_text(encoding="utf-8"), version))


if __name__ == "__main__":
    main()
