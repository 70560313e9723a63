#!/bin/busybox sh
# The first program: loads what the root file system's disk needs, and goes over to it.
/bin/busybox mkdir -p /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
root=/dev/vda type=ext4 init=/sbin/init mode=rw
for word in $(cat /proc/cmdline); do
    case $word in
    root=/dev/*) root=${word#root=} ;;
    rootfstype=*) type=${word#rootfstype=} ;;
    init=*) init=${word#init=} ;;
    ro) mode=ro ;;
    esac
done
for module in $(cat /modules/order); do insmod "/modules/$module.ko"; done
tries=0
until [ -b "$root" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "initrd: there is no disk $root"; poweroff -f; }
    sleep 0.05
done
mount -t "$type" -o "$mode" "$root" /root && exec switch_root /root "$init"
echo "initrd: $root cannot be the root file system"
poweroff -f
