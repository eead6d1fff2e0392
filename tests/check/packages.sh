# Sourced by ./run and ./check: packages_need GROUP... installs what is missing of those groups in packages.txt.
# Everything is told on standard error; standard output belongs to the caller. Returns 1 when something stays missing.
# shellcheck shell=bash

packages_say() { printf '%s\n' "$*" >&2; }

# The packages of the named groups that dpkg does not know as installed, one a line; without those whose command, in the
# third column, is there by other ways.
packages_missing() {
    local list=$1 groups=" ${*:2} " group name state command wanted=()
    local -A have=()
    while read -r group name command _; do
        [[ $command ]] && command -v "$command" >/dev/null && continue
        [[ $groups == *" $group "* ]] && wanted+=("$name")
    done < <(grep -v '^ *#' "$list")
    while read -r name state; do
        [[ $state == installed ]] && have[$name]=1
    done < <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null)
    for name in "${wanted[@]}"; do
        [[ ${have[$name]-} ]] || printf '%s\n' "$name"
    done
}

packages_need() {
    local root missing log as_root=()
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    if ! command -v dpkg-query >/dev/null; then
        packages_say "packages: this is not a Debian system, so nothing is installed by itself; tests/check/packages.txt" \
            "names what is needed (Debian 12's names)"
        return 0
    fi
    mapfile -t missing < <(packages_missing "$root/tests/check/packages.txt" "$@")
    ((${#missing[@]} == 0)) && return 0
    packages_say "packages: missing: ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        packages_say "packages: there is no apt-get here to install them with; please install them, then start again"
        return 1
    fi
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            packages_say "packages: neither root nor sudo: please run, as root:" \
                "apt-get install --no-install-recommends ${missing[*]}"
            return 1
        fi
        as_root=(sudo)
        [[ -t 2 ]] || as_root=(sudo -n)
    fi
    mkdir -p "$root/build"
    log=$root/build/packages.log
    packages_say "packages: installing them with ${as_root[*]:+${as_root[*]} }apt-get (log: $log)"
    # The update may fail without a network while everything is in the cache: only the installation decides.
    "${as_root[@]}" apt-get -q update </dev/null >"$log" 2>&1 || true
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        packages_say "packages: the installation failed; the whole log is $log"
        return 1
    fi
    packages_say "packages: installed"
}

# Installs what drives the browser of tests/e2e/dashboard_test.py below build/, as its lock file says, if it is not there.
browser_driver_need() {
    local root from to lock
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
    from=$root/tests/e2e/dashboard to=$root/build/playwright
    mkdir -p "$root/build"
    exec {lock}>"$root/build/playwright.lock"
    flock "$lock"
    if cmp -s "$from/package-lock.json" "$to/installed.json"; then
        exec {lock}>&-
        return 0
    fi
    packages_say "packages: installing what drives the browser (log: $to/npm.log)"
    rm -rf "$to"
    mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    if ! (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline) </dev/null >"$to/npm.log" 2>&1; then
        tail -n 20 "$to/npm.log" >&2
        packages_say "packages: npm could not install playwright-core; the whole log is $to/npm.log"
        exec {lock}>&-
        return 1
    fi
    cp "$from/package-lock.json" "$to/installed.json"
    exec {lock}>&-
}
