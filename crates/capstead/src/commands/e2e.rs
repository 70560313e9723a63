//! `e2e`: the acceptance suite. Which clusters come up, and what is asked of them, is [`flow`]; where the management cluster and the hosts are, is [`ground`].

pub mod artefacts;
pub mod flow;
pub mod ground;
pub mod settings;
pub mod workload;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use capstead_journeys::log::Ended;
use capstead_journeys::log::Entry;
use capstead_journeys::log::junit;
use capstead_plane::operate;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use self::artefacts::Artefacts;
use self::flow::Flow;
use self::ground::Ground;
use self::ground::Site;
use self::settings::Hosts;
use self::settings::Settings;
use super::lan::Lan;
use super::real::Wanted;
use super::real::enter;
use super::simulated::Place;
use super::stages::Stages;
use crate::cli::E2e;
use crate::config::Config;
use crate::output;

/// The options or the configuration are wrong.
const EXIT_USAGE: u8 = 2;
/// The part of what concerns all clusters.
const SUITE: &str = "suite";

/// Runs the suite.
pub async fn run(config: &Config, args: E2e) -> anyhow::Result<ExitCode> {
    let prepared = Settings::new(&args, |name| std::env::var(name).ok()).and_then(|settings| Ok((Site::new(config, &args)?, settings)));
    let (site, settings) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    if let (Hosts::Own { count }, Some(layout)) = (&settings.hosts, &site.layout) {
        let lan = Lan::of(layout)?.isolated(args.isolated);
        if !lan.is_here() {
            let patience = settings.limit(SUITE, "plane");
            let place = Place { layout: layout.clone(), cache: site.cache.clone(), binaries: &args.binaries, patience };
            let wanted = Wanted { hosts: *count, versions: settings.versions(), part: SUITE };
            let ended = enter(config, &place, &lan, &wanted).await;
            if !args.skip_cleanup {
                lan.down().await?;
                operate::purge(layout).await?;
            }
            return ended;
        }
    }
    settings.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let mut suite = Suite {
        artefacts: Artefacts::new(&args.artefact_dir)?,
        stages: Stages::new(),
        interrupts: Interrupts::new()?,
        interrupted: false,
        args: &args,
        settings: &settings,
        site: &site,
    };
    let ran = suite.run(config).await;
    suite.stages.clear();
    let told = suite.tell();
    // A plane that cannot become ready has an exit code of its own, by what stands in the error.
    ran?;
    told
}

struct Suite<'a> {
    args: &'a E2e,
    settings: &'a Settings,
    site: &'a Site,
    artefacts: Artefacts,
    stages: Stages,
    interrupts: Interrupts,
    interrupted: bool,
}

impl Suite<'_> {
    async fn run(&mut self, config: &Config) -> anyhow::Result<()> {
        let title = if self.args.existing_cluster { "the management cluster has the provider" } else { "the management plane is up" };
        // With hosts of ours it has stages of its own.
        if !matches!(self.settings.hosts, Hosts::Own { .. }) {
            self.stages.begin(SUITE, "plane", title, Duration::from_secs(25));
        }
        let up = tokio::select! {
            up = Ground::up(config, self.args, self.settings, self.site, &mut self.stages) => up,
            () = self.interrupts.next() => Err(anyhow::anyhow!("interrupted")),
        };
        let ended = match up {
            Ok(ground) => {
                self.artefacts.management(&ground)?;
                self.stages.end(Ended::Passed);
                self.flows(&ground).await
            }
            Err(error) => {
                self.stages.end(Ended::Failed(format!("{error:#}")));
                Err(error.context("the suite has no management plane"))
            }
        };
        self.artefacts.logs(self.site.layout.as_ref());
        self.take_down().await;
        ended
    }

    async fn flows(&mut self, ground: &Ground) -> anyhow::Result<()> {
        for n in 0..self.settings.config.flows.len() {
            let mut flow = Flow::new(self.settings, ground, n)?;
            if self.interrupted {
                flow.skip_all(&mut self.stages, "the suite was interrupted");
                continue;
            }
            let passed = tokio::select! {
                passed = flow.run(&mut self.stages, &self.artefacts) => passed,
                () = self.interrupts.next() => {
                    self.interrupted = true;
                    false
                }
            };
            if self.interrupted {
                self.stages.end(Ended::Failed("interrupted".into()));
                eprintln!("Interrupted; what was made is taken away. Ctrl-C leaves that to you.");
            }
            flow.dump(&self.artefacts, "").await;
            if !passed && !self.interrupted {
                self.stages.clear();
                flow.diagnose(&self.artefacts).await;
            }
            if self.args.skip_cleanup {
                flow.skip_delete(&mut self.stages, "-e2e.skip-cleanup");
                continue;
            }
            tokio::select! {
                () = flow.delete(&mut self.stages, &self.artefacts) => (),
                () = self.interrupts.next() => {
                    self.interrupted = true;
                    self.stages.end(Ended::Failed(format!("interrupted; the namespace {} may be left on the hosts", flow.namespace())));
                }
            }
        }
        Ok(())
    }

    async fn take_down(&mut self) {
        let Some(layout) = &self.site.layout else { return };
        let (title, expected) = ("the management plane is gone", Duration::from_secs(5));
        if self.args.skip_cleanup {
            self.stages.skip(SUITE, "plane-down", title, expected, "-e2e.skip-cleanup");
            return;
        }
        self.stages.begin(SUITE, "plane-down", title, expected);
        let done = tokio::select! {
            done = ground::take_down(layout, &self.site.cache) => done,
            () = self.interrupts.next() => Err(anyhow::anyhow!("interrupted; `capstead down --name {} --purge` takes it down", layout.name())),
        };
        self.stages.end(match done {
            Ok(()) => Ended::Passed,
            Err(error) => Ended::Failed(format!("{error:#}")),
        });
    }

    /// Prints and writes how it went.
    fn tell(&self) -> anyhow::Result<ExitCode> {
        let entries = self.stages.entries();
        if let Some(file) = &self.args.junit {
            std::fs::write(file, junit("e2e", entries)).with_context(|| format!("--junit: cannot write {}", file.display()))?;
        }
        output::print(self.args.output, &entries, || self.stages.table())?;
        let failed: Vec<&Entry> = entries.iter().filter(|entry| entry.failure().is_some()).collect();
        for entry in &failed {
            eprintln!("error: {} {}: {}", entry.part, entry.stage, entry.failure().unwrap_or_default());
        }
        eprintln!("The artefacts are in {}.", self.artefacts.dir().display());
        if self.args.skip_cleanup {
            eprintln!("{}", self.kept());
        }
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn kept(&self) -> String {
        let env = self.artefacts.dir().join(artefacts::MANAGEMENT);
        let down =
            self.site.layout.as_ref().map(|layout| format!("\n  capstead down --name {} --purge", layout.name())).unwrap_or_default();
        format!(
            "Clusters and management plane stay up:\n  source {} && export KUBECONFIG=\"$E2E_MANAGEMENT_KUBECONFIG\"\n  kubectl get clusters,machines -A{down}",
            env.display()
        )
    }
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind, what| signal(kind).with_context(|| format!("cannot listen for {what}"));
        Ok(Self { interrupt: listen(SignalKind::interrupt(), "Ctrl-C")?, terminate: listen(SignalKind::terminate(), "SIGTERM")? })
    }

    /// The next of either.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}
