//! `capstead host prepare` and `capstead host restore`.

use std::time::Duration;

use anyhow::Context;
use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_preflight::Machine;
use capstead_preflight::Shell;
use capstead_preflight::Wish;
use capstead_preflight::observe;
use capstead_preflight::prepare::Ahead;
use capstead_preflight::prepare::Goal;
use capstead_preflight::prepare::Host;
use capstead_preflight::prepare::Prepare;
use capstead_preflight::prepare::Restore;
use capstead_preflight::prepare::Situation;
use capstead_preflight::prepare::Step;
use capstead_preflight::prepare::ahead;
use capstead_preflight::prepare::changes;
use capstead_preflight::prepare::goals;
use capstead_preflight::prepare::run;
use capstead_preflight::prepare::words;
use capstead_reconcile::Reconciler;
use serde::Serialize;

use super::wish::wish;
use crate::cli::Output;
use crate::cli::host::preflight::HostPrepare;
use crate::cli::host::preflight::HostRestore;
use crate::output;
use crate::progress::Bars;

/// How long looking at the whole machine may take: some hosts are slow, and what is not told is refused.
const LOOK: Duration = Duration::from_secs(60);

/// What was done, or would be.
#[derive(Serialize)]
struct Done {
    /// Which machine.
    host: String,
    /// It was done; else it would be.
    applied: bool,
    /// Each change, in words that follow "to".
    changes: Vec<String>,
    /// The same with the lines of files.
    diff: String,
}

/// How it is done.
struct How {
    dry_run: bool,
    output: Output,
}

/// What is told at the end: nothing to do, done, would be done.
type Words = fn(usize) -> [String; 3];

/// Makes a machine into a host.
pub async fn prepare(args: HostPrepare) -> anyhow::Result<()> {
    let mut wish = wish(&args.wish)?;
    wish.daemon_flags.extend(args.daemon_flags);
    let machine = machine(args.host.as_deref());
    let bars = Bars::new();
    bars.event(&machine.name(), Event::Message { text: "is looked at".into() });
    let seen = observe(&machine, &wish, None, LOOK).await;
    bars.clear();
    let goals = goals(&wish, &seen?).map_err(|refused| {
        let reasons: String = refused.iter().map(|reason| format!("\n  {reason}")).collect();
        anyhow::anyhow!("{} cannot be made into such a host, and nothing was changed:{reasons}", machine.name())
    })?;
    let how = How { dry_run: args.dry_run, output: args.print.form() };
    let words = |count: usize| {
        [
            "is prepared as it is, and nothing was changed".to_owned(),
            format!("is prepared: {count} changes; `capstead host check` with the same flags tells whether it serves"),
            format!("would be prepared by {count} changes; nothing was changed"),
        ]
    };
    carry_out::<Prepare>(&machine, &wish, &goals, &goals, &how, words).await
}

/// Makes it what it was.
pub async fn restore(args: HostRestore) -> anyhow::Result<()> {
    let machine = machine(args.host.as_deref());
    let how = How { dry_run: args.dry_run, output: args.print.form() };
    let words = |count: usize| {
        [
            "has nothing to be restored".to_owned(),
            format!("is restored: {count} changes; packages, loaded kernel modules, images and the daemon's state stay"),
            format!("would be restored by {count} changes; nothing was changed"),
        ]
    };
    carry_out::<Restore>(&machine, &Wish::default(), &(), &[], &how, words).await
}

fn machine(destination: Option<&str>) -> Shell {
    destination.map_or_else(Shell::local, Shell::ssh)
}

/// Tells what is ahead, does it unless it is a dry run, and tells what came of it. The way there is told on standard error.
async fn carry_out<R>(machine: &Shell, wish: &Wish, meant: &R::Wish, goals: &[Goal], how: &How, told: Words) -> anyhow::Result<()>
where
    R: Reconciler<Observed = Situation, Step = Step>,
{
    let mut host = Host::new(machine, wish);
    let Ahead { changes: planned, diff } = ahead::<R, _>(&host, meant, goals).await?;
    if how.output == Output::Table && !diff.is_empty() {
        output::line(&diff)?;
    }
    let mut done = Done { host: machine.name(), applied: !how.dry_run, changes: planned, diff };
    if !how.dry_run {
        done.changes.clear();
        let mut tell = |step: &Step| {
            if changes(step) {
                eprintln!("{}: {}", done.host, words(step));
                done.changes.push(words(step));
            }
        };
        run::<R, _>(&mut host, meant, goals, &mut tell)
            .await
            .context("how things were is written down on the host: the same command goes on, and `capstead host restore` goes back")?;
    }
    output::print(how.output, &done, || {
        let [nothing, made, would] = told(done.changes.len());
        let what = match (done.changes.is_empty(), done.applied) {
            (true, _) => nothing,
            (false, true) => made,
            (false, false) => would,
        };
        format!("{} {what}", done.host)
    })
}
