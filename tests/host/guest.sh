#!/usr/bin/env bash
# Makes what the tests' guests run, in the folder DIR: root.tar (Debian 12 with systemd, cloud-init and sshd), vmlinuz (its kernel for clouds) and initrd.
# Takes two minutes and the Debian mirror that apt is told of. Usage: guest.sh DIR
set -euo pipefail
. "$(dirname "$0")/initrd.sh"
. "$(dirname "$0")/debian.sh"

# Runs where mmdebstrap made the root file system ($1): kernel and busybox are taken out of their packages, and installed nowhere.
hook() {
    local root=$1 work
    work=$(mktemp -d)
    (
        cd "$work"
        export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
        local kernel
        kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
        apt-get download -qq -o APT::Sandbox::User=root "$kernel" busybox-static
        for package in *.deb; do dpkg-deb -x "$package" parts; done
    )
    cp "$work"/parts/boot/vmlinuz-* "$OUT/vmlinuz"
    # Randomness, disk, network, power button, shared folders.
    root_initrd "$OUT/initrd" "$work/parts/bin/busybox" "$work/parts/lib/modules" \
        virtio_ring virtio virtio_mmio rng-core virtio-rng virtio_blk failover net_failover virtio_net fat vfat nls_cp437 nls_ascii evdev button fuse virtiofs

    # Emulated, each process takes its time, and most of a boot is processes that find nothing to do here.
    local masked=(
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer
        getty@tty1.service serial-getty@ttyS0.service systemd-ask-password-console.path systemd-ask-password-wall.path
        dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
        modprobe@.service systemd-modules-load.service systemd-binfmt.service systemd-sysctl.service systemd-sysusers.service
        systemd-firstboot.service systemd-pstore.service systemd-random-seed.service systemd-repart.service
        systemd-journal-flush.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
        systemd-networkd-wait-online.service systemd-timesyncd.service cloud-config.service cloud-init-hotplugd.socket
    )
    debian "$root" "${masked[@]}"
    mkdir -p "$root/etc/systemd/system-generators"
    local generator
    for generator in cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run system-update sysv veritysetup; do
        ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
    done
    mkdir -p "$root/etc/systemd/journald.conf.d"
    printf '[Journal]\nStorage=volatile\n' > "$root/etc/systemd/journald.conf.d/tests.conf"
    rm -rf "$work"
}

if [ "${1:-}" = --hook ]; then
    hook "$2"
    exit
fi

mkdir -p "$1"
OUT=$(realpath "$1"); HERE=$(realpath "$(dirname "$0")")
export OUT HERE
packages=systemd,systemd-sysv,udev,dbus,cloud-init,openssh-server,iproute2,iputils-ping,netbase
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="bash '$HERE/guest.sh' --hook \"\$1\"" bookworm "$OUT/root.tar"
