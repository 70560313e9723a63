#!/usr/bin/env bash
# Lints the role, and runs its playbook on a machine in namespaces: an uplink, /etc, /var/lib, /run and /usr/local/bin of its own, a stand-in for systemd, and the
# daemon itself. Takes the folder of ansible-playbook, and the capstead command.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
fail() { say "failed: $*"; exit 1; }

outside() {
    local here; here=$(dirname "$(realpath "$0")")
    export REPO=$here/../.. ANSIBLE_BIN=$1 CAPSTEAD=$2 ROOT
    ROOT=$(mktemp -d)
    trap 'rm -rf "$ROOT"' EXIT
    mkdir -p "$ROOT"/{bin,home,local-bin,run/systemd/system,var-lib} "$ROOT"/etc/{systemd/system,sysctl.d,modules-load.d}
    cp "$here/../../crates/preflight/tests/support/systemctl.sh" "$ROOT/bin/systemctl"
    for name in journalctl modprobe; do echo '#!/bin/sh' >"$ROOT/bin/$name"; done
    chmod +x "$ROOT"/bin/*
    cp /etc/{passwd,group,nsswitch.conf,hosts,ld.so.cache} "$ROOT/etc/"
    export HOME=$ROOT/home ANSIBLE_HOME=$ROOT/home/.ansible DAEMONS=yes PATH=$ROOT/bin:$ANSIBLE_BIN:$PATH:/usr/sbin:/sbin
    (cd "$REPO/deploy/ansible" && ansible-lint --offline -q)
    unshare --user --map-root-user --net --mount --pid --fork --kill-child "$0" inside
}

# The last play's words are in $ROOT/said.
play() {
    local code=0
    (cd "$REPO/deploy/ansible" && ansible-playbook --inventory "$ROOT/inventory.yml" playbook.yml "$@") >"$ROOT/said" 2>&1 || code=$?
    return "$code"
}

plays() { # how many changes, words
    play "${@:2}" || { cat "$ROOT/said" >&2; fail "the play ${*:2}"; }
    grep -q " changed=$1 " "$ROOT/said" || { cat "$ROOT/said" >&2; fail "not $1 changes: the play ${*:2}"; }
    say "ok: $1 changes: the play ${*:2}"
}

refuses() { # why, words
    ! play "${@:2}" || fail "not refused: the play ${*:2}"
    grep -qF -- "$1" "$ROOT/said" || { cat "$ROOT/said" >&2; fail "not for \"$1\": the play ${*:2}"; }
    say "ok: refused: the play ${*:2}"
}

everything() { find /etc /usr/local/bin -printf '%y %m %s %p\n' | sort; ip -br link; ip -4 -br addr; }
as_before() { diff "$ROOT/before" <(everything) >&2 || fail "something changed"; }
pid() { cat "$ROOT/units/capstead-host.service.pid"; }

inside() {
    mount -t proc proc /proc
    ip link set lo up
    ip link add uplink0 type bridge
    ip addr add 192.0.2.2/24 dev uplink0
    ip link set uplink0 up
    ip route add default via 192.0.2.1
    for pair in etc:/etc var-lib:/var/lib run:/run local-bin:/usr/local/bin; do mount --bind "$ROOT/${pair%%:*}" "${pair#*:}"; done
    cp "$CAPSTEAD" "$ROOT/capstead"
    cat >"$ROOT/inventory.yml" <<INVENTORY
all:
  children:
    flintlock_hosts:
      hosts:
        here:
          ansible_connection: local
          ansible_become: false
          ansible_python_interpreter: "{{ ansible_playbook_python }}"
      vars:
        flintlock_capstead_src: $ROOT/capstead
        flintlock_network_mode: tap
        flintlock_subnet: 10.42.0.0/24
        flintlock_packages: none
        # In a user namespace there is nobody else.
        flintlock_daemon_flags: [--insecure, --vmm-user=root]
INVENTORY

    everything >"$ROOT/before"
    plays 2 --check --diff
    grep -qF '    +ExecStart=/usr/local/bin/capstead host run --grpc-endpoint 0.0.0.0:9090 --bridge-name br-mvm' "$ROOT/said" || fail "no diff"
    refuses '10.43.0.2 cannot be the VIP' --check --extra-vars flintlock_vip=10.43.0.2
    refuses 'there is no flintlockd.service' --check --extra-vars 'flintlock_runtime=flintlock thinpool_name=pool flintlock_thinpool_gib=50'
    refuses 'there is no eno4' --check --extra-vars 'flintlock_network_mode=macvtap flintlock_parent_iface=eno4'
    refuses 'value of flintlock_network_mode must be one of' --extra-vars flintlock_network_mode=tun
    as_before

    plays 2
    [[ $(ip -4 -br addr show br-mvm) == *10.42.0.1/24* ]] || fail "no address"
    daemon=$(pid)
    plays 0
    plays 0 --check
    [ "$(pid)" = "$daemon" ] || fail "the daemon was restarted for nothing"

    echo >>"$ROOT/capstead" # As good as another version.
    everything >"$ROOT/before"
    plays 2 --check
    as_before
    [ "$(pid)" = "$daemon" ] || fail "the daemon was restarted by check mode"
    plays 2
    [ "$(pid)" != "$daemon" ] || fail "the daemon runs its old program"

    rm /etc/modules-load.d/capstead.conf
    plays 1
    mv "$ROOT/bin/journalctl" "$ROOT/bin/qemu-system-x86_64" # No VMM, and none may be installed.
    refuses 'Daemon listens: nothing listens on port 9091; give the daemon' --extra-vars flintlock_grpc_port=9091
    say "the Ansible role does what it should"
}

if [ "$1" = inside ]; then inside; else outside "$@"; fi
