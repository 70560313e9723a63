//! `capstead host check`.

use std::process::ExitCode;
use std::time::Duration;

use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_preflight::Machine;
use capstead_preflight::Report;
use capstead_preflight::Shell;
use capstead_preflight::Wish;
use capstead_preflight::judge;
use capstead_preflight::judge_from_outside;
use capstead_preflight::observe;
use capstead_preflight::observe::Guest;
use capstead_vmm::guest;

use super::api;
use super::table;
use super::wish::wish;
use crate::cli::host::preflight::HostCheck;
use crate::cli::host::preflight::Place;
use crate::output;
use crate::progress::Bars;

/// The host could not be asked.
const EXIT_UNTOLD: u8 = 2;
/// Of the time that is given, what starting and telling take.
const TELLING: Duration = Duration::from_millis(50);

/// Runs the command.
pub async fn run(args: &HostCheck) -> anyhow::Result<ExitCode> {
    let bars = Bars::new();
    let report = look(args, &bars).await;
    bars.clear();
    match report {
        Ok(report) => {
            output::print(args.print.form(), &report, || table::report(&report))?;
            Ok(ExitCode::from(report.exit_code()))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(EXIT_UNTOLD))
        }
    }
}

async fn look(args: &HostCheck, bars: &Bars) -> anyhow::Result<Report> {
    let wish = wish(&args.wish)?;
    let limit = args.timeout.saturating_sub(TELLING);
    match &args.host {
        None => all(&Shell::local(), &wish, limit, bars).await,
        Some(Place::Ssh(destination)) => all(&Shell::ssh(destination), &wish, limit, bars).await,
        Some(Place::Daemon(address)) => {
            let wish = Wish { grpc_endpoint: address.clone(), ..wish };
            asking(bars, address);
            Ok(judge_from_outside(&wish, api::look(address, &args.access, limit).await?))
        }
    }
}

/// All there is to see of a machine, a guest that boots there with it.
pub async fn all(machine: &impl Machine, wish: &Wish, limit: Duration, bars: &Bars) -> anyhow::Result<Report> {
    asking(bars, &machine.name());
    let guest = Guest { kernel: guest::elf(guest::PROBE), greeting: guest::GREETING.into() };
    let observed = observe(machine, wish, Some(&guest), limit).await?;
    Ok(judge(&machine.name(), wish, &observed))
}

fn asking(bars: &Bars, machine: &str) {
    bars.event(machine, Event::Message { text: "is asked".into() });
}

#[cfg(test)]
mod tests;
