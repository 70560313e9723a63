#!/usr/bin/env bash
# Runs cargo test and ends with one line that counts all its test programs.
set -uo pipefail
out=$(mktemp)
trap 'rm -f "$out"' EXIT
"$@" 2>&1 | tee "$out"
code=${PIPESTATUS[0]}
awk '/^test result: / { for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) passed += $i; if ($(i+1) ~ /^failed/) failed += $i; if ($(i+1) ~ /^ignored/) skipped += $i } }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$out"
exit "$code"
