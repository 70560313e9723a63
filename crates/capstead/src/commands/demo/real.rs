//! The demo on real microVMs: a plane and a host in a network of their own, and a cluster whose nodes run Kubernetes.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use capstead_journeys::Config as Journey;
use capstead_journeys::config::Flow as JourneyFlow;
use capstead_journeys::stage::Wish;
use capstead_journeys::tree;
use capstead_plane::Layout;
use capstead_plane::layout::write_private;
use capstead_plane::operate;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::CLUSTER;
use crate::cli::Demo;
use crate::commands::cluster::World;
use crate::commands::cluster::table;
use crate::commands::e2e::artefacts::Artefacts;
use crate::commands::e2e::flow::Flow;
use crate::commands::e2e::ground::Ground;
use crate::commands::e2e::settings::Hosts;
use crate::commands::e2e::settings::Settings;
use crate::commands::e2e::workload;
use crate::commands::image::build::node_version;
use crate::commands::lan::Lan;
use crate::commands::real::Real;
use crate::commands::real::Wanted;
use crate::commands::real::enter;
use crate::commands::simulated::Place;
use crate::commands::stages::Stages;
use crate::config::Config;
use crate::output;

/// What stages belong to.
const PART: &str = "demo";

/// Runs the demo within its network, which is made first.
pub async fn run(config: &Config, args: &Demo) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&config.data_dir(args.data_dir.as_ref()), &args.name)?;
    let cache = config.cache_dir(args.cache_dir.as_ref())?;
    let lan = Lan::of(&layout)?.isolated(args.isolated);
    if args.down {
        return down(&layout, &lan, &cache).await.map(|()| ExitCode::SUCCESS);
    }
    if !lan.is_here() {
        let place = Place { layout, cache, binaries: &args.binaries, patience: Duration::from_secs(args.timeout) };
        let versions = [node_version(config)?].into();
        return enter(config, &place, &lan, &Wanted { hosts: hosts(args), versions, part: PART }).await;
    }
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut stages = Stages::new();
    let interrupted = || {
        let name = &args.name;
        Err(anyhow::anyhow!(
            "interrupted; what was begun goes on: `capstead demo --name {name} --keep` shows it again, `capstead demo --name {name} --down` takes it down"
        ))
    };
    let done = tokio::select! {
        done = show(config, args, layout, cache, &lan, &mut stages) => done,
        _ = interrupt.recv() => interrupted(),
        _ = terminate.recv() => interrupted(),
    };
    stages.clear();
    done.map(|()| ExitCode::SUCCESS)
}

fn hosts(args: &Demo) -> u16 {
    args.hosts.unwrap_or(1)
}

/// Takes all of it down: plane, microVMs, network, files.
async fn down(layout: &Layout, lan: &Lan, cache: &Path) -> anyhow::Result<()> {
    if layout.plane_file().exists() {
        operate::down(layout, cache).await?;
    }
    lan.down().await?;
    operate::purge(layout).await?;
    output::line(&format!("The demo {:?} is down: nothing of it runs, and every file of it but what was built is removed.", layout.name()))
}

async fn show(config: &Config, args: &Demo, layout: Layout, cache: PathBuf, lan: &Lan, stages: &mut Stages) -> anyhow::Result<()> {
    let began = Instant::now();
    let place = Place { layout, cache, binaries: &args.binaries, patience: Duration::from_secs(args.timeout) };
    let mut real = Real::up(config, &place, lan, hosts(args), PART, stages).await?;
    real.open(lan).await?;
    let ground = Ground {
        api: real.api.clone(),
        name: args.name.clone(),
        kubeconfig: place.layout.kubeconfig(),
        context: format!("capstead-{}", args.name),
        hosts: real.addresses.clone(),
        endpoints: vec![Lan::vip(0).context("there is no address for the cluster")?.to_string()],
        nodes: std::mem::take(&mut real.nodes),
        run_dirs: std::mem::take(&mut real.run_dirs),
        simulator: None,
    };
    let settings = settings(args, &real, node_version(config)?)?;
    let artefacts = Artefacts::new(&place.layout.dir().join("artefacts"))?;
    let mut flow = Flow::named(&settings, &ground, 0, CLUSTER, CLUSTER)?;
    if !args.keep {
        flow.delete_earlier(stages).await;
    }
    flow.run(stages, &artefacts).await;
    stages.clear();
    if let Some(why) = stages.entries().iter().find_map(|entry| entry.failure().map(|why| format!("{}: {why}", entry.stage))) {
        flow.dump(&artefacts, "").await;
        anyhow::bail!("{why}{}", hints(args, artefacts.dir()));
    }
    let look = flow.world().look().await?;
    let kubeconfig = place.layout.dir().join(format!("{CLUSTER}.kubeconfig"));
    write_private(&kubeconfig, way_in(flow.world(), &ground.endpoints[0], real.cluster_port()?).await?.as_bytes())?;
    output::line(&format!(
        "\n{}\n\nThe cluster is there after {} s.\n\n{}\n\n{}\n\n{}",
        stages.table(),
        began.elapsed().as_secs(),
        table::tree(&tree::rows(&look), jiff::Timestamp::now()),
        table::microvms(&look),
        what_next(args, &kubeconfig, &real.addresses),
    ))
}

/// What is asked of the cluster.
fn settings(args: &Demo, real: &Real, version: String) -> anyhow::Result<Settings> {
    let workers = usize::try_from(args.workers)?;
    let journey = Journey {
        flows: vec![JourneyFlow { name: PART.into(), api_version: "v1alpha2".into(), ..JourneyFlow::default() }],
        ..Journey::default()
    };
    Ok(Settings {
        config: journey,
        hosts: Hosts::Given(real.addresses.clone()),
        vip: Lan::vip(0).map(Into::into),
        version,
        wish: Wish { control_plane: 1, workers, answers: true, upgrade: None, replaces: false },
        warnings: Vec::new(),
        timeout: None,
    })
}

/// The administrator's kubeconfig of the cluster, by the port that leads in. It is the cluster's certificate that is checked.
async fn way_in(world: &World, address: &str, port: u16) -> anyhow::Result<String> {
    let mut kubeconfig = workload::kubeconfig(world).await?;
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        cluster.server = Some(format!("https://127.0.0.1:{port}"));
        cluster.tls_server_name = Some(address.to_owned());
    }
    yaml_serde::to_string(&kubeconfig).context("cannot write the cluster's kubeconfig")
}

fn hints(args: &Demo, artefacts: &Path) -> String {
    let name = &args.name;
    format!(
        "\n\nAll of it stays up, to see why:\n  capstead kubectl --name {name} describe machines -n {CLUSTER}\n  capstead vm ls --host HOST   and `vm logs` for what a machine says\n  \
         {} has manifests, objects and events\n  capstead demo --name {name} --down   takes it down",
        artefacts.display()
    )
}

fn what_next(args: &Demo, kubeconfig: &Path, hosts: &[String]) -> String {
    let (name, kubeconfig) = (&args.name, kubeconfig.display());
    let host = hosts.first().map(String::as_str).unwrap_or_default();
    let rows = [
        (format!("capstead kubectl --name {name} --kubeconfig {kubeconfig} get nodes,pods -A -o wide"), "what the cluster runs"),
        (format!("capstead kubectl --name {name} get machines -A -o wide"), "what Cluster API and the provider made"),
        (format!("capstead vm ls --host {host}"), "the microVMs; `vm logs` and `vm console` lead into them"),
        (
            format!("capstead kubectl --name {name} -n {CLUSTER} scale machinedeployment {CLUSTER}-md-0 --replicas 2"),
            "ask for another worker",
        ),
        (format!("capstead demo --name {name} --down"), "take all of it down"),
    ];
    let width = rows.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let rows: String = rows.iter().map(|(command, what)| format!("\n  {command:width$}   {what}")).collect();
    format!("The nodes are microVMs, and all of it is real. Look around, and take it down:\n{rows}")
}
