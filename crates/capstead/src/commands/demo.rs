//! `demo`: a management plane, the microVM provider and hosts, and a cluster that comes up on them.

mod real;

use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use capstead_journeys::Look;
use capstead_journeys::look::Host;
use capstead_journeys::tree;
use capstead_plane::Layout;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::cluster::ANSWER;
use super::cluster::World;
use super::cluster::table;
use super::generate;
use super::live::Line;
use super::live::Live;
use super::simulated::HOSTS;
use super::simulated::Hosts;
use super::simulated::PROVIDER;
use super::simulated::Place;
use super::simulated::Simulated;
use crate::cli::Demo;
use crate::config::Config;
use crate::output;

/// The name of the Cluster.
const CLUSTER: &str = "demo";
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(300);

/// Runs the demo.
pub async fn run(config: &Config, args: Demo) -> anyhow::Result<ExitCode> {
    if !args.simulated {
        return real::run(config, &args).await;
    }
    let name = args.name.clone();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut live = Live::new();
    let done = tokio::select! {
        done = show(config, args, &mut live) => done,
        _ = interrupt.recv() => Err(interrupted(&name)),
        _ = terminate.recv() => Err(interrupted(&name)),
    };
    live.clear();
    done.map(|()| ExitCode::SUCCESS)
}

fn interrupted(name: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "interrupted; what was begun goes on: `capstead demo --simulated --name {name}` shows it again, \
         `capstead down --name {name} --purge` takes it down"
    )
}

async fn show(config: &Config, args: Demo, live: &mut Live) -> anyhow::Result<()> {
    let layout = Layout::new(&config.data_dir(args.data_dir.as_ref()), &args.name)?;
    let cache = config.cache_dir(args.cache_dir.as_ref())?;
    let patience = Duration::from_secs(args.timeout);
    let began = Instant::now();
    let place = Place { layout, cache, binaries: &args.binaries, patience };
    let simulated = Simulated::up(config, &place, Hosts::new(args.hosts.unwrap_or(2), vec!["--boot-delay=2s".into()]), live).await?;
    eprintln!("The plane is ready after {} s.", began.elapsed().as_secs());

    let world = World::new(simulated.api.clone(), CLUSTER, "default", "v1alpha2", &simulated.addresses)?;
    settle(&world, live, patience).await?;
    let endpoint = simulated.endpoint(1).context("the simulated hosts have no ports")?;
    let objects = generate::objects(&simulated.cluster(CLUSTER, "default", &endpoint, 1, args.workers))?;
    capstead_plane::api::apply(&world.plane, &objects).await.context("the plane does not take the cluster's objects")?;
    eprintln!("Applied {} objects: a cluster of one control plane machine, workers asked for: {}.", objects.len(), args.workers);
    let look = stands(&world, live, patience).await.map_err(|error| {
        anyhow::anyhow!(
            "{error}\n\nTo see why:\n  capstead logs {PROVIDER} --name {name} --tail 20\n  capstead status --name {name}\n  \
             capstead kubectl --name {name} describe machines",
            name = args.name
        )
    })?;
    live.clear();
    output::line(&format!(
        "\nThe cluster is available after {} s.\n\n{}\n\n{}\n\n{}",
        began.elapsed().as_secs(),
        table::tree(&tree::rows(&look), jiff::Timestamp::now()),
        table::microvms(&look),
        what_next(&simulated)
    ))
}

fn lines(look: &Look) -> Vec<Line> {
    let object = |row: tree::Row| Line {
        done: row.ready == "True",
        state: match row.ready.as_str() {
            "" => "made".into(),
            "True" => "ready".into(),
            _ => format!("not ready: {}", row.reason),
        },
        what: row.object,
        branch: row.branch,
        note: row.note,
    };
    let host = |host: &Host| {
        let (done, state) = match &host.microvms {
            Err(why) => (false, format!("does not answer: {why}")),
            Ok(here) => {
                let running = here.iter().filter(|microvm| microvm.state == "CREATED").count();
                (running == here.len(), format!("{running} of {} microVMs running", here.len()))
            }
        };
        Line { what: format!("host {}", host.address), branch: String::new(), done, state, note: String::new() }
    };
    tree::rows(look).into_iter().map(object).chain(look.hosts.iter().map(host)).collect()
}

/// The simulated hosts may have been started anew, with fewer of them or without their memory. A cluster whose microVMs are gone with them is deleted first, so that it is made anew.
async fn settle(world: &World, live: &mut Live, patience: Duration) -> anyhow::Result<()> {
    let leaving =
        |look: &Look| look.objects.iter().any(|object| object["kind"] == "Cluster" && object["metadata"]["deletionTimestamp"].is_string());
    // A server that has just come up may ask for patience.
    let look = wait(world, live, patience, |_| Vec::new()).await?;
    if !tree::lost(&look).is_empty() {
        eprintln!("The simulated hosts were started anew, without the microVMs of the last time: the cluster is deleted and made again.");
        world.delete_cluster().await?;
    } else if !leaving(&look) {
        return Ok(());
    }
    wait(world, live, patience, |look| look.objects.iter().map(|object| format!("{} is still there", tree::named(object))).collect())
        .await
        .map(drop)
        .context("the cluster of the last time is not gone")
}

/// Waits until the cluster is available.
async fn stands(world: &World, live: &mut Live, patience: Duration) -> anyhow::Result<Look> {
    wait(world, live, patience, tree::missing).await
}

/// Looks until nothing is missing.
async fn wait(world: &World, live: &mut Live, patience: Duration, missing: impl Fn(&Look) -> Vec<String>) -> anyhow::Result<Look> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let looked =
            tokio::time::timeout(ANSWER, world.look()).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {ANSWER:?}")));
        let unmet = match looked {
            Ok(look) => {
                live.show(&lines(&look));
                let unmet = missing(&look);
                if unmet.is_empty() {
                    return Ok(look);
                }
                unmet
            }
            // One failed look says little: the next may succeed.
            Err(error) => vec![format!("{error:#}")],
        };
        if tokio::time::Instant::now() > deadline {
            let unmet: String = unmet.iter().map(|unmet| format!("\n  {unmet}")).collect();
            anyhow::bail!("after {} s this is not met:{unmet}", patience.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn what_next(simulated: &Simulated) -> String {
    let name = &simulated.plane.name;
    let control = simulated.plane.port(HOSTS, "control").unwrap_or_default();
    let rows = [
        (format!("capstead kubectl --name {name} get clusters,machines,microvmmachines -o wide"), "what Cluster API and the provider made"),
        (format!("capstead clusterctl --name {name} describe cluster {CLUSTER}"), "the same by clusterctl, with all conditions"),
        (format!("capstead clusterctl --name {name} get kubeconfig {CLUSTER} > {CLUSTER}.kubeconfig"), "the way into the cluster itself"),
        (format!("capstead kubectl --name {name} --kubeconfig {CLUSTER}.kubeconfig get nodes,pods -A"), "what it runs"),
        (format!("capstead kubectl --name {name} scale machinedeployment {CLUSTER}-md-0 --replicas 3"), "ask for more workers"),
        (format!("curl 127.0.0.1:{control}/microvms"), "what is on the simulated hosts"),
        (format!("capstead lab fault add api-silent --name {name} --for 2m"), "let something go wrong, and see how it is told"),
        (format!("capstead status --name {name}"), "what runs"),
        (format!("capstead logs {PROVIDER} --name {name} -f"), "what the provider does"),
        (format!("capstead down --name {name} --purge"), "take it down"),
    ];
    let width = rows.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let rows: String = rows.iter().map(|(command, what)| format!("\n  {command:width$}   {what}")).collect();
    format!(
        "The machines are simulated: each reads its bootstrap data as a real one does, and acts as its node; no container runs.\n\
         All above them is real.\n\nLook around, and take it down:\n{rows}"
    )
}
