#!/bin/sh
# This control plane machine's part in holding the address of the API server:
#   vip.sh start PROVIDER ADDRESS [ROUTER-ID [CHECK-SECONDS]]   before kubeadm
#   vip.sh settle                                               after it
# Doing either again changes nothing. VIP_ROOT and VIP_PATIENCE (seconds) are for tests.
set -eu
root="${VIP_ROOT:-}"
parts="$root/etc/capstead/vip"
manifests="$root/etc/kubernetes/manifests"
succeeded="$root/run/cluster-api/bootstrap-success.complete"

fail() {
    echo "vip: $*" >&2
    exit 1
}

# What a command prints, as soon as it prints anything: DNS and routes may still be coming up.
awaited() {
    missing="$1"
    shift
    for _ in $(seq "${VIP_PATIENCE:-60}"); do
        found=$("$@" 2>/dev/null || true)
        if [ -n "$found" ]; then
            echo "$found"
            return
        fi
        sleep 1
    done
    fail "$missing"
}

resolved() {
    getent ahosts "$1" | sed -n '1s/ .*//p'
}

# Where the address is already, or else on the way to it.
interface() {
    held=$(ip -o address show to "$1" | sed -n '1s/^[0-9]*: \([^ ]*\) .*/\1/p')
    if [ -n "$held" ]; then
        echo "$held"
    else
        ip -o route get "$1" | sed -n '1s/.* dev \([^ ]*\).*/\1/p'
    fi
}

# cloud-init's file of a first machine, or Ignition's script; those that join have others.
initialises() {
    [ -e "$root/run/kubeadm/kubeadm.yaml" ] || grep -qs 'kubeadm init' "$root/etc/kubeadm.sh"
}

# From v1.29 on admin.conf has no rights until kubeadm init has ended, which in turn waits for the address: the first machine begins with another.
kubeconfig() {
    version=$(kubeadm version -o short) || fail 'kubeadm does not tell its version'
    minor=$(echo "$version" | cut -d. -f2)
    if initialises && [ ! -e "$succeeded" ] && [ "$minor" -ge 29 ]; then
        echo super-admin.conf
    else
        echo admin.conf
    fi
}

# Of 1 to 255, the same on all machines of a cluster. Clusters whose number is the same do not disturb each other: their passwords differ.
router_id() {
    id="$2"
    if [ "$id" = auto ]; then
        id="${1##*.}"
        case "$id" in
        *[!0-9]* | '' | 0) id=$(($(printf %s "$1" | cksum | cut -d' ' -f1) % 255 + 1)) ;;
        esac
    fi
    echo "$id"
}

# Whoever reads the folder never sees half a file: kubelet passes over names that begin with a dot.
place() {
    folder="${1%/*}"
    mkdir -p "$folder"
    (umask 077 && cat >"$folder/.${1##*/}.new")
    mv "$folder/.${1##*/}.new" "$1"
}

start() {
    provider="$1" name="$2" router="${3:-auto}" check="${4:-2}"
    # kubeadm and kubelet look up the machine's own name, and wait long where no DNS server answers.
    getent hosts "$(hostname)" >/dev/null || echo "127.0.1.1 $(hostname)" >>"$root/etc/hosts"
    case "$provider" in
    kube-vip | keepalived) ;;
    none) return ;;
    *) fail "VIP_PROVIDER is $provider: kube-vip, keepalived or none is expected" ;;
    esac
    address=$(awaited "$name is no address, and no DNS server knows it" resolved "$name")
    link=$(awaited "no route leads to $address: it must be of this machine's own network" interface "$address")
    case "$address" in
    *:*) prefix=128 ;;
    *) prefix=32 ;;
    esac
    case "$provider" in
    kube-vip)
        config=$(kubeconfig)
        sed -e "s|@ADDRESS@|$name|; s|@PREFIX@|$prefix|; s|@INTERFACE@|$link|; s|@KUBECONFIG@|$config|" "$parts/kube-vip.yaml" |
            place "$manifests/kube-vip.yaml"
        echo "vip: kube-vip holds $name on $link by $config"
        ;;
    keepalived)
        command -v keepalived >/dev/null || fail 'there is no keepalived: add the package to the node image, or set VIP_PROVIDER=kube-vip'
        id=$(router_id "$address" "$router")
        password=$(printf %s "$address" | sha256sum | cut -c1-8)
        sed -e "s|@ADDRESS@|$address|; s|@PREFIX@|$prefix|; s|@INTERFACE@|$link|; s|@ROUTER_ID@|$id|; s|@PASSWORD@|$password|; s|@CHECK@|$check|" \
            "$parts/keepalived.conf" | place "$root/etc/keepalived/keepalived.conf"
        printf '[Service]\nRestart=always\n' | place "$root/etc/systemd/system/keepalived.service.d/restart.conf"
        systemctl daemon-reload
        systemctl enable keepalived.service
        systemctl reload-or-restart keepalived.service
        echo "vip: keepalived holds $address on $link as router $id"
        ;;
    esac
}

# admin.conf has its rights now, and the other one's are for emergencies.
settle() {
    manifest="$manifests/kube-vip.yaml"
    if [ -e "$succeeded" ] && grep -qs super-admin.conf "$manifest"; then
        sed 's|/super-admin.conf|/admin.conf|' "$manifest" | place "$manifest"
        echo 'vip: kube-vip goes on by admin.conf'
    fi
}

case "${1:-}" in
start | settle) "$@" ;;
*) fail 'start or settle is expected' ;;
esac
