//! `up`, `down` and the supervisor they talk to.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use capstead_plane::Choices;
use capstead_plane::Layout;
use capstead_plane::Plane;
use capstead_plane::Status;
use capstead_plane::install::Job;
use capstead_plane::install::Part;
use capstead_plane::operate;
use capstead_plane::status::SUPERVISE;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::lan::Lan;
use super::layout;
use super::runtime;
use super::tools;
use crate::cli::Down;
use crate::cli::Install;
use crate::cli::Up;
use crate::cli::Which;
use crate::config::Config;
use crate::output;
use crate::progress::Bars;

/// Brings a plane up.
pub async fn up(config: &Config, args: Up) -> anyhow::Result<()> {
    let layout = layout(config, &args.which)?;
    let cache = config.cache_dir(args.which.cache_dir.as_ref())?;
    let absolute = |path: &std::path::PathBuf| std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()));
    let choices = Choices {
        capi_version: config.capi_version(&args.binaries),
        ephemeral: args.ephemeral,
        source: config.source(&args.binaries.sources),
        bin_dir: config.bin_dir(&args.binaries.sources)?,
        registry_mirrors: config.registry_mirrors(&args.binaries.sources),
        // `--without=` takes back what was left out before.
        without: (!args.without.is_empty()).then(|| args.without.into_iter().filter(|name| !name.is_empty()).collect()),
        providers: (!args.provider.is_empty()).then(|| args.provider.into_iter().filter(|name| !name.is_empty()).collect()),
        components: Some(args.component.iter().map(absolute).collect::<anyhow::Result<Vec<_>>>()?).filter(|files| !files.is_empty()),
        deployments: args.deployments,
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let asked_to_stop = async {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    };
    tokio::select! {
        done = bring_up(&layout, &cache, choices, args.detach, Duration::from_secs(args.timeout)) => return done,
        () = asked_to_stop => (),
    }
    if args.detach {
        anyhow::bail!("interrupted; what was begun goes on, `capstead down --name {}` takes it down", layout.name());
    }
    eprintln!("Taking the plane {:?} down; its objects are kept.", layout.name());
    if layout.plane_file().exists() { Ok(operate::down(&layout, &cache).await?) } else { Ok(()) }
}

/// Makes the plane if there is none, starts it, and waits until it is ready. `show` is given each status that differs from the last.
pub async fn start(
    layout: &Layout,
    cache: &Path,
    choices: Choices,
    patience: Duration,
    bars: &Bars,
    show: impl FnMut(&Status),
) -> anyhow::Result<(Plane, Status)> {
    let plane = operate::prepare(layout, choices).await?;
    // Here and not in the supervisor, so that progress and errors are seen.
    let artifacts: Vec<_> = plane.components.iter().map(|component| component.binary.clone()).collect();
    tools::fetch_all(cache, &artifacts, &plane.options.fetch()?, bars).await?;
    bars.clear();
    operate::start_supervisor(layout, supervisor_command(layout, cache)?).await?;
    let status = operate::wait_ready(layout, &plane, patience, show).await?;
    bars.clear();
    Ok((plane, status))
}

async fn bring_up(layout: &Layout, cache: &Path, choices: Choices, detach: bool, patience: Duration) -> anyhow::Result<()> {
    let bars = Bars::new();
    let (plane, status) = start(layout, cache, choices, patience, &bars, |status| bars.show(status)).await?;
    output::line(&ready_message(&plane, &status, detach))?;
    if detach {
        return Ok(());
    }
    loop {
        // A supervisor that was killed is replaced; what runs is adopted.
        operate::start_supervisor(layout, supervisor_command(layout, cache)?).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !layout.plane_file().exists() {
            return Ok(());
        }
    }
}

fn supervisor_command(layout: &Layout, cache: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find the program itself")?);
    let root = layout.dir().parent().unwrap_or(layout.dir());
    command.arg(SUPERVISE).args(["--name", layout.name()]).arg("--data-dir").arg(root).arg("--cache-dir").arg(cache);
    Ok(command)
}

fn ready_message(plane: &Plane, status: &Status, detach: bool) -> String {
    let version =
        |name: &str| status.components.iter().find(|component| component.name == name).map(|component| component.version.as_str());
    let parts = [("Cluster API", version("capi-core")), ("Kubernetes", version("kube-apiserver"))];
    let parts: Vec<String> = parts.iter().filter_map(|(title, version)| Some(format!("{title} {}", (*version)?))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!("{}; ", parts.join(" on ")) };
    let name = if plane.name == "default" { String::new() } else { format!(" --name {}", plane.name) };
    let end = if detach { format!("capstead down{name}") } else { "Ctrl-C".into() };
    let rows = [
        (format!("capstead status{name}"), "what runs"),
        (format!("capstead kubectl{name} get crds"), "kubectl against it"),
        (format!("capstead kubeconfig{name} --merge"), "use it from your own kubectl and clusterctl"),
        (end, "take it down; objects are kept"),
    ];
    let width = rows.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let rows: String = rows.iter().map(|(command, what)| format!("\n  {command:width$}   {what}")).collect();
    format!("The plane {:?} is ready: {parts}{} components.\n{rows}", plane.name, status.components.len())
}

/// Takes a plane down.
pub async fn down(config: &Config, args: &Down) -> anyhow::Result<()> {
    let layout = layout(config, &args.which)?;
    let cache = config.cache_dir(args.which.cache_dir.as_ref())?;
    let known = layout.dir().exists();
    match operate::down(&layout, &cache).await {
        // Purging is also the way out of a plane that is damaged or was never finished.
        Err(error) if args.purge && known => eprintln!("warning: {error}"),
        done => done?,
    }
    if args.purge {
        // Its hosts are gone by now, and what they ran goes with their network.
        if let Some(lan) = Lan::up(&layout)? {
            lan.down().await?;
        }
        operate::purge(&layout).await?;
    }
    let kept = if args.purge { "every file of it is removed" } else { "its objects are kept" };
    output::line(&format!("The plane {:?} is down; {kept}.", layout.name()))
}

/// Looks after a plane.
pub fn supervise(config: &Config, which: &Which) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CAPSTEAD_LOG").unwrap_or_else(|_| "info,kube_client=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let layout = layout(config, which)?;
    let cache = config.cache_dir(which.cache_dir.as_ref())?;
    let program = std::env::current_exe().context("cannot find the program itself")?;
    let root = layout.dir().parent().unwrap_or(layout.dir()).to_owned();
    let name = layout.name().to_owned();
    let installer = move |job: Job<'_>| {
        let mut command = Command::new(&program);
        match job {
            Job::Install(component, part) => command.args(["install", component, part.name()]),
            Job::Deployments => command.arg("deployments"),
        };
        command.args(["--name", &name]).arg("--data-dir").arg(&root);
        command
    };
    Ok(runtime()?.block_on(capstead_plane::supervise(&layout, &cache, true, Arc::new(installer)))?)
}

/// One look at Deployments: what runs is read from standard input, what should run is printed.
pub fn deployments(config: &Config, which: &Which) -> anyhow::Result<()> {
    let processes = serde_json::from_reader(std::io::stdin().lock()).context("standard input does not say what runs")?;
    let found = runtime()?.block_on(capstead_plane::deployments::pass::pass(&layout(config, which)?, processes))?;
    output::line(&serde_json::to_string(&found)?)
}

/// Installs a part of a component.
pub fn install(config: &Config, args: &Install) -> anyhow::Result<()> {
    let part = if args.part == Part::Webhooks.name() { Part::Webhooks } else { Part::Objects };
    Ok(runtime()?.block_on(capstead_plane::install::install(&layout(config, &args.which)?, &args.component, part))?)
}
