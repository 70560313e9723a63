//! A plane with the microVM provider and hosts of our own, which boot real microVMs: what the demo and the acceptance suite have in common. All of it runs
//! in the plane's [`Lan`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use capstead_image::store::Store;
use capstead_journeys::log::Ended;
use capstead_journeys::log::Entry;
use capstead_plane::Layout;
use capstead_plane::Plane;
use capstead_plane::layout::write_private;
use capstead_vmm::Confinement;
use capstead_vmm::Runner;
use kube::Client;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::image::build::coredns_tag;
use super::image::build::stored_kernel;
use super::image::build::stored_node;
use super::lan::BRIDGE;
use super::lan::Lan;
use super::simulated::Place;
use super::simulated::bring_up;
use super::simulated::itself;
use super::simulated::write_component;
use super::stages::Stages;
use super::tools::fetch_components;
use crate::cli::Sources;
use crate::config::Config;

/// The component that lets what listens on loopback within be reached from outside.
const RELAY: &str = "lan-relay";
/// Its port that leads from the user's loopback address to the first cluster.
const CLUSTER: &str = "cluster";
/// The template's flavor: nodes get a network by it.
const FLAVOR: &str = "flannel";
/// The built-in file of the node's image.
pub const IMAGE: &str = "demo";
/// In the node's image.
const FLANNEL: &str = "v0.26.7";
/// Among the node's container images.
const NGINX: &str = "docker.io/library/nginx:1.22";
const API_SERVER: &str = "kube-apiserver";

/// What machines are made of: more than a template says by itself.
#[derive(Default)]
pub struct Nodes {
    /// The template's flavor.
    pub flavor: Option<String>,
    /// Variables of the template.
    pub variables: BTreeMap<String, String>,
    /// The root image for each version of Kubernetes; the template's if there is none.
    pub images: BTreeMap<String, String>,
    /// The tag of CoreDNS that goes with each version of Kubernetes; kubeadm's own choice if there is none.
    pub coredns: BTreeMap<String, String>,
    /// The image of nginx.
    pub nginx: Option<String>,
    /// The machines may be emulated, and slow.
    pub slow: bool,
}

/// A plane that is ready.
pub struct Real {
    /// What it is.
    pub plane: Plane,
    /// Where each host listens.
    pub addresses: Vec<String>,
    /// The plane's API server.
    pub api: Client,
    /// The hosts' folders of what runs.
    pub run_dirs: Vec<PathBuf>,
    /// What its machines are made of.
    pub nodes: Nodes,
}

/// What is fetched and built before the plane's network is entered, for that leads nowhere.
#[derive(Deserialize, Serialize)]
struct Parts {
    /// By the version of Kubernetes.
    nodes: BTreeMap<String, String>,
    kernel: String,
    stages: Vec<Entry>,
}

/// What is to be there.
pub struct Wanted<'a> {
    /// How many hosts.
    pub hosts: u16,
    /// Versions of Kubernetes that nodes have.
    pub versions: BTreeSet<String>,
    /// What the stages belong to.
    pub part: &'a str,
}

/// Fetches and builds what is not there yet, and enters the plane's network with this very command.
pub async fn enter(config: &Config, place: &Place<'_>, lan: &Lan, wanted: &Wanted<'_>) -> anyhow::Result<ExitCode> {
    let mut stages = Stages::new();
    let made = prepare(config, place, wanted, &mut stages).await;
    stages.clear();
    let (nodes, kernel) = made?;
    let parts = Parts { nodes, kernel, stages: stages.entries().to_vec() };
    write_private(&parts_file(&place.layout), &serde_json::to_vec(&parts).context("cannot write down what was built")?)?;
    lan.run().await
}

fn parts_file(layout: &Layout) -> PathBuf {
    layout.dir().join("parts.json")
}

async fn prepare(
    config: &Config,
    place: &Place<'_>,
    wanted: &Wanted<'_>,
    stages: &mut Stages,
) -> anyhow::Result<(BTreeMap<String, String>, String)> {
    let part = wanted.part;
    eprintln!(
        "What is not there yet is fetched and built; the first time, with all the plane's and a node's programs, that takes some twenty minutes."
    );
    stages.begin(part, "binaries", "the management plane's binaries are there", Duration::from_secs(1));
    let fetched = fetch_components(config, place.binaries, &place.cache).await;
    stages.end(ended(&fetched));
    fetched?;
    stages.begin(part, "images", "a node and its kernel are built", Duration::from_secs(25));
    let images = images(config, place, wanted).await;
    stages.end(ended(&images));
    images
}

impl Real {
    /// Brings the plane up with so many hosts.
    pub async fn up(config: &Config, place: &Place<'_>, lan: &Lan, hosts: u16, part: &str, stages: &mut Stages) -> anyhow::Result<Self> {
        let names: Vec<String> = (1..=hosts).map(host_name).collect();
        let file = parts_file(&place.layout);
        let parts = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let Parts { nodes: images, kernel, stages: before } =
            serde_json::from_slice(&parts).with_context(|| format!("{} is damaged", file.display()))?;
        stages.extend(before);
        stages.begin(part, "plane", "the management plane and its hosts are up", Duration::from_secs(25));
        let up = up(config, place, lan, &names, stages).await;
        stages.end(ended(&up));
        let (plane, api) = up?;
        let address = |name: &String| Ok(format!("127.0.0.1:{}", port(&plane, name, "grpc")?));
        let addresses = names.iter().map(address).collect::<anyhow::Result<_>>()?;
        let variables = [
            ("MVM_KERNEL_IMAGE", kernel.clone()),
            ("MVM_KERNEL_FILENAME", "boot/vmlinuz".into()),
            ("MVM_INITRD", json!({"image": kernel, "filename": "boot/initrd"}).to_string()),
            // The node has its kernel's modules.
            ("MVM_VOLUMES", "[]".into()),
            // More would only wait for each other: all machines share what emulates them. kubeadm asks two of a control plane.
            ("MVM_WORKER_VCPU", "1".into()),
            ("MVM_WORKER_MEMORY_MB", "1024".into()),
            ("VIP_PROVIDER", "keepalived".into()),
            // An emulated machine needs a second for each.
            ("VIP_CHECK_SECONDS", "15".into()),
            ("FLANNEL_IPTABLES_RESYNC", "60".into()),
            ("FLANNEL_IMAGE", format!("ghcr.io/flannel-io/flannel:{FLANNEL}")),
            ("FLANNEL_CNI_PLUGIN_IMAGE", format!("ghcr.io/flannel-io/flannel-cni-plugin:{FLANNEL}")),
        ];
        let nodes = Nodes {
            flavor: Some(FLAVOR.into()),
            variables: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            coredns: images.keys().map(|version| Ok((version.clone(), coredns_tag(version)?))).collect::<anyhow::Result<_>>()?,
            images,
            nginx: Some(NGINX.into()),
            slow: true,
        };
        let run_dirs = (1..=names.len()).map(|n| Ok(lan.run_dir()?.join(n.to_string()))).collect::<anyhow::Result<_>>()?;
        Ok(Self { plane, addresses, api, run_dirs, nodes })
    }

    /// The port of the user's loopback address that leads to the first cluster's API server.
    pub fn cluster_port(&self) -> anyhow::Result<u16> {
        port(&self.plane, RELAY, CLUSTER)
    }

    /// Lets the port lead there.
    pub async fn open(&self, lan: &Lan) -> anyhow::Result<()> {
        let vip = Lan::vip(0).context("there is no address for the cluster")?;
        lan.forward(vip, &[(self.cluster_port()?, 6443)]).await
    }
}

fn ended<T>(done: &anyhow::Result<T>) -> Ended {
    done.as_ref().map_or_else(|error| Ended::Failed(format!("{error:#}")), |_| Ended::Passed)
}

fn host_name(n: u16) -> String {
    if n == 1 { "microvm-host".into() } else { format!("microvm-host-{n}") }
}

fn port(plane: &Plane, component: &str, name: &str) -> anyhow::Result<u16> {
    plane.port(component, name).with_context(|| format!("the plane {:?} has no port {name} of {component}", plane.name))
}

/// The nodes' images and the kernel's, in each host's store.
async fn images(config: &Config, place: &Place<'_>, wanted: &Wanted<'_>) -> anyhow::Result<(BTreeMap<String, String>, String)> {
    let (cache, sources): (_, &Sources) = (Some(&place.cache), &place.binaries.sources);
    let mut images = None;
    for host in (1..=wanted.hosts).map(host_name) {
        let folder = place.layout.data(&host).join("images");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let store = Store::open(&folder)?;
        let kernel = stored_kernel(config, cache, sources, &store).await.context("the kernel")?;
        let mut nodes = BTreeMap::new();
        for version in &wanted.versions {
            let node = stored_node(config, IMAGE, version, cache, sources, &store).await;
            nodes.insert(version.clone(), node.with_context(|| format!("the node of Kubernetes {version}"))?);
        }
        images = Some((nodes, kernel));
    }
    images.context("no hosts are asked for")
}

async fn up(config: &Config, place: &Place<'_>, lan: &Lan, hosts: &[String], stages: &mut Stages) -> anyhow::Result<(Plane, Client)> {
    let host = |(n, host): (usize, &String)| {
        write_component(&place.layout, host, &host_component(host, &lan.run_dir()?.join((n + 1).to_string())))
    };
    let mut components = hosts.iter().enumerate().map(host).collect::<anyhow::Result<Vec<_>>>()?;
    components.push(write_component(&place.layout, RELAY, &relay_component(hosts, lan.address()))?);
    let (plane, _, api) = bring_up(config, place, components, stages.live()).await?;
    // From outside, all are where they are within.
    let mut ports = vec![port(&plane, API_SERVER, "api")?];
    for host in hosts {
        ports.extend([port(&plane, host, "grpc")?, port(&plane, host, "debug")?]);
    }
    let ports: Vec<(u16, u16)> = ports.into_iter().map(|port| (port, port)).collect();
    lan.forward(lan.address(), &ports).await?;
    Ok((plane, api))
}

/// Kills the VMM of a microVM, if one runs, as a crash does: nobody is asked, and its host is not told.
pub fn kill(run_dirs: &[PathBuf], uid: &str) -> anyhow::Result<()> {
    for dir in run_dirs {
        let runner = Runner::new(dir, Vec::new(), Confinement::default())?;
        for found in runner.scan().into_iter().filter(|found| found.mark.uid.to_string() == uid) {
            let pid = i32::try_from(found.pid).ok().and_then(Pid::from_raw).context("a process has no id")?;
            kill_process(pid, Signal::KILL).with_context(|| format!("cannot kill the VMM of {uid}"))?;
        }
    }
    Ok(())
}

fn host_component(name: &str, run: &Path) -> Value {
    json!({
        "name": name,
        "title": "A host of microVMs",
        "binary": itself(),
        "ports": {"grpc": {}, "debug": {}},
        "args": [
            "host", "run", "--state-dir=${DATA}", format!("--run-dir={}", run.display()), "--grpc-endpoint=127.0.0.1:${PORT_GRPC}", "--debug-endpoint=127.0.0.1:${PORT_DEBUG}",
            // There is no other user in the namespace.
            format!("--bridge-name={BRIDGE}"), "--vmm-user=root",
        ],
        "ready": {"url": "http://127.0.0.1:${PORT_DEBUG}/healthz"},
    })
}

fn relay_component(hosts: &[String], address: Ipv4Addr) -> Value {
    let variable = |component: &str, port: &str| format!("${{{}_PORT_{port}}}", component.to_uppercase().replace('-', "_"));
    let mut args = vec!["relay".to_owned(), format!("--address={address}"), format!("--port={}", variable(API_SERVER, "API"))];
    for host in hosts {
        args.extend(["GRPC", "DEBUG"].map(|port| format!("--port={}", variable(host, port))));
    }
    let first = hosts.first().map(|host| variable(host, "DEBUG")).unwrap_or_default();
    json!({
        "name": RELAY,
        "title": "The way into the plane's network",
        "binary": itself(),
        "after": hosts,
        "ports": {CLUSTER: {}},
        "args": args,
        "ready": {"url": format!("http://{address}:{first}/healthz")},
    })
}
