# To be sourced: what the tests' Debians have in common.

# Fits out a root file system: cloud-init as the tests need it, no key or identity of its own, sshd, systemd-networkd, and none of the units named.
debian() {
    local root=$1 here unit
    here=$(dirname "${BASH_SOURCE[0]}")
    shift
    cp "$here/cloud.cfg" "$root/etc/cloud/cloud.cfg"
    rm -f "$root"/etc/cloud/cloud.cfg.d/* "$root"/etc/ssh/ssh_host_* "$root/etc/machine-id"
    : > "$root/etc/machine-id"
    # A guest that asks for names nobody answers waits for each.
    echo 'UseDNS no' > "$root/etc/ssh/sshd_config.d/tests.conf"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -sf /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/"
    for unit in "$@"; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
    # The datasource is known (cloud.cfg): nothing is to be looked for in each boot.
    chmod a-x "$root/usr/lib/cloud-init/ds-identify"
}
