//! `lab fleet`: many simulated clusters on a plane of their own: made, measured, reported, taken down.

mod churn;
mod page;
mod plot;
mod record;
mod report;
mod run;
mod stages;
mod usage;
mod view;
mod world;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use capstead_plane::Layout;
use capstead_plane::operate;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use self::report::Report;
use super::live::Live;
use super::simulated::Hosts;
use super::simulated::Place;
use super::simulated::Simulated;
use super::simulated::most_clusters;
use crate::cli::Fleet;
use crate::config::Config;
use crate::output;

/// Makes a fleet and measures it.
pub async fn run(config: &Config, args: Fleet) -> anyhow::Result<ExitCode> {
    check(&args)?;
    let layout = Layout::new(&config.data_dir(args.data_dir.as_ref()), &args.name)?;
    anyhow::ensure!(
        !layout.dir().exists(),
        "there is a plane named {0:?} already, and a fleet needs a fresh one: `capstead down --name {0} --purge` takes it down, or give another --name",
        args.name
    );
    let cache = config.cache_dir(args.cache_dir.as_ref())?;
    let place = Place { layout, cache, binaries: &args.binaries, patience: args.timeout };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut live = Live::new();
    let measured = tokio::select! {
        measured = measure(config, &args, &place, &mut live) => measured,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    live.clear();
    let told = measured.and_then(|report| tell(&args, &report));
    if args.keep && place.layout.plane_file().exists() {
        eprintln!("{}", kept(&args.name));
    } else {
        eprintln!("Taking the plane {:?} down; Ctrl-C leaves that to you.", args.name);
        tokio::select! {
            done = take_down(&place.layout, &place.cache) => done?,
            _ = interrupt.recv() => anyhow::bail!("interrupted; `capstead down --name {} --purge` takes the plane down", args.name),
        }
    }
    Ok(if told? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What can be told to be wrong before anything is begun.
fn check(args: &Fleet) -> anyhow::Result<()> {
    let most = most_clusters(args.hosts);
    anyhow::ensure!(usize::from(args.clusters) <= most, "{} hosts have addresses for {most} clusters; more --hosts are needed", args.hosts);
    for file in &args.report {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        anyhow::ensure!(folder.is_dir(), "--report {}: there is no folder {}", file.display(), folder.display());
    }
    Ok(())
}

async fn measure(config: &Config, args: &Fleet, place: &Place<'_>, live: &mut Live) -> anyhow::Result<Report> {
    let delay = |flag: &str, delay: std::time::Duration| format!("--{flag}={}ms", delay.as_millis());
    let words = vec![delay("boot-delay", args.boot_delay), delay("kubeadm-delay", args.kubeadm_delay)];
    let simulated = Simulated::up(config, place, Hosts::new(args.hosts, words), live).await?;
    run::run(args, &simulated, live).await
}

/// Writes the reports, prints the summary; tells whether all became available.
fn tell(args: &Fleet, report: &Report) -> anyhow::Result<bool> {
    for file in &args.report {
        let text = match file.extension() {
            Some(extension) if extension == "html" => page::html(report),
            _ => serde_json::to_string_pretty(report).context("cannot write the report as JSON")?,
        };
        std::fs::write(file, text).with_context(|| format!("cannot write the report {}", file.display()))?;
        eprintln!("The report is in {}.", file.display());
    }
    output::print(args.output, report, || report.tables())?;
    if !report.available {
        eprintln!("error: not all of the fleet became available within {} s:\n{}", args.timeout.as_secs(), report::stuck(&report.stuck));
    }
    Ok(report.available)
}

fn kept(name: &str) -> String {
    let rows = [
        (format!("capstead kubectl --name {name} get clusters,machines -n {}", world::NAMESPACE), "what there is"),
        (
            format!("capstead clusterctl --name {name} describe cluster {} -n {}", world::name(1), world::NAMESPACE),
            "one cluster, with all conditions",
        ),
        (format!("capstead logs simulated-hosts --name {name} --tail 20"), "what the simulated machines say"),
        (format!("capstead down --name {name} --purge"), "take it down"),
    ];
    let width = rows.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let rows: String = rows.iter().map(|(command, what)| format!("\n  {command:width$}   {what}")).collect();
    format!("The fleet and its plane {name:?} stay up:\n{rows}")
}

async fn take_down(layout: &Layout, cache: &Path) -> anyhow::Result<()> {
    if layout.plane_file().exists() {
        operate::down(layout, cache).await?;
    }
    Ok(operate::purge(layout).await?)
}
