#!/usr/bin/env bash
# Makes a bare machine, in the folder DIR: root.tar (Debian 12 with systemd, sshd and its kernel's modules, and no more), vmlinuz and initrd; debs, what a microVM host
# needs beside, and debs-flintlock, what one of flintlockd's does; nested-initrd, of a microVM on that machine, which asks for an address by DHCP and tries to reach
# out. Takes three minutes and the Debian mirror that apt is told of. Usage: machine.sh DIR
set -euo pipefail
HOST=$(realpath "$(dirname "$0")/../host")
. "$HOST/initrd.sh"
. "$HOST/debian.sh"

# Packages, and what they need that is not there yet, in a folder beside root.tar.
debs() {
    local folder=$OUT/$1
    shift
    mkdir -p "$folder"
    apt-get install -qq -y --download-only --no-install-recommends -o APT::Sandbox::User=root -o Dir::Cache::archives="$folder" "$@"
    rm -rf "$folder"/{partial,lock}
}

# Runs where mmdebstrap made the root file system ($1).
hook() {
    local root=$1 work
    work=$(mktemp -d)
    export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
    (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root busybox-static && dpkg-deb -x busybox-static_*.deb .)
    cp "$root"/boot/vmlinuz-* "$OUT/vmlinuz"
    root_initrd "$OUT/initrd" "$work/bin/busybox" "$root/lib/modules" virtio_ring virtio virtio_mmio rng-core virtio-rng virtio_blk failover net_failover virtio_net \
        crc16 mbcache jbd2 crc32c_generic ext4 fat vfat nls_cp437 nls_ascii evdev button
    initrd "$OUT/nested-initrd" "$work/bin/busybox" "$root/lib/modules" virtio_ring virtio virtio_mmio failover net_failover virtio_net <<'INIT'
echo "nested: up"
cat > /got <<'GOT'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo "nested: address $ip by $router"
GOT
chmod 0755 /got
ip link set eth0 up
udhcpc -i eth0 -s /got -n -q -t 20
ping -c 1 -W 60 10.0.2.2 && echo "nested: reaches out"
echo "nested: done"
while :; do sleep 1000; done
INIT
    debs debs qemu-system-x86 dnsmasq-base nftables slirp4netns
    debs debs-flintlock containerd dmsetup thin-provisioning-tools
    rm -rf "$root"/boot/initrd*
    # What takes time in an emulated boot, and nothing of a host depends on.
    debian "$root" apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service \
        serial-getty@ttyS0.service systemd-networkd-wait-online.service systemd-timesyncd.service cloud-config.service cloud-init-hotplugd.socket
    rm -rf "$work"
}

if [ "${1:-}" = --hook ]; then
    hook "$2"
    exit
fi

mkdir -p "$1"
OUT=$(realpath "$1")
export OUT
packages=systemd,systemd-sysv,udev,dbus,cloud-init,openssh-server,iproute2,iputils-ping,netbase,kmod,linux-image-cloud-amd64
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="bash '$(realpath "$0")' --hook \"\$1\"" bookworm "$OUT/root.tar"
