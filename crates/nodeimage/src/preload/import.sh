#!/bin/sh
# Takes the container images in that came with the node, once.
set -eu
cd /var/lib/capstead/images
for archive in *.tar; do
    ctr --namespace k8s.io images import --local --discard-unpacked-layers "$archive"
    rm "$archive"
done
while read -r name; do
    ctr --namespace k8s.io images label "$name" io.cri-containerd.image=managed
done < names
rm names
