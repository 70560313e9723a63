//! Applying the steps of one component's plan. Each is safe to do again.

use std::process::Stdio;
use std::time::Duration;

use capstead_artifact::NoProgress;
use capstead_reconcile::Effects;
use capstead_reconcile::Outcome;

use super::Actor;
use super::chain;
use crate::component::Authority;
use crate::component::Usage;
use crate::install::Job;
use crate::install::Part;
use crate::kubeconfig;
use crate::layout::private_dir;
use crate::layout::write_private;
use crate::lifecycle::Step;
use crate::pki;
use crate::pki::Subject;
use crate::process;
use crate::process::Held;

/// How long a process may take to end when asked.
const GRACE: Duration = Duration::from_secs(15);

impl Actor {
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
        let mut command = tokio::process::Command::from((self.context.installer)(Job::Install(&self.component.name, part)));
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
