# Runs as root, by nature or in a user namespace, with mounts and processes of its own: $1 is the folder to work in, $2 containerd, $3 ctr.
# Takes the archives in, and writes containerd's store as an archive to standard output.
set -eu
work=$1 containerd=$2 ctr=$3
root=$work/root/var/lib/containerd state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$root"
chmod 0700 "$root"
cat > "$state/config.toml" <<CONFIG
version = 3
root = "$root"
state = "$state/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$state/containerd.sock"
[ttrpc]
  address = "$state/containerd.sock.ttrpc"
[plugins.'io.containerd.internal.v1.opt']
  path = "$state/opt"
CONFIG
"$containerd" --config "$state/config.toml" --log-level warn >&2 &
daemon=$!
client() { "$ctr" --address "$state/containerd.sock" --namespace k8s.io "$@" >&2; }
tries=0
until client namespaces list > /dev/null 2>&1; do
    tries=$((tries + 1))
    kill -0 "$daemon" && [ "$tries" -lt 300 ] || { echo "containerd does not answer" >&2; exit 1; }
    sleep 0.1
done
while read -r archive names; do
    # The layers are unpacked then, and needed no more as archives.
    client images import --local --discard-unpacked-layers "$work/$archive"
    for name in $names; do
        # By this label the kubelet's side of containerd knows its images.
        client images label "$name" io.cri-containerd.image=managed > /dev/null
    done
done < "$work/archives"
# containerd itself collects what nobody refers to some time later; this waits for it.
client content prune references
kill "$daemon"
wait "$daemon" || :
# Each node is to have an identity of its own.
rm -rf "$root/io.containerd.grpc.v1.introspection" "$root/tmpmounts"
tar --sort=name --numeric-owner --xattrs -C "$work/root" -cf - var/lib/containerd
# What belongs to others cannot be removed from outside the namespace.
rm -rf "$work/root"
