#!/usr/bin/env bash
# Runs fuzz targets for a while each: those named, or all. Usage: fuzz.sh CARGO-FUZZ SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo_fuzz=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(basename -s .rs fuzz/targets/*.rs)
rustup toolchain list | grep -q ^nightly || {
    echo "missing: a nightly Rust, which fuzzing needs: run: rustup toolchain install nightly" >&2
    exit 1
}
passed=0 failed=0
for name in "$@"; do
    # What is found goes to the first folder; the second holds what is kept, and `make test` tries each file of it.
    folders=("fuzz/corpus/$name")
    mkdir -p "${folders[0]}"
    [ ! -d "fuzz/seeds/$name" ] || folders+=("fuzz/seeds/$name")
    echo "fuzzing $name for $seconds s"
    if RUSTUP_TOOLCHAIN=nightly "$cargo_fuzz" fuzz run --target-dir target/fuzz "$name" "${folders[@]}" -- -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
