//! A plane with the microVM provider and simulated hosts, and clusters for them: what the demo and fleets have in common.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
use kube::Client;
use serde_json::Value;
use serde_json::json;

use super::live::Line;
use super::live::Live;
use super::up;
use crate::cli::Binaries;
use crate::cli::GenerateCluster;
use crate::cli::Output;
use crate::config::Config;
use crate::progress::Bars;

/// The component that runs the simulated hosts.
pub const HOSTS: &str = "simulated-hosts";
/// The component of Capstead's own microVM provider.
pub const PROVIDER: &str = "capstead-microvm";
/// Addresses in the last byte of 127.x.y.z, but for the first and the last.
const LAST_BYTE: usize = 254;

/// Where the plane is to be.
pub struct Place<'a> {
    /// Its folder.
    pub layout: Layout,
    /// Where binaries are kept.
    pub cache: PathBuf,
    /// Where they come from.
    pub binaries: &'a Binaries,
    /// How long it may take to become ready.
    pub patience: Duration,
}

/// The simulated hosts that are wanted.
pub struct Hosts {
    /// How many.
    pub count: u16,
    /// Further words for `capstead lab flintlock`.
    pub words: Vec<String>,
    /// Where they listen.
    pub address: IpAddr,
}

impl Hosts {
    /// On loopback.
    pub fn new(count: u16, words: Vec<String>) -> Self {
        Self { count, words, address: Ipv4Addr::LOCALHOST.into() }
    }
}

/// A plane that is ready.
pub struct Simulated {
    /// What it is.
    pub plane: Plane,
    /// What it was doing when it was ready.
    pub status: Status,
    /// Where each host listens.
    pub addresses: Vec<String>,
    /// The plane's API server.
    pub api: Client,
    /// The simulator's control server.
    pub lab: Client,
}

impl Simulated {
    /// Brings the plane up.
    pub async fn up(config: &Config, place: &Place<'_>, hosts: Hosts, live: &mut Live) -> anyhow::Result<Self> {
        let (plane, status, api) = bring_up(config, place, vec![component(&place.layout, &hosts)?], live).await?;
        let address = |n| Ok(SocketAddr::new(hosts.address, port(&plane, &format!("host-{n}"))?).to_string());
        let addresses = (1..=hosts.count).map(address).collect::<anyhow::Result<_>>()?;
        let lab = plain_client(port(&plane, "control")?)?;
        Ok(Self { plane, status, addresses, api, lab })
    }

    /// The address of the n-th cluster's control plane, from 1. It is made of a port of the simulated hosts, which nobody else on this machine has;
    /// `None` beyond what they have.
    pub fn endpoint(&self, n: usize) -> Option<String> {
        let number = n.checked_sub(1)?;
        let ports = self.plane.ports.get(HOSTS)?;
        // The demo has always had that of the control server.
        let control = ports.get("control").into_iter();
        let port = control.chain(ports.iter().filter(|(name, _)| *name != "control").map(|(_, port)| port)).nth(number / LAST_BYTE)?;
        Some(endpoint_by(*port, 1 + number % LAST_BYTE))
    }

    /// A cluster of the plane's own version of Kubernetes, on all hosts.
    pub fn cluster(&self, name: &str, namespace: &str, endpoint: &str, control_plane: u32, workers: u32) -> GenerateCluster {
        let hosts: Vec<_> = self.addresses.iter().map(|address| json!({"endpoint": address, "controlplaneAllowed": true})).collect();
        let version = self.status.components.iter().find(|component| component.name == "kube-apiserver").map(|found| found.version.clone());
        GenerateCluster {
            name: Some(name.into()),
            provider: Some("microvm".into()),
            flavor: None,
            from: None,
            set: vec![format!("CONTROL_PLANE_VIP={endpoint}"), format!("MVM_HOSTS={}", serde_json::Value::from(hosts))],
            kubernetes_version: version,
            control_plane_machine_count: Some(control_plane),
            worker_machine_count: Some(workers),
            target_namespace: namespace.into(),
            config: None,
            list_variables: false,
            output: Output::Table,
        }
    }
}

/// An address of this machine that is made of a port which nobody else here has.
pub fn endpoint_by(port: u16, last: usize) -> String {
    let [high, low] = port.to_be_bytes();
    format!("127.{high}.{low}.{last}")
}

/// Brings up a plane with the provider of microVMs, whose objects are not meant to stay.
pub async fn bring_up(
    config: &Config,
    place: &Place<'_>,
    components: Vec<PathBuf>,
    live: &mut Live,
) -> anyhow::Result<(Plane, Status, Client)> {
    let Place { layout, cache, binaries, patience } = place;
    let choices = Choices {
        capi_version: config.capi_version(binaries),
        // Nothing here is worth a wait for the disk.
        ephemeral: Some(true),
        source: config.source(&binaries.sources),
        bin_dir: config.bin_dir(&binaries.sources)?,
        registry_mirrors: config.registry_mirrors(&binaries.sources),
        without: None,
        providers: Some(vec!["microvm".into()]),
        components: Some(components),
        deployments: None,
    };
    eprintln!("Bringing the plane {:?} up; the first time its binaries are fetched or built, which takes some minutes.", layout.name());
    let show = |status: &Status| live.show(&lines(status));
    let (plane, status) = up::start(layout, cache, choices, *patience, &Bars::new(), show).await?;
    live.clear();
    let api = administrator_client(layout, &plane, &Pki::open(layout.pki())?)?;
    Ok((plane, status, api))
}

/// How many clusters have an [`Simulated::endpoint`] with so many hosts.
pub const fn most_clusters(hosts: u16) -> usize {
    (hosts as usize + 1) * LAST_BYTE
}

/// A client of a plain HTTP server on this machine.
pub fn plain_client(port: u16) -> anyhow::Result<Client> {
    let address = format!("http://127.0.0.1:{port}").parse()?;
    Client::try_from(kube::Config::new(address)).with_context(|| format!("cannot make a client for port {port}"))
}

fn port(plane: &Plane, name: &str) -> anyhow::Result<u16> {
    plane.port(HOSTS, name).with_context(|| format!("the plane {:?} has no port {name} of {HOSTS}", plane.name))
}

/// Writes the component that runs the hosts. Its name has their number, so that another number counts as another choice.
fn component(layout: &Layout, hosts: &Hosts) -> anyhow::Result<PathBuf> {
    let names: Vec<String> = (1..=hosts.count).map(|n| format!("host-{n}")).collect();
    let ports: serde_json::Map<_, _> = names.iter().map(String::as_str).chain(["control"]).map(|name| (name.into(), json!({}))).collect();
    let mut args = vec!["lab".to_owned(), "flintlock".into(), "--state=${DATA}".into()];
    args.extend(hosts.words.iter().cloned());
    args.push("--metrics-address=127.0.0.1:${PORT_CONTROL}".into());
    if !hosts.address.is_loopback() {
        args.push("--insecure".into());
    }
    let address = if hosts.address.is_ipv6() { format!("[{}]", hosts.address) } else { hosts.address.to_string() };
    args.extend((1..=hosts.count).map(|n| format!("--listen={address}:${{PORT_HOST_{n}}}")));
    let component = json!({
        "name": HOSTS,
        "title": "Simulated flintlock hosts",
        "binary": itself(),
        "ports": ports,
        "args": args,
        "ready": {"url": "http://127.0.0.1:${PORT_CONTROL}/metrics"},
    });
    write_component(layout, &format!("{HOSTS}-{}", hosts.count), &component)
}

/// This program as a component's binary.
pub fn itself() -> Value {
    json!({"name": "capstead", "version": concat!("v", env!("CARGO_PKG_VERSION")), "itself": true})
}

/// Writes a component's file into a plane's folder.
pub fn write_component(layout: &Layout, name: &str, component: &Value) -> anyhow::Result<PathBuf> {
    let file = layout.dir().join(format!("{name}.yaml"));
    private_dir(layout.dir())?;
    write_private(&file, yaml_serde::to_string(component).with_context(|| format!("cannot write the component {name}"))?.as_bytes())?;
    Ok(file)
}

fn lines(status: &Status) -> Vec<Line> {
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
