//! The `capstead` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    match capstead::parse(std::env::args_os()).and_then(capstead::run) {
        Ok(code) => code,
        // Someone who reads only the beginning (`capstead logs | head`) is no error.
        Err(error) if error.chain().any(is_broken_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            capstead::exit_code(&error)
        }
    }
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
