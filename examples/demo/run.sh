#!/usr/bin/env bash
# The demo: a plane, a Cluster, its conditions, and what to try next.
set -euo pipefail
capstead=${CAPSTEAD:-capstead}
here=$(dirname "$0")
name=demo
bold='' plain=''
[ ! -t 1 ] || bold=$'\e[1m' plain=$'\e[0m'
step() { printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"; }
run() { step "capstead $*"; "$capstead" "$@"; }

[ -n "$("$capstead" ls --output json | grep "\"$name\"" || true)" ] || echo "The first time, etcd, Kubernetes and Cluster API are fetched or built; that takes some minutes."
run up --detach --name "$name"
run status --name "$name"
run kubectl --name "$name" apply -f "$here/cluster.yaml"
step "capstead kubectl --name $name -n demo wait cluster/demo --for=jsonpath={.status.initialization.infrastructureProvisioned}=true"
"$capstead" kubectl --name "$name" -n demo wait cluster/demo --timeout=60s '--for=jsonpath={.status.initialization.infrastructureProvisioned}=true'
step "capstead kubectl --name $name -n demo get cluster demo -o go-template=..."
"$capstead" kubectl --name "$name" -n demo get cluster demo -o go-template='{{range .status.conditions}}{{printf "%-28s %-8s %-24s %s\n" .type .status .reason .message}}{{end}}'

cat <<END

A real Cluster API looks after the Cluster "demo" now. It says what it waits for: machines, which the providers to come will bring.

Look around:
  $capstead kubectl --name $name get clusters -A
  $capstead clusterctl --name $name describe cluster demo -n demo
  $capstead logs capi-core --name $name -f
  $capstead kubeconfig --name $name --merge       and use your own kubectl

Take it down:
  $capstead down --name $name --purge
END
