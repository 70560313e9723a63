//! Where the suite's clusters come up: the management cluster, and the hosts.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use anyhow::ensure;
use capstead_engine::client;
use capstead_lab::Nodes as SimulatedNodes;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings as LabSettings;
use capstead_lab::flintlock::Simulator;
use capstead_lab::workloads;
use capstead_plane::Layout;
use capstead_plane::kubeconfig::users_file;
use capstead_plane::operate;
use kube::Client;
use kube::config::Kubeconfig;
use serde_json::Value;

use super::SUITE;
use super::settings::Hosts;
use super::settings::Settings;
use crate::cli::E2e;
use crate::commands::cluster::get;
use crate::commands::lan::Lan;
use crate::commands::real::Nodes;
use crate::commands::real::Real;
use crate::commands::simulated;
use crate::commands::simulated::Place;
use crate::commands::simulated::Simulated;
use crate::commands::simulated::bring_up;
use crate::commands::simulated::endpoint_by;
use crate::commands::stages::Stages;
use crate::config::Config;

/// Who we are to an API server.
const USER_AGENT: &str = concat!("capstead-e2e/", env!("CARGO_PKG_VERSION"));
/// Simulated machines are quick, so that what takes its time is Cluster API.
const DELAY: &str = "300ms";

/// The place of a plane of our own, where there is to be one.
pub struct Site {
    /// Its folder.
    pub layout: Option<Layout>,
    /// Where binaries are kept.
    pub cache: PathBuf,
}

impl Site {
    /// A place where nothing is yet.
    pub fn new(config: &Config, args: &E2e) -> anyhow::Result<Self> {
        let cache = config.cache_dir(args.cache_dir.as_ref())?;
        if args.existing_cluster {
            return Ok(Self { layout: None, cache });
        }
        let name = args.name.clone().unwrap_or_else(|| match args.own_hosts {
            // The command runs itself once more in the plane's network, and must find it.
            Some(_) => "e2e".into(),
            None => format!("e2e-{}", random()),
        });
        let layout = Layout::new(&config.data_dir(args.data_dir.as_ref()), &name)?;
        ensure!(
            !layout.plane_file().exists(),
            "there is a plane named {name:?} already, and the suite needs a fresh one: `capstead down --name {name} --purge` takes it down, or give another --name"
        );
        Ok(Self { layout: Some(layout), cache })
    }
}

/// Six letters and digits that nobody else has.
pub fn random() -> String {
    let mut left: u64 = rand::random();
    let mut letter = || {
        let letter = char::from_digit(u32::try_from(left % 36).unwrap_or_default(), 36).unwrap_or('x');
        left /= 36;
        letter
    };
    std::iter::repeat_with(&mut letter).take(6).collect()
}

/// What is there once all is up.
pub struct Ground {
    /// The management cluster's API server.
    pub api: Client,
    /// The management cluster's name.
    pub name: String,
    /// The way to it.
    pub kubeconfig: PathBuf,
    /// Of the kubeconfig.
    pub context: String,
    /// Where the hosts listen.
    pub hosts: Vec<String>,
    /// The control plane's address of each cluster.
    pub endpoints: Vec<String>,
    /// What machines are made of.
    pub nodes: Nodes,
    /// The folders of what runs of hosts of ours; none of others.
    pub run_dirs: Vec<PathBuf>,
    /// Hosts in this process, which go with it.
    #[expect(dead_code, reason = "they run as long as it is held")]
    pub simulator: Option<Simulator>,
}

impl Ground {
    /// Brings up what is not there, and checks what is.
    pub async fn up(config: &Config, args: &E2e, settings: &Settings, site: &Site, stages: &mut Stages) -> anyhow::Result<Self> {
        let clusters = settings.config.flows.len();
        let fixed = |endpoint: String| vec![endpoint; clusters];
        let Some(layout) = site.layout.clone() else {
            return Self::existing(settings).await;
        };
        let (kubeconfig, name) = (layout.kubeconfig(), layout.name().to_owned());
        let context = format!("capstead-{name}");
        let patience = settings.limit("suite", "plane");
        let place = Place { layout, cache: site.cache.clone(), binaries: &args.binaries, patience };
        let (mut nodes, mut run_dirs) = (Nodes::default(), Vec::new());
        let (api, hosts, endpoints) = match &settings.hosts {
            Hosts::Own { count } => {
                let lan = Lan::of(&place.layout)?;
                let real = Real::up(config, &place, &lan, *count, SUITE, stages).await?;
                let vip = |n| Ok(Lan::vip(n).context("there are more clusters than addresses")?.to_string());
                (nodes, run_dirs) = (real.nodes, real.run_dirs);
                (real.api, real.addresses, (0..clusters).map(vip).collect::<anyhow::Result<_>>()?)
            }
            Hosts::Given(hosts) => {
                let (_, _, api) = bring_up(config, &place, Vec::new(), stages.live()).await?;
                (api, hosts.clone(), fixed(settings.vip.map(|vip| vip.to_string()).unwrap_or_default()))
            }
            Hosts::Simulated { count, address } => {
                let words = ["boot", "kubeadm", "delete"].map(|what| format!("--{what}-delay={DELAY}"));
                let hosts = simulated::Hosts { count: *count, words: words.into(), address: *address };
                let simulated = Simulated::up(config, &place, hosts, stages.live()).await?;
                let endpoint = |n| match settings.vip {
                    Some(vip) => Ok(vip.to_string()),
                    None => simulated.endpoint(n).context("the simulated hosts have no ports"),
                };
                let endpoints = (1..=clusters).map(endpoint).collect::<anyhow::Result<_>>()?;
                (simulated.api.clone(), simulated.addresses.clone(), endpoints)
            }
        };
        Ok(Self { api, name, kubeconfig, context, hosts, endpoints, nodes, run_dirs, simulator: None })
    }

    /// The current context's cluster.
    async fn existing(settings: &Settings) -> anyhow::Result<Self> {
        let kubeconfig = users_file();
        let what = || format!("-e2e.existing-cluster: {}", kubeconfig.display());
        let file = Kubeconfig::read_from(&kubeconfig).with_context(what)?;
        let context = file.current_context.clone().with_context(|| format!("{}: it has no current context", what()))?;
        let found = file.contexts.iter().find(|named| named.name == context).and_then(|named| named.context.as_ref());
        let name = found.with_context(|| format!("{}: it has no context {context}", what()))?.cluster.clone();
        let api = Client::try_from(client::config(Some(&kubeconfig), USER_AGENT).await?).with_context(what)?;
        has_provider(&api, settings).await.with_context(|| format!("the management cluster {name}"))?;
        let clusters = settings.config.flows.len();
        let (hosts, simulator, port) = match &settings.hosts {
            Hosts::Own { .. } => anyhow::bail!("hosts of ours come with a management cluster of ours"),
            Hosts::Given(hosts) => (hosts.clone(), None, 0),
            Hosts::Simulated { count, address } => {
                let simulator = simulator(*count, SocketAddr::new(*address, 0))?;
                let hosts: Vec<SocketAddr> = simulator.hosts().iter().map(|host| host.address()).collect();
                let port = hosts.first().map_or(0, SocketAddr::port);
                (hosts.iter().map(SocketAddr::to_string).collect(), Some(simulator), port)
            }
        };
        let endpoint = |n| settings.vip.map_or_else(|| endpoint_by(port, n), |vip| vip.to_string());
        Ok(Self {
            api,
            name,
            kubeconfig,
            context,
            hosts,
            endpoints: (1..=clusters).map(endpoint).collect(),
            nodes: Nodes::default(),
            run_dirs: Vec::new(),
            simulator,
        })
    }
}

/// Hosts in this process.
fn simulator(count: u16, address: SocketAddr) -> anyhow::Result<Simulator> {
    let delay = std::time::Duration::from_millis(300);
    let insecure = !address.ip().is_loopback();
    let nodes = workloads::Settings { kubeadm: delay, beyond_loopback: insecure, ..workloads::Settings::default() };
    let settings = LabSettings { boot_delay: delay, delete_delay: delay, ..LabSettings::default() };
    let options = Options {
        listen: vec![address],
        hosts: count.into(),
        insecure,
        settings,
        guests: Some(Arc::new(SimulatedNodes::new(nodes))),
        ..Options::default()
    };
    Simulator::start(options).context("cannot simulate hosts")
}

async fn has_provider(api: &Client, settings: &Settings) -> anyhow::Result<()> {
    let group = match get::<Value>(api, "/apis/infrastructure.cluster.x-k8s.io").await {
        Ok(group) => group,
        Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
        Err(error) => return Err(error).context("it does not answer"),
    };
    let served: Vec<&str> = group["versions"].as_array().into_iter().flatten().filter_map(|version| version["version"].as_str()).collect();
    for flow in &settings.config.flows {
        ensure!(
            served.contains(&flow.api_version.as_str()),
            "it does not serve infrastructure.cluster.x-k8s.io/{}: install the provider, or bring up a plane that has it with `capstead up --detach --provider microvm`",
            flow.api_version
        );
    }
    Ok(())
}

/// Takes a plane down, and removes every file of it.
pub async fn take_down(layout: &Layout, cache: &Path) -> anyhow::Result<()> {
    if layout.plane_file().exists() {
        operate::down(layout, cache).await?;
    }
    Ok(operate::purge(layout).await?)
}
