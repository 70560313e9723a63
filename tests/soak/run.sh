#!/usr/bin/env bash
# The tests that get better the longer they run. All run, whatever came of those before. CAPSTEAD_SOAK_SEED repeats what is left to chance.
set -uo pipefail
code=0
run() { cargo test --locked --workspace --test "$1" -- --nocapture "$2" || code=1; }

CAPSTEAD_SOAK_KILLS=${KILLS:-100} run faults random_kills
CAPSTEAD_SOAK_MACHINES=${MACHINES:-200} CAPSTEAD_SOAK_MANAGER_KILLS=${MANAGER_KILLS:-50} run microvm killed_at_random
CAPSTEAD_SOAK_MACHINES=30 CAPSTEAD_SOAK_MANAGER_KILLS=3 CAPSTEAD_SOAK_LEADER_ELECT=1 run microvm killed_at_random
CAPSTEAD_SOAK_FLEET=${FLEET:-1000} CAPSTEAD_SOAK_SECONDS=${FLEET_SECONDS:-600} run microvm settled_fleet
CAPSTEAD_SOAK_SCALE=${SCALE:-300} run microvm hosts_that_fail
CAPSTEAD_SOAK_SCHEDULES=${SCHEDULES:-50} run workload each_fault
CAPSTEAD_SOAK_CLUSTERS=${CLUSTERS:-200} CAPSTEAD_SOAK_SECONDS=${CLUSTERS_SECONDS:-600} run fleet settled_clusters
CAPSTEAD_SOAK_HOST_SECONDS=${HOST_SECONDS:-600} run host whatever_breaks
exit "$code"
