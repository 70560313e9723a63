//! The `capstead` command: arguments, wiring, output. No logic.

pub mod cli;
mod commands;
mod config;
mod output;
mod progress;

use std::process::ExitCode;

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
