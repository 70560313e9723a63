# To be sourced: RAM disks of test guests. Debian's kernel has as modules what a microVM cannot boot without.

# Makes one: FILE, a static busybox, the folder where kernel modules are, names of those to load. What init does last is read from standard input.
initrd() {
    local file=$1 busybox=$2 modules=$3 name tree
    shift 3
    tree=$(mktemp -d)
    mkdir -p "$tree"/{bin,dev,proc,sys,root,modules}
    cp "$busybox" "$tree/bin/busybox"
    for name in "$@"; do
        # One that is not there is part of the kernel.
        find "$modules" -name "$name.ko" -exec cp {} "$tree/modules/" \;
    done
    cat > "$tree/init" <<INIT
#!/bin/busybox sh
/bin/busybox mkdir -p /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for name in $*; do [ -e /modules/\$name.ko ] && insmod /modules/\$name.ko; done
$(cat)
INIT
    chmod 0755 "$tree/init" "$tree/bin/busybox"
    (cd "$tree" && find . | ./bin/busybox cpio -o -H newc 2>/dev/null | gzip -9n) > "$file"
    rm -rf "$tree"
}

# Of a system on the first disk.
root_initrd() {
    initrd "$@" <<'INIT'
until [ -b /dev/vda ]; do sleep 0.05; done
mount -t ext4 /dev/vda /root && exec switch_root /root /sbin/init
echo "no root file system"; poweroff -f
INIT
}
