//! The Firecracker and Cloud Hypervisor drivers with the runner, against fakes: this binary plays the VMM when it is started under a VMM's name.
//! A fake checks every argument, file and call by what the VMM's own definitions say, and ends with an error at the first thing they do not.
//! No guest runs. That the VMMs themselves take all this was not tried: they need KVM.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

#[path = "fakes/cloud_hypervisor.rs"]
mod cloud_hypervisor;
#[path = "fakes/firecracker.rs"]
mod firecracker;
#[path = "fakes/schema.rs"]
mod schema;
#[path = "fakes/server.rs"]
mod server;
#[path = "fakes/tests.rs"]
mod tests;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let played = match name.rsplit('/').next() {
        Some("firecracker") => firecracker::play(&args),
        Some("cloud-hypervisor") => cloud_hypervisor::play(&args),
        _ => return run(&args),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fake: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the standard harness does, as far as cargo and people need it.
fn run(args: &[String]) -> ExitCode {
    if args.iter().any(|arg| arg == "--list") {
        tests::ALL.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let chosen: Vec<_> = tests::ALL.iter().filter(|(name, _)| filter.is_none_or(|part| name.contains(part.as_str()))).collect();
    println!("\nrunning {} tests", chosen.len());
    let failed = chosen.iter().filter(|(name, test)| {
        let failed = catch_unwind(AssertUnwindSafe(test)).is_err();
        println!("test {name} ... {}", if failed { "FAILED" } else { "ok" });
        failed
    });
    let failed = failed.count();
    let (passed, out) = (chosen.len() - failed, tests::ALL.len() - chosen.len());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {out} filtered out\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
