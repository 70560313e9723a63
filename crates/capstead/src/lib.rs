//! The `capstead` command: arguments, wiring, output. No logic.

pub mod cli;
mod commands;
mod config;
mod output;
mod progress;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap::FromArgMatches;

/// Reads a command line. One that is wrong, or asks for help, ends the process.
///
/// Called as flintlockd, it is `capstead host`; and the flags of that command have their defaults from flintlockd's configuration and environment.
///
/// # Errors
/// flintlockd's configuration cannot be read.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<cli::Cli> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().and_then(|name| Path::new(name).file_stem()).is_some_and(|name| name == cli::host::FLINTLOCKD) {
        args.insert(1, "host".into());
    }
    if args.get(1).is_some_and(|word| word == "e2e") {
        args = cli::e2e::from_go(args);
    }
    let runs_host = args.get(1).is_some_and(|word| word == "host") && args.get(2).is_some_and(|word| word == "run");
    let mut command = cli::Cli::command();
    if runs_host {
        let (file, values) = config::flintlockd().context("cannot read flintlockd's configuration")?;
        command = command.mut_subcommand("host", |host| {
            host.mut_subcommand("run", |run| {
                let (run, unknown) = cli::layered::layered(run, |name| std::env::var(name).ok(), values);
                for key in unknown {
                    eprintln!("warning: {}: there is no flag {key}", file.display());
                }
                run
            })
        });
    }
    let matches = command.get_matches_from(args);
    Ok(cli::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// Runs a parsed command line.
///
/// # Errors
/// What failed, on what, and what to do; see [`exit_code`] for what the process ends with.
pub fn run(cli: cli::Cli) -> anyhow::Result<ExitCode> {
    commands::run(cli)
}

/// The exit code of an error: 4 when there is no such plane, 3 when a plane cannot become ready, else 1. (2 is a wrong command line.)
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    use capstead_plane::PlaneError;
    use capstead_plane::operate::OperateError;
    let plane = |error: &PlaneError| matches!(error, PlaneError::NotFound(_));
    let code = error.chain().find_map(|cause| match cause.downcast_ref::<OperateError>() {
        Some(OperateError::Failing(_) | OperateError::Slow { .. } | OperateError::Lost(_)) => Some(cli::EXIT_NOT_READY),
        Some(OperateError::Plane(error)) if plane(error) => Some(cli::EXIT_NO_PLANE),
        _ => cause.downcast_ref::<PlaneError>().filter(|error| plane(error)).map(|_| cli::EXIT_NO_PLANE),
    });
    ExitCode::from(code.unwrap_or(1))
}
