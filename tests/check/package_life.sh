#!/usr/bin/env bash
# The life of the Debian package in a system that it may change: installed, started as its unit would start it, upgraded while it
# runs, removed, purged. Called inside a root of its own (tests/check/package.py, bare.py), never on a machine that somebody uses.
#
#   package_life.sh OLD.deb NEW.deb    NEW has a higher version and another default config
#
# Prints a line for each thing that is as it must be; ends with status 0 when all are.
set -euo pipefail

old=$1 new=$2
conffile=/etc/roundhouse/roundhouse.yaml
state=/var/lib/roundhouse
link=/etc/systemd/system/multi-user.target.wants/roundhouse.service
router=
work=$(mktemp -d)
export DEBIAN_FRONTEND=noninteractive

end() {
    [[ -n $router ]] && kill -KILL "$router" 2>/dev/null
    rm -rf "$work"
}
trap end EXIT

ok() { printf 'ok: %s\n' "$*"; }

must() {
    local what=$1
    shift
    if ! "$@"; then
        printf 'FAILED: %s: %s\n' "$what" "$*" >&2
        exit 1
    fi
    ok "$what"
}

not() { ! "$@"; }

quietly() { "$@" >"$work/quiet.log" 2>&1; }

# With what it depends on; where that is there already, nothing is fetched.
package_install() {
    apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install --no-install-recommends "$1" \
        </dev/null >>"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; return 1; }
}

package_take() { dpkg "$@" </dev/null >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; return 1; }; }

# As the unit says, but on free ports: systemd is not here.
router_start() {
    local unit=/lib/systemd/system/roundhouse.service command user directory mode
    command=$(sed -n 's/^ExecStart=//p' "$unit")
    user=$(sed -n 's/^User=//p' "$unit")
    directory=/var/lib/$(sed -n 's/^StateDirectory=//p' "$unit")
    mode=$(sed -n 's/^StateDirectoryMode=//p' "$unit")
    install -d -o "$user" -g "$user" -m "$mode" "$directory"
    read -ra command <<<"$command"
    : >"$work/ready"
    (
        cd "$directory"
        umask "$(sed -n 's/^UMask=//p' "$unit")"
        exec setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
            "${command[@]}" --listen 127.0.0.1:0 --admin 127.0.0.1:0 --ingest 127.0.0.1:0
    ) >"$work/ready" 2>"$work/router.log" &
    router=$!
    router_ready 1
}

# Until it has said for the n-th time that it is ready; sets `server`.
router_ready() {
    local n=$1
    for _ in {1..600}; do
        if (($(wc -l <"$work/ready") >= n)); then
            server=$(tail -n 1 "$work/ready" | sed -n 's/^ready native=\([^ ]*\) .*/\1/p')
            return 0
        fi
        kill -0 "$router" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/router.log" >&2
    return 1
}

router_stop() {
    local status=0
    kill -TERM "$router"
    wait "$router" || status=$?
    router=
    return "$status"
}

delivered() {
    roundhouse sub --server "$server" --format raw --count 1 'life.>' >"$work/got" 2>"$work/sub.log" &
    local subscriber=$!
    for _ in {1..100}; do
        grep -q '^subscribed' "$work/sub.log" && break
        sleep 0.1
    done
    roundhouse pub --server "$server" life.first hello >"$work/pub.log" 2>&1
    wait "$subscriber"
    [[ $(cat "$work/got") == hello ]]
}

kept() {
    [[ $(roundhouse sub --server "$server" --format raw --from oldest --count 1 life.kept 2>"$work/sub.log") == kept ]]
}

files_of_package() {
    [[ -x /usr/bin/roundhouse && -f $conffile && -f /lib/systemd/system/roundhouse.service && -e /usr/share/doc/roundhouse/copyright ]]
}

version_is() { [[ $(dpkg-query -s roundhouse | sed -n 's/^Version: //p') == "$(dpkg-deb -f "$1" Version)" ]]; }

# --- installed ---

dpkg-query -W roundhouse >/dev/null 2>&1 && package_take --purge roundhouse
rm -rf "$state"
must "it is installed with what it depends on" package_install "$old"
must "its files are there" files_of_package
must "the config that it brings has no mistake" quietly roundhouse config check "$conffile"
must "the service has a user of its own, who can not log in" test "$(getent passwd roundhouse | cut -d: -f6,7)" = "$state:/usr/sbin/nologin"
must "the linker finds the library" grep -q 'libroundhouse\.so\.0 ' <(ldconfig -p)
if command -v deb-systemd-helper >/dev/null; then
    must "the service is enabled" test -L "$link"
fi

# --- started, as its user, without any right ---

must "it starts as the unit starts it" router_start
must "it runs as its user" test "$(stat -c %U "/proc/$router")" = roundhouse
must "an event is delivered" delivered
must "it stops with status 0" router_stop

# --- upgraded while it runs, with a config that was edited ---

sed -i -e 's|^#journal:|journal:|' -e "s|^#  dir: off .*|  dir: $state/journal|" "$conffile"
cp "$conffile" "$work/edited"
must "it starts with a journal" router_start
must "an event is kept on disk" quietly roundhouse pub --server "$server" --ack disk life.kept kept
before=$router
must "it is upgraded" package_install "$new"
must "the new version is there" version_is "$new"
must "what was edited is kept" cmp "$conffile" "$work/edited"
must "the config of the new version lies beside it" test -f "$conffile.dpkg-dist"
must "the old program has gone on meanwhile" kill -0 "$before"
kill -USR2 "$before"
must "the new program takes over, in the same process" router_ready 2
must "it is the installed one" test "$(readlink "/proc/$before/exe")" = /usr/bin/roundhouse
must "what was kept is there" kept
must "the service is still its user's" test "$(stat -c %U "/proc/$before")" = roundhouse
must "it stops with status 0 again" router_stop

# --- removed, and purged ---

must "it is removed" package_take --remove roundhouse
must "the program is gone" not test -e /usr/bin/roundhouse
must "the linker has forgotten the library" not grep -q libroundhouse <(ldconfig -p)
must "the config stays" cmp "$conffile" "$work/edited"
must "it is installed again over the config" package_install "$new"
must "which is still as it was edited" cmp "$conffile" "$work/edited"
must "it is purged" package_take --purge roundhouse
must "the config is gone" not test -e /etc/roundhouse
must "the events on disk are not" test -d "$state/journal"
must "and that is said" grep -q "stays in $state" "$work/dpkg.log"
must "the service is not enabled any more" not test -L "$link"
must "dpkg knows nothing of it" not quietly dpkg-query -s roundhouse
