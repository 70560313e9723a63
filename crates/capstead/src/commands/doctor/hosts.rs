//! Hosts that are named, and those of the clusters' pools.

use std::path::PathBuf;
use std::time::Duration;

use capstead_doctor::Object;
use capstead_doctor::picture::Host;
use capstead_doctor::picture::Unseen;
use capstead_doctor::picture::pools;
use capstead_flintlock::Access;
use capstead_preflight::Shell;
use capstead_preflight::Wish;
use capstead_preflight::judge_from_outside;
use futures::StreamExt;
use futures::stream;

use super::guests;
use crate::cli::Doctor;
use crate::cli::host::preflight::Place;
use crate::cli::host::preflight::WishArgs;
use crate::commands::folders;
use crate::commands::host::api;
use crate::commands::host::check;
use crate::commands::host::wish::wish;
use crate::commands::vm::access::access;
use crate::progress::Bars;

/// Most hosts of pools that are looked at.
const MOST_HOSTS: usize = 64;
/// Most microVMs of one host.
const MOST_MICROVMS: usize = 200;
/// Hosts at once.
const AT_ONCE: usize = 16;

/// A host to look at.
enum Target {
    /// The user named it.
    Named(Place),
    /// A MicrovmCluster names it.
    Pool { address: String, guarded: bool },
}

/// What is the same for all.
struct Looker<'a> {
    wish: Wish,
    access: Access,
    limit: Duration,
    run: Option<PathBuf>,
    /// Namespaces and names of the machines that were asked for.
    machines: Vec<(&'a str, &'a str)>,
    bars: &'a Bars,
}

/// Looks at all, for no longer than `limit`.
pub async fn look(args: &Doctor, objects: &[Object], limit: Duration, bars: &Bars) -> anyhow::Result<(Vec<Host>, Vec<Unseen>)> {
    let machines = objects.iter().filter(|object| object.kind() == "MicrovmMachine");
    let looker = Looker {
        wish: wish(&WishArgs { config: args.config.clone(), ..WishArgs::default() })?,
        access: access(&args.access)?,
        limit,
        // Without it there are no consoles, which is no reason not to look at all else.
        run: folders::run(&args.folders).ok(),
        machines: machines.map(|machine| (machine.namespace(), machine.name())).collect(),
        bars,
    };
    let (targets, cut) = targets(&args.host, objects);
    let looks: Vec<_> = targets.into_iter().map(|target| looker.one(target)).collect();
    let found: Vec<Result<Host, Unseen>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let (mut hosts, mut unseen) = (Vec::new(), Vec::from_iter(cut));
    for host in found {
        match host {
            Ok(host) => hosts.push(host),
            Err(reason) => unseen.push(reason),
        }
    }
    Ok((hosts, unseen))
}

/// Hosts that are named first; each once.
fn targets(named: &[Place], objects: &[Object]) -> (Vec<Target>, Option<Unseen>) {
    let mut pools = pools(objects);
    pools.retain(|address, _| !named.contains(&Place::Daemon(address.clone())));
    let cut = pools.len().saturating_sub(MOST_HOSTS);
    let cut = (cut > 0)
        .then(|| Unseen { what: format!("{cut} hosts of pools"), why: "there are many: name a Cluster, or these by --host".into() });
    let pools = pools.into_iter().take(MOST_HOSTS).map(|(address, guarded)| Target::Pool { address, guarded });
    (named.iter().cloned().map(Target::Named).chain(pools).collect(), cut)
}

impl Looker<'_> {
    async fn one(&self, target: Target) -> Result<Host, Unseen> {
        match target {
            Target::Named(Place::Ssh(destination)) => {
                let report = check::all(&Shell::ssh(&destination), &self.wish, self.limit, self.bars).await;
                let report = report.map_err(|error| unseen(&destination, &error))?;
                Ok(Host { name: destination, report, guarded: false, microvms: Vec::new() })
            }
            Target::Named(Place::Daemon(address)) => self.daemon(address, &self.access, false, |_| true).await,
            // A token is for whom it was given, and not for any address that somebody writes into a MicrovmCluster.
            Target::Pool { address, guarded } => {
                let wanted = |key: (&str, &str)| self.machines.contains(&key);
                self.daemon(address, &Access::default(), guarded, wanted).await
            }
        }
    }

    /// What a client of the daemon sees, and consoles where it runs on this machine.
    async fn daemon(&self, address: String, access: &Access, guarded: bool, wanted: impl Fn((&str, &str)) -> bool) -> Result<Host, Unseen> {
        let (api, listed) = api::look_by(&address, access, self.limit).await.map_err(|error| unseen(&address, &error))?;
        let wish = Wish { grpc_endpoint: address.clone(), ..self.wish.clone() };
        let report = judge_from_outside(&wish, api);
        let own =
            listed.into_iter().filter(|told| told.spec.as_ref().is_some_and(|spec| wanted((spec.namespace.as_str(), spec.id.as_str()))));
        let own: Vec<_> = own.take(MOST_MICROVMS).collect();
        let here = !own.is_empty() && guests::is_here(&address, self.limit).await;
        let run = self.run.as_deref().filter(|_| here);
        let microvms = own.into_iter().map(|told| guests::microvm(told, run)).collect();
        Ok(Host { name: address, report, guarded, microvms })
    }
}

fn unseen(host: &str, error: &anyhow::Error) -> Unseen {
    Unseen { what: format!("host {host}"), why: format!("{error:#}") }
}

#[cfg(test)]
mod tests;
