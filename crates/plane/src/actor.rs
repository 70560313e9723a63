//! One task for each component: observes it, plans by [`Lifecycle`], applies, and tells the others. It decides nothing itself.

mod effects;
mod observe;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use capstead_artifact::FetchOptions;
use capstead_artifact::Fetched;
use capstead_artifact::Origin;
use capstead_artifact::Store;
use capstead_reconcile::Backoff;
use capstead_reconcile::Ended;
use capstead_reconcile::Look;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Report;
use capstead_reconcile::Timestamp;
use capstead_reconcile::execute;
use kube::Client;
use tokio::sync::watch;

use crate::api;
use crate::board::Board;
use crate::board::Place;
use crate::board::Told;
use crate::command;
use crate::component::Authority;
use crate::component::Component;
use crate::install::Job;
use crate::layout::Layout;
use crate::lifecycle::Exits;
use crate::lifecycle::Installed;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Observed;
use crate::lifecycle::Step;
use crate::lifecycle::Wish;
use crate::pki::Pki;
use crate::plane::Plane;
use crate::process;
use crate::process::Held;
use crate::status::State;

/// Log lines shown of a component that keeps ending.
const TAIL: usize = 12;
/// Characters shown of each.
const WIDTH: usize = 200;
/// A log is cut when it is larger, in bytes.
const LOG_LIMIT: u64 = 64 * 1024 * 1024;
/// What all components' tasks share and none changes.
#[derive(Clone)]
pub struct Context {
    /// The plane.
    pub plane: Plane,
    /// Its folder.
    pub layout: Layout,
    /// Its authorities.
    pub pki: Pki,
    /// Where binaries are kept.
    pub store: Store,
    /// How binaries are fetched.
    pub fetch: FetchOptions,
    /// A client of the API server, as administrator.
    pub admin: Client,
    /// Processes of the plane ran when this supervisor began.
    pub took_over: bool,
    /// The command that does what needs a process of its own.
    pub installer: Arc<Installer>,
}

/// Makes the command for a job.
pub type Installer = dyn Fn(Job<'_>) -> std::process::Command + Send + Sync;

/// One component's task.
pub struct Actor {
    context: Arc<Context>,
    component: Component,
    place: Place,
    view: watch::Receiver<Board>,
    probe: Client,
    probe_path: String,
    digest_of_objects: OnceLock<Option<String>>,
    memory: Memory,
}

/// What is lost when the supervisor dies, and found again by looking.
#[derive(Default)]
struct Memory {
    fetched: Option<Fetched>,
    held: Option<Held>,
    /// Digest of the command that should run.
    digest: Option<String>,
    answered: Option<Timestamp>,
    exits: Exits,
    last_end: String,
    restarts: u32,
    started: bool,
    /// Digests of what the API held when it was last asked, and what process of the API server said so.
    marks: Option<(Option<u32>, BTreeMap<String, String>)>,
    /// What failed last, for people.
    trouble: String,
}

impl Actor {
    /// A task for `component`, not yet running.
    ///
    /// # Errors
    /// Its readiness URL is no good.
    pub fn new(context: Arc<Context>, component: Component, place: Place) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let variables = command::variables(&context.plane, &component, &context.layout, &context.pki);
        let url: http::Uri = command::fill(&component, &component.ready.url, &variables)?.parse()?;
        let probe_path = url.path().to_owned();
        let server = format!("{}://{}", url.scheme_str().unwrap_or("http"), url.authority().map_or("", |authority| authority.as_str()));
        let probe = api::client(&server, &context.pki.read(Authority::Cluster)?, None)?;
        // Where processes still run, this supervisor takes over from another; else the plane begins anew.
        let took_over = context.took_over;
        let restarts = if took_over { crate::status::Status::restarts_before(&context.layout, &component.name) } else { 0 };
        let memory = Memory { restarts, started: took_over, ..Memory::default() };
        let view = place.board.subscribe();
        Ok(Self { context, component, place, view, probe, probe_path, digest_of_objects: OnceLock::new(), memory })
    }

    /// Runs until the plane should not run and the component does not.
    pub async fn run(mut self) {
        let seed = u64::from(std::process::id()) ^ self.component.name.len() as u64;
        let mut backoff = Backoff::new(Duration::from_millis(200), crate::lifecycle::LONGEST_BACKOFF, seed);
        loop {
            self.view.mark_unchanged();
            let (run, seen) = self.observe().await;
            let wish = Wish {
                run,
                objects: self.component.objects.is_some(),
                webhooks: self.component.objects.is_some() || self.component.provider.is_some(),
            };
            let now = Timestamp::now();
            let plan = Lifecycle::plan(&wish, &seen, now);
            self.tell(&wish, &seen, &plan);
            if !run && plan.is_settled() {
                return;
            }
            let report = execute(plan.steps.clone(), &mut self).await;
            self.note(&report);
            let look = report.look(&plan, Timestamp::now(), &mut backoff);
            self.wait(look).await;
        }
    }

    fn tell(&self, wish: &Wish, seen: &Observed, plan: &Plan<Step>) {
        let failing = plan.findings.iter().find(|finding| finding.about == "Failing");
        let process = seen.processes.first();
        let settled = plan.is_settled() && process.is_some() && wish.run;
        let state = match (wish.run, process) {
            (false, None) => State::Stopped,
            (false, Some(_)) => State::Stopping,
            (true, _) if failing.is_some() => State::Failing,
            (true, _) if settled => State::Ready,
            (true, Some(_)) => State::Starting,
            (true, None) if plan.steps.contains(&Step::Fetch) => State::Fetching,
            (true, None) if plan.steps.contains(&Step::InstallObjects) => State::Installing,
            (true, None) => State::Waiting,
        };
        let waits = || plan.waits.iter().map(|wait| format!("{} {}", wait.on, wait.why)).collect::<Vec<_>>().join("; ");
        let message = match failing {
            Some(finding) => [finding.message.as_str(), &self.memory.last_end, &self.memory.trouble]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
            None if settled => String::new(),
            None if !self.memory.trouble.is_empty() => self.memory.trouble.clone(),
            None => waits(),
        };
        let crashed = seen.exits.failures > 0 && failing.is_some_and(|finding| finding.reason == "CrashLoop");
        self.place.tell(Told {
            after: self.component.after.clone(),
            running: process.is_some(),
            ready: settled,
            objects: seen.objects == Installed::Yes,
            answers: process.is_some_and(|process| process.ready),
            state,
            pid: process.map(|process| process.pid),
            restarts: self.memory.restarts,
            source: self.memory.fetched.as_ref().map(|fetched| origin(&fetched.source).to_owned()).unwrap_or_default(),
            message,
            log: if crashed { self.last_words() } else { Vec::new() },
        });
    }

    /// The end of its log, for people: long lines are cut.
    fn last_words(&self) -> Vec<String> {
        let cut = |line: String| match line.char_indices().nth(WIDTH) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        };
        process::last_words(&self.context.layout.log(&self.component.name), TAIL).into_iter().map(cut).collect()
    }

    fn note(&mut self, report: &Report<Step>) {
        match &report.ended {
            Ended::Finished | Ended::Gone => self.memory.trouble.clear(),
            Ended::Transient { step, cause, .. } | Ended::Terminal { step, cause } => {
                let trouble = format!("cannot {}: {cause}", words(step));
                if trouble != self.memory.trouble {
                    tracing::warn!(component = self.component.name, "{trouble}");
                }
                self.memory.trouble = trouble;
            }
        }
    }

    /// Waits for the time to look again, the end of the process, or news from the others.
    async fn wait(&mut self, look: Look) {
        let until = match look {
            Look::Now => return,
            Look::At(time) => Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default(),
            Look::OnChange => Duration::from_secs(3600),
        };
        let ended = async {
            match &mut self.memory.held {
                Some(held) => held.ended().await.map_or_else(|error| error.to_string(), |end| end.to_string()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            end = ended => self.ended(&end),
            () = tokio::time::sleep(until) => self.bound_log(),
            _ = self.view.changed() => (),
        }
    }

    fn ended(&mut self, end: &str) {
        let failures = self.memory.exits.failures + 1;
        tracing::warn!(component = self.component.name, pid = self.memory.held.as_ref().map(Held::pid), failures, "{end}");
        self.memory.held = None;
        self.memory.answered = None;
        self.memory.exits = Exits { failures, last: Some(Timestamp::now()) };
        end.clone_into(&mut self.memory.last_end);
    }

    /// Keeps the log from filling the disk: the newest half moves aside.
    fn bound_log(&self) {
        let log = self.context.layout.log(&self.component.name);
        if fs::metadata(&log).is_ok_and(|file| file.len() > LOG_LIMIT) {
            let _ = fs::copy(&log, log.with_extension("1"));
            // The process appends, so it goes on at the new end.
            let _ = fs::OpenOptions::new().write(true).truncate(true).open(&log);
        }
    }
}

/// Short, for tables.
fn origin(origin: &Origin) -> &'static str {
    match origin {
        Origin::Path => "path",
        Origin::Oci { .. } => "oci",
        Origin::Go { .. } => "go",
        Origin::Itself => "itself",
    }
}

fn words(step: &Step) -> &'static str {
    match step {
        Step::Fetch => "fetch its binary",
        Step::Write => "write its files",
        Step::InstallObjects => "install its objects",
        Step::Start => "start it",
        Step::Adopt(_) => "adopt it",
        Step::InstallWebhooks => "install its webhooks",
        Step::Stop(_) => "stop it",
    }
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
