//! `capstead doctor`: takes the picture, and tells what is found in it.

pub mod guests;
mod hosts;
mod logs;
pub mod management;
pub mod reach;
pub mod table;

use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_doctor::Picture;
use capstead_doctor::diagnose;
use capstead_doctor::picture::to_reach;
use jiff::Timestamp;

use crate::cli::Doctor;
use crate::output;
use crate::progress::Bars;

/// Nothing could be looked at.
pub const EXIT_UNTOLD: u8 = 2;
/// For a connection that is only tried.
pub const TRY: Duration = Duration::from_secs(5);

/// Runs the command.
pub async fn run(args: &Doctor) -> anyhow::Result<ExitCode> {
    let bars = Bars::new();
    let picture = look(args, &bars).await;
    bars.clear();
    match picture {
        Ok(picture) => {
            let diagnosis = diagnose(&picture);
            output::print(args.print.form(), &diagnosis, || table::diagnosis(&diagnosis))?;
            Ok(ExitCode::from(diagnosis.exit_code()))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(EXIT_UNTOLD))
        }
    }
}

async fn look(args: &Doctor, bars: &Bars) -> anyhow::Result<Picture> {
    let begun = Instant::now();
    let mut picture = Picture::new(Timestamp::now());
    picture.logs = logs::read(&args.log)?;
    bars.event("management cluster", Event::Message { text: "is asked".into() });
    management::look(args, args.timeout / 2, &mut picture).await?;
    let left = args.timeout.saturating_sub(begun.elapsed());
    let (reached, hosts) = tokio::join!(reach::all(to_reach(picture.all()), left.min(TRY)), hosts::look(args, picture.all(), left, bars));
    let (hosts, unseen) = hosts?;
    picture.reached = reached;
    picture.hosts = hosts;
    picture.unseen.extend(unseen);
    Ok(picture)
}
