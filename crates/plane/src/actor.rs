//! One task for each component: observes it, plans by [`Lifecycle`], applies, and tells the others. It decides nothing itself.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use capstead_artifact::FetchOptions;
use capstead_artifact::Fetched;
use capstead_artifact::NoProgress;
use capstead_artifact::Origin;
use capstead_artifact::Store;
use capstead_reconcile::Backoff;
use capstead_reconcile::Effects;
use capstead_reconcile::Ended;
use capstead_reconcile::Look;
use capstead_reconcile::Outcome;
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
use crate::component::Usage;
use crate::install;
use crate::install::Part;
use crate::kubeconfig;
use crate::layout::Layout;
use crate::layout::private_dir;
use crate::layout::write_private;
use crate::lifecycle::Exits;
use crate::lifecycle::Installed;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Observed;
use crate::lifecycle::Process;
use crate::lifecycle::Step;
use crate::lifecycle::Wish;
use crate::pki;
use crate::pki::Pki;
use crate::pki::Subject;
use crate::plane::Plane;
use crate::ports;
use crate::process;
use crate::process::Found;
use crate::process::Held;
use crate::status::State;

/// A process that lived this long while ready had a good spell: earlier failures are forgotten.
const GOOD_SPELL: Duration = Duration::from_secs(10);
/// How long a process may take to end when asked.
const GRACE: Duration = Duration::from_secs(15);
/// Log lines shown of a component that keeps ending.
const TAIL: usize = 12;
/// A log is cut when it is larger, in bytes.
const LOG_LIMIT: u64 = 64 * 1024 * 1024;
/// The API server's name among components.
const API_SERVER: &str = "kube-apiserver";

/// What all components' tasks share and none changes.
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
    /// The command that installs a part of a component.
    pub installer: Box<Installer>,
}

/// Makes the command that installs a part of the component of this name.
pub type Installer = dyn Fn(&str, Part) -> std::process::Command + Send + Sync;

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
        let memory = Memory { restarts: crate::status::Status::restarts_before(&context.layout, &component.name), ..Memory::default() };
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

    async fn observe(&mut self) -> (bool, Observed) {
        let board = self.view.borrow().clone();
        let binary = self.memory.fetched.as_ref().is_some_and(|fetched| fetched.path.exists());
        let files = self.files_fresh();
        if binary && files {
            self.memory.digest = self.launch().map(|launch| launch.mark.digest);
        }
        let processes = self.processes().await;
        let idle = processes.is_empty();
        let ready = |name: &String| board.components.get(name).is_some_and(|told| told.ready);
        let needed = board.run;
        let (objects, webhooks) = if needed { self.installed(&board).await } else { (Installed::Unknown, Installed::Unknown) };
        let running = |name: &str| board.components.get(name).is_none_or(|told| told.running);
        let dependents =
            self.context.plane.components.iter().filter(|other| other.after.contains(&self.component.name) && running(&other.name));
        let seen = Observed {
            binary,
            files,
            taken: if idle && board.run {
                ports::taken(self.context.plane.listeners(&self.component).map(|(_, port, all)| (port, all)))
            } else {
                None
            },
            processes,
            exits: self.memory.exits.clone(),
            objects,
            webhooks,
            without_objects: self
                .component
                .after_objects_of
                .iter()
                .filter(|name| !board.components.get(*name).is_some_and(|told| told.objects))
                .cloned()
                .collect(),
            unready: self.component.after.iter().filter(|name| !ready(name)).cloned().collect(),
            dependents: dependents.map(|other| other.name.clone()).collect(),
        };
        (board.run, seen)
    }

    /// The component's processes. The one we hold is asked whether it is ready; others are looked for only when we hold none.
    async fn processes(&mut self) -> Vec<Process> {
        if let Some(held) = &mut self.memory.held {
            // An end that nobody waited for yet.
            if let Ok(ended) = tokio::time::timeout(Duration::ZERO, held.ended()).await {
                let end = ended.map_or_else(|error| error.to_string(), |end| end.to_string());
                self.ended(&end);
            }
        }
        if let Some(held) = &self.memory.held {
            let (pid, current) = (held.pid(), self.memory.digest.as_ref().is_none_or(|digest| *digest == held.mark().digest));
            let ready = api::answers(&self.probe, &self.probe_path).await;
            match (ready, self.memory.answered) {
                (false, _) => self.memory.answered = None,
                (true, None) => self.memory.answered = Some(Timestamp::now()),
                (true, Some(since)) if Timestamp::now().duration_since(since).unsigned_abs() > GOOD_SPELL => {
                    self.memory.exits = Exits::default()
                }
                (true, Some(_)) => (),
            }
            return vec![Process { pid, held: true, current, ready }];
        }
        let digest = &self.memory.digest;
        self.found()
            .into_iter()
            .map(|found| Process { pid: found.pid, held: false, current: digest.as_ref() == Some(&found.mark.digest), ready: false })
            .collect()
    }

    fn found(&self) -> Vec<Found> {
        let mut found = process::find(&self.context.plane.id);
        found.retain(|found| found.mark.component == self.component.name);
        found
    }

    fn files_fresh(&self) -> bool {
        let certs = self.context.layout.certs(&self.component.name);
        let kubeconfig = self.context.layout.component_kubeconfig(&self.component.name);
        let certificates =
            self.component.certificates.iter().all(|certificate| pki::fresh(&certs.join(format!("{}.crt", certificate.name))));
        certificates && (self.component.user.is_none() || pki::fresh(&kubeconfig) && self.kubeconfig_points_here())
    }

    /// Ports may have been chosen anew.
    fn kubeconfig_points_here(&self) -> bool {
        let text = fs::read_to_string(self.context.layout.component_kubeconfig(&self.component.name)).unwrap_or_default();
        self.context.plane.server().is_some_and(|server| text.lines().any(|line| line.trim() == format!("server: {server}")))
    }

    fn launch(&self) -> Option<process::Launch> {
        let fetched = self.memory.fetched.as_ref()?;
        command::launch(&self.context.plane, &self.component, &self.context.layout, &self.context.pki, fetched).ok()
    }

    /// Whether objects and webhooks are there. Asked once for each process of the API server: only a new one may have lost them.
    async fn installed(&mut self, board: &Board) -> (Installed, Installed) {
        if self.component.objects.is_none() && self.component.provider.is_none() {
            return (Installed::Yes, Installed::Yes);
        }
        let Some(server) = board.components.get(API_SERVER).filter(|told| told.answers) else {
            return (Installed::Unknown, Installed::Unknown);
        };
        if self.memory.marks.as_ref().is_none_or(|(pid, _)| *pid != server.pid) {
            self.memory.marks = match api::installed(&self.context.admin, &self.component.name).await {
                Ok(marks) => Some((server.pid, marks)),
                Err(_) => return (Installed::Unknown, Installed::Unknown),
            };
        }
        let digest = self.digest_of_objects();
        let marks = self.memory.marks.as_ref().map(|(_, marks)| marks);
        let part = |part: Part| {
            if digest.is_some() && marks.and_then(|marks| marks.get(part.name())) == digest { Installed::Yes } else { Installed::No }
        };
        (part(Part::Objects), part(Part::Webhooks))
    }

    /// Told once: objects do not change while a supervisor lives.
    fn digest_of_objects(&self) -> Option<&String> {
        let digest = || {
            install::digest(&self.context.plane, &self.component, &self.context.pki)
                .inspect_err(|error| tracing::error!("{}", chain(error)))
                .ok()
        };
        self.digest_of_objects.get_or_init(digest).as_ref()
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
            Some(finding) => {
                [finding.message.as_str(), &self.memory.last_end].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
            }
            None if settled => String::new(),
            None if !self.memory.trouble.is_empty() => self.memory.trouble.clone(),
            None => waits(),
        };
        let crashed = seen.exits.failures > 0 && failing.is_some_and(|finding| finding.reason == "CrashLoop");
        self.place.tell(Told {
            running: process.is_some(),
            ready: settled,
            objects: seen.objects == Installed::Yes,
            answers: process.is_some_and(|process| process.ready),
            state,
            pid: process.map(|process| process.pid),
            restarts: self.memory.restarts,
            source: self.memory.fetched.as_ref().map(|fetched| origin(&fetched.source).to_owned()).unwrap_or_default(),
            message,
            log: if crashed { process::log_tail(&self.context.layout.log(&self.component.name), TAIL) } else { Vec::new() },
        });
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

    async fn fetch(&mut self) -> Outcome {
        match self.context.store.fetch(&self.component.binary, &self.context.fetch, &NoProgress).await {
            Ok(fetched) => {
                self.memory.fetched = Some(fetched);
                Outcome::Done
            }
            Err(error) => Outcome::transient(chain(&error)),
        }
    }

    fn write(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (layout, name) = (&self.context.layout, &self.component.name);
        let certs = layout.certs(name);
        private_dir(&certs)?;
        private_dir(&layout.data(name))?;
        for certificate in &self.component.certificates {
            let path = certs.join(format!("{}.crt", certificate.name));
            if pki::fresh(&path) {
                continue;
            }
            let subject = Subject {
                common_name: &certificate.common_name,
                organization: None,
                usages: &certificate.usages,
                names: &certificate.names,
            };
            let pair = self.context.pki.issue(certificate.authority, &subject)?;
            // The certificate is written last: with it there, the key is too.
            write_private(&path.with_extension("key"), pair.key.as_bytes())?;
            write_private(&path, pair.certificate.as_bytes())?;
        }
        if let (Some(user), Some(server)) = (&self.component.user, self.context.plane.server()) {
            let subject = Subject { common_name: &user.name, organization: user.group.as_deref(), usages: &[Usage::Client], names: &[] };
            let pair = self.context.pki.issue(Authority::Cluster, &subject)?;
            let text = kubeconfig::render(name, &server, &self.context.pki.read(Authority::Cluster)?, &pair)?;
            write_private(&layout.component_kubeconfig(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Runs the installer, a process of its own: what it takes to read megabytes of objects is given back when it ends.
    async fn install(&mut self, part: Part) -> Outcome {
        let mut command = tokio::process::Command::from((self.context.installer)(&self.component.name, part));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = match command.output().await {
            Ok(output) => output,
            Err(error) => return Outcome::transient(format!("the installer does not start: {error}")),
        };
        if !output.status.success() {
            return Outcome::transient(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        // Its mark in the API tells.
        self.memory.marks = None;
        Outcome::Done
    }

    fn start(&mut self) -> Outcome {
        let Some(launch) = self.launch() else { return Outcome::Gone };
        match process::launch(&launch, &self.context.layout.component_lock(&self.component.name)) {
            Ok(held) => {
                tracing::info!(component = self.component.name, pid = held.pid(), "started");
                self.memory.restarts += u32::from(self.memory.started);
                self.memory.started = true;
                self.memory.held = Some(held);
                self.memory.digest = Some(launch.mark.digest);
                Outcome::Done
            }
            Err(error) => Outcome::transient(chain(&error)),
        }
    }

    fn adopt(&mut self, pid: u32) -> Outcome {
        let found = self.found().into_iter().find(|found| found.pid == pid);
        match found.as_ref().and_then(Held::adopt) {
            Some(held) => {
                tracing::info!(component = self.component.name, pid, "adopted");
                self.memory.started = true;
                self.memory.held = Some(held);
                Outcome::Done
            }
            None => Outcome::Gone,
        }
    }

    async fn stop(&mut self, pid: u32) -> Outcome {
        let held = self.memory.held.take().filter(|held| held.pid() == pid);
        let held = held.or_else(|| self.found().iter().find(|found| found.pid == pid).and_then(Held::adopt));
        let Some(mut held) = held else { return Outcome::Gone };
        match held.stop(GRACE).await {
            Ok(end) => {
                tracing::info!(component = self.component.name, pid, "stopped: {end}");
                self.memory.answered = None;
                Outcome::Done
            }
            Err(error) => Outcome::transient(error.to_string()),
        }
    }
}

impl Effects<Step> for Actor {
    async fn apply(&mut self, step: &Step) -> Outcome {
        let done = |result: Result<(), Box<dyn std::error::Error + Send + Sync>>| match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::transient(chain(error.as_ref())),
        };
        match step {
            Step::Fetch => self.fetch().await,
            Step::Write => done(self.write()),
            Step::InstallObjects => self.install(Part::Objects).await,
            Step::InstallWebhooks => self.install(Part::Webhooks).await,
            Step::Start => self.start(),
            Step::Adopt(pid) => self.adopt(*pid),
            Step::Stop(pid) => self.stop(*pid).await,
        }
    }

    fn deadline(&self, step: &Step) -> Duration {
        match step {
            // A cold build on a slow machine.
            Step::Fetch => Duration::from_secs(2 * 3600),
            Step::InstallObjects | Step::InstallWebhooks => Duration::from_secs(120),
            Step::Stop(_) => GRACE * 2,
            Step::Write | Step::Start | Step::Adopt(_) => Duration::from_secs(30),
        }
    }
}

/// Short, for tables.
fn origin(origin: &Origin) -> &'static str {
    match origin {
        Origin::Path => "path",
        Origin::Oci { .. } => "oci",
        Origin::Go { .. } => "go",
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
