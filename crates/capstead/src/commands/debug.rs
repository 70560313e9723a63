//! `capstead debug`: looks into one guest, and tells why it does not become a node.

mod artefacts;
mod inside;
mod objects;
mod place;

use std::process::ExitCode;
use std::time::Instant;

use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_doctor::Picture;
use capstead_doctor::diagnose;
use capstead_doctor::node;
use capstead_doctor::picture::Unseen;
use capstead_doctor::picture::to_reach;
use capstead_plane::Layout;
use capstead_plane::Plane;
use capstead_preflight::machine::Answers;
use jiff::Timestamp;

use super::doctor::EXIT_UNTOLD;
use super::doctor::TRY;
use super::doctor::reach;
use super::doctor::table;
use super::lan::Lan;
use crate::cli::Debug;
use crate::config::Config;
use crate::output;
use crate::progress::Bars;

/// What was seen, and the texts that it was seen by.
struct Look {
    picture: Picture,
    answers: Answers,
}

/// Runs the command.
pub async fn run(config: &Config, mut args: Debug) -> anyhow::Result<ExitCode> {
    if let Some(name) = &args.name {
        let layout = Layout::new(&config.data_dir(args.data_dir.as_ref()), name)?;
        Plane::load(&layout)?;
        match Lan::up(&layout)? {
            Some(lan) if lan.is_here() => args.run_dirs = lan.run_dirs()?,
            Some(lan) => return lan.run().await,
            None => (),
        }
        args.kubeconfig = Some(layout.kubeconfig());
    }
    let args = &args;
    let bars = Bars::new();
    let look = look(args, &bars).await;
    bars.clear();
    let told = look.and_then(|Look { picture, answers }| {
        let diagnosis = diagnose(&picture);
        if let Some(folder) = &args.artefacts {
            artefacts::write(folder, &picture, &answers, &diagnosis)?;
        }
        Ok(diagnosis)
    });
    match told {
        Ok(diagnosis) => {
            output::print(args.print.form(), &diagnosis, || table::diagnosis(&diagnosis))?;
            Ok(ExitCode::from(diagnosis.exit_code()))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(EXIT_UNTOLD))
        }
    }
}

async fn look(args: &Debug, bars: &Bars) -> anyhow::Result<Look> {
    let begun = Instant::now();
    let left = || args.timeout.saturating_sub(begun.elapsed());
    bars.event(&args.machine, Event::Message { text: "is looked for".into() });
    let place = place::find(args, left() / 3).await?;
    let mut picture = Picture::new(Timestamp::now());
    picture.management = place.management;
    picture.reached = reach::all(to_reach(picture.all()), left().min(TRY)).await;
    let console =
        place.host.iter().flat_map(|host| &host.microvms).find_map(|microvm| Some(&microvm.console).filter(|lines| !lines.is_empty()));
    let mut answers = Answers::default();
    bars.event(&args.machine, Event::Message { text: "is asked by ssh".into() });
    match inside::ask(args, &place.subject, &place.doors, left()).await {
        Ok((node, kept)) => {
            picture.nodes.push(node);
            answers = kept;
        }
        Err(why) => {
            picture.unseen.push(Unseen { what: format!("the inside of {}", place.subject.name), why });
            match console {
                // Of a node that is there, its console tells old stories.
                Some(lines) if !place.is_node => picture.nodes.push(node::console(place.subject.clone(), lines)),
                Some(_) => (),
                None => picture.unseen.push(Unseen { what: format!("the console of {}", place.subject.name), why: place.no_console }),
            }
        }
    }
    picture.hosts.extend(place.host);
    Ok(Look { picture, answers })
}
