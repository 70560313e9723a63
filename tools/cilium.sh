#!/bin/sh
# Renders Cilium's chart into templates/microvm/parts/cilium.yaml: tools/cilium.sh CHART, a folder or an archive of the version that
# parts/cilium-values.yaml names. Needs helm; `cargo xtask generate` puts the result into the template.
set -eu
cd "$(dirname "$0")/../templates/microvm/parts"
{
    echo "# Cilium's chart $(helm show chart "$1" | sed -n 's/^version: //p'), by tools/cilium.sh. Do not edit. Apache License 2.0, Authors of Cilium."
    # Octal numbers are none in YAML 1.2. Variables of shells lose their braces, which are clusterctl's; the chart's own commentary is left out.
    helm template cilium "$1" --namespace kube-system --kube-version 1.36.0 --values cilium-values.yaml |
        sed -e 's/defaultMode: 0400/defaultMode: 256/' -e '/\${\(CONTROL_PLANE_VIP\|CILIUM_\)/!s/\${\([A-Za-z_]*\)}/$\1/g' -e '/^ *#/d' -e '/^ *$/d'
} >cilium.yaml
