//! When to look at Deployments again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use capstead_reconcile::Backoff;
use futures::StreamExt;
use futures::stream::SelectAll;
use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::PartialObjectMeta;
use kube::core::ApiResource;
use kube::core::GroupVersionKind;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::watch;

use super::PROVIDER;
use super::Process;
use super::pass::Found;
use super::pass::KINDS;
use crate::actor::Context;
use crate::board::Board;
use crate::component::Component;
use crate::install::Job;

/// The component that the kinds of cert-manager come with; once it is ready there is all that is watched.
pub(crate) const FIRST: &str = "kube-controller-manager";

/// Tells which components Deployments ask for, whenever that changes, until the plane should not run.
pub(crate) async fn follow(context: Arc<Context>, mut view: watch::Receiver<Board>, deployed: watch::Sender<Option<Vec<Component>>>) {
    let plane = &context.plane;
    let fixed: BTreeSet<String> =
        plane.components.iter().map(|component| component.name.clone()).filter(|name| !plane.deployed.contains(name)).collect();
    let ready = |board: &Board| board.components.get(FIRST).is_some_and(|told| told.ready);
    if view.wait_for(|board| ready(board) || !board.run).await.is_err() {
        return;
    }
    let changed = Arc::new(Notify::new());
    // Dropped with this task, which ends it.
    let mut listening = tokio::task::JoinSet::new();
    listening.spawn(listen(context.admin.clone(), Arc::clone(&changed)));
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10), u64::from(std::process::id()));
    loop {
        let board = view.borrow_and_update().clone();
        if !board.run {
            return;
        }
        let processes = processes(&board, &fixed);
        let found = match look(&context, &processes).await {
            Ok(Found { components, trouble }) => {
                deployed.send_if_modified(|before| {
                    let differs = before.as_ref() != Some(&components);
                    *before = Some(components);
                    differs
                });
                trouble.map_or(Ok(()), Err)
            }
            Err(error) => Err(error),
        };
        let again = match found {
            Ok(()) => {
                backoff.reset();
                Duration::from_secs(3600)
            }
            Err(error) => {
                tracing::info!("deployments: {error}");
                backoff.failed()
            }
        };
        let others = view.wait_for(|board| !board.run || self::processes(board, &fixed) != processes);
        tokio::select! {
            () = changed.notified() => (),
            ended = others => if ended.is_err() { return },
            () = tokio::time::sleep(again) => (),
        }
    }
}

fn processes(board: &Board, fixed: &BTreeSet<String>) -> BTreeMap<String, Process> {
    let deployed = board.components.iter().filter(|(name, _)| !fixed.contains(*name));
    deployed.map(|(name, told)| (name.clone(), Process { running: told.running, ready: told.ready })).collect()
}

/// A pass in a process of its own: what is running goes in, what is wished comes out.
async fn look(context: &Context, processes: &BTreeMap<String, Process>) -> Result<Found, String> {
    let mut command = tokio::process::Command::from((context.installer)(Job::Deployments));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |error: std::io::Error| format!("the pass does not run: {error}");
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        let text = serde_json::to_vec(processes).unwrap_or_default();
        pipe.write_all(&text).await.map_err(failed)?;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the pass does not say what it found: {error}"))
}

/// Watches the metadata of what belongs to providers. Many changes at once are one reason to look.
async fn listen(client: Client, changed: Arc<Notify>) {
    let watched = KINDS.map(|(group, version, kind)| {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client.clone(), &resource);
        watcher(api, watcher::Config::default().labels(PROVIDER)).default_backoff().boxed()
    });
    let mut watched: SelectAll<_> = watched.into_iter().collect();
    while let Some(event) = watched.next().await {
        if event.is_ok() {
            changed.notify_one();
        }
    }
}
