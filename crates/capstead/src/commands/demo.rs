//! `demo`: a management plane, the microVM provider and hosts, and a cluster that comes up on them.

mod live;
mod look;
mod tree;

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use capstead_plane::Choices;
use capstead_plane::Layout;
use capstead_plane::Plane;
use capstead_plane::Status;
use capstead_plane::layout::private_dir;
use capstead_plane::layout::write_private;
use capstead_plane::pki::Pki;
use capstead_plane::status::State;
use capstead_plane::supervisor::administrator_client;
use serde_json::json;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use self::live::Line;
use self::live::Live;
use self::look::Look;
use self::look::World;
use super::generate;
use super::up;
use crate::cli::Demo;
use crate::cli::GenerateCluster;
use crate::cli::Output;
use crate::config::Config;
use crate::output;
use crate::progress::Bars;

/// The component that runs the simulated hosts.
pub const HOSTS: &str = "simulated-hosts";
/// The name of the Cluster.
const CLUSTER: &str = "demo";
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(300);
/// For a question to the API server or the hosts that is not answered.
const ANSWER: Duration = Duration::from_secs(5);

/// Runs the demo.
pub async fn run(config: &Config, args: Demo) -> anyhow::Result<()> {
    anyhow::ensure!(args.simulated, "the demo has no real hosts yet; `capstead demo --simulated` shows it on simulated ones");
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
    done
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
    let choices = Choices {
        capi_version: config.capi_version(&args.binaries),
        // Nothing of a demo is worth a wait for the disk.
        ephemeral: Some(true),
        source: config.source(&args.binaries),
        bin_dir: config.bin_dir(&args.binaries)?,
        registry_mirrors: config.registry_mirrors(&args.binaries),
        without: None,
        providers: Some(vec!["microvm".into()]),
        components: Some(vec![hosts_file(&layout, args.hosts)?]),
    };
    eprintln!("Bringing the plane {:?} up; the first time its binaries are fetched or built, which takes some minutes.", args.name);
    let (plane, status) = up::start(&layout, &cache, choices, patience, &Bars::new(), |status| live.show(&component_lines(status))).await?;
    live.clear();
    eprintln!("The plane is ready after {} s.", began.elapsed().as_secs());

    let addresses = addresses(&plane, args.hosts)?;
    let world = world(&layout, &plane)?;
    settle(&world, live, &addresses, patience).await?;
    let objects = generate::objects(&cluster(&plane, &addresses, args.workers, &status)?)?;
    capstead_plane::api::apply(&world.plane, &objects).await.context("the plane does not take the cluster's objects")?;
    eprintln!("Applied {} objects: a cluster of one control plane machine, workers asked for: {}.", objects.len(), args.workers);
    let look = stands(&world, live, &addresses, patience).await.map_err(|error| {
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
        tree::table(&tree::rows(&look), jiff::Timestamp::now()),
        tree::microvms(&look, &addresses),
        what_next(&plane)
    ))
}

/// The component of Capstead's own microVM provider.
const PROVIDER: &str = "capstead-microvm";

/// Writes the component that runs the hosts. Its name has their number, so that another number counts as another choice.
fn hosts_file(layout: &Layout, hosts: u16) -> anyhow::Result<PathBuf> {
    let names: Vec<String> = (1..=hosts).map(|n| format!("host-{n}")).collect();
    let ports: serde_json::Map<_, _> = names.iter().map(String::as_str).chain(["control"]).map(|name| (name.into(), json!({}))).collect();
    let mut args = vec!["lab".to_owned(), "flintlock".into(), "--boot-delay=2s".into(), "--state=${DATA}".into()];
    args.push("--metrics-address=127.0.0.1:${PORT_CONTROL}".into());
    args.extend((1..=hosts).map(|n| format!("--listen=127.0.0.1:${{PORT_HOST_{n}}}")));
    let component = json!({
        "name": HOSTS,
        "title": "Simulated flintlock hosts",
        "binary": {"name": "capstead", "version": concat!("v", env!("CARGO_PKG_VERSION")), "itself": true},
        "ports": ports,
        "args": args,
        "ready": {"url": "http://127.0.0.1:${PORT_CONTROL}/metrics"},
    });
    let file = layout.dir().join(format!("{HOSTS}-{hosts}.yaml"));
    private_dir(layout.dir())?;
    write_private(&file, yaml_serde::to_string(&component).context("cannot write the hosts' component")?.as_bytes())?;
    Ok(file)
}

fn port(plane: &Plane, name: &str) -> anyhow::Result<u16> {
    plane.port(HOSTS, name).with_context(|| format!("the plane {:?} has no port {name} of {HOSTS}", plane.name))
}

fn addresses(plane: &Plane, hosts: u16) -> anyhow::Result<Vec<String>> {
    (1..=hosts).map(|n| Ok(format!("127.0.0.1:{}", port(plane, &format!("host-{n}"))?))).collect()
}

fn world(layout: &Layout, plane: &Plane) -> anyhow::Result<World> {
    let lab = format!("http://127.0.0.1:{}", port(plane, "control")?).parse()?;
    Ok(World {
        plane: administrator_client(layout, plane, &Pki::open(layout.pki())?)?,
        lab: kube::Client::try_from(kube::Config::new(lab)).context("cannot make a client for the simulated hosts")?,
        cluster: CLUSTER.into(),
    })
}

/// The cluster of the demo. Its Kubernetes is the plane's own version, on an address of this machine that no other demo has.
fn cluster(plane: &Plane, addresses: &[String], workers: u32, status: &Status) -> anyhow::Result<GenerateCluster> {
    let hosts: Vec<_> = addresses.iter().map(|address| json!({"endpoint": address, "controlplaneAllowed": true})).collect();
    let version = status.components.iter().find(|component| component.name == "kube-apiserver").map(|found| found.version.clone());
    let [high, low] = port(plane, "control")?.to_be_bytes();
    Ok(GenerateCluster {
        name: Some(CLUSTER.into()),
        provider: Some("microvm".into()),
        flavor: None,
        from: None,
        set: vec![format!("CONTROL_PLANE_VIP=127.{high}.{low}.1"), format!("MVM_HOSTS={}", serde_json::Value::from(hosts))],
        kubernetes_version: version,
        control_plane_machine_count: Some(1),
        worker_machine_count: Some(workers),
        target_namespace: "default".into(),
        config: None,
        list_variables: false,
        output: Output::Table,
    })
}

fn component_lines(status: &Status) -> Vec<Line> {
    let line = |component: &capstead_plane::status::ComponentStatus| Line {
        what: component.name.clone(),
        branch: String::new(),
        done: component.ready,
        state: component.state.to_string(),
        note: component.message.lines().next().unwrap_or_default().into(),
    };
    // What does nothing yet is not worth a line.
    status.components.iter().filter(|component| component.state != State::Stopped).map(line).collect()
}

fn lines(look: &Look, addresses: &[String]) -> Vec<Line> {
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
    let host = |(n, address): (usize, &String)| {
        let here: Vec<_> = look.microvms.iter().filter(|microvm| microvm.host == n + 1).collect();
        let running = here.iter().filter(|microvm| microvm.state == "CREATED").count();
        let state = format!("{running} of {} microVMs running", here.len());
        Line { what: format!("host {address}"), branch: String::new(), done: running == here.len(), state, note: String::new() }
    };
    tree::rows(look).into_iter().map(object).chain(addresses.iter().enumerate().map(host)).collect()
}

/// The simulated hosts may have been started anew, with fewer of them or without their memory. A cluster whose microVMs are gone with them is deleted first, so that it is made anew.
async fn settle(world: &World, live: &mut Live, addresses: &[String], patience: Duration) -> anyhow::Result<()> {
    let leaving =
        |look: &Look| look.objects.iter().any(|object| object["kind"] == "Cluster" && object["metadata"]["deletionTimestamp"].is_string());
    // A server that has just come up may ask for patience.
    let look = wait(world, live, addresses, patience, |_| Vec::new()).await?;
    if !tree::lost(&look).is_empty() {
        eprintln!("The simulated hosts were started anew, without the microVMs of the last time: the cluster is deleted and made again.");
        world.delete_cluster().await?;
    } else if !leaving(&look) {
        return Ok(());
    }
    wait(world, live, addresses, patience, |look| {
        look.objects.iter().map(|object| format!("{} is still there", tree::named(object))).collect()
    })
    .await
    .map(drop)
    .context("the cluster of the last time is not gone")
}

/// Waits until the cluster is available.
async fn stands(world: &World, live: &mut Live, addresses: &[String], patience: Duration) -> anyhow::Result<Look> {
    wait(world, live, addresses, patience, tree::missing).await
}

/// Looks until nothing is missing.
async fn wait(
    world: &World,
    live: &mut Live,
    addresses: &[String],
    patience: Duration,
    missing: impl Fn(&Look) -> Vec<String>,
) -> anyhow::Result<Look> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let looked =
            tokio::time::timeout(ANSWER, world.look()).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {ANSWER:?}")));
        let unmet = match looked {
            Ok(look) => {
                live.show(&lines(&look, addresses));
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

fn what_next(plane: &Plane) -> String {
    let name = &plane.name;
    let control = plane.port(HOSTS, "control").unwrap_or_default();
    let rows = [
        (format!("capstead kubectl --name {name} get clusters,machines,microvmmachines -o wide"), "what Cluster API and the provider made"),
        (format!("capstead clusterctl --name {name} describe cluster {CLUSTER}"), "the same by clusterctl, with all conditions"),
        (format!("capstead clusterctl --name {name} get kubeconfig {CLUSTER} > {CLUSTER}.kubeconfig"), "the way into the cluster itself"),
        (format!("capstead kubectl --name {name} --kubeconfig {CLUSTER}.kubeconfig get nodes,pods -A"), "what it runs"),
        (format!("capstead kubectl --name {name} scale machinedeployment {CLUSTER}-md-0 --replicas 3"), "ask for more workers"),
        (format!("curl 127.0.0.1:{control}/microvms"), "what is on the simulated hosts"),
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
