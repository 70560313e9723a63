//! Observing one component: its files, processes, ports, objects, and what the others tell.

use std::fs;
use std::time::Duration;

use capstead_reconcile::Timestamp;

use super::Actor;
use super::chain;
use crate::api;
use crate::board::Board;
use crate::command;
use crate::install;
use crate::install::Part;
use crate::lifecycle::Exits;
use crate::lifecycle::Installed;
use crate::lifecycle::Observed;
use crate::lifecycle::Process;
use crate::pki;
use crate::ports;
use crate::process;
use crate::process::Found;

/// A process that lived this long while ready had a good spell: earlier failures are forgotten.
const GOOD_SPELL: Duration = Duration::from_secs(10);
/// The API server's name among components.
const API_SERVER: &str = "kube-apiserver";

impl Actor {
    /// Looks at everything the plan may depend on. Also whether the plane should run.
    pub(super) async fn observe(&mut self) -> (bool, Observed) {
        let board = self.view.borrow().clone();
        let binary = self.memory.fetched.as_ref().is_some_and(|fetched| fetched.path.exists());
        let files = self.files_fresh();
        if binary && files {
            self.memory.digest = self.launch().map(|launch| launch.mark.digest);
        }
        let processes = self.processes().await;
        let idle = processes.is_empty();
        let run = board.run && !board.leaving.contains(&self.component.name);
        let ready = |name: &String| board.components.get(name).is_some_and(|told| told.ready);
        let (objects, webhooks) = if run { self.installed(&board).await } else { (Installed::Unknown, Installed::Unknown) };
        // Those that came with Deployments since this task began are on the board, too.
        let dependents = board.components.iter().filter(|(_, other)| other.after.contains(&self.component.name) && other.running);
        let seen = Observed {
            binary,
            files,
            taken: if idle && run {
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
            dependents: dependents.map(|(name, _)| name.clone()).collect(),
        };
        (run, seen)
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

    pub(super) fn found(&self) -> Vec<Found> {
        let mut found = process::find(&self.context.plane.id);
        found.retain(|found| found.mark.component == self.component.name);
        found
    }

    fn files_fresh(&self) -> bool {
        let certs = self.context.layout.certs(&self.component.name);
        let kubeconfig = self.context.layout.component_kubeconfig(&self.component.name);
        let certificates =
            self.component.certificates.iter().all(|certificate| pki::fresh(&certs.join(format!("{}.crt", certificate.name))));
        // A component may have neither; it has a folder in any case, in which its process works.
        let folder = self.context.layout.data(&self.component.name).is_dir();
        folder && certificates && (self.component.user.is_none() || pki::fresh(&kubeconfig) && self.kubeconfig_points_here())
    }

    /// Ports may have been chosen anew.
    fn kubeconfig_points_here(&self) -> bool {
        let text = fs::read_to_string(self.context.layout.component_kubeconfig(&self.component.name)).unwrap_or_default();
        self.context.plane.server().is_some_and(|server| text.lines().any(|line| line.trim() == format!("server: {server}")))
    }

    /// The command that should run; `None` before its binary is there.
    pub(super) fn launch(&self) -> Option<process::Launch> {
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
}
