//! Every file in `fuzz/seeds` through its fuzz target, the very one that `make fuzz` runs: what was found once is not to come back.

#![allow(clippy::panic, reason = "a target fails by it")]

use std::fs;
use std::path::Path;

// The targets call a macro of libfuzzer's crate, which takes a nightly compiler; here it only names the function that they are.
extern crate self as libfuzzer_sys;

/// Makes of a target's body a function of bytes.
#[macro_export]
macro_rules! fuzz_target {
    (|$text:ident: &str| $body:block) => {
        pub fn run(bytes: &[u8]) {
            let Ok($text) = std::str::from_utf8(bytes) else { return };
            $body
        }
    };
}

#[allow(unused_attributes)]
#[path = "../../../fuzz/targets/microvm_admission.rs"]
mod microvm_admission;
#[allow(unused_attributes)]
#[path = "../../../fuzz/targets/microvm_convert.rs"]
mod microvm_convert;

/// Runs a target with each of its seeds.
fn replay(name: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let seeds: Vec<_> = fs::read_dir(&folder).expect("its seeds").map(|entry| entry.expect("a seed").path()).collect();
    assert!(seeds.len() >= 5, "{} seeds in {}", seeds.len(), folder.display());
    for seed in seeds {
        println!("{}", seed.display());
        run(&fs::read(seed).expect("a seed's bytes"));
    }
}

#[test]
fn admissions() {
    replay("microvm_admission", microvm_admission::run);
}

#[test]
fn conversions() {
    replay("microvm_convert", microvm_convert::run);
}
