//! `vm delete`.

use std::time::Instant;

use anyhow::bail;
use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_flintlock::CallError;
use capstead_flintlock::Client;
use capstead_flintlock::types::MicroVm;

use super::access;
use super::access::explained;
use super::cause;
use super::find;
use super::name;
use super::uid;
use crate::cli::vm::VmDelete;
use crate::output;
use crate::progress::Bars;

/// Between looks at one that goes.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// Has microVMs deleted.
pub async fn run(args: &VmDelete) -> anyhow::Result<()> {
    let client = access::client(&args.host)?;
    let doomed = doomed(&client, args).await?;
    if args.all && !args.yes && !doomed.is_empty() {
        let names: Vec<String> = doomed.iter().map(name).collect();
        bail!("this deletes {} microVMs: {}; with --yes it is done", doomed.len(), names.join(", "));
    }
    for microvm in &doomed {
        match client.delete(uid(microvm)).await {
            Ok(()) | Err(CallError::NotFound { .. }) => (),
            Err(error) => return Err(explained(error).context(format!("microVM {} is not deleted", name(microvm)))),
        }
    }
    if args.no_wait {
        return tell(&doomed, "is being deleted");
    }
    let bars = Bars::new();
    let gone = until_gone(&client, &doomed, args, &bars).await;
    bars.clear();
    gone?;
    tell(&doomed, "is gone")
}

/// All are found before the first is deleted: one that is called wrongly keeps the others.
async fn doomed(client: &Client, args: &VmDelete) -> anyhow::Result<Vec<MicroVm>> {
    let namespace = args.namespace.as_deref();
    if args.all {
        return client.all(namespace.unwrap_or_default(), "").await.map_err(explained);
    }
    let mut doomed: Vec<MicroVm> = Vec::new();
    for target in &args.microvms {
        let found = if args.ignore_not_found {
            find::if_there(client, target, namespace).await?
        } else {
            Some(find::one(client, target, namespace).await?)
        };
        // It may be called in two ways.
        doomed.extend(found.filter(|found| doomed.iter().all(|other| uid(other) != uid(found))));
    }
    Ok(doomed)
}

async fn until_gone(client: &Client, doomed: &[MicroVm], args: &VmDelete, bars: &Bars) -> anyhow::Result<()> {
    let begun = Instant::now();
    for microvm in doomed {
        let (name, uid) = (name(microvm), uid(microvm));
        let mut seen = "it is being deleted".to_owned();
        loop {
            match client.get(uid).await {
                Ok(microvm) if cause(&microvm).is_empty() => (),
                Ok(microvm) => seen = cause(&microvm).to_owned(),
                Err(CallError::NotFound { .. }) => break,
                Err(error @ CallError::Terminal { .. }) => return Err(explained(error)),
                Err(error) => seen = format!("{:#}", anyhow::Error::new(error)),
            }
            if begun.elapsed() >= args.timeout {
                bail!("microVM {name} ({uid}) is not gone after {:?}: {seen}; its host goes on with it", args.timeout);
            }
            bars.event(&name, Event::Message { text: seen.clone() });
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

fn tell(doomed: &[MicroVm], what: &str) -> anyhow::Result<()> {
    doomed.iter().try_for_each(|microvm| output::line(&format!("microVM {} ({}) {what}", name(microvm), uid(microvm))))
}
